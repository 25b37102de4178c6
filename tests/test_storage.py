from __future__ import annotations

import copy
import hashlib
import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
import tracemalloc
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest

from audiodiff.errors import ConfigError, ObjectMissing, StorageError
from audiodiff.storage import Store, open_store

HOSTILE = [
    "new\nline.wav",
    "'single' \"double\".wav",
    "-rf.wav",
    "100%20%.wav",
    "a+b & c.wav",
    "<script>alert(1)</script>.wav",
    "caf\u00e9/\u65e5\u672c \U0001f3b5.wav",
    "what?versionId=3#x.wav",
    " lead and trail .wav ",
    "control\x01\r\t.wav",
    "...",
]
BYTES_NAME = os.fsdecode(b"caf\xe9.wav")
LARGE = bytes(range(256)) * (20 * 2**20 // 256)  # three parts of a multipart upload


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def names(store: Store, prefix: str = "") -> list[str]:
    return [found.name for found in store.list(prefix)]


# --- the contract, on local disk and on S3 ---


def test_an_object_comes_back_as_written(store: Store, tmp_path: Path) -> None:
    digest = store.write_bytes("a/b.flac", b"audio")
    assert digest == sha256(b"audio") == store.sha256("a/b.flac") == store.fetch("a/b.flac", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"audio" == store.read_bytes("a/b.flac")
    assert store.stat("a/b.flac") == next(store.list())
    assert store.stat("a/b.flac").size == 5
    assert store.object_uri("a/b.flac") == f"{store.uri}/a/b.flac"


@pytest.mark.parametrize("size", [0, 1, 8 * 2**20, len(LARGE)])
def test_files_of_any_size_are_copied_whole(store: Store, tmp_path: Path, size: int) -> None:
    source = tmp_path / "source"
    source.write_bytes(LARGE[:size])
    assert store.write_file("big", source) == sha256(LARGE[:size]) == store.fetch("big", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == LARGE[:size]
    assert store.stat("big") == next(store.list())
    assert store.stat("big").size == size


def test_an_overwrite_replaces_the_object_and_its_fingerprint(store: Store) -> None:
    store.write_bytes("a", b"one")
    before = store.stat("a").fingerprint
    store.write_bytes("a", b"two")
    assert store.read_bytes("a") == b"two"
    assert store.stat("a").fingerprint != before
    assert names(store) == ["a"]


def test_what_is_missing_is_said_to_be(store: Store, tmp_path: Path) -> None:
    assert names(store) == []
    assert not store.exists("no.wav")
    store.delete("no.wav")
    for use in (store.stat, store.read_bytes, store.sha256, lambda name: store.fetch(name, tmp_path / "x")):
        with pytest.raises(ObjectMissing, match=r"no\.wav does not exist"):
            use("no.wav")
    assert not (tmp_path / "x").exists()


def test_a_deleted_object_is_gone(store: Store) -> None:
    store.write_bytes("a", b"1")
    store.delete("a")
    assert not store.exists("a")
    assert names(store) == []


@pytest.mark.parametrize("name", ["", "/etc/passwd", ".", "a/./b", "..", "../x", "a/../../x", "a/..", "nul\0"])
def test_no_name_leaves_the_root(store: Store, tmp_path: Path, name: str) -> None:
    for use in (store.stat, store.read_bytes, store.delete, store.local_path, store.object_uri):
        with pytest.raises(ConfigError, match="below the root"):
            use(name)
    with pytest.raises(ConfigError, match="below the root"):
        store.write_bytes(name, b"")
    with pytest.raises(ConfigError, match="below the root"):
        store.write_file(name, tmp_path)


def test_hostile_names_work(store: Store) -> None:
    for name in HOSTILE:
        store.write_bytes(name, name.encode())
    assert sorted(names(store)) == sorted(HOSTILE)
    for name in HOSTILE:
        assert store.read_bytes(name) == name.encode()
        store.delete(name)
    assert names(store) == []


def test_a_prefix_selects_by_the_start_of_names(store: Store) -> None:
    for name in ("ledger/shard-1", "ledger/shard-2", "ledger-old/x", "runs/r/plan"):
        store.write_bytes(name, b"")
    assert names(store, "ledger/") == ["ledger/shard-1", "ledger/shard-2"]
    assert sorted(names(store, "ledger")) == ["ledger-old/x", "ledger/shard-1", "ledger/shard-2"]
    assert names(store, "runs/r/pl") == ["runs/r/plan"]
    assert names(store, "absent/") == []


def test_thirty_two_threads_write_at_once(store: Store) -> None:
    data = {f"folder-{i % 4}/{i:03}": os.urandom(5000 + i) for i in range(64)}
    with ThreadPoolExecutor(32) as pool:
        digests = list(pool.map(store.write_bytes, data, data.values()))
    assert digests == [sha256(body) for body in data.values()]
    assert names(store) == sorted(data)
    assert all(store.read_bytes(name) == body for name, body in data.items())


def test_threads_that_write_one_name_leave_one_whole_object(store: Store) -> None:
    bodies = [bytes([i]) * 300_000 for i in range(16)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(store.write_bytes, itertools.repeat("same"), bodies))
    assert store.read_bytes("same") in bodies
    assert names(store) == ["same"]


def test_a_store_travels_to_another_process(store: Store) -> None:
    store.write_bytes("a", b"over there")
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(copy.copy, store).result().read_bytes("a") == b"over there"  # there and back
        assert pool.submit(store.read_bytes, "a").result() == b"over there"


WRITER = """
import sys
from pathlib import Path
from audiodiff.storage import open_store
open_store(sys.argv[1]).write_file(sys.argv[2], Path(sys.argv[3]))
"""


def kill_a_writer_midway(store: Store, name: str, pipe: Path) -> None:
    """A writer reads from a pipe that stalls after 24 MiB, so that -9 meets it in the middle of the object."""
    os.mkfifo(pipe)
    writer = subprocess.Popen([sys.executable, "-c", WRITER, store.uri, name, str(pipe)])
    with pipe.open("wb") as feed:
        feed.write(bytes(24 * 2**20))
        feed.flush()
        writer.send_signal(signal.SIGKILL)
        assert writer.wait() == -signal.SIGKILL


def test_a_killed_writer_leaves_nothing_to_see(store: Store, tmp_path: Path) -> None:
    kill_a_writer_midway(store, "a/new.flac", tmp_path / "pipe")
    assert names(store) == []
    assert not store.exists("a/new.flac")


def test_a_killed_overwrite_leaves_the_old_object_and_the_next_write_cleans_up(store: Store, tmp_path: Path) -> None:
    store.write_bytes("a/old.flac", b"old")
    kill_a_writer_midway(store, "a/old.flac", tmp_path / "pipe")
    assert store.read_bytes("a/old.flac") == b"old"
    store.write_bytes("a/old.flac", b"new")
    assert store.read_bytes("a/old.flac") == b"new"
    folder = store.local_path("a")
    assert folder is None or [path.name for path in folder.iterdir()] == ["old.flac"]


# --- local disk ---


def test_local_names_that_are_not_utf8_work_and_s3_refuses_them(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    store.write_bytes(BYTES_NAME, b"1")
    assert [os.fsencode(path.name) for path in tmp_path.iterdir()] == [b"caf\xe9.wav"]
    assert names(store) == [BYTES_NAME]
    assert store.read_bytes(BYTES_NAME) == b"1"
    with pytest.raises(ObjectMissing) as missing:
        store.stat(BYTES_NAME + "x")
    assert str(missing.value).encode().endswith(rb"caf\udce9.wavx does not exist")
    with pytest.raises(ConfigError, match="not valid UTF-8, which S3 demands"):
        open_store("s3://bucket").write_bytes(BYTES_NAME, b"1")


def test_local_listing_is_in_byte_order(tmp_path: Path) -> None:
    made = ["a.b", "a/b", "a/b.c/d", "a/b0", "a0", "A", "\u00e9", "z", "\uffee", "\U0001f3b5", "a-/x", "aa/x"]
    store = open_store(str(tmp_path))
    for name in made:
        store.write_bytes(name, b"")
    assert names(store) == sorted(made, key=os.fsencode)


def test_links_are_followed_only_to_files_inside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    (outside / "deep").mkdir(parents=True)
    (outside / "secret.wav").write_bytes(b"secret")
    store = open_store(str(root))
    store.write_bytes("real.wav", b"1")
    links = {"in": "real.wav", "out": outside / "secret.wav", "folder": outside, "loop": "loop", "self": ".", "no": "x"}
    for name, target in links.items():
        (root / name).symlink_to(target)
    assert names(store) == ["in", "real.wav"]
    assert caplog.text.count("symbolic link") == len(links) - 1
    for name in ("out", "folder/secret.wav"):
        with pytest.raises(ConfigError, match="through a symbolic link"):
            store.read_bytes(name)
        with pytest.raises(ConfigError, match="through a symbolic link"):
            store.write_bytes(name, b"")
    assert (outside / "secret.wav").read_bytes() == b"secret"


def test_only_files_are_objects(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    store = open_store(str(tmp_path))
    assert names(store) == []
    for name in ("folder", "pipe"):
        assert not store.exists(name)
        with pytest.raises(ObjectMissing):
            store.read_bytes(name)


def test_local_refusals_are_plain(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    store.write_bytes("file", b"")
    with pytest.raises(StorageError, match=r"file/x: File exists"):
        store.write_bytes("file/x", b"")
    with pytest.raises(StorageError, match=r"File name too long"):
        store.write_bytes("x" * 256, b"")
    with pytest.raises(ObjectMissing, match=r"absent does not exist"):
        store.write_file("copy", tmp_path / "absent")
    assert names(store) == ["file"]


def test_uris_that_are_local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert open_store("tapes/").uri == open_store(f"file://{tmp_path}/tapes").uri == f"{tmp_path}/tapes"
    assert open_store("tapes").local_path("a b.wav") == tmp_path / "tapes" / "a b.wav"
    assert open_store("s3://tapes/2026/").uri == "s3://tapes/2026"


@pytest.mark.parametrize(
    "uri", ["", "gs://bucket/x", "http://host/x", "file://host/x", "s3://", "s3:///x", "s3://AKIA:hush@bucket/x",
            "s3://AKIA:hu/sh@bucket/x", "s3://bucket:9000/x", "s3://bucket/x?secret=hush"]
)  # fmt: skip
def test_other_uris_and_secrets_in_them_are_refused(uri: str) -> None:
    with pytest.raises(ConfigError, match="s3://bucket/prefix") as caught:
        open_store(uri)
    assert "hush" not in str(caught.value)


def test_a_local_listing_is_a_stream(tmp_path: Path) -> None:
    for folder, file in itertools.product(range(100), range(100)):
        (tmp_path / f"{folder:03}").mkdir(exist_ok=True)
        (tmp_path / f"{folder:03}" / f"tape-{file:05}.wav").touch()
    assert peak_bytes_of_listing(open_store(str(tmp_path)), 10_000) < 100_000  # a list of them takes 2.4 MB


def peak_bytes_of_listing(store: Store, expected: int) -> int:
    next(store.list())  # connections and caches are not the listing's
    tracemalloc.start()
    try:
        assert sum(1 for _ in store.list()) == expected
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_local_stores_need_no_s3_library(tmp_path: Path) -> None:
    script = "import sys; from audiodiff.storage import open_store as o; o(sys.argv[1]).write_bytes('a', b'')\n"
    script += "assert not {'s3fs', 'botocore', 'aiohttp'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], timeout=60, check=True)
