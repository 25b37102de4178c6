"""Close a run: retire what newer results replace, sweep what was abandoned, and prove that everything adds up."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass

from audiodiff import layout
from audiodiff.books import Books, R
from audiodiff.errors import CommitError
from audiodiff.ledger import committed_shards, read_ledger, read_rows
from audiodiff.plan import Plan, open_runs
from audiodiff.records import Shard
from audiodiff.shards import by_folder
from audiodiff.storage import Store


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What publishing proved: every item has its row, every row its file, every file its checksum."""

    rows: int
    files: int
    retired: int
    swept: int


def publish(destination: Store, plan: Plan, books: Books[R]) -> Reconciled:
    """Reconcile a finished run; raises `CommitError` naming what disagrees. Repeating it is harmless."""
    swept = sweep_abandoned(destination, plan)
    retired = retire_replaced(destination, plan.run_id, books)
    rows = files = 0
    for shard in plan.shards:
        found = _checked_rows(destination, shard, books)
        swept += sweep(destination, shard, keep=_expected_names(found))
        _check_files(destination, found, books)
        rows += len(found)
        files += sum(1 for row in found if row.files)
    return Reconciled(rows, files, retired, swept)


def _checked_rows(destination: Store, shard: Shard, books: Books[R]) -> list[R]:
    """The shard's ledger rows: of its items and no others, each once."""
    rows = read_rows(destination, shard.name, books)
    planned, found = {item.item_id for item in shard.items}, {row.item_id for row in rows}
    if planned != found or len({row.key for row in rows}) < len(rows):
        raise CommitError(
            f"{destination.object_uri(layout.ledger(shard.name))} does not match the plan: {len(planned)} items "
            f"planned, {len(rows)} rows; missing {sorted(planned - found)[:5]}, unplanned {sorted(found - planned)[:5]}"
        )
    return rows


def _expected_names(rows: list[R]) -> set[str]:
    """Every object a committed shard has in the lanes."""
    return set(by_folder(rows)) | {stored.name for row in rows for stored in row.files}


def _check_files(destination: Store, rows: list[R], books: Books[R]) -> None:
    """Metadata rows, stored files and checksums agree with the ledger."""
    for name, expected in by_folder(rows).items():
        if not books.read(destination.read_bytes(name)).equals(books.to_table(expected)):
            raise CommitError(f"{name} and the ledger disagree")
    for row in rows:
        for stored in row.files:
            if destination.sha256(stored.name) != stored.sha256:
                raise CommitError(f"{destination.object_uri(stored.name)} does not have the checksum of its row")


def sweep_abandoned(destination: Store, plan: Plan) -> int:
    """Close interrupted runs of other recipes; what their uncommitted shards wrote is deleted."""
    committed = set(committed_shards(destination))
    swept = 0
    for run in open_runs(destination):
        if run.recipe == plan.recipe:
            continue
        swept += sum(sweep(destination, shard, keep=set()) for shard in run.shards if shard.name not in committed)
        note = json.dumps({"abandoned_for": plan.run_id})
        destination.write_bytes(layout.run(run.run_id, "summary.json"), note.encode())
    return swept


def sweep(destination: Store, shard: Shard, keep: set[str]) -> int:
    """Delete what a shard left in the lanes and did not commit; returns how many objects."""
    found = [
        stored.name
        for folder in layout.AUDIO_FOLDERS
        for stored in destination.list(f"{folder}/{shard.name}/")
        if stored.name not in keep
    ]
    for name in found:
        destination.delete(name)
    return len(found)


def retire_replaced(destination: Store, run_id: str, books: Books[R]) -> int:
    """Take rows that a newer shard replaced out of their old shards, and their audio away.

    The old rows go to the run's `replaced.parquet` first. The old ledger file is rewritten last, so that an
    interrupted clean-up is found and finished by the next run.
    """
    by_shard: dict[str, set[str]] = defaultdict(set)
    for shard, item_id in read_ledger(destination, books).replaced:
        by_shard[shard].add(item_id)
    for shard, gone in sorted(by_shard.items()):
        rows = read_rows(destination, shard, books)
        old = [row for row in rows if row.item_id in gone]
        destination.write_bytes(layout.run(run_id, f"replaced-{shard}.parquet"), books.encode(old))
        _rewrite(destination, shard, [row for row in rows if row.item_id not in gone], old, books)
    return sum(len(gone) for gone in by_shard.values())


def _rewrite(destination: Store, shard: str, kept: list[R], old: list[R], books: Books[R]) -> None:
    beside = by_folder(kept)
    for name in by_folder(old):
        _write_or_delete(destination, name, beside.get(name, []), books)
    for row in old:
        for stored in row.files:
            destination.delete(stored.name)
    _write_or_delete(destination, layout.ledger(shard), kept, books)


def _write_or_delete(destination: Store, name: str, rows: list[R], books: Books[R]) -> None:
    if rows:
        destination.write_bytes(name, books.encode(rows))
    else:
        destination.delete(name)
