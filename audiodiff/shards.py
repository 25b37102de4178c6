"""Run one shard of any flow: items in parallel, audio to storage as it is ready, then metadata, then the ledger."""

from __future__ import annotations

import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic

from audiodiff import layout
from audiodiff.books import Books, R
from audiodiff.records import Item, Receipt, Shard
from audiodiff.report.preview import Preview, previews_to_parquet
from audiodiff.storage import Store


@dataclass(frozen=True, slots=True)
class Outcome(Generic[R]):
    """What the work on one item gave: its rows, and a local file for each object they stand for, in that order."""

    rows: tuple[R, ...]
    files: tuple[Path, ...] = ()
    preview: Preview | None = None
    audio_s: float = 0.0


@dataclass(slots=True)
class Clock:
    """Seconds of work by stage, summed over threads."""

    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Charge the block's duration to a stage."""
        started = time.perf_counter()
        try:
            yield
        finally:
            with self._lock:
                self.seconds[name] += time.perf_counter() - started


Work = Callable[[Item, Shard, Path, Clock], Outcome[R]]
"""`work(item, shard, scratch folder, clock) -> outcome`; raises only what should fail the whole shard."""


def run_shard(
    shard: Shard,
    work: Work[R],
    destination: Store,
    books: Books[R],
    threads: int = 2,
    tick: Callable[[], None] | None = None,
) -> Receipt:
    """Do the items, commit the shard, return its receipt; a repeated shard overwrites itself.

    `tick` is called after every item, from several threads.

    Order is the protocol: audio first, then each lane's metadata, then the ledger file, which is the commit.
    """
    started = time.perf_counter()
    clock = Clock()

    def finish(item: Item) -> Outcome[R]:
        with tempfile.TemporaryDirectory(prefix="audiodiff-") as scratch:
            outcome = work(item, shard, Path(scratch), clock)
            stored = [stored for row in outcome.rows for stored in row.files]
            with clock.stage("store"):
                for object_, file in zip(stored, outcome.files, strict=True):
                    destination.write_file(object_.name, file)
        if tick:
            tick()
        return outcome

    with ThreadPoolExecutor(threads, thread_name_prefix=shard.name) as pool:
        outcomes = list(pool.map(finish, shard.items))
    with clock.stage("store"):
        commit(shard, outcomes, destination, books)
    return Receipt(
        shard.name,
        tuple(sorted(Counter(str(row.lane) for outcome in outcomes for row in outcome.rows).items())),
        sum(outcome.audio_s for outcome in outcomes),
        time.perf_counter() - started,
        tuple(sorted(clock.seconds.items())),
        destination.object_uri(layout.ledger(shard.name)),
    )


def commit(shard: Shard, outcomes: Sequence[Outcome[R]], destination: Store, books: Books[R]) -> None:
    """Write the metadata of each folder, the previews and last the ledger file."""
    rows = [row for outcome in outcomes for row in outcome.rows]
    for name, beside in by_folder(rows).items():
        destination.write_bytes(name, books.encode(beside))
    previews = [outcome.preview for outcome in outcomes if outcome.preview]
    if previews:
        destination.write_bytes(layout.previews(shard.run_id, shard.name), previews_to_parquet(previews))
    destination.write_bytes(layout.ledger(shard.name), books.encode(rows))


def by_folder(rows: Iterable[R]) -> dict[str, list[R]]:
    """The rows with audio, in their order, by the name of the metadata table beside it."""
    tables: dict[str, list[R]] = {}
    for row in rows:
        if row.files:
            tables.setdefault(layout.metadata(row.files[0].name), []).append(row)
    return tables
