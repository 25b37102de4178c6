"""`generate_library` as Prefect runs it, with the engine that needs no model."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
import soundfile
from seaweed import Seaweed

from audiodiff.errors import ConfigError
from audiodiff.generate.broadcast import read_chunks
from audiodiff.generate.records import Take
from audiodiff.generate.schema import TAKES
from audiodiff.ledger import all_rows, committed_shards
from audiodiff.records import Lane
from audiodiff.storage import open_store
from flows.generate_library import GenerateConfig, GenerateResult, generate_library
from tasks import generating

ROWS: list[dict[str, object]] = [
    {"prompt": "a bright bell", "count": 2, "duration_s": 1.5},
    {"prompt": "an engine humming", "count": 1, "duration_s": 2, "loop": "yes"},
    {"prompt": "<b>../../etc/passwd</b>", "count": 1, "duration_s": 1},
    {"prompt": "", "count": 3},
    {"prompt": "too long", "duration_s": 600},
    {"prompt": "a bright bell", "count": 2, "duration_s": 1.5},
    {"prompt": "other", "category": "NOSUCH"},
    {"prompt": "like this", "edit": "variation", "reference": "missing.wav"},
]


@pytest.fixture(scope="module", autouse=True)
def impatient() -> Iterator[None]:
    """Retries at once: the waits between them are for networks."""
    with pytest.MonkeyPatch.context() as patch:
        for task in (generating.plan, generating.generate_shard, generating.reconcile, generating.report):
            patch.setattr(task, "retry_delay_seconds", [0, 0, 0])
        yield


def write_prompts(path: Path, rows: list[dict[str, object]]) -> Path:
    columns = ["prompt", "count", "duration_s", "loop", "category", "edit", "reference"]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    return path


def generate(prompts: Path, destination: object, **fields: object) -> GenerateResult:
    given = {"engine": "rehearsal", "draws": 2} | fields
    return generate_library(GenerateConfig(prompts=str(prompts), destination=str(destination), **given))


def rows_of(destination: object) -> list[Take]:
    store = open_store(str(destination))
    return list(all_rows(store, committed_shards(store), TAKES))


def sounds(destination: Path) -> dict[str, str]:
    """What lies in the library, by name."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in destination.glob("library/*/*.wav")}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, prefect_server: str) -> tuple[Path, Path, GenerateResult]:
    """The table, the library and what the flow returned."""
    folder = tmp_path_factory.mktemp("generation")
    prompts = write_prompts(folder / "prompts.csv", ROWS)
    return prompts, folder / "library", generate(prompts, folder / "library")


def test_every_row_of_the_table_ends_in_the_ledger(library: tuple[Path, Path, GenerateResult]) -> None:
    _, destination, result = library
    rows = rows_of(destination)
    failed = {row.row: row.reasons for row in rows if row.lane is Lane.FAILED}
    assert failed == {
        5: ("empty_prompt",), 6: ("absurd_duration",), 7: ("duplicate_row",), 8: ("not_served",), 9: ("bad_reference",),
    }  # fmt: skip
    assert all(row.messages for row in rows if row.lane is Lane.FAILED)
    assert {row.row for row in rows} == set(range(2, 10))
    assert (result.asked, result.delivered, result.failed) == (4 + 2, 4, 5)


def test_as_many_takes_as_were_asked_for_are_delivered_and_the_best(
    library: tuple[Path, Path, GenerateResult],
) -> None:
    _, destination, _ = library
    rows = [row for row in rows_of(destination) if row.row == 2]
    assert Counter(row.lane for row in rows)[Lane.ACCEPTED] == 2
    kept = [row for row in rows if row.lane is Lane.ACCEPTED]
    spare = [row for row in rows if row.reasons == ("outranked",)]
    assert min(row.score for row in kept) >= max(row.score for row in spare)
    assert all(row.file_name is None and row.seed for row in spare)
    assert len({row.seed for row in rows}) == len(rows) == 4


def test_files_are_what_their_rows_say(library: tuple[Path, Path, GenerateResult]) -> None:
    _, destination, _ = library
    for row in (row for row in rows_of(destination) if row.audio_path):
        path = destination / str(row.audio_path)
        info = soundfile.info(path)
        assert (info.samplerate, info.subtype, info.frames) == (48_000, "PCM_24", row.frames)
        described = read_chunks(path)
        assert row.prompt is not None
        assert (described.text, described.reference) == (row.prompt.prompt, row.take_id)
        assert described.loop == row.prompt.loop
        told = json.loads(described.provenance)
        assert (told["seed"], told["engine"], told["engine_sha256"]) == (row.seed, row.engine, row.engine_sha256)
        assert row.delivered_true_peak_db <= -0.8
    loop = next(row for row in rows_of(destination) if row.prompt and row.prompt.loop and row.file_name)
    assert loop.frames == 96_000


def test_no_prompt_reaches_beyond_the_destination(library: tuple[Path, Path, GenerateResult]) -> None:
    prompts, destination, _ = library
    assert {path.name for path in prompts.parent.iterdir()} == {"prompts.csv", "library"}
    names = [path.name for path in destination.glob("library/*/*.wav")]
    assert all(name.isascii() and "/" not in name and "<" not in name for name in names)


def test_the_contact_sheet_names_every_take(library: tuple[Path, Path, GenerateResult]) -> None:
    _, destination, result = library
    page = Path(result.report_uri).read_text()
    assert all(name in page for name in sounds(destination))
    assert "<b>../../etc" not in page


def test_the_same_command_does_nothing_and_a_new_row_is_done_alone(
    library: tuple[Path, Path, GenerateResult], tmp_path: Path
) -> None:
    prompts, destination, _ = library
    before = sounds(destination)
    again = generate(prompts, destination)
    assert (again.run_id, again.skipped) == ("", len(ROWS))
    more = write_prompts(tmp_path / "prompts.csv", [{"prompt": "a wooden knock", "duration_s": 0.5}, *ROWS])
    result = generate(more, destination)
    assert (result.asked, result.skipped) == (1, len(ROWS))
    after = sounds(destination)
    assert {name: digest for name, digest in after.items() if name in before} == before
    assert len(after) == len(before) + 1


def test_the_same_prompts_give_the_same_bytes_elsewhere(
    library: tuple[Path, Path, GenerateResult], tmp_path: Path
) -> None:
    _, destination, _ = library
    moved = write_prompts(tmp_path / "other.csv", list(reversed(ROWS)))
    generate(moved, tmp_path / "library", shards_at_once=2)
    mine = sounds(tmp_path / "library")
    assert mine == {name: digest for name, digest in sounds(destination).items() if name in mine}
    assert len(mine) == 4


def test_a_bucket_holds_the_same_library(
    s3: Seaweed, library: tuple[Path, Path, GenerateResult], tmp_path: Path
) -> None:
    _, destination, _ = library
    address = f"s3://{s3.bucket()}"
    store = open_store(address)
    store.write_bytes("tables/prompts.csv", write_prompts(tmp_path / "p.csv", ROWS[:2]).read_bytes())
    result = generate_library(
        GenerateConfig(prompts=f"{address}/tables/prompts.csv", destination=f"{address}/out", engine="rehearsal")
    )
    assert result.delivered == 3
    found = {f.name.rpartition("/")[2] for f in store.list("out/library/") if f.name.endswith(".wav")}
    assert found <= set(sounds(destination))


def test_it_loads_with_one_line_of_duckdb(library: tuple[Path, Path, GenerateResult]) -> None:
    _, destination, _ = library
    table = duckdb.read_parquet(f"{destination}/library/*/metadata.parquet")
    rows = table.project("file_name, prompt, seed, synthetic").fetchall()
    assert len(rows) >= 4
    assert all(synthetic for *_, synthetic in rows)


def test_an_unknown_engine_or_table_is_told_before_anything_is_written(prefect_server: str, tmp_path: Path) -> None:
    prompts = write_prompts(tmp_path / "prompts.csv", ROWS[:1])
    with pytest.raises(ConfigError, match="unknown generator 'nosuch'; known: audiodiff, rehearsal"):
        generate(prompts, tmp_path / "out", engine="nosuch")
    with pytest.raises(ConfigError, match="does not exist"):
        generate(tmp_path / "absent.csv", tmp_path / "out")
    assert not (tmp_path / "out").exists()
