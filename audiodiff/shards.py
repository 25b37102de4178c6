"""Run one shard of any flow: items in parallel, audio to storage as it is ready, then metadata, then the ledger."""

from __future__ import annotations

import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from audiodiff import layout, schema
from audiodiff.records import Item, Receipt, Row, Shard
from audiodiff.report.preview import Preview, previews_to_parquet
from audiodiff.storage import Store


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the work on one item gave: its row, and as local files the audio and what was removed from it."""

    row: Row
    audio: Path | None = None
    removed: Path | None = None
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


Work = Callable[[Item, Shard, Path, Clock], Outcome]
"""`work(item, shard, scratch folder, clock) -> outcome`; raises only what should fail the whole shard."""


def run_shard(
    shard: Shard, work: Work, destination: Store, threads: int = 2, tick: Callable[[], None] | None = None
) -> Receipt:
    """Do the items, commit the shard, return its receipt; a repeated shard overwrites itself.

    `tick` is called after every item, from several threads.

    Order is the protocol: audio first, then each lane's metadata, then the ledger file, which is the commit.
    """
    started = time.perf_counter()
    clock = Clock()

    def finish(item: Item) -> Outcome:
        with tempfile.TemporaryDirectory(prefix="audiodiff-") as scratch:
            outcome = work(item, shard, Path(scratch), clock)
            for name, file in ((outcome.row.audio_path, outcome.audio), (outcome.row.removed_path, outcome.removed)):
                if file is not None:
                    assert name is not None
                    with clock.stage("store"):
                        destination.write_file(name, file)
        if tick:
            tick()
        return outcome

    with ThreadPoolExecutor(threads, thread_name_prefix=shard.name) as pool:
        outcomes = list(pool.map(finish, shard.items))
    with clock.stage("store"):
        commit(shard, outcomes, destination)
    return Receipt(
        shard.name,
        tuple(sorted(Counter(str(outcome.row.lane) for outcome in outcomes).items())),
        sum(outcome.audio_s for outcome in outcomes),
        time.perf_counter() - started,
        tuple(sorted(clock.seconds.items())),
        destination.object_uri(layout.ledger(shard.name)),
    )


def commit(shard: Shard, outcomes: list[Outcome], destination: Store) -> None:
    """Write the lanes' metadata, the previews and last the ledger file."""
    rows = [outcome.row for outcome in outcomes]
    for lane in layout.AUDIO_LANES:
        mine = [row for row in rows if row.lane is lane and row.file_name]
        if mine:
            destination.write_bytes(layout.metadata(lane, shard.name), _parquet(mine))
    previews = [outcome.preview for outcome in outcomes if outcome.preview]
    if previews:
        destination.write_bytes(layout.previews(shard.run_id, shard.name), previews_to_parquet(previews))
    destination.write_bytes(layout.ledger(shard.name), _parquet(rows))


def _parquet(rows: list[Row]) -> bytes:
    return schema.write_parquet_bytes(schema.to_table(rows))
