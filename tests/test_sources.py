from __future__ import annotations

import copy
import gc
import hashlib
import io
import json
import multiprocessing
import os
import tarfile
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from seaweed import Seaweed

from audiodiff.curate.records import Facts
from audiodiff.curate.sources import Source, open_source
from audiodiff.errors import ConfigError, ObjectMissing
from audiodiff.storage import open_store

BYTES_NAME = os.fsdecode(b"caf\xe9.wav")


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[ProcessPoolExecutor]:
    """Another process, as workers are started."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


def put(root: Path, files: dict[str, bytes | str]) -> Path:
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
    return root


def at(path: Path) -> Source:
    return open_source(str(path), open_store)


def names(source: Source) -> list[str]:
    return [found.name for found in source.list()]


def tar_bytes(files: dict[str, bytes]) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return sink.getvalue()


# --- folders ---


def test_sidecars_are_facts_and_all_else_is_an_item(tmp_path: Path) -> None:
    source = at(put(tmp_path, {
        "a.wav": b"1", "a.txt": "rain on a roof\n", "a.json": '{"licence": "CC0-1.0", "tags": ["rain"]}',
        "b/c.d.flac": b"2", "b/c.d.txt": "Hello.", "b/c.d.json": '{"speaker": "Ann"}',
        "e.mp3": b"3", "e.txt": "HELLO", "e.lab": "hello there", "e.normalized.txt": "hello there!",
        "f.txt": "about nothing", "g.pdf": b"4", "a-b.wav": b"5", BYTES_NAME: b"6", "caf.json": "{}",
        "h.wav": b"7", "h.txt": b"x" * (2**20 + 1),
    }))  # fmt: skip
    assert sorted(names(source)) == sorted(
        ["a.wav", "a-b.wav", "b/c.d.flac", "e.mp3", "f.txt", "g.pdf", BYTES_NAME, "caf.json", "h.wav", "h.txt"]
    )
    assert source.facts("a.wav") == Facts(license="CC0-1.0", caption="rain on a roof", labels=("rain",))
    assert source.facts("b/c.d.flac") == Facts(transcript="Hello.", speaker="Ann")
    assert (source.facts("e.mp3").transcript, source.facts("e.mp3").caption) == ("hello there!", "HELLO")
    assert source.facts(BYTES_NAME) == source.facts("h.wav") == source.facts("a-b.wav") == Facts()


def test_local_recordings_are_not_copied(tmp_path: Path) -> None:
    source = at(put(tmp_path / "in", {"a.wav": b"audio"}))
    assert source.fetch("a.wav", tmp_path) == (tmp_path / "in/a.wav", hashlib.sha256(b"audio").hexdigest())
    with pytest.raises(ConfigError, match="below the root"):
        source.fetch("../a.wav", tmp_path)


def test_a_broken_sidecar_is_named(tmp_path: Path) -> None:
    source = at(
        put(tmp_path, {"a.wav": b"", "a.json": "{", "b.wav": b"", "b.txt": b"\xff", "c.wav": b"", "c.json": "[]"})
    )
    for name in ("a.json", "b.txt", "c.json"):
        with pytest.raises(ConfigError, match=name):
            source.facts(name[0] + ".wav")


def test_tables_of_audiofolder_at_any_depth(tmp_path: Path) -> None:
    source = at(put(tmp_path, {
        "metadata.csv": "file_name,license,caption\nx/a.wav,MIT,far\nx/b.wav,MIT,\n",
        "x/metadata.jsonl": '{"file_name": "a.wav", "caption": "near"}\n',
        "x/a.wav": b"1", "x/b.wav": b"2", "x/c.wav": b"3",
    }))  # fmt: skip
    assert names(source) == ["x/a.wav", "x/b.wav", "x/c.wav"]
    assert source.facts("x/a.wav") == Facts(license="MIT", caption="near")
    assert source.facts("x/b.wav") == Facts(license="MIT")
    assert source.facts("x/c.wav") == Facts()


def test_two_tables_of_one_folder_or_one_without_names_are_refused(tmp_path: Path) -> None:
    put(tmp_path, {"metadata.csv": "file_name\na.wav\n", "a.wav": b""})
    put(tmp_path / "more", {"metadata.csv": "id|text\n1|x\n"})
    with pytest.raises(ConfigError, match=r"more/metadata.csv has no column of recordings"):
        names(at(tmp_path))
    put(tmp_path, {"metadata.jsonl": '{"file_name": "a.wav"}'})
    with pytest.raises(ConfigError, match=r"'metadata.csv' and 'metadata.jsonl' are two tables"):
        names(at(tmp_path))


def test_one_recording_and_an_empty_place(tmp_path: Path) -> None:
    put(tmp_path, {"a.wav": b"1", "b.wav": b"2", "a.txt": "rain"})
    assert names(at(tmp_path / "a.wav")) == ["a.wav"]
    assert at(tmp_path / "a.wav").facts("a.wav").caption == "rain"
    assert names(at(tmp_path / "lost.csv")) == names(at(tmp_path / "nowhere")) == []


# --- manifests ---

ROWS: list[dict[str, object]] = [
    {"path": "b/2.wav", "license": "MIT", "take": "007"},
    {"path": "1.wav", "license": None, "take": '1,\n"x"'},
]


def written(path: Path, rows: list[dict[str, object]]) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix in {".csv", ".tsv"}:
        comma = "," if path.suffix == ".csv" else "\t"
        quoted = [["" if v is None else '"' + str(v).replace('"', '""') + '"' for v in row.values()] for row in rows]
        path.write_text("\ufeff" + "\n".join(map(comma.join, [list(rows[0]), *quoted])), "utf-8")
    else:
        lines = [json.dumps(row) for row in rows]
        path.write_text("[" + ",".join(lines) + "]" if path.suffix == ".json" else "\n".join(lines))
    return path


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet", "jsonl", "ndjson", "json"])
def test_each_kind_of_manifest(tmp_path: Path, suffix: str, elsewhere: ProcessPoolExecutor) -> None:
    put(tmp_path, {"1.wav": b"1", "b/2.wav": b"2", "b/other.wav": b"3"})
    given = at(written(tmp_path / f"list.{suffix}", ROWS))
    source = elsewhere.submit(copy.copy, given).result()  # there and back
    assert names(source) == ["1.wav", "b/2.wav"]
    assert source.facts("b/2.wav") == Facts(license="MIT", others=(("take", "007"),))
    assert source.facts("1.wav") == Facts(others=(("take", '1,\n"x"'),))
    assert source.facts("b/other.wav") == Facts()
    assert list(source.list()) == [open_store(str(tmp_path)).stat(name) for name in ("1.wav", "b/2.wav")]
    assert source.object_uri("1.wav") == at(tmp_path).object_uri("1.wav")


@pytest.mark.parametrize("column", ["file_name", "audio_filepath", "Path", "file", "filename", "audio", "uri", "url"])
def test_the_column_of_the_recording(tmp_path: Path, column: str) -> None:
    put(tmp_path, {"1.wav": b"1"})
    for suffix in ("csv", "json"):
        source = at(written(tmp_path / f"list.{suffix}", [{"duration": 1.5, column: "./1.wav", "text": "x"}]))
        assert names(source) == ["1.wav"]
        assert source.facts("1.wav") == Facts(caption="x", others=(("duration", "1.5"),))


def test_a_manifest_of_nemo(tmp_path: Path) -> None:
    put(tmp_path, {"1.wav": b"1"})
    row = {"audio_filepath": f"{tmp_path}/1.wav", "duration": 1, "text": "hi", "speaker": "Ann", "offset": 0.0}
    (tmp_path / "train.json").write_text(json.dumps(row) + "\n")
    assert at(tmp_path / "train.json").facts("1.wav").transcript == "hi"
    assert names(at(tmp_path / "train.json")) == ["1.wav"]
    (tmp_path / "train.json").write_text(json.dumps(row) + "\n\n" + json.dumps(row | {"offset": 2.5}) + "\n")
    with pytest.raises(ConfigError, match=r"row 2 has offset 2.5"):
        at(tmp_path / "train.json")


def test_missing_files_are_items_until_they_come(tmp_path: Path) -> None:
    put(tmp_path, {"x/2.wav": b"2"})
    source = at(written(tmp_path / "list.csv", [{"path": f"x/{n}.wav"} for n in (3, 2, 1)]))
    assert [(found.name, found.size) for found in source.list()] == [("x/2.wav", 1), ("x/1.wav", 0), ("x/3.wav", 0)]
    before = {found.name: found.fingerprint for found in source.list()}
    with pytest.raises(ObjectMissing):
        source.fetch("x/1.wav", tmp_path)
    put(tmp_path, {"x/1.wav": b""})
    after = {found.name: found.fingerprint for found in source.list()}
    assert {name for name in after if after[name] != before[name]} == {"x/1.wav"}


def test_names_of_stray_bytes_are_listed_as_ledgers_print_them(tmp_path: Path) -> None:
    put(tmp_path, {BYTES_NAME: b"1"})
    (tmp_path / "list.csv").write_text("path,title\ncaf\ufffdDCE9.wav,Tape\n", "utf-8")
    source = at(tmp_path / "list.csv")
    assert names(source) == [BYTES_NAME]
    assert source.facts(BYTES_NAME).title == "Tape"


@pytest.mark.parametrize("suffix", ["csv", "json"])
@pytest.mark.parametrize("name", ["../x.wav", "a/../../x.wav", "/etc/passwd", "s3://other/x.wav", "", "a/.."])
def test_names_that_lead_out_are_refused(tmp_path: Path, suffix: str, name: str) -> None:
    with pytest.raises(ConfigError, match=r"list.* row 2 names .* not below"):
        at(written(tmp_path / f"list.{suffix}", [{"path": "a.wav"}, {"path": name}]))


@pytest.mark.parametrize(
    ("name", "data", "error"),
    [
        ("a.csv", b"path,x\na.wav\n", "cannot be read"),
        ("a.csv", b"path\n\xff\xfe.wav\n", "cannot be read"),
        ("a.csv", b"path,path\na,b\n", "two columns"),
        ("a.csv", b"", "cannot be read"),
        ("a.csv", b"id,x\n1,2\n", "no column of recordings"),
        ("a.parquet", b"PAR1", "cannot be read"),
        ("a.json", b'{"path": ', "line 1 is no JSON"),
        ("a.jsonl", b'{"path": "a"}\n{\n', "line 2 is no JSON"),
        ("a.json", b"[1]", "row 1 is no JSON object"),
        ("a.json", b"[" * 100_000, "line 1 is no JSON"),
        ("a.json", b"[]", "no rows"),
        ("a.json", b'[{"path": "\\ud800"}]', "cannot be read"),
        ("a.jsonl", b'{"path": "a"}\n{"file": "b"}\n', "row 2 has no text in path"),
        ("a.csv", b"path\nb\na\nb\n", "rows 1 and 3 both name 'b'"),
    ],
)
def test_a_broken_manifest_is_named(tmp_path: Path, name: str, data: bytes, error: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ConfigError, match=rf"manifest .*/{name}.*{error}"):
        at(tmp_path / name)


def test_audio_inside_a_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="audio inside a table"):
        at(written(tmp_path / "a.parquet", [{"audio": {"bytes": b"1", "path": "a.wav"}}]))


def test_a_long_manifest_is_no_python_objects(tmp_path: Path) -> None:
    lines = "".join(f"shard/{n:07}.wav,a caption of a recording,CC0-1.0\n" for n in range(100_000))
    (tmp_path / "list.csv").write_text("path,caption,license\n" + lines)
    del lines
    gc.collect()
    tracemalloc.start()
    source = at(tmp_path / "list.csv")
    assert sum(1 for _ in source.list()) == 100_000
    assert source.facts("shard/0077777.wav").caption == "a caption of a recording"
    assert tracemalloc.get_traced_memory()[1] < 3 * 2**20
    tracemalloc.stop()


# --- S3 ---


def test_a_bucket_holds_all_of_it(s3: Seaweed, tmp_path: Path) -> None:
    store = open_store(f"s3://{s3.bucket()}")
    files = {"p/a.wav": b"1", "p/a.txt": b"rain", "p/s.tar": tar_bytes({"k.flac": b"2", "k.txt": b"wind"}),
             "p/list.csv": f"path,title\na.wav,A\n{store.uri}/p/lost.wav,L\n".encode()}  # fmt: skip
    for name, data in files.items():
        store.write_bytes(name, data)
    source = open_source(f"{store.uri}/p", open_store)
    assert names(source) == ["a.wav", "list.csv", "s.tar/k.flac"]
    assert [source.facts(name).caption for name in ("a.wav", "s.tar/k.flac")] == ["rain", "wind"]
    for name, data in (("a.wav", b"1"), ("s.tar/k.flac", b"2")):
        path, digest = source.fetch(name, tmp_path)
        assert path.read_bytes() == data
        assert digest == hashlib.sha256(data).hexdigest() == source.sha256(name)
    listed = open_source(f"{store.uri}/p/list.csv", open_store)
    assert [(found.name, found.fingerprint) for found in listed.list()][1] == ("lost.wav", "missing")
    assert listed.facts("a.wav").title == "A"
    assert listed.object_uri("a.wav") == f"{store.uri}/p/a.wav"
    assert names(open_source(store.uri, open_store)) == ["p/a.wav", "p/list.csv", "p/s.tar/k.flac"]
