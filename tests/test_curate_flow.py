"""`curate_dataset` as Prefect runs it, over a pile in which every fault is planted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pytest
import soundfile
from pile import LANES, RATE, make_pile, take, write_metadata
from seaweed import Seaweed

from audiodiff.curate.deliver import degrade
from audiodiff.curate.records import Clip
from audiodiff.curate.schema import CLIPS
from audiodiff.degrade.chain import Chain
from audiodiff.encode import write_audio
from audiodiff.errors import ConfigError
from audiodiff.ledger import all_rows, committed_shards
from audiodiff.media import read_audio
from audiodiff.nets.bandsplit import BandSplitConfig
from audiodiff.storage import open_store
from audiodiff.training.pack import Pack
from audiodiff.training.packing import dataset_sources
from audiodiff.training.recipes import RECIPES, Recipe
from audiodiff.waveform import Waveform
from flows.curate_dataset import CurateConfig, CurateResult, curate_dataset
from flows.train_model import TrainConfig, train_model
from tasks import curating


@pytest.fixture(scope="module", autouse=True)
def impatient() -> Iterator[None]:
    """Retries at once: the waits between them are for networks."""
    with pytest.MonkeyPatch.context() as patch:
        for task in (curating.plan, curating.examine, curating.decide, curating.deliver, curating.reconcile):
            patch.setattr(task, "retry_delay_seconds", [0, 0, 0])
        yield


def curate(folder: Path, destination: object, **fields: object) -> CurateResult:
    given = {"keep_away": [str(folder / "evaluation")], "twins": 1} | fields
    return curate_dataset(CurateConfig(source=str(folder / "pile"), destination=str(destination), **given))


def rows_of(destination: object) -> list[Clip]:
    store = open_store(str(destination))
    return list(all_rows(store, committed_shards(store), CLIPS))


def digests(folder: Path) -> dict[str, str]:
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def curated(tmp_path_factory: pytest.TempPathFactory, prefect_server: str) -> tuple[Path, Path, CurateResult]:
    """The pile's folder, the dataset, and what the flow returned."""
    folder = tmp_path_factory.mktemp("curation")
    make_pile(folder)
    before = digests(folder)
    result = curate(folder, folder / "set", exports=["webdataset", "shar", "nemo"])
    assert {name: digest for name, digest in digests(folder).items() if name in before} == before
    return folder, folder / "set", result


def test_everything_planted_is_found(curated: tuple[Path, Path, CurateResult]) -> None:
    _, destination, result = curated
    rows = [row for row in rows_of(destination) if not row.twin_of]
    found = {Path(row.source_uri).name: (row.lane.value, row.reasons) for row in rows}
    assert found == LANES
    assert len(rows) == len(LANES)  # the preset leaves each of these in one piece
    assert sum(result.clips.values()) == len(LANES)
    assert all(len(row.reasons) == len(row.messages) for row in rows if row.lane.value != "failed")


def test_seconds_reconcile(curated: tuple[Path, Path, CurateResult]) -> None:
    _, destination, result = curated
    rows = [row for row in rows_of(destination) if not row.twin_of]
    whole = sum(row.source_duration_s for row in rows)
    assert sum(result.hours.values()) * 3600 == pytest.approx(whole, abs=1.0)
    summary = json.loads((destination / "runs" / result.run_id / "summary.json").read_text())
    assert summary["audio_s"] == pytest.approx(whole)
    by_item: dict[str, list[Clip]] = {}
    for row in rows:
        by_item.setdefault(row.item_id, []).append(row)
    for clips in by_item.values():
        assert [row.start for row in clips] == list(np.cumsum([0, *(row.source_frames for row in clips[:-1])]))


def test_copies_name_what_is_kept_and_share_its_cluster(curated: tuple[Path, Path, CurateResult]) -> None:
    _, destination, _ = curated
    rows = {Path(row.source_uri).name: row for row in rows_of(destination) if not row.twin_of}
    for copy, original in (
        ("same-samples.wav", "good-1.flac"),
        ("coded.mp3", "good-2.flac"),
        ("trimmed.flac", "good-3.flac"),
    ):
        assert rows[copy].duplicate_of == rows[original].clip_id
        assert rows[copy].cluster == rows[original].cluster == rows[original].clip_id
    kept = {rows[name].clip_id for name in ("good-0.flac", "same-bytes.flac", "softer.flac")} - {
        row.clip_id for row in rows.values() if row.duplicate_of
    }
    assert len(kept) == 1  # of three alike
    assert rows["leaked.flac"].near.endswith("held-out.flac")


def test_it_loads_with_one_line_of_duckdb(curated: tuple[Path, Path, CurateResult]) -> None:
    _, destination, result = curated
    library = f"{destination}/library/*/metadata.parquet"
    loaded = duckdb.sql(
        f"from read_parquet('{library}', filename=true) select file_name, frames, caption, split, filename"
    )
    rows = loaded.fetchall()
    assert len(rows) == result.clips["accepted"]
    for name, frames, caption, split, table in rows:
        samples, rate = soundfile.read(Path(table).with_name(name), always_2d=True)
        assert (len(samples), rate) == (frames, RATE)
        assert caption.startswith("A sound called ")
        assert split in {"train", "validation", "test"}


def test_clips_are_the_source_sample_by_sample(curated: tuple[Path, Path, CurateResult]) -> None:
    folder, destination, _ = curated
    for row in rows_of(destination):
        if row.audio_path and not row.twin_of:
            source = read_audio(folder / "pile" / Path(row.source_uri).name).samples
            clip = read_audio(destination / row.audio_path).samples
            assert np.array_equal(clip, source[:, row.start : row.start + row.source_frames])


def test_twins_are_made_again_from_their_rows(curated: tuple[Path, Path, CurateResult]) -> None:
    _, destination, result = curated
    rows = {row.clip_id: row for row in rows_of(destination)}
    twins = [row for row in rows.values() if row.twin_of]
    assert len(twins) == result.clips["accepted"]
    for twin in twins:
        assert twin.audio_path is not None
        assert twin.audio_path.startswith("degraded/")
        clean = rows[twin.twin_of]
        again = degrade(destination / str(clean.audio_path), Chain.from_json(twin.degradation))
        stored = read_audio(destination / twin.audio_path).samples
        peak = np.abs(again).max()
        again = again * np.float32(0.99 / peak) if peak > 1.0 else again
        assert np.abs(again - stored).max() < 2**-22
        assert np.abs(stored - read_audio(destination / str(clean.audio_path)).samples).max() > 1e-4


def test_card_exports_and_report_are_there(curated: tuple[Path, Path, CurateResult]) -> None:
    _, destination, result = curated
    assert "license:" in (destination / "README.md").read_text()
    assert json.loads((destination / "croissant.json").read_text())["@type"] == "sc:Dataset"
    for kind in ("webdataset", "shar", "nemo"):
        assert any((destination / "exports").rglob(f"*{kind}*"))
    page = Path(result.report_uri).read_text()
    assert "licence_forbidden" in page
    assert "notes.pdf" in page


def test_again_adds_nothing_and_new_files_alone_are_worked_on(curated: tuple[Path, Path, CurateResult]) -> None:
    folder, destination, _ = curated
    before = digests(destination)
    again = curate(folder, destination, exports=["webdataset", "shar", "nemo"])
    assert (again.run_id, again.skipped) == ("", len(LANES))
    assert digests(destination) == before

    write_audio(folder / "pile" / "later.flac", Waveform(take(30), RATE), "flac-16")
    write_audio(folder / "pile" / "later copy.flac", Waveform(0.5 * take(2), RATE), "flac-16")
    write_metadata(folder / "pile")
    more = curate(folder, destination, exports=["webdataset", "shar", "nemo"])
    assert more.skipped == len(LANES)
    assert (more.clips["accepted"], more.clips["rejected"]) == (1, 1)
    rows = {Path(row.source_uri).name: row for row in rows_of(destination) if not row.twin_of}
    assert rows["later copy.flac"].duplicate_of == rows["good-2.flac"].clip_id
    kept = {name: digest for name, digest in before.items() if "/library/" in name or "/ledger/" in name}
    assert {name: digest for name, digest in digests(destination).items() if name in kept} == kept


def test_a_curated_set_trains(curated: tuple[Path, Path, CurateResult], monkeypatch: pytest.MonkeyPatch) -> None:
    _, destination, _ = curated
    sources = dataset_sources(destination)
    assert {source.kind for source in sources} == {"speech", "music"}
    assert {source.license for source in sources} == {"CC0-1.0"}
    net = BandSplitConfig(width=8, hidden=8, dilations=(1, 2))
    tiny = Recipe(steps=1, batch=1, excerpt_s=0.25, precision="float32", validate_every=1, net=net)
    monkeypatch.setitem(RECIPES, "restore-48k", tiny)
    run = destination.parent / "training"
    trained = train_model(TrainConfig(dataset=str(destination), destination=str(run), workers=0))
    assert trained.step == 1
    packed = Pack.read_index(run / "pack")
    assert set(packed.name) <= {source.name for source in sources}
    assert len(packed) >= len(sources) - 1  # one has noisy pauses, which training does not want


def test_a_dry_run_forecasts_and_writes_nothing(tmp_path: Path, prefect_server: str) -> None:
    make_pile(tmp_path)
    result = curate(tmp_path, tmp_path / "set", dry_run=True)
    assert not (tmp_path / "set").exists()
    assert f"from {len(LANES)} of {len(LANES)} recordings" in result.forecast
    assert "accepted: 5 clips" in result.forecast


def test_on_s3(tmp_path: Path, prefect_server: str, s3: Seaweed, s3_bucket: str) -> None:
    make_pile(tmp_path)
    source = open_store(f"s3://{s3_bucket}/pile")
    for path in (tmp_path / "pile").iterdir():
        source.write_file(path.name, path)
    destination = f"s3://{s3_bucket}/set"
    config = CurateConfig(source=source.uri, destination=destination, keep_away=[str(tmp_path / "evaluation")])
    result = curate_dataset(config)
    found = {row.source_uri.rpartition("/")[2]: (row.lane.value, row.reasons) for row in rows_of(destination)}
    assert found == LANES
    assert result.clips["accepted"] == 5


def test_a_default_licence_is_for_recordings_without_one(tmp_path: Path, prefect_server: str) -> None:
    make_pile(tmp_path)
    curate(tmp_path, tmp_path / "set", license_default="CC-BY-4.0 by Jane Doe", twins=0)
    rows = {Path(row.source_uri).name: row for row in rows_of(tmp_path / "set")}
    unknown, nameless = rows["unknown.flac"], rows["nameless.flac"]
    assert (unknown.lane.value, unknown.license, unknown.attribution) == ("accepted", "CC-BY-4.0", "Jane Doe")
    assert nameless.reasons == ("attribution_missing",)
    with pytest.raises(ConfigError, match="'mine' is no licence known to SPDX"):
        curate(tmp_path, tmp_path / "set", license_default="mine")


def test_an_unknown_captioner_is_told_before_any_work(tmp_path: Path, prefect_server: str) -> None:
    make_pile(tmp_path)
    with pytest.raises(ConfigError, match="unknown captioner 'oracle'; known: metadata"):
        curate(tmp_path, tmp_path / "set", captioners=["oracle"])
    assert not (tmp_path / "set").exists()


def test_exports_may_be_asked_for_later(tmp_path: Path, prefect_server: str) -> None:
    make_pile(tmp_path)
    curate(tmp_path, tmp_path / "set")
    assert not (tmp_path / "set" / "exports").exists()
    again = curate(tmp_path, tmp_path / "set", exports=["nemo"])
    assert again.run_id == ""
    assert any((tmp_path / "set" / "exports").rglob("*.jsonl"))


def test_rules_change_the_preset(tmp_path: Path, prefect_server: str) -> None:
    make_pile(tmp_path)
    rules = tmp_path / "rules.toml"
    rules.write_text("[limits]\nmost_clipped = 1.0\nmost_dc = 1.0\n")
    curate(tmp_path, tmp_path / "set", rules=str(rules), twins=0)
    found = {Path(row.source_uri).name: row.lane.value for row in rows_of(tmp_path / "set")}
    assert found["clipped.flac"] == found["offset.flac"] == "accepted"
    rules.write_text("[limits]\nmost_cliped = 1.0\n")
    with pytest.raises(ConfigError, match=r"rules\.limits\.most_cliped is unknown"):
        curate(tmp_path, tmp_path / "set", rules=str(rules))
