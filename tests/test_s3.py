from __future__ import annotations

import os
import socket
import socketserver
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from seaweed import Seaweed, free_ports
from test_storage import names, peak_bytes_of_listing, sha256

from audiodiff.errors import ObjectMissing, StorageError
from audiodiff.s3 import S3Store
from audiodiff.storage import S3Credentials, open_store


@pytest.fixture
def s3_store(s3: Seaweed) -> S3Store:
    store = open_store(f"s3://{s3.bucket()}/tapes")
    assert isinstance(store, S3Store)
    return store


def test_an_s3_listing_is_a_stream_of_pages(s3_store: S3Store) -> None:
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda i: s3_store.write_bytes(f"{i:05}.wav", b""), range(1000)))
    s3_store.page_size = 50
    assert peak_bytes_of_listing(s3_store, 1000) < 600_000
    listing = s3_store.list()
    assert next(listing).name == "00000.wav"
    s3_store.write_bytes("99999.wav", b"written after the first page")
    assert list(listing)[-1].name == "99999.wav"


def test_a_wrong_key_is_explained_without_the_secret(s3_store: S3Store, s3: Seaweed, tmp_path: Path) -> None:
    s3_store.write_bytes("a", b"1")
    for keys in (S3Credentials("WRONG", "hush-hush"), S3Credentials(s3.access_key, "hush-hush")):
        store = open_store(s3_store.uri, keys)
        for use in (lambda: next(store.list()), lambda: store.stat("a"), lambda: store.fetch("a", tmp_path / "a"),  # noqa: B023
                    lambda: store.write_bytes("b", b"")):  # fmt: skip  # noqa: B023
            with pytest.raises(StorageError, match=r"tapes.*access denied.*set AWS_ACCESS_KEY_ID") as caught:
                use()
            assert not isinstance(caught.value, ObjectMissing)
            assert "hush" not in f"{caught.value} {store!r} {keys!r}"


def test_keys_may_be_given_in_place_of_the_environment(
    s3_store: S3Store, s3: Seaweed, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3_store.write_bytes("a", b"1")
    keys = S3Credentials(s3.access_key, s3.secret_key, endpoint_url=s3.endpoint, region="us-east-1")
    for name in s3.env():
        monkeypatch.delenv(name)
    assert open_store(s3_store.uri, keys).read_bytes("a") == b"1"
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3.endpoint)
    with pytest.raises(StorageError, match=r"no usable credentials; set AWS_ACCESS_KEY_ID"):
        s3_store.read_bytes("a")


def test_a_profile_serves_too(s3_store: S3Store, s3: Seaweed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    s3_store.write_bytes("a", b"1")
    (tmp_path / "credentials").write_text(
        f"[tapes]\naws_access_key_id={s3.access_key}\naws_secret_access_key={s3.secret_key}\n"
    )
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_PROFILE", "tapes")
    assert s3_store.read_bytes("a") == b"1"


def test_a_missing_bucket_and_a_silent_endpoint_are_explained(s3: Seaweed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    with pytest.raises(StorageError, match=r"s3://no-such-bucket: the bucket does not exist"):
        next(open_store("s3://no-such-bucket").list())
    keys = S3Credentials(endpoint_url=f"http://127.0.0.1:{free_ports(1)[0]}")
    with pytest.raises(StorageError, match=r"does not answer; check AWS_ENDPOINT_URL"):
        open_store("s3://tapes", keys).stat("a")
    assert s3.endpoint


def test_markers_and_keys_that_climb_are_left_out(s3_store: S3Store, caplog: pytest.LogCaptureFixture) -> None:
    above = open_store(s3_store.uri.removesuffix("/tapes"))
    above.write_bytes("tapes/good.wav", b"1")
    above.write_bytes("tapes/folder/", b"")
    above.write_bytes("tapes-too/other.wav", b"")
    assert names(s3_store) == ["good.wav"]
    assert caplog.text == ""


class Faulty(socketserver.ThreadingTCPServer):
    """A real connection to the server that misbehaves: each fault serves one connection, then all is well.

    A number is how many bytes of the answer pass before the connection is cut; "busy" answers 503 SlowDown.
    """

    daemon_threads = True
    BUSY = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate</Message></Error>"

    def __init__(self, upstream: str, faults: list[int | str]) -> None:
        self.upstream = ("127.0.0.1", int(upstream.rpartition(":")[2]))
        self.faults, self.met = faults, 0
        super().__init__(("127.0.0.1", 0), None)  # type: ignore[arg-type]
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def finish_request(self, request: socket.socket, client_address: object) -> None:
        fault = self.faults.pop(0) if self.faults else None
        self.met += fault is not None
        if fault == "busy":
            request.recv(2**16)
            head = f"HTTP/1.1 503 Slow Down\r\nContent-Length: {len(self.BUSY)}\r\nConnection: close\r\n\r\n"
            request.sendall(head.encode() + self.BUSY)
            return
        with socket.create_connection(self.upstream) as server:
            threading.Thread(target=pump, args=(request, server, None), daemon=True).start()
            pump(server, request, fault)


def pump(source: socket.socket, sink: socket.socket, limit: int | str | None) -> None:
    left = limit if isinstance(limit, int) else sys.maxsize
    try:
        while left > 0 and (data := source.recv(min(left, 2**16))):
            sink.sendall(data)
            left -= len(data)
        sink.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # the other direction has closed it


@pytest.mark.parametrize("faults", [[300_000, 200_000], ["busy", 0, 100_000]])
def test_cut_connections_and_throttling_are_retried(s3_store: S3Store, s3: Seaweed, faults: list[int | str]) -> None:
    data = os.urandom(2_000_000)
    s3_store.write_bytes("a", data)
    with Faulty(s3.endpoint, faults) as faulty:
        threading.Thread(target=faulty.serve_forever, daemon=True).start()
        planned = len(faults)
        store = open_store(s3_store.uri, S3Credentials(endpoint_url=faulty.url))
        assert store.sha256("a") == sha256(data)
        assert faulty.met == planned
        faulty.shutdown()


def test_throttling_without_end_is_given_up(s3_store: S3Store, s3: Seaweed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "3")
    with Faulty(s3.endpoint, ["busy"] * 100) as faulty:
        threading.Thread(target=faulty.serve_forever, daemon=True).start()
        with pytest.raises(StorageError, match=r"tapes/a: .*reduce your request rate"):
            open_store(s3_store.uri, S3Credentials(endpoint_url=faulty.url)).write_bytes("a", b"1")
        assert faulty.met == 3
        faulty.shutdown()


def test_a_process_that_used_s3_ends_in_silence(s3_store: S3Store) -> None:
    script = "import sys; from audiodiff.storage import open_store as o; s = o(sys.argv[1]); s.write_bytes('a', b'1')\n"
    script += "assert s.read_bytes('a') == b'1' and [x.name for x in s.list()] == ['a']"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, s3_store.uri],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
