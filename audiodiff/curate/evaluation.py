"""Recordings kept for evaluation, by their fingerprints: nothing like them may get into a dataset for training."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from audiodiff import schema
from audiodiff.curate.fingerprint import VERSION, fingerprint
from audiodiff.curate.sound import decode
from audiodiff.curate.sources import Source
from audiodiff.errors import ConfigError, MediaError
from audiodiff.storage import Store

_SCHEMA = pa.schema(
    [
        pa.field("uri", pa.string(), nullable=False),
        pa.field("pcm_sha256", pa.string(), nullable=False),
        pa.field("print", pa.binary(), nullable=False),
    ],
    metadata=schema.VERSION,
)


@dataclass(frozen=True, slots=True)
class Reserved:
    """A recording that no clip may resemble."""

    uri: str
    pcm_sha256: str
    print: bytes


def reserve(source: Source, destination: Store, threads: int = 2) -> list[Reserved]:
    """The recordings of an evaluation set; kept in the destination, so that an unchanged set is read once.

    Files that are no audio are passed over. Raises ConfigError for a set without a single recording.
    """
    listing = [(found.name, found.fingerprint) for found in source.list()]
    digest = hashlib.sha256(repr((VERSION, source.uri, sorted(listing))).encode("utf-8", "surrogateescape")).hexdigest()
    name = f"evaluation/{digest[:16]}.parquet"
    if destination.exists(name):
        table = schema.read_table(destination.read_bytes(name), _SCHEMA)
        return [Reserved(schema.exact_name(row["uri"]), row["pcm_sha256"], row["print"]) for row in table.to_pylist()]
    with ThreadPoolExecutor(threads) as pool:
        found = [one for one in pool.map(lambda entry: _one(source, entry[0]), listing) if one]
    if not found:
        raise ConfigError(f"the evaluation set {source.uri} does not exist or holds no recordings")
    destination.write_bytes(name, schema.write_parquet_bytes(_table(found)))
    return found


def reserve_all(sources: Sequence[Source], destination: Store) -> Iterator[Reserved]:
    """The recordings of several sets."""
    for source in sources:
        yield from reserve(source, destination)


def _one(source: Source, name: str) -> Reserved | None:
    with tempfile.TemporaryDirectory(prefix="audiodiff-") as folder:
        scratch = Path(folder)
        try:
            sound = decode(source.fetch(name, scratch)[0], name, scratch)
        except MediaError:
            return None
        print_ = fingerprint(np.asarray(sound.samples), sound.media.sample_rate)
        return Reserved(source.object_uri(name), sound.pcm_sha256, print_)


def _table(found: Sequence[Reserved]) -> pa.Table:
    uris, pcm, prints = zip(*map(astuple, found), strict=True)
    return pa.Table.from_arrays([[schema.printable_name(uri) for uri in uris], pcm, prints], schema=_SCHEMA)
