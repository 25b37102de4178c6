"""Close a run: retire what newer results replace, sweep what was abandoned, and prove that everything adds up."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from audiodiff import layout, schema
from audiodiff.errors import CommitError
from audiodiff.ledger import committed_shards, read_ledger, read_rows
from audiodiff.plan import Plan, open_runs
from audiodiff.records import Row, Shard
from audiodiff.storage import Store


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What publishing proved: every item has its row, every row its file, every file its checksum."""

    rows: int
    files: int
    retired: int
    swept: int


def publish(destination: Store, plan: Plan) -> Reconciled:
    """Reconcile a finished run; raises `CommitError` naming what disagrees. Repeating it is harmless."""
    swept = sweep_abandoned(destination, plan)
    retired = retire_replaced(destination, plan.run_id)
    rows = [row for shard in plan.shards for row in _checked_rows(destination, shard)]
    files = 0
    for shard in plan.shards:
        mine = [row for row in rows if row.shard == shard.name and row.audio_path]
        swept += sweep(destination, shard, keep=_expected_names(mine, shard))
        _check_files(destination, shard, mine)
        files += len(mine)
    return Reconciled(len(rows), files, retired, swept)


def _checked_rows(destination: Store, shard: Shard) -> list[Row]:
    """The shard's ledger rows; they must be exactly its items."""
    rows = read_rows(destination, shard.name)
    planned, found = [item.item_id for item in shard.items], [row.item_id for row in rows]
    if sorted(planned) != sorted(found):
        missing, extra = set(planned) - set(found), set(found) - set(planned)
        raise CommitError(
            f"{destination.object_uri(layout.ledger(shard.name))} does not match the plan: {len(planned)} items "
            f"planned, {len(found)} rows; missing {sorted(missing)[:5]}, unplanned {sorted(extra)[:5]}"
        )
    return rows


def _expected_names(rows: list[Row], shard: Shard) -> set[str]:
    """Every object a committed shard has in the lanes."""
    tables = {layout.metadata(row.lane, shard.name) for row in rows}
    return tables | {name for row in rows for name in (row.audio_path, row.removed_path) if name}


def _check_files(destination: Store, shard: Shard, rows: list[Row]) -> None:
    """Metadata rows, stored files and checksums agree with the ledger."""
    for lane in layout.AUDIO_LANES:
        expected = [row for row in rows if row.lane is lane]
        if not expected:
            continue
        table = schema.read_table(destination.read_bytes(layout.metadata(lane, shard.name)))
        if not table.equals(schema.to_table(expected)):
            raise CommitError(f"{layout.metadata(lane, shard.name)} and the ledger disagree")
    for row in rows:
        assert row.audio_path is not None
        for name, sha256 in ((row.audio_path, row.sha256), (row.removed_path, row.removed_sha256)):
            if name and destination.sha256(name) != sha256:
                raise CommitError(f"{destination.object_uri(name)} does not have the checksum of its row")


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


def retire_replaced(destination: Store, run_id: str) -> int:
    """Take rows that a newer shard replaced out of their old shards, and their audio away.

    The old rows go to the run's `replaced.parquet` first. The old ledger file is rewritten last, so that an
    interrupted clean-up is found and finished by the next run.
    """
    by_shard: dict[str, set[str]] = defaultdict(set)
    for shard, item_id in read_ledger(destination).replaced:
        by_shard[shard].add(item_id)
    for shard, gone in sorted(by_shard.items()):
        rows = read_rows(destination, shard)
        old = [row for row in rows if row.item_id in gone]
        name = layout.run(run_id, f"replaced-{shard}.parquet")
        destination.write_bytes(name, schema.write_parquet_bytes(schema.to_table(old)))
        _rewrite(destination, shard, [row for row in rows if row.item_id not in gone], old)
    return sum(len(gone) for gone in by_shard.values())


def _rewrite(destination: Store, shard: str, kept: list[Row], old: Iterable[Row]) -> None:
    for lane in {row.lane for row in old if row.audio_path}:
        rows = [row for row in kept if row.lane is lane and row.audio_path]
        _write_or_delete(destination, layout.metadata(lane, shard), rows)
    for row in old:
        for name in (row.audio_path, row.removed_path):
            if name:
                destination.delete(name)
    _write_or_delete(destination, layout.ledger(shard), kept)


def _write_or_delete(destination: Store, name: str, rows: list[Row]) -> None:
    if rows:
        destination.write_bytes(name, schema.write_parquet_bytes(schema.to_table(rows)))
    else:
        destination.delete(name)
