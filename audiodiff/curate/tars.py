"""The members of tar files, found by their headers and read where they lie."""

from __future__ import annotations

import atexit
import shutil
import tarfile
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from audiodiff.errors import ConfigError, MediaError, ObjectMissing
from audiodiff.records import StoredObject
from audiodiff.storage import Store, check_name, local_errors

_HEADER_BYTES = 2**20  # the longest header of one member that is read; names of a path's length take 4 kB
_CHUNK = 2**20
_KEPT = 4  # tars whose index, and copy if they are in a bucket, this process keeps: work goes through them in order


@dataclass(frozen=True, slots=True)
class Member:
    """Bytes of a tar: `size` of them from `offset` on."""

    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Tar:
    """A tar on the local disk, and its members by name."""

    path: Path
    members: dict[str, Member]


def index_tar(path: Path, name: str) -> dict[str, Member]:
    """The files of a tar by name, without a leading "./"; only its headers are read.

    MediaError `broken_tar`: cut short or damaged, names that are absolute or climb out, links, devices, sparse files,
    or one name twice.
    """
    members: dict[str, Member] = {}
    with path.open("rb") as file:
        try:
            for info in _headers(file):
                member = info.name.removeprefix("./")
                if info.isdir():
                    continue
                if not info.isreg() or info.issparse():
                    raise MediaError("broken_tar", f"{name!r}: {member!r} is a link or no plain file")
                if check_name(member) in members:
                    raise MediaError("broken_tar", f"{name!r} holds {member!r} twice")
                members[member] = Member(info.offset_data, info.size)
        except ConfigError as error:
            raise MediaError("broken_tar", f"{name!r}: {error}") from error
        except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
            raise MediaError("broken_tar", f"{name!r} is damaged, cut short or no tar: {error}") from error
    return members


class _Headers:
    """A file for tarfile, which would read as much as a header claims."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.tell, self.seek = file, file.tell, file.seek

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return self._file.read(size)


def _headers(file: BinaryIO) -> Iterator[tarfile.TarInfo]:
    with tarfile.open(fileobj=_Headers(file), mode="r:") as tar:  # type: ignore[call-overload]
        before = -1
        while (info := tar.next()) is not None:
            tar.members.clear()  # it would keep every header
            if info.size < 0 or tar.offset <= before:
                raise tarfile.ReadError("a member of negative size")
            before = tar.offset
            yield info
        file.seek(tar.offset)
        if file.read(tarfile.BLOCKSIZE).strip(b"\0"):  # tarfile takes damage for the end
            raise tarfile.ReadError(f"no header at byte {tar.offset}")


_tars: OrderedDict[tuple[str, str], Tar] = OrderedDict()
_lock = threading.Lock()


def read_member(store: Store, tar_name: str, member: str) -> Iterator[bytes]:
    """The member's bytes in pieces; MediaError `broken_tar`, or ObjectMissing where the tar has none such."""
    found = store.stat(tar_name)
    with _lock:
        tar = _tar(store, found)
        if member not in tar.members:
            raise ObjectMissing(f"{store.object_uri(tar_name)} has no member {member!r}")
        file = tar.path.open("rb")  # under the lock: the copy may be removed at any time after
    with file:
        file.seek(tar.members[member].offset)
        left = tar.members[member].size
        while left and (chunk := file.read(min(left, _CHUNK))):
            left -= len(chunk)
            yield chunk


def members(store: Store, found: StoredObject) -> dict[str, Member]:
    """The members of a stored tar, as `index_tar`; one in a bucket is copied to the temporary folder for a while."""
    with _lock:
        return _tar(store, found).members


def _tar(store: Store, found: StoredObject) -> Tar:
    key = (store.object_uri(found.name), found.fingerprint)
    if key in _tars:
        _tars.move_to_end(key)
        return _tars[key]
    path = store.local_path(found.name)
    if path is not None:
        with local_errors(key[0]):
            tar = Tar(path, index_tar(path, found.name))
    else:
        tar = _fetched(store, found.name)
    _tars[key] = tar
    while len(_tars) > _KEPT:
        (uri, _), oldest = _tars.popitem(last=False)
        if uri.startswith("s3://"):
            shutil.rmtree(oldest.path.parent)
    return tar


def _fetched(store: Store, name: str) -> Tar:
    folder = Path(tempfile.mkdtemp(prefix="audiodiff-tar-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    try:
        store.fetch(name, folder / "tar")
        return Tar(folder / "tar", index_tar(folder / "tar", name))
    except BaseException:
        shutil.rmtree(folder)
        raise
