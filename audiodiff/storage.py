"""Local folders and `s3://bucket/prefix` behind one small interface; an object is whole or it is not there."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import re
import stat as stat_module
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from audiodiff.errors import ConfigError, ObjectMissing, StorageError
from audiodiff.records import StoredObject

_log = logging.getLogger(__name__)
_CHUNK = 2**20  # bytes held while copying
_TEMP = ".audiodiff-tmp-"


@dataclass(frozen=True, slots=True)
class S3Credentials:
    """Keys and endpoint of an S3 service; what is empty comes from the environment or the AWS profile."""

    access_key_id: str = ""
    secret_access_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)
    endpoint_url: str = ""
    region: str = ""


class Store(ABC):
    """One root; names are relative to it and "/"-separated, and none may leave it.

    A Store may be pickled and is safe under threads. Every method raises ConfigError for a name that leaves the
    root, ObjectMissing where an object is needed and absent, and StorageError for all else that storage refuses.
    """

    uri: str

    @abstractmethod
    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Stream the objects whose names start with `prefix`, in an order that depends on the names alone.

        The order is that of the UTF-8 bytes on local disks and AWS; other servers may use their own. Memory is
        bounded by one page (S3) or the names of one folder (local). A root or prefix that does not exist is
        empty. Left out, with a logged warning: names that leave the root, symbolic links to folders or outside.
        """

    @abstractmethod
    def stat(self, name: str) -> StoredObject:
        """Size and fingerprint of one object."""

    @abstractmethod
    def write_bytes(self, name: str, data: bytes) -> str:
        """Store `data` as one complete object, replacing any other; return its SHA-256 in hex."""

    @abstractmethod
    def write_file(self, name: str, path: Path) -> str:
        """Store a copy of the local file as one complete object, replacing any other; return its SHA-256 in hex."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Remove the object; absent is fine."""

    @abstractmethod
    def _chunks(self, name: str) -> Iterator[bytes]:
        """The object in pieces; raises ObjectMissing at once, before the caller opens a file for them."""

    def local_path(self, name: str) -> Path | None:
        """The object's real path where there is one, so that nothing need be copied; None on S3."""
        check_name(name)
        return None

    def exists(self, name: str) -> bool:
        """Whether the object is there."""
        try:
            self.stat(name)
        except ObjectMissing:
            return False
        return True

    def read_bytes(self, name: str) -> bytes:
        """The whole object, in memory."""
        return b"".join(self._chunks(name))

    def fetch(self, name: str, to: Path) -> str:
        """Copy the object to a local file as a stream; return its SHA-256 in hex."""
        chunks = self._chunks(name)
        with local_errors(str(to)), to.open("wb") as file:
            return _copy(chunks, file)

    def at_hand(self, name: str, scratch: Path) -> tuple[Path, str]:
        """A local file with the object's bytes, and their SHA-256: the object itself on a disk, else a copy."""
        path = self.local_path(name)
        if path is not None:
            return path, self.sha256(name)
        copy = scratch / "source"
        return copy, self.fetch(name, copy)

    def sha256(self, name: str) -> str:
        """SHA-256 of the object's bytes, in hex."""
        digest = hashlib.sha256()
        for chunk in self._chunks(name):
            digest.update(chunk)
        return digest.hexdigest()

    def object_uri(self, name: str) -> str:
        """The full address of the object, for people and for rows."""
        return f"{self.uri.rstrip('/')}/{check_name(name)}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.uri!r})"


def open_store(uri: str, credentials: S3Credentials | None = None) -> Store:
    """The store at a local folder or `s3://bucket/prefix`; nothing is touched until it is used.

    `credentials` default to the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN,
    AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL, AWS_PROFILE). Raises ConfigError for any other kind of URI.
    """
    scheme, found, rest = uri.partition("://")
    if not uri or "\0" in uri:
        raise ConfigError("a storage URI may not be empty; give a folder or s3://bucket/prefix")
    if not found or (scheme == "file" and rest.startswith("/")):
        return LocalStore(rest or uri)
    if scheme != "s3":
        raise ConfigError(f"{scheme}:// is not a storage audiodiff knows; give a folder or s3://bucket/prefix")
    bucket, _, prefix = rest.partition("/")
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}", bucket) is None or "?" in prefix:
        # the URI is not repeated: what is wrong with it may be the secret in it
        raise ConfigError("an S3 URI is s3://bucket/prefix, without keys, ports or options; keys go in the environment")
    from audiodiff.s3 import S3Store  # noqa: PLC0415 - half a second and a dependency that local runs need not have

    return S3Store(bucket, prefix.strip("/"), credentials)


def check_name(name: str) -> str:
    """Return `name`; raise ConfigError where it is empty, absolute or climbs out of its root."""
    if not name or name.startswith("/") or "\0" in name or {".", ".."} & set(name.split("/")):
        raise ConfigError(f"object name {name!r} must be relative and stay below the root")
    return name


class LocalStore(Store):
    """A folder; objects appear by rename, after their bytes are on the disk.

    A killed writer leaves at most one hidden temporary file per object, which the next writer of that object
    takes over: repeating the work cleans up after it.
    """

    def __init__(self, folder: str) -> None:
        # not resolved: the user's own path is what belongs in reports
        self.uri = os.path.abspath(Path(folder).expanduser())  # noqa: PTH100 - Path.absolute keeps ".."

    def list(self, prefix: str = "") -> Iterator[StoredObject]:  # noqa: D102
        start = check_name(prefix).rpartition("/")[0] if prefix else ""
        with local_errors(self.object_uri(start) if start else self.uri):
            for raw in _walk(os.fsencode(self.uri), os.fsencode(start), os.fsencode(prefix)):
                with contextlib.suppress(FileNotFoundError):  # deleted since its folder was read
                    yield _stored(os.fsdecode(raw), os.stat(os.path.join(os.fsencode(self.uri), raw)))  # noqa: PTH116, PTH118

    def stat(self, name: str) -> StoredObject:  # noqa: D102
        path = self.local_path(name)
        with local_errors(self.object_uri(name)):
            found = path.stat()
            if not stat_module.S_ISREG(found.st_mode):
                raise FileNotFoundError("not a file")
        return _stored(name, found)

    def local_path(self, name: str) -> Path:  # noqa: D102
        path = Path(self.uri, check_name(name))
        root = os.path.realpath(self.uri)
        if os.path.commonpath([root, os.path.realpath(path)]) != root:
            raise ConfigError(f"object name {name!r} leads out of {self.uri} through a symbolic link")
        return path

    def write_bytes(self, name: str, data: bytes) -> str:  # noqa: D102
        with self._complete(name) as file:
            return _copy(iter([data]), file)

    def write_file(self, name: str, path: Path) -> str:  # noqa: D102
        with self._complete(name) as file:
            return _copy(file_chunks(path, _CHUNK), file)

    def delete(self, name: str) -> None:  # noqa: D102
        path = self.local_path(name)
        with local_errors(self.object_uri(name)), contextlib.suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()

    def _chunks(self, name: str) -> Iterator[bytes]:
        self.stat(name)  # a pipe or a folder would block or confuse the reader
        return file_chunks(self.local_path(name), _CHUNK)

    @contextlib.contextmanager
    def _complete(self, name: str) -> Iterator[BinaryIO]:
        """A file that takes its name, whole and on the disk, when the block ends well."""
        path = self.local_path(name)
        # one temporary name per object, so that a repeated write takes over what a killed one left
        temp = path.with_name(_TEMP + hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16])
        with local_errors(self.object_uri(name)):
            _make_folder(path.parent)
            with _locked(temp) as file:
                try:
                    yield file
                    file.flush()
                    os.fsync(file.fileno())
                    temp.replace(path)
                except BaseException:
                    temp.unlink()
                    raise
            _sync_folder(path.parent)


def _stored(name: str, found: os.stat_result) -> StoredObject:
    return StoredObject(name, found.st_size, f"{found.st_size}-{found.st_mtime_ns}")


def _walk(root: bytes, folder: bytes, prefix: bytes) -> Iterator[bytes]:
    """File names below `folder`; a folder sorts as if it ended in "/", which gives the byte order of whole names."""
    try:
        with os.scandir(os.path.join(root, folder)) as entries:  # noqa: PTH118 - names are bytes here
            names = sorted(e.name + b"/" * e.is_dir(follow_symlinks=False) for e in entries if _is_ours(root, e))
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        path = folder + b"/" + name if folder else name
        if not path.startswith(prefix) and not prefix.startswith(path):
            continue
        if name.endswith(b"/"):
            yield from _walk(root, path[:-1], prefix)
        else:
            yield path


def _is_ours(root: bytes, entry: os.DirEntry[bytes]) -> bool:
    if entry.name.startswith(_TEMP.encode()):
        return False
    if not entry.is_symlink():
        return entry.is_dir() or entry.is_file()
    real, inside = os.path.realpath(entry.path), os.path.realpath(root)
    if Path(os.fsdecode(real)).is_file() and os.path.commonpath([inside, real]) == inside:
        return True
    _log.warning("left out %r: a symbolic link to a folder, to nothing or out of the root", os.fsdecode(entry.path))
    return False


def file_chunks(path: Path, size: int) -> Iterator[bytes]:
    """Stream a local file in pieces of `size` bytes, the last one shorter."""
    with local_errors(str(path)), path.open("rb") as file:
        while chunk := file.read(size):
            yield chunk


def _copy(chunks: Iterator[bytes], sink: BinaryIO) -> str:
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
        sink.write(chunk)
    return digest.hexdigest()


@contextlib.contextmanager
def _locked(temp: Path) -> Iterator[BinaryIO]:
    """Open `temp`, emptied, for this writer alone; the lock falls with the process."""
    while True:
        with temp.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # while we waited, the other writer may have renamed or removed what we opened
            if _is_at(file, temp):
                file.truncate(0)
                yield file
                return


def _is_at(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def local_errors(uri: str) -> Iterator[None]:
    """Turn what the operating system raises into our own errors, naming `uri`."""
    uri = uri.encode("utf-8", "backslashreplace").decode()  # stray bytes of a file name cannot be printed
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ObjectMissing(f"{uri} does not exist") from error
    except OSError as error:
        raise StorageError(f"{uri}: {error.strerror or error}") from error
