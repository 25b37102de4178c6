"""The S3 store: `audiodiff.storage.Store` over s3fs, with exact keys, bounded retries and plain errors."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import mimetypes
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aiohttp import ClientError as ConnectionLost
from botocore import exceptions as boto
from botocore.parsers import ResponseParserError
from fsspec.asyn import sync
from s3fs import S3FileSystem

from audiodiff.errors import ConfigError, ObjectMissing, StorageError
from audiodiff.records import StoredObject
from audiodiff.storage import S3Credentials, Store, check_name, file_chunks

_log = logging.getLogger(__name__)
_FAILURES = (OSError, boto.BotoCoreError, boto.ClientError, ConnectionLost, ResponseParserError)
_BREAKS = (ConnectionLost, boto.HTTPClientError, boto.IncompleteReadError)
_NO_KEYS = (boto.NoCredentialsError, boto.PartialCredentialsError, boto.CredentialRetrievalError)
_UNREACHABLE = (boto.EndpointConnectionError, boto.ConnectTimeoutError)
_DENIED = {"AuthorizationHeaderMalformed", "InvalidToken", "TokenRefreshRequired"}  # s3fs calls these input errors
_KEYS_HELP = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or AUDIODIFF_CREDENTIALS_BLOCK "
    "(and AWS_ENDPOINT_URL where it is not AWS); docs/howto-s3.md lists the permissions needed"
)
_PART = 8 * 2**20  # bytes in memory per transfer; S3 wants 5 MiB or more
_MAX_PARTS = 10_000  # S3's limit for one upload
_PAUSES_S = (0.2, 1.0, 4.0)  # between the tries of a download that breaks off


class _BrokenOffError(StorageError):
    """A download ended before its last byte."""


_systems: dict[tuple[object, ...], S3FileSystem] = {}
_systems_lock = threading.Lock()


class S3Store(Store):
    """A bucket and prefix; objects appear when their upload is completed.

    Keys are the UTF-8 bytes of prefix/name. A name that is not valid UTF-8 (a local file name with stray bytes)
    cannot be a key and raises ConfigError. A writer killed in a large upload leaves invisible parts behind, which
    the bucket's lifecycle rule removes (docs/howto-s3.md).
    """

    page_size = 1000

    def __init__(self, bucket: str, prefix: str, credentials: S3Credentials | None = None) -> None:
        self.uri = f"s3://{bucket}/{prefix}".rstrip("/")
        self._bucket = bucket
        self._root = f"{prefix}/" if prefix else ""
        self._credentials = credentials or S3Credentials()

    def list(self, prefix: str = "") -> Iterator[StoredObject]:  # noqa: D102
        more: dict[str, str] = {}
        while True:
            start = self._key(prefix) if prefix else self._root
            page = self._call("list_objects_v2", self.uri, Prefix=start, MaxKeys=self.page_size, **more)
            for entry in page.get("Contents", ()):
                name = entry["Key"][len(self._root) :]
                if _is_listed(name):
                    yield _stored(name, entry["Size"], entry["ETag"])
            if not page["IsTruncated"]:
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def stat(self, name: str) -> StoredObject:  # noqa: D102
        found = self._object("head_object", name)
        return _stored(name, found["ContentLength"], found["ETag"])

    def write_bytes(self, name: str, data: bytes) -> str:  # noqa: D102
        self._object("put_object", name, Body=data, ContentType=_content_type(name))
        return hashlib.sha256(data).hexdigest()

    def write_file(self, name: str, path: Path) -> str:  # noqa: D102
        self._key(name)
        size = max(_PART, path.stat().st_size // _MAX_PARTS + 1)
        chunks = file_chunks(path, size)
        first = next(chunks, b"")
        if len(first) < size:
            return self.write_bytes(name, first)
        upload = self._object("create_multipart_upload", name, ContentType=_content_type(name))["UploadId"]
        try:
            return self._upload(name, upload, first, chunks)
        except BaseException:
            with contextlib.suppress(StorageError):
                self._object("abort_multipart_upload", name, UploadId=upload)
            raise

    def delete(self, name: str) -> None:  # noqa: D102
        with contextlib.suppress(ObjectMissing):
            self._object("delete_object", name)

    def _upload(self, name: str, upload: str, first: bytes, rest: Iterator[bytes]) -> str:
        digest, chunk = hashlib.sha256(), first
        parts: list[dict[str, Any]] = []
        while chunk:
            digest.update(chunk)
            done = self._object("upload_part", name, UploadId=upload, PartNumber=len(parts) + 1, Body=chunk)
            parts.append({"PartNumber": len(parts) + 1, "ETag": done["ETag"]})
            chunk = next(rest, b"")
        self._object("complete_multipart_upload", name, UploadId=upload, MultipartUpload={"Parts": parts})
        return digest.hexdigest()

    def _chunks(self, name: str) -> Iterator[bytes]:
        head = self._object("head_object", name)
        starts = range(0, head["ContentLength"], _PART)
        # the entity tag: every piece must be of the object we began with
        return (self._piece(name, f"bytes={start}-{start + _PART - 1}", head["ETag"]) for start in starts)

    def _piece(self, name: str, span: str, etag: str) -> bytes:
        for pause_s in _PAUSES_S:
            with contextlib.suppress(_BrokenOffError):
                return self._read(name, span, etag)
            time.sleep(pause_s)
        return self._read(name, span, etag)

    def _read(self, name: str, span: str, etag: str) -> bytes:
        """One range of the object: botocore retries the request, a body that breaks off is ours to ask for again."""
        system, uri = _filesystem(self._credentials), self.object_uri(name)
        asked = {"Bucket": self._bucket, "Key": self._key(name), "Range": span, "IfMatch": etag}

        async def read() -> bytes:
            answer = await system._call_s3("get_object", **asked)
            try:
                async with answer["Body"] as body:
                    return bytes(await body.read())
            except _BREAKS as error:
                raise _BrokenOffError(f"{uri}: the download broke off ({error})") from error

        with _s3_errors(uri):
            return bytes(sync(system.loop, read))

    def _key(self, name: str) -> str:
        try:
            check_name(name).encode()
        except UnicodeEncodeError as error:
            raise ConfigError(f"object name {name!r} is not valid UTF-8, which S3 demands") from error
        return self._root + name

    def _object(self, method: str, name: str, **arguments: object) -> dict[str, Any]:
        return self._call(method, self.object_uri(name), Key=self._key(name), **arguments)

    def _call(self, method: str, uri: str, **arguments: object) -> dict[str, Any]:
        # call_s3 rather than s3fs's file methods: those read "?versionId=" and "//" in a key as their own syntax
        with _s3_errors(uri):
            answer: dict[str, Any] = _filesystem(self._credentials).call_s3(method, Bucket=self._bucket, **arguments)
        return answer


def _filesystem(credentials: S3Credentials) -> S3FileSystem:
    """The one s3fs filesystem of this process for these credentials and this environment."""
    environment = sorted(pair for pair in os.environ.items() if pair[0].startswith("AWS_"))
    # the process id: s3fs hangs when it is carried over a fork
    key = (os.getpid(), credentials, *environment)
    with _systems_lock:
        if key not in _systems:
            _systems[key] = _connect(credentials)
        return _systems[key]


def _connect(credentials: S3Credentials) -> S3FileSystem:
    tries = {} if "AWS_MAX_ATTEMPTS" in os.environ else {"total_max_attempts": 5}
    system = S3FileSystem(
        key=credentials.access_key_id or None,
        secret=credentials.secret_access_key or None,
        token=credentials.session_token or None,
        endpoint_url=credentials.endpoint_url or None,
        client_kwargs={"region_name": credentials.region} if credentials.region else {},
        config_kwargs={
            "retries": {"mode": "standard", **tries},
            "connect_timeout": 10,
            "read_timeout": 60,
            "max_pool_connections": 32,
        },
        use_listings_cache=False,
        skip_instance_cache=True,
    )
    system.retries = 1  # botocore's tries are all; the two would multiply
    return system


def _stored(name: str, size: int, etag: str) -> StoredObject:
    return StoredObject(name, size, f"{size}-{etag.strip(chr(34))}")


def _is_listed(name: str) -> bool:
    if not name or name.endswith("/"):
        return False  # the folder markers that web consoles make
    try:
        check_name(name)
    except ConfigError as error:
        _log.warning("left out: %s", error)
        return False
    return True


def _content_type(name: str) -> str:
    # so that a report opened from the bucket shows instead of being saved
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


@contextlib.contextmanager
def _s3_errors(uri: str) -> Iterator[None]:
    try:
        yield
    except _FAILURES as error:
        raise _explained(error, uri) from error


def _explained(error: Exception, uri: str) -> StorageError:
    """Our error for what s3fs or botocore raised; s3fs keeps the service's answer as the cause."""
    answer = getattr(error if isinstance(error, boto.ClientError) else error.__cause__, "response", None) or {}
    code = answer.get("Error", {}).get("Code", "")
    if isinstance(error, FileNotFoundError) and code != "NoSuchBucket":
        return ObjectMissing(f"{uri} does not exist")
    if code == "NoSuchBucket":
        problem = "the bucket does not exist"
    elif isinstance(error, PermissionError) or code in _DENIED:
        problem = f"access denied ({code}); {_KEYS_HELP}"
    elif isinstance(error, _NO_KEYS):
        problem = f"no usable credentials; {_KEYS_HELP}"
    elif isinstance(error, _UNREACHABLE):
        problem = f"the S3 service does not answer; check AWS_ENDPOINT_URL and the network ({error})"
    elif code in {"PreconditionFailed", "412"}:
        problem = "the object changed while it was being read"
    else:
        problem = str(error)
    return StorageError(f"{uri}: {problem}")
