"""Decide what a run has to do: list the source, take off what the ledger holds, cut the rest into shards."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from audiodiff import layout, schema
from audiodiff.books import Books, R
from audiodiff.errors import ConfigError
from audiodiff.ledger import Ledger, read_ledger
from audiodiff.records import Item, Shard, StoredObject
from audiodiff.storage import Store


class Listed(Protocol):
    """What a plan needs of a source: a store has it, and so has a manifest."""

    uri: str

    def list(self) -> Iterator[StoredObject]:
        """Its recordings."""

    def object_uri(self, name: str) -> str:
        """The full address of one."""

    def sha256(self, name: str) -> str:
        """The checksum of its bytes."""


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What to plan: `recipe` decides whether earlier results still count; a shard ends at either limit.

    `run_id` and `config` (JSON) are those of a new run; an interrupted one of the same recipe keeps its own.
    """

    run_id: str
    recipe: str
    config: str
    shard_items: int = 100
    shard_bytes: int = 2 * 2**30
    previews: int = 60


@dataclass(frozen=True, slots=True)
class Plan:
    """The work of a run: all its shards, and those of them still to do (fewer if it was interrupted before)."""

    run_id: str
    recipe: str
    shards: tuple[Shard, ...]
    todo: tuple[Shard, ...]
    skipped: int

    @property
    def items(self) -> int:
        """Inputs of this run."""
        return sum(len(shard.items) for shard in self.shards)


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run that was planned and not finished."""

    run_id: str
    recipe: str
    shards: tuple[Shard, ...]


def plan_run(source: Listed, destination: Store, request: PlanRequest, books: Books[R]) -> Plan:
    """Plan a run and write the plan to the destination, unless there is nothing new.

    An interrupted run is taken up as it was planned, under its own id, so that the end state is that of a run
    without interruption. Everything else not in the ledger under this recipe goes into further shards.
    A source without a single object raises `ConfigError`: a mistyped address, or a disk that is not mounted.
    """
    if next(source.list(), None) is None:
        raise ConfigError(f"source {source.uri} does not exist or holds no objects")
    ledger = read_ledger(destination, books)
    opened = list(open_runs(destination))
    mine = next((run for run in opened if run.recipe == request.recipe), None)
    before = mine.shards if mine else ()
    run_id = mine.run_id if mine else request.run_id
    fresh, skipped = _not_done(source, ledger, request.recipe, {item.item_id for s in before for item in s.items})
    used = ledger.shards | {shard.name for run in opened for shard in run.shards}
    first = 1 + max(map(layout.shard_number, used), default=-1)
    marked = _with_previews(fresh, request.previews)
    new = cut(marked, run_id, first, request.shard_items, request.shard_bytes)
    shards = (*before, *new)
    if new:
        if not mine:
            destination.write_bytes(layout.run(run_id, "config.json"), request.config.encode())
        data = schema.write_parquet_bytes(schema.plan_to_table(shards))
        destination.write_bytes(layout.run(run_id, "plan.parquet"), data)
    todo = tuple(shard for shard in shards if shard.name not in ledger.shards)
    return Plan(run_id, request.recipe, shards, todo, skipped)


def cut(items: Iterable[Item], run_id: str, first: int, most_items: int, most_bytes: int) -> list[Shard]:
    """Cut items, in their order, into shards numbered from `first`."""
    groups: list[list[Item]] = []
    size = 0
    for item in items:
        if not groups or len(groups[-1]) == most_items or size + item.size > most_bytes:
            groups.append([])
            size = 0
        groups[-1].append(item)
        size += item.size
    return [Shard(layout.shard_name(first + n), run_id, tuple(group)) for n, group in enumerate(groups)]


def open_runs(destination: Store) -> Iterator[OpenRun]:
    """Runs that have a config and no summary, which is the last thing a run writes."""
    runs: dict[str, set[str]] = {}
    for found in destination.list("runs/"):
        _, run_id, name = found.name.split("/", 2)
        runs.setdefault(run_id, set()).add(name)
    for run_id, names in sorted(runs.items()):
        if "config.json" not in names or "summary.json" in names:
            continue
        recipe = json.loads(destination.read_bytes(layout.run(run_id, "config.json")))["recipe"]
        shards: list[Shard] = []
        if "plan.parquet" in names:
            data = destination.read_bytes(layout.run(run_id, "plan.parquet"))
            shards = schema.plan_from_table(schema.read_table(data, schema.PLAN_SCHEMA))
        yield OpenRun(run_id, recipe, tuple(shards))


def _not_done(source: Listed, ledger: Ledger, recipe: str, taken: set[str]) -> tuple[list[Item], int]:
    """Items of the source that need work, in the order of their names, and how many need none."""
    fresh: list[Item] = []
    skipped = 0
    for found in source.list():
        item = Item.of(found, source.object_uri(found.name))
        if item.item_id in taken:
            continue
        if _is_done(item, ledger, recipe, source):
            skipped += 1
        else:
            fresh.append(item)
    return sorted(fresh, key=lambda item: item.name), skipped


def _is_done(item: Item, ledger: Ledger, recipe: str, source: Listed) -> bool:
    """Whether the ledger holds this content under this recipe; a touched file is hashed to find out."""
    done = ledger.done.get(item.item_id)
    if done is None or done.recipe != recipe or done.retry:
        return False
    return done.fingerprint == item.fingerprint or done.sha256 == source.sha256(item.name)


def _with_previews(items: list[Item], count: int) -> list[Item]:
    """Mark at most `count` items, evenly spread, for the report's players."""
    step = max(1.0, len(items) / max(count, 1))
    marked = {int(index * step) for index in range(min(count, len(items)))}
    return [replace(item, preview=index in marked) for index, item in enumerate(items)]
