"""First pass over a recording: cut it, measure every clip, and say what its own figures and licence decide."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from audiodiff import layout, schema
from audiodiff.curate.embedded import embedded_facts
from audiodiff.curate.facts import merged
from audiodiff.curate.fingerprint import fingerprint
from audiodiff.curate.licences import Policy, judge_licence
from audiodiff.curate.records import Clip, Segment, clip_id
from audiodiff.curate.rules import Measured, Rules, broken
from audiodiff.curate.schema import CLIP_SCHEMA, CLIPS
from audiodiff.curate.segment import segments
from audiodiff.curate.sound import Sound, decode
from audiodiff.curate.sources import Source
from audiodiff.curate.spdx import as_spdx
from audiodiff.errors import MediaError, ObjectMissing, StorageError
from audiodiff.ledger import RETRY
from audiodiff.metrics.cutoff import cutoff_hz
from audiodiff.metrics.meter import Meter
from audiodiff.records import Item, Lane, Receipt, Shard
from audiodiff.shards import Clock
from audiodiff.storage import Store

DAMAGE = frozenset({"truncated", "corrupt_frames", "non_finite_samples"})
"""Problems of a file (`media.AudioReader`) that send its clips to review."""

_BLOCK = 48_000


@dataclass(frozen=True, slots=True)
class Job:
    """What all items of a run share. `recipe` names everything that decides the result; `params` is it as JSON.

    `license_default` (SPDX) and `attribution_default` are those of recordings that name no licence.
    """

    rules: Rules
    policy: Policy
    recipe: str
    params: str
    engine: str
    engine_sha256: str = ""
    license_default: str = ""
    attribution_default: str = ""


@dataclass(frozen=True, slots=True)
class Examined:
    """A clip as far as it can be judged alone, and its fingerprint (empty of what is out already)."""

    clip: Clip
    print: bytes = b""


class Examination:
    """The work of the first pass on one item; safe under threads."""

    def __init__(self, source: Source, job: Job) -> None:
        self.source, self.job = source, job

    def __call__(self, item: Item, shard: Shard, scratch: Path, clock: Clock) -> list[Examined]:
        """Examine one recording; what is wrong with it becomes its row, storage errors are raised."""
        row = self._row(item, shard)
        try:
            with clock.stage("fetch"):
                path, digest = self.source.fetch(item.name, scratch)
                facts = self.source.facts(item.name)
            row = replace(row, source_sha256=digest, facts=facts)
            with clock.stage("decode"):
                sound = decode(path, item.name, scratch)
            facts = merged(facts, embedded_facts(path, sound.media))
            return self._examined(replace(row, facts=facts), sound, clock)
        except MediaError as error:
            return [Examined(replace(row, reasons=(error.reason,), messages=(str(error),)))]
        except ObjectMissing as error:
            return [Examined(replace(row, reasons=(RETRY + "missing",), messages=(str(error),)))]
        except (StorageError, MemoryError):
            raise  # not this recording's doing: the shard is tried again
        except Exception as error:  # one recording must not hold up a shard; the next run tries it again
            reason, message = RETRY + type(error).__name__, f"{item.name!r}: {error}"
            return [Examined(replace(row, reasons=(reason,), messages=(message,)))]

    def _row(self, item: Item, shard: Shard) -> Clip:
        return Clip(
            clip_id=clip_id(item.item_id, Segment(0, 0)),
            item_id=item.item_id,
            source_uri=self.source.object_uri(item.name),
            source_fingerprint=item.fingerprint,
            source_sha256="",
            lane=Lane.FAILED,
            reasons=(),
            messages=(),
            engine=self.job.engine,
            engine_sha256=self.job.engine_sha256,
            recipe=self.job.recipe,
            seed=0,
            params=self.job.params,
            run_id=shard.run_id,
            created_at=datetime.now(UTC).isoformat(),
            shard=shard.name,
        )

    def _examined(self, row: Clip, sound: Sound, clock: Clock) -> list[Examined]:
        media = sound.media
        row = replace(
            row,
            source_rate=media.sample_rate,
            source_channels=media.channels,
            source_pcm_sha256=sound.pcm_sha256,
            source_container=media.container,
            source_codec=media.codec,
            source_bit_depth=media.bit_depth,
            source_tags=media.tags,
            license=as_spdx(row.facts.license) if row.facts.license else self.job.license_default,
            attribution=row.facts.attribution or ("" if row.facts.license else self.job.attribution_default),
        )
        with clock.stage("segment"):
            found = segments(sound.samples, media.sample_rate, self.job.rules.segment)
        return [self._clip(row, sound, segment, clock) for segment in found]

    def _clip(self, row: Clip, sound: Sound, segment: Segment, clock: Clock) -> Examined:
        row = replace(
            row,
            clip_id=clip_id(row.item_id, segment),
            start=segment.start,
            source_frames=segment.frames,
            lane=Lane.REJECTED if segment.reason else Lane.ACCEPTED,
            reasons=(segment.reason,) if segment.reason else (),
            messages=(f"{segment.frames / row.source_rate:.3g} s",) if segment.reason else (),
        )
        if segment.reason:
            return Examined(row)
        samples = sound.samples[:, segment.start : segment.stop]
        with clock.stage("measure"):
            measured = measure(samples, row, self.job.rules.dnsmos)
        row = replace(row, scores=measured.scores, dc_offset=measured.dc_offset)
        row = judged(row, broken(measured, self.job.rules.limits), sound, self.job.policy)
        if row.lane is Lane.REJECTED:
            return Examined(row)
        with clock.stage("fingerprint"):
            return Examined(row, fingerprint(np.asarray(samples), row.source_rate))


def measure(samples: np.ndarray, row: Clip, dnsmos: bool) -> Measured:
    """Measure a clip (C, T)."""
    meter = Meter(row.source_rate, len(samples), dnsmos)
    for first in range(0, samples.shape[1], _BLOCK):
        meter.push(np.asarray(samples[:, first : first + _BLOCK]))
    offset = np.abs(samples.mean(axis=1, dtype=np.float64)).max()
    cutoff = cutoff_hz(samples, row.source_rate)
    duration_s = samples.shape[1] / row.source_rate
    return Measured(duration_s, row.source_rate, float(offset), cutoff, meter.scores(), row.facts)


def judged(row: Clip, out: Sequence[tuple[str, str]], sound: Sound, policy: Policy) -> Clip:
    """The row with the lane that broken rules, damage to its file and its licence put it in."""
    verdict = judge_licence(row.license, row.attribution, policy)
    damage = [pair for pair in zip(sound.problems, sound.messages, strict=True) if pair[0] in DAMAGE]
    found = [*out, *damage]
    if verdict.lane is not Lane.ACCEPTED:
        found.append((verdict.reason, verdict.message))
    lane = Lane.REJECTED if out or verdict.lane is Lane.REJECTED else Lane.REVIEW if found else Lane.ACCEPTED
    return replace(
        row, lane=lane, reasons=tuple(reason for reason, _ in found), messages=tuple(text for _, text in found)
    )


_PRINT = "fingerprint"
EXAMINED_SCHEMA = CLIP_SCHEMA.append(pa.field(_PRINT, pa.binary(), nullable=False))
"""What the first pass leaves of each shard under `examined/`: rows for the ledger, and fingerprints."""


def examine_shard(
    shard: Shard, work: Examination, destination: Store, threads: int = 2, tick: Callable[[], None] | None = None
) -> Receipt:
    """Examine the items and write the shard's table; a repeated shard overwrites it. `tick` is called per item."""
    started = time.perf_counter()
    clock = Clock()

    def finish(item: Item) -> list[Examined]:
        with tempfile.TemporaryDirectory(prefix="audiodiff-") as scratch:
            rows = work(item, shard, Path(scratch), clock)
        if tick:
            tick()
        return rows

    with ThreadPoolExecutor(threads, thread_name_prefix=shard.name) as pool:
        rows = [row for found in pool.map(finish, shard.items) for row in found]
    with clock.stage("store"):
        destination.write_bytes(layout.examined(shard.name), schema.write_parquet_bytes(_to_table(rows)))
    lanes = Counter(str(row.clip.lane) for row in rows)
    audio_s = sum(row.clip.source_duration_s for row in rows)
    uri = destination.object_uri(layout.examined(shard.name))
    seconds = tuple(sorted(clock.seconds.items()))
    return Receipt(shard.name, tuple(sorted(lanes.items())), audio_s, time.perf_counter() - started, seconds, uri)


def is_examined(destination: Store, shard: Shard, recipe: str) -> bool:
    """Whether the first pass over just these items is done: a shard of an abandoned run may have had the same name."""
    name = layout.examined(shard.name)
    if not destination.exists(name):
        return False
    table = schema.read_table(destination.read_bytes(name), EXAMINED_SCHEMA, ["item_id", "recipe"])
    items = {item.item_id for item in shard.items}
    return set(table["item_id"].to_pylist()) == items and set(table["recipe"].to_pylist()) == {recipe}


def read_examined(destination: Store, shard: str) -> list[Examined]:
    """What the first pass left of a shard."""
    table = schema.read_table(destination.read_bytes(layout.examined(shard)), EXAMINED_SCHEMA)
    clips = CLIPS.from_table(table.drop_columns([_PRINT]))
    return [Examined(clip, print_) for clip, print_ in zip(clips, table[_PRINT].to_pylist(), strict=True)]


def examined_s(destination: Store, shard: str) -> float:
    """Seconds of the recordings that the first pass found in a shard."""
    data = destination.read_bytes(layout.examined(shard))
    table = schema.read_table(data, EXAMINED_SCHEMA, ["source_frames", "source_rate"])
    pairs = zip(table["source_frames"].to_pylist(), table["source_rate"].to_pylist(), strict=True)
    return float(sum(frames / rate for frames, rate in pairs if rate))


def read_prints(destination: Store, shard: str) -> dict[str, bytes]:
    """The fingerprints of a shard's clips, by clip id."""
    data = destination.read_bytes(layout.examined(shard))
    table = schema.read_table(data, EXAMINED_SCHEMA, ["clip_id", _PRINT])
    return dict(zip(table["clip_id"].to_pylist(), table[_PRINT].to_pylist(), strict=True))


def _to_table(rows: Sequence[Examined]) -> pa.Table:
    table = CLIPS.to_table([row.clip for row in rows])
    prints = pa.array([row.print for row in rows], pa.binary())
    return table.append_column(EXAMINED_SCHEMA.field(_PRINT), prints)
