"""Every form of a curated data set gives back the same samples, words and licences."""

from __future__ import annotations

import contextlib
import gc
import io
import itertools
import json
import warnings
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pytest
import soundfile
from shelf import RATE, SHARDS, clip, fill, stored, sweep, write_rows

from audiodiff.curate.exports import EXPORTS, nemo, shar, webdataset
from audiodiff.errors import CommitError
from audiodiff.storage import Store, open_store
from audiodiff.waveform import Waveform


@pytest.fixture
def local(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "dataset"))


def same(samples: np.ndarray, sound: Waveform) -> bool:
    """Whether samples (C, T) are the sound's, each and every one."""
    return samples.shape == sound.samples.shape and bool((samples == sound.samples).all())


@contextlib.contextmanager
def leaves_files_open() -> Iterator[None]:
    """Let webdataset and lhotse leave it to the garbage collector to close what they read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


def read_tars(folder: Path) -> dict[str, dict[str, bytes]]:
    import webdataset as wds  # noqa: PLC0415 - a second that other tests need not pay

    tars = sorted(str(path) for path in folder.glob("*.tar"))
    with leaves_files_open():
        return {sample["__key__"]: sample for sample in wds.WebDataset(tars, shardshuffle=False, empty_check=False)}


def test_webdataset_gives_back_every_sample_and_word(local: Store, tmp_path: Path) -> None:
    sounds = fill(local, tmp_path / "scratch")
    names = EXPORTS["webdataset"](local, SHARDS, tmp_path)
    assert names == [f"exports/webdataset/{split}-000000.tar" for split in ("test", "train", "validation")]
    samples = read_tars(Path(local.uri, "exports/webdataset"))
    assert samples.keys() == sounds.keys()
    for key, sample in samples.items():
        audio = sample.get("flac") or sample["wav"]
        assert same(soundfile.read(io.BytesIO(audio), dtype="float32", always_2d=True)[0].T, sounds[key])
        about = json.loads(sample["json"])
        assert about["caption"] == sample["txt"].decode() != ""
        assert about["split"] in sample["__url__"]
        assert about["frames"] == sounds[key].frames
        assert about["start_s"] == 1.0
    first = json.loads(samples[clip(1, SHARDS[0]).clip_id]["json"])
    assert (first["transcript"], first["license"], first["attribution"]) == ("word 1", "CC-BY-4.0", "Sweeper 1")


def test_twins_follow_their_clean_clip_into_the_same_part(local: Store, tmp_path: Path) -> None:
    fill(local, tmp_path / "scratch")
    webdataset.export(local, SHARDS, tmp_path, part_bytes=1)
    samples = read_tars(Path(local.uri, "exports/webdataset"))
    parts = defaultdict(list)
    for key, sample in samples.items():
        parts[Path(sample["__url__"]).name].append((key, json.loads(sample["json"])["twin_of"]))
    assert len(parts) == 8  # one for each clean clip
    pairs = [family for family in parts.values() if len(family) == 2]
    assert len(pairs) == 4
    assert all(clean[1] == "" and twin[1] == clean[0] for clean, twin in pairs)


def test_parts_hold_no_more_than_they_may(local: Store, tmp_path: Path) -> None:
    rows = [stored(local, clip(n, SHARDS[0], split="train"), sweep(n), tmp_path) for n in range(6)]
    write_rows(local, "library", SHARDS[0], rows)
    sizes = [local.stat(str(row.audio_path)).size for row in rows]
    names = webdataset.export(local, SHARDS[:1], tmp_path, part_bytes=2 * max(sizes))
    assert names == [f"exports/webdataset/train-{number:06d}.tar" for number in range(3)]


def test_lhotse_reads_shar_sample_by_sample(local: Store, tmp_path: Path) -> None:
    from lhotse import CutSet  # noqa: PLC0415 - seconds that other tests need not pay

    sounds = fill(local, tmp_path / "scratch")
    shar.export(local, SHARDS, tmp_path, part_bytes=40_000)
    folders = sorted(Path(local.uri, "exports/shar").iterdir())
    assert [folder.name for folder in folders] == ["test", "train", "validation"]
    for lines in Path(local.uri).glob("exports/shar/*/cuts.*.jsonl.gz"):
        assert lines.read_bytes()[3:8] == bytes(5)  # no name and no time: the same bytes on another day
    with leaves_files_open():
        cuts = list(itertools.chain(*(CutSet.from_shar(in_dir=folder) for folder in folders)))
    assert {cut.id for cut in cuts} == sounds.keys()
    for cut in cuts:
        assert same(cut.load_audio(), sounds[cut.id])
        supervision = cut.supervisions[0]
        assert supervision.text.startswith("word ")
        assert (supervision.language, supervision.speaker) == ("en", "ann")
        assert supervision.custom["caption"] == cut.custom["caption"] != ""
        assert cut.custom["twin_of"] == (cut.id.removesuffix("-0") if cut.id.endswith("-0") else "")


def test_nemo_manifests_lead_to_the_audio(local: Store, tmp_path: Path) -> None:
    sounds = fill(local, tmp_path / "scratch")
    names = nemo.export(local, SHARDS, tmp_path)
    assert names == [f"exports/nemo/{split}_manifest.jsonl" for split in ("test", "train", "validation")]
    found = set()
    for manifest in (Path(local.uri, name) for name in names):
        for entry in map(json.loads, manifest.read_text("utf-8").splitlines()):
            found.add(entry["clip_id"])
            samples = soundfile.read(manifest.parent / entry["audio_filepath"], dtype="float32", always_2d=True)[0].T
            assert same(samples, sounds[entry["clip_id"]])
            assert entry["duration"] == samples.shape[1] / RATE
            assert entry["text"].startswith("word ")
            if entry["twin_of"]:
                assert entry["twin_of"] in (manifest.parent / entry["clean_filepath"]).resolve(strict=True).name
    assert found == sounds.keys()


def test_duckdb_finds_rows_and_soundfile_their_samples(local: Store, tmp_path: Path) -> None:
    sounds = fill(local, tmp_path / "scratch")
    query = "select filename, file_name, clip_id from read_parquet($1, filename=true) where license = 'CC-BY-4.0'"
    rows = duckdb.execute(query, [f"{local.uri}/library/*/metadata.parquet"]).fetchall()
    assert len(rows) == 4
    for table, name, key in rows:
        samples = soundfile.read(Path(table).parent / name, dtype="float32", always_2d=True)[0].T
        assert same(samples, sounds[key])


def test_every_export_works_on_any_store_and_repeats_itself_to_the_byte(store: Store, tmp_path: Path) -> None:
    fill(store, tmp_path / "scratch")
    for export in EXPORTS.values():
        first = {name: store.sha256(name) for name in export(store, SHARDS, tmp_path)}
        again = {name: store.sha256(name) for name in export(store, SHARDS[::-1], tmp_path)}
        assert first == again
    assert not [path for path in tmp_path.iterdir() if path.name not in {"scratch", "store"}]  # no scratch left


def test_what_an_earlier_export_left_is_removed(local: Store, tmp_path: Path) -> None:
    fill(local, tmp_path / "scratch")
    for name, export in EXPORTS.items():
        local.write_bytes(f"exports/{name}/train-000009.tar", b"old")
        local.write_bytes(f"exports/{name}-mine/keep", b"not ours")
        written = export(local, SHARDS, tmp_path)
        assert [stored.name for stored in local.list(f"exports/{name}/")] == written
        assert local.exists(f"exports/{name}-mine/keep")


def test_a_file_that_is_not_its_rows_is_an_error(local: Store, tmp_path: Path) -> None:
    fill(local, tmp_path / "scratch")
    victim = next(stored.name for stored in local.list("library/") if stored.name.endswith(".flac"))
    local.write_bytes(victim, b"something else")
    with pytest.raises(CommitError, match="checksum"):
        webdataset.export(local, SHARDS, tmp_path)
    assert not list(local.list("exports/"))


def test_a_twin_without_its_clean_clip_is_an_error(local: Store, tmp_path: Path) -> None:
    lost = stored(local, replace(clip(1, SHARDS[0]), twin_of="nobody"), sweep(1), tmp_path)
    write_rows(local, "degraded", SHARDS[0], [lost])
    with pytest.raises(CommitError, match="nobody"):
        nemo.export(local, SHARDS[:1], tmp_path)


def test_names_that_are_no_utf8_and_sets_without_splits_do_no_harm(local: Store, tmp_path: Path) -> None:
    odd = clip(1, SHARDS[0], source_uri="/raw/\udcff.wav", caption="\ud800", split="")
    write_rows(local, "library", SHARDS[0], [stored(local, odd, sweep(1), tmp_path)])
    written = [name for export in EXPORTS.values() for name in export(local, SHARDS, tmp_path)]
    assert all("/all" in name for name in written)
    entry = json.loads(local.read_bytes("exports/nemo/all_manifest.jsonl"))
    assert entry["source_uri"] == "/raw/\ufffdDCFF.wav"
