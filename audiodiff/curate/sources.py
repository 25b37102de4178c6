"""Everything a user may point at, as recordings and what is known of them: folders, buckets, manifests and tars."""

from __future__ import annotations

import hashlib
import json
import logging
import os.path
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from audiodiff.curate import manifests, tars
from audiodiff.curate.facts import facts_from, merged
from audiodiff.curate.manifests import Manifest
from audiodiff.curate.records import Facts
from audiodiff.errors import ConfigError, MediaError, ObjectMissing
from audiodiff.records import StoredObject
from audiodiff.schema import exact_name
from audiodiff.sniff import extension_kind
from audiodiff.storage import Store, check_name, local_errors

_log = logging.getLogger(__name__)

_SIDECARS = {".normalized.txt": "transcript", ".lab": "transcript", ".txt": "text", ".json": ""}
"""Suffix of a file beside a recording of the same stem, and what its text is; longer suffixes first."""
_SIDECAR_BYTES = 2**20  # a larger file is no description of a recording
_METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
"""Tables about the files in and below their folder, as Hugging Face's audiofolder has them."""
_MOST_FOLDERS = 256  # whose tables are kept


class Source(ABC):
    """Recordings under names relative to a store, and what is known of them; may stand for the store in `plan_run`.

    It may be pickled and is safe under threads. Errors of storage are those of `Store`.
    """

    def __init__(self, uri: str, store: Store) -> None:
        self.uri, self.store = uri, store

    @abstractmethod
    def list(self) -> Iterator[StoredObject]:
        """Stream what is to be accounted for: recordings, and all else that is no description of one."""

    @abstractmethod
    def facts(self, name: str) -> Facts:
        """What manifests and sidecars say of a recording; ConfigError, naming the file, where they cannot be read."""

    def object_uri(self, name: str) -> str:
        """The full address of a recording: the same whether a folder or a manifest lists it."""
        return self.store.object_uri(name)

    def sha256(self, name: str) -> str:
        """SHA-256 of the recording's bytes, in hex."""
        return self.store.sha256(name)

    def fetch(self, name: str, scratch: Path) -> tuple[Path, str]:
        """A local file with the recording, and its SHA-256: the file itself where it lies on a disk, or a copy.

        MediaError `broken_tar` for a tar whose members cannot be listed, which then is an item of its own.
        """
        return self.store.at_hand(name, scratch)


def open_source(uri: str, open_store: Callable[[str], Store]) -> Source:
    """The recordings at a folder, s3:// prefix, manifest, tar or single file.

    In this order: an object that ends in .csv, .tsv, .parquet, .jsonl, .ndjson or .json is a manifest
    (`manifests.read_manifest`); one that ends in .tar or as recordings do stands alone; all else is a folder, with
    everything below it. Raises ConfigError for a manifest that cannot be used.
    """
    folder, slash, leaf = uri.rpartition("/")
    is_manifest = leaf.lower().endswith(manifests.SUFFIXES)
    alone = leaf.endswith(".tar") or extension_kind(leaf).family != "unknown"
    if (is_manifest or alone) and not folder.endswith(":/"):  # s3://bucket has no folder above it
        store = open_store(folder or slash or ".")
        if store.exists(leaf):
            return ManifestSource(uri, store, leaf) if is_manifest else FolderSource(uri, store, leaf)
    return FolderSource(uri, open_store(uri))


class Sampled(Source):
    """Every so many recordings of a source, evenly spread: what a forecast looks into."""

    def __init__(self, source: Source, every: int) -> None:
        super().__init__(source.uri, source.store)
        self.source, self.every = source, every

    def list(self) -> Iterator[StoredObject]:  # noqa: D102
        return islice(self.source.list(), self.every // 2, None, self.every)

    def facts(self, name: str) -> Facts:  # noqa: D102
        return self.source.facts(name)

    def sha256(self, name: str) -> str:  # noqa: D102
        return self.source.sha256(name)

    def fetch(self, name: str, scratch: Path) -> tuple[Path, str]:  # noqa: D102
        return self.source.fetch(name, scratch)


class ManifestSource(Source):
    """The recordings that a manifest lists; a missing one has size 0 and a fingerprint that says so."""

    def __init__(self, uri: str, store: Store, name: str) -> None:
        super().__init__(uri, store)
        self.manifest = manifests.read_manifest(store, name)

    def list(self) -> Iterator[StoredObject]:
        """Those that are there in the order of the store, then the missing ones.

        The folder that holds them all is listed once: on S3 that is a request for a thousand recordings, not for each.
        """
        if not len(self.manifest):
            return
        first, last = self.manifest.names[0].as_py(), self.manifest.names[-1].as_py()
        common = os.path.commonprefix([first, last])  # noqa: RUF071 - of the text: its last "/" ends their folder
        folder = exact_name(common.rpartition("/")[0])
        seen = np.zeros(len(self.manifest), bool)
        after = 0
        for found in self.store.list(folder + "/" if folder else ""):
            index = self.manifest.find(found.name, guess=after)  # both mostly come in the order of their names
            if index is not None:
                seen[index], after = True, index + 1
                yield found
        for missing in np.flatnonzero(~seen):
            yield StoredObject(self.manifest.name(int(missing)), 0, "missing")

    def facts(self, name: str) -> Facts:
        """What the manifest's row says."""
        return _facts_in(self.manifest, name)


class FolderSource(Source):
    """All below a folder or prefix, or one object of it: files, and the members of tars as `shard-000.tar/key.flac`.

    Sidecars of the same stem are no items: `.json` (names as in `facts`), `.txt` (caption, or transcript where the
    .json names a speaker), `.lab` and `.normalized.txt` (transcript). Nor are the tables `metadata.csv`, `.jsonl` and
    `.parquet`, at any depth; of rows without a file nothing is said: point at the table itself to account for those.
    A tar in a bucket is copied once to be listed, and again where its members are worked on.
    """

    def __init__(self, uri: str, store: Store, only: str = "") -> None:
        super().__init__(uri, store)
        self.only = only
        self._tables: dict[str, Manifest | None] = {}

    def list(self) -> Iterator[StoredObject]:
        """Recordings and what is neither sidecar nor table; sidecars of nothing come last.

        Memory grows with the names, as a sidecar may come before its recording.
        """
        stems: set[str] = set()
        alone: list[StoredObject] = []
        for found in self._objects():
            if found.size <= _SIDECAR_BYTES and found.name.endswith(tuple(_SIDECARS)):
                alone.append(found)
            else:
                stems.add(_stem(found.name))
                yield found
        yield from (found for found in alone if stems.isdisjoint(_sidecar_stems(found.name)))

    def _objects(self) -> Iterator[StoredObject]:
        for found in [self.store.stat(self.only)] if self.only else self.store.list():
            folder, _, leaf = found.name.rpartition("/")
            if leaf in _METADATA:
                self._table(folder)  # a table that cannot be read is an error before any work is done
            elif leaf.endswith(".tar"):
                yield from self._members(found)
            else:
                yield found

    def _members(self, tar: StoredObject) -> Iterator[StoredObject]:
        try:
            members = tars.members(self.store, tar)
        except MediaError as error:
            _log.warning("%s", error)
            yield tar
            return
        for name, member in members.items():
            mark = f"{tar.fingerprint}-{member.offset}-{member.size}"
            yield StoredObject(f"{tar.name}/{name}", member.size, mark)

    def sha256(self, name: str) -> str:  # noqa: D102
        where = self._in_tar(name)
        if where is None:
            return super().sha256(name)
        digest = hashlib.sha256()
        for chunk in tars.read_member(self.store, *where):
            digest.update(chunk)
        return digest.hexdigest()

    def fetch(self, name: str, scratch: Path) -> tuple[Path, str]:  # noqa: D102
        where = self._in_tar(name)
        if where is None:
            if name.endswith(".tar"):
                tars.members(self.store, self.store.stat(name))  # says what is wrong with it
            return super().fetch(name, scratch)
        copy, digest = scratch / "source", hashlib.sha256()
        with local_errors(str(copy)), copy.open("wb") as file:
            for chunk in tars.read_member(self.store, *where):
                digest.update(chunk)
                file.write(chunk)
        return copy, digest.hexdigest()

    def facts(self, name: str) -> Facts:
        """What the sidecars say, then the tables, those of the nearest folder first."""
        tables = [table for folder in _folders(name) if (table := self._table(folder))]
        return merged(facts_from(self._sidecars(name)), *(_facts_in(table, name) for table in tables))

    def _sidecars(self, name: str) -> dict[str, object]:
        record: dict[str, object] = {}
        where = self._in_tar(name)
        for suffix, column in _SIDECARS.items():
            sidecar = _stem(name) + suffix
            data = self._small(sidecar, where[0] if where else "")
            if data is not None:
                found = _json_or_text(data, self.store.object_uri(sidecar), column)
                record = found | record if column else record | found
        return record

    def _small(self, name: str, tar: str) -> bytes | None:
        """The bytes of a sidecar, None where there is none."""
        if tar:
            inside = name.removeprefix(tar + "/")
            member = tars.members(self.store, self.store.stat(tar)).get(inside)
            is_small = member is not None and member.size <= _SIDECAR_BYTES
            return b"".join(tars.read_member(self.store, tar, inside)) if is_small else None
        try:
            return self.store.read_bytes(name) if self.store.stat(name).size <= _SIDECAR_BYTES else None
        except ObjectMissing:
            return None

    def _table(self, folder: str) -> Manifest | None:
        tables = self._tables
        if folder not in tables:
            names = [f"{folder}/{leaf}".lstrip("/") for leaf in _METADATA]
            there = [name for name in names if self.store.exists(name)]
            if len(there) > 1:
                raise ConfigError(f"{self.uri}: {there[0]!r} and {there[1]!r} are two tables of one folder; keep one")
            if len(tables) >= _MOST_FOLDERS:
                tables = self._tables = {}  # a new one: another thread may be reading the old one
            tables[folder] = manifests.read_manifest(self.store, there[0]) if there else None
        return tables[folder]

    def _in_tar(self, name: str) -> tuple[str, str] | None:
        """Tar and member of a name that lies in a tar, and not in a folder whose name ends so."""
        at = check_name(name).find(".tar/")
        while at >= 0:
            if self.store.exists(name[: at + 4]):
                return name[: at + 4], name[at + 5 :]
            at = name.find(".tar/", at + 1)
        return None


def _facts_in(manifest: Manifest, name: str) -> Facts:
    index = manifest.find(name)
    return Facts() if index is None else facts_from(manifest.record(index))


def _stem(name: str) -> str:
    """The name without its last suffix."""
    folder, slash, leaf = name.rpartition("/")
    return folder + slash + (leaf.rpartition(".")[0] or leaf)


def _sidecar_stems(name: str) -> list[str]:
    """The stems of recordings that this may be about."""
    return [name.removesuffix(suffix) for suffix in _SIDECARS if name.endswith(suffix)]


def _folders(name: str) -> Iterator[str]:
    """The folders of a name, the nearest first, "" for the root."""
    while name:
        name = name.rpartition("/")[0]
        yield name


def _json_or_text(data: bytes, uri: str, column: str) -> dict[str, Any]:
    try:
        text = data.decode("utf-8-sig")
        found = {column: text} if column else json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"sidecar {uri} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise ConfigError(f"sidecar {uri} must be a JSON object of names and values")
    return found
