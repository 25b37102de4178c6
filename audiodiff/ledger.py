"""What a destination already holds: the ledger's rows, read from its shard files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from audiodiff import layout
from audiodiff.books import Books, R
from audiodiff.storage import Store

RETRY = "error:"
"""Reasons that begin so are our failures, not the recording's: the item is taken up again by the next run."""

_COLUMNS = ("item_id", "recipe", "source_fingerprint", "source_sha256", "reasons")


@dataclass(frozen=True, slots=True)
class Done:
    """The newest ledger entry of an item."""

    recipe: str
    fingerprint: str
    sha256: str
    shard: str
    retry: bool


@dataclass(slots=True)
class Ledger:
    """The newest entry by item id, the shards committed, and entries that a newer one has replaced."""

    done: dict[str, Done] = field(default_factory=dict)
    shards: set[str] = field(default_factory=set)
    replaced: list[tuple[str, str]] = field(default_factory=list)
    """(shard, item id), to be retired."""


def read_ledger(store: Store, books: Books[R]) -> Ledger:
    """Read every shard's entry columns, in shard order, so that later shards replace earlier ones."""
    ledger = Ledger()
    for shard in committed_shards(store):
        ledger.shards.add(shard)
        table = books.read(store.read_bytes(layout.ledger(shard)), _COLUMNS)
        for entry in table.to_pylist():
            item_id = entry["item_id"]
            before = ledger.done.get(item_id)
            if before and before.shard != shard:
                ledger.replaced.append((before.shard, item_id))
            retry = any(reason.startswith(RETRY) for reason in entry["reasons"])
            retry |= bool(before and before.shard == shard and before.retry)  # of several rows any will do
            ledger.done[item_id] = Done(
                entry["recipe"], entry["source_fingerprint"], entry["source_sha256"], shard, retry
            )
    return ledger


def committed_shards(store: Store) -> list[str]:
    """Names of the shards that have a ledger file, in order."""
    names = (found.name.removeprefix("ledger/") for found in store.list("ledger/"))
    return sorted(name.removesuffix(".parquet") for name in names if name.endswith(".parquet"))


def read_rows(store: Store, shard: str, books: Books[R]) -> list[R]:
    """All rows of one committed shard."""
    return books.decode(store.read_bytes(layout.ledger(shard)))


def all_rows(store: Store, shards: Sequence[str], books: Books[R]) -> Iterator[R]:
    """The rows of several shards, one shard in memory at a time."""
    for shard in shards:
        yield from read_rows(store, shard, books)
