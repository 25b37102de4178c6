from __future__ import annotations

import copy
import csv
import io
import json
import math
import os
from collections import Counter
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from seaweed import Seaweed

from audiodiff.books import RESTORATIONS
from audiodiff.errors import ConfigError, MediaError
from audiodiff.generate import formats, table
from audiodiff.generate.prompts import EXPLANATIONS
from audiodiff.generate.records import Prompt
from audiodiff.generate.table import PromptTable, open_table
from audiodiff.plan import PlanRequest, plan_run
from audiodiff.storage import open_store

EXAMPLE = Path(__file__).parents[1] / "docs/examples/prompts.csv"
PROMPTS = [
    Prompt("rain, heavy", count=5, duration_s=2.5, loop=True, seed=2**60, negative='a "quoted" word'),
    Prompt("=1+1; ../../x, end", "music", tempo_bpm=90.0, influence=0.25),
    Prompt("🐕 \u200fגשם", "voice", text="Yes", name="A dog"),
    Prompt("warm voice", "voice", text="12:30"),
    Prompt("like this", reference="a/b.wav", edit="variation", strength=0.125),
]


def opened(path: Path, data: bytes | str) -> PromptTable:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return open_table(str(path), open_store)


def prompts(found: PromptTable) -> list[Prompt | None]:
    return [row.prompt for row in found.rows.values()]


def names(found: PromptTable) -> list[str]:
    return [one.name for one in found.list()]


def as_csv(rows: list[dict[str, object]], comma: str = ",") -> str:
    sink = io.StringIO()
    writer = csv.DictWriter(sink, rows[0], delimiter=comma)
    writer.writeheader()
    writer.writerows(rows)
    return sink.getvalue()


def as_parquet(rows: list[dict[str, object]]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows), sink, row_group_size=2)
    return sink.getvalue().to_pybytes()


ROWS = [asdict(prompt) for prompt in PROMPTS]
TABLES: dict[str, bytes | str] = {
    "comma.csv": as_csv(ROWS),
    "semicolon.csv": "\ufeff" + as_csv(ROWS, ";"),
    "tab.csv": as_csv(ROWS, "\t"),
    "a.TSV": as_csv(ROWS, "\t"),
    "a.parquet": as_parquet(ROWS),
    "a.jsonl": "\n\n".join(map(json.dumps, ROWS)),
    "a.ndjson": "\ufeff" + "\r\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS),
    "a.json": json.dumps(ROWS, indent=1),
    "a.yaml": yaml.safe_dump(ROWS, allow_unicode=True),
    "a.yml": yaml.safe_dump(ROWS),
}


@pytest.mark.parametrize("name", TABLES)
def test_each_format_gives_the_same_prompts(tmp_path: Path, name: str) -> None:
    found = opened(tmp_path / name, TABLES[name])
    assert prompts(found) == PROMPTS
    assert names(found) == names(opened(tmp_path / "comma.csv", TABLES["comma.csv"]))
    assert found.uri == str(tmp_path / name)


def test_the_example(tmp_path: Path) -> None:
    found = prompts(open_table(str(EXAMPLE), open_store))
    assert Counter(one.kind for one in found if one) == {"sfx": 12, "music": 4, "voice": 4}
    assert sum(one.count for one in found if one) == 100
    assert all(one.loop and one.tempo_bpm for one in found if one and one.kind == "music")


def test_cells_that_are_missing_are_defaults(tmp_path: Path) -> None:
    rows = [{"prompt": "a", "seed": 7.0, "loop": True, "strength": Decimal("0.5")},
            {"prompt": "b", "seed": math.nan, "loop": None, "strength": None}]  # fmt: skip
    wanted = [Prompt("a", seed=7, loop=True), Prompt("b")]
    assert prompts(opened(tmp_path / "a.parquet", as_parquet(rows))) == wanted
    plain = "[{prompt: a, seed: 7, loop: yes}, {prompt: b, seed: ~, loop: null, text: }]"
    assert prompts(opened(tmp_path / "a.yaml", plain)) == wanted
    assert (
        prompts(opened(tmp_path / "a.json", '[{"prompt":"a","seed":7,"loop":1},{"prompt":"b","seed":NaN}]')) == wanted
    )
    assert prompts(opened(tmp_path / "a.csv", "prompt,seed,loop,,\na,7,YES\n ,,\nb,,,,,\n,,,\n\n")) == wanted


def test_lines_are_those_a_spreadsheet_shows(tmp_path: Path) -> None:
    found = opened(tmp_path / "a.csv", '\n"prompt",n\n"rain\non a roof",2\n\n,,\nsea, waves,3\nwind,x\n')
    rows = list(found.rows.values())
    assert [row.line for row in rows] == [3, 6, 7]
    assert rows[0].prompt == Prompt("rain on a roof", count=2)
    assert [row.problem and row.problem.message.partition(";")[0] for row in rows[1:]] == [
        "line 6: '3' stands under no heading", "line 7: count is 'x'",
    ]  # fmt: skip
    lines = opened(tmp_path / "a.jsonl", '{"prompt": "a"}\n\n{"n": 2}\n')
    assert [row.line for row in lines.rows.values()] == [1, 3]
    entries = opened(tmp_path / "a.yaml", "- prompt: a\n- prompt: b\n  kind: c\n")
    assert [row.line for row in entries.rows.values()] == [1, 2]
    for name in ("a.json", "a.parquet"):
        rows = list(opened(tmp_path / name, TABLES[name]).rows.values())
        assert [row.line for row in rows] == [1, 2, 3, 4, 5]
    copied = opened(tmp_path / "b.json", '[{"prompt": "a"}, {"prompt": "a"}]')
    assert [row.problem.message for row in copied.rows.values() if row.problem] == ["row 2: the same as row 1"]


def test_names_depend_on_content_alone(tmp_path: Path) -> None:
    before = opened(tmp_path / "a.csv", "prompt,n,seconds\nrain,2,3\nwind,x,\nsea,1,\n")
    after = opened(
        tmp_path / "b.csv", "loop,seconds,prompt,count,x_note\n,,new,,1\n,3.0,rain,2,2\n,,wind,x,3\n0,0,sea,,4\n"
    )
    assert names(before) == names(after)[1:]
    assert {one.name: one.fingerprint for one in before.list()}.items() <= {
        one.name: one.fingerprint for one in after.list()
    }.items()
    assert [before.object_uri(name) for name in names(before)] == [after.object_uri(name) for name in names(before)]
    assert [after.row(name).line for name in names(before)] == [3, 4, 5]


def test_copies_are_problems_that_name_the_first(tmp_path: Path) -> None:
    text = "prompt,seed,count\nrain,,\nsea,,\nrain ,0,1\nrain,1,\nrain,,2\n,x,\nRain,,\nrain,,\n,x,\n"
    found = opened(tmp_path / "a.csv", text)
    copies = {row.line: row.problem.message for row in found.rows.values()
              if row.problem and row.problem.reason == "duplicate_row"}  # fmt: skip
    assert copies == {
        4: "line 4: the same as line 2", 9: "line 9: the same as line 2", 10: "line 10: the same as line 7",
    }  # fmt: skip
    first = names(found)[0]
    assert [found.row(name).line for name in (first, f"{first}~2", f"{first}~3")] == [2, 4, 9]
    assert len(found.rows) == 9
    assert all(row.problem.reason in EXPLANATIONS for row in found.rows.values() if row.problem)


def test_sizes_are_milliseconds_of_sound(tmp_path: Path) -> None:
    text = "prompt,kind,count,seconds,text\na,,3,2.5,\nb,,2,,\nc,voice,1,,Nineteen letters ok\nd,x,,,\n"
    assert [one.size for one in opened(tmp_path / "a.csv", text).list()] == [7500, 8000, 1250, 0]


# --- references ---

EDITED = "prompt,reference,edit\nlike this,refs/a.wav,variation\nrain,,\nlost,no.wav,continue\n"


def test_a_changed_reference_is_drawn_again(tmp_path: Path) -> None:
    (tmp_path / "refs").mkdir()
    reference = tmp_path / "refs/a.wav"
    reference.write_bytes(b"one")
    before = opened(tmp_path / "a.csv", EDITED)
    first, other, lost = before.list()
    assert first.fingerprint.endswith(open_store(str(tmp_path)).stat("refs/a.wav").fingerprint)
    assert lost.fingerprint.endswith("-missing")
    hashes = [before.sha256(name) for name in names(before)]
    os.utime(reference, ns=(1, 1))
    touched = opened(tmp_path / "a.csv", EDITED)
    assert [one.fingerprint == was.fingerprint for one, was in zip(touched.list(), before.list(), strict=True)] == [
        False, True, True,
    ]  # fmt: skip
    assert [touched.sha256(name) for name in names(touched)] == hashes
    reference.write_bytes(b"two")
    (tmp_path / "no.wav").write_bytes(b"found")
    changed = opened(tmp_path / "a.csv", EDITED)
    assert names(changed) == [first.name, other.name, lost.name]
    assert [changed.sha256(name) == was for name, was in zip(names(changed), hashes, strict=True)] == [
        False, True, False,
    ]  # fmt: skip


def test_references_are_fetched_or_refused(tmp_path: Path) -> None:
    folder = tmp_path / "tables"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs/a.wav").write_bytes(b"one")
    (tmp_path / "secret.wav").write_bytes(b"hush")
    (folder / "no.wav").symlink_to(tmp_path / "secret.wav")
    found = opened(folder / "a.csv", EDITED)
    assert found.fetch_reference("refs/a.wav", tmp_path) == folder / "refs/a.wav"
    assert list(found.list())[2].fingerprint.endswith("-missing")
    for name in ("no.wav", "refs", "other.wav"):
        with pytest.raises(MediaError, match=f"reference '{name}' cannot be read") as caught:
            found.fetch_reference(name, tmp_path)
        assert caught.value.reason == "bad_reference"


def test_tables_and_references_in_buckets(s3: Seaweed, tmp_path: Path) -> None:
    here, there = open_store(f"s3://{s3.bucket()}/p"), open_store(f"s3://{s3.bucket()}")
    text = f"prompt,reference,edit\na,a.wav,variation\nb,{there.uri}/x/b.wav,variation\nc,{there.uri}/c.wav,continue\n"
    here.write_bytes("t.csv", text.encode())
    here.write_bytes("a.wav", b"one")
    there.write_bytes("x/b.wav", b"two")
    found = open_table(f"{here.uri}/t.csv", open_store)
    assert [one.fingerprint.split("-", 1)[1] for one in found.list()] == [
        here.stat("a.wav").fingerprint, there.stat("x/b.wav").fingerprint, "missing",
    ]  # fmt: skip
    assert found.fetch_reference(f"{there.uri}/x/b.wav", tmp_path).read_bytes() == b"two"


# --- plans and tables that cannot be used ---


def test_a_table_is_planned_once(tmp_path: Path) -> None:
    found, out = open_table(str(EXAMPLE), open_store), open_store(str(tmp_path))
    request = PlanRequest("run", "recipe", json.dumps({"recipe": "recipe"}), shard_items=8)
    planned = plan_run(found, out, request, RESTORATIONS)
    assert {item.name for shard in planned.shards for item in shard.items} == set(found.rows)
    assert plan_run(copy.copy(found), out, request, RESTORATIONS) == planned


@pytest.mark.parametrize(
    ("name", "data", "error"),
    [
        ("a.csv", b"", "has no rows"),
        ("a.csv", b"prompt,kind\n", "has no rows"),
        ("a.csv", b"prompt,kind\n,\n\n", "has no rows"),
        ("a.csv", b"kind,count\nsfx,1\n", "has no column prompt"),
        ("a.csv", b"prompt;durration\nrain;2\n", r"column 'durration' is unknown; did you mean duration\?"),
        ("a.csv", b"prompt,n,takes\nrain,1,2\n", "columns 'n' and 'takes' are both count"),
        ("a.csv", b"prompt,prompt\nrain,sea\n", "columns 'prompt' and 'prompt' are both prompt"),
        ("a.csv", b"prompt\nrain\ncaf\xe9\n", r"line 3 is not UTF-8 \(byte 0xE9\)"),
        ("a.csv", "prompt\nrain\n".encode("utf-16"), "line 1 is not UTF-8"),
        ("a.csv", b'prompt\nrain\n"sea\nwind\n', "line 3: unexpected end of data; a quote may not be closed"),
        ("a.csv", b'prompt,n\n"rain" x,1\n', "line 2: ',' expected"),
        ("a.csv", b"prompt\n" + b"a" * 200_000, "line 2: field larger"),
        ("a.jsonl", b'{"prompt": "a"}\n{"prompt": \n', "line 2 is no JSON: Expecting value at column 12"),
        ("a.jsonl", b'{"prompt": "a"}\n["b"]\n', "line 2 must be names and values"),
        ("a.jsonl", b'{"prompt": "a"}\n{"prompt": "b", "kin": 1}\n', "line 2: column 'kin' is unknown"),
        ("a.jsonl", b'{"prompt": "a"}\n' + b"[" * 100_000, "line 2: maximum recursion"),
        ("a.jsonl", b'{"prompt": "a"}\n{"seed": ' + b"9" * 5000 + b"}", "line 2: Exceeds the limit"),
        ("a.jsonl", b'{"prompt": "a"}\n{"prompt": ["b"]}\n', "line 2: prompt is a list; it must be text"),
        ("a.json", b'{"prompt": "a"}', "must be a list of rows"),
        ("a.json", b'[{"prompt": "a"}, 3]', "row 2 must be names and values"),
        ("a.json", b'[{"prompt": "a",]', "Expecting property name.*line 1"),
        ("a.json", b"[]", "has no rows"),
        ("a.yaml", b"- prompt: a\n- prompt: [b\n- c", "line 2: a list, a mapping or an alias is no cell"),
        ("a.yaml", b"- prompt: 'a", "found unexpected end of stream.*line 1"),
        ("a.yaml", b"prompt: a", "must be a list of rows"),
        ("a.yaml", b"", "must be a list of rows"),
        ("a.yaml", b"- prompt: a\n- b", "line 2 must be names and values"),
        ("a.yaml", b"- prompt: a\n---\n- prompt: b", "must be one document"),
        ("a.yaml", b"- !!python/object/apply:os.system ['id']", "line 1 must be names and values"),
        ("a.yaml", b"- &a {prompt: x}\n- {<<: *a}", "line 2: a list, a mapping or an alias"),
        ("a.yaml", b"- prompt: a\n- {prompt: a, kin: b}", "line 2: column 'kin' is unknown"),
        ("a.yaml", b"- {prompt: a, prompt: b}", "columns 'prompt' and 'prompt'"),
        ("a.yaml", b"[" * 100_000, "line 1 must be names and values"),
        ("a.parquet", b"PAR1", "cannot be read"),
        ("a.parquet", as_parquet([{"prompt": "x" * 999}])[:-300] + b"PAR1", "cannot be read"),
        ("a.parquet", as_parquet([{"prompt": b"caf\xe9"}]), "prompt is a bytes"),
        ("a.parquet", as_parquet([{"prompt": ["a"]}]), "prompt is a list"),
        ("a.txt", b"rain", r"must be a file that ends in .csv, .tsv, .parquet"),
    ],
)  # fmt: skip
def test_tables_that_cannot_be_read(tmp_path: Path, name: str, data: bytes, error: str) -> None:
    with pytest.raises(ConfigError, match=rf"prompt table .*/{name}.*{error}"):
        opened(tmp_path / name, data)


def test_tables_that_are_not_there_or_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"lost.csv does not exist"):
        open_table(str(tmp_path / "lost.csv"), open_store)
    with pytest.raises(ConfigError, match="must be a file"):
        open_table("s3://a.csv", open_store)
    with (tmp_path / "a.csv").open("wb") as file:
        file.truncate(table.MOST_BYTES + 2**20)
    with pytest.raises(ConfigError, match=r"a.csv has 257 MiB; cut it into tables of at most 256 MiB"):
        open_table(str(tmp_path / "a.csv"), open_store)
    bomb = pa.table({"prompt": pa.DictionaryArray.from_arrays(pa.array([0] * (formats.MOST_ROWS + 1)), ["x" * 500])})
    pq.write_table(bomb, tmp_path / "b.parquet", compression="zstd")
    assert (tmp_path / "b.parquet").stat().st_size < 2**16
    with pytest.raises(ConfigError, match=r"b.parquet cannot be read: it has 1,000,001 rows"):
        open_table(str(tmp_path / "b.parquet"), open_store)
