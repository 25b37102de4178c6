"""The work on one item of `restore_archive`: survey, restore, judge, and a row that says what happened."""

from __future__ import annotations

import hashlib
import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from audiodiff import layout
from audiodiff.encode import AudioWriter, Encoding
from audiodiff.engines import RestorationEngine, Sampling
from audiodiff.errors import MediaError, ObjectMissing, StorageError
from audiodiff.faithful import compare
from audiodiff.faults import UNHEARD_DB, find_faults, is_clean
from audiodiff.gates import Measured, judge
from audiodiff.ledger import RETRY
from audiodiff.media import AudioReader, open_audio
from audiodiff.metrics.meter import Meter
from audiodiff.metrics.paired import align_delay
from audiodiff.records import Faithfulness, Item, Lane, Row, Scores, Shard
from audiodiff.report.preview import Preview, make_preview
from audiodiff.restore import Treatment, restore_stream
from audiodiff.shards import Clock, Outcome
from audiodiff.storage import Store
from audiodiff.survey import EXCERPT_S, Survey, survey
from audiodiff.waveform import Block, BlockQueue, Waveform

Preset = Literal["archive", "speech"]


@dataclass(frozen=True, slots=True)
class Job:
    """What all items of a run share. `recipe` names everything that decides the result; `params` is it as JSON.

    `leave_clean`: recordings without a fault stay as they are. `keep_removed`: what was removed is written too.
    """

    preset: Preset
    treatment: Treatment
    encoding: Encoding
    recipe: str
    params: str
    leave_clean: bool = False
    keep_removed: bool = False


class Restoration:
    """`Work` for `run_shard`: call it with an item, get its outcome. Safe under threads; one model call at a time."""

    def __init__(self, source: Store, job: Job, engine: RestorationEngine) -> None:
        self.source, self.job, self.engine = source, job, engine
        self.model = threading.Lock()

    def __call__(self, item: Item, shard: Shard, scratch: Path, clock: Clock) -> Outcome[Row]:
        """Restore one item; what is wrong with the recording becomes its row, storage errors are raised."""
        row = self._row(item, shard)
        try:
            with clock.stage("fetch"):
                path, digest = self.source.at_hand(item.name, scratch)
            row = replace(row, source_sha256=digest)
            return self._restored(item, row, path, scratch, clock)
        except MediaError as error:
            return Outcome((replace(row, reasons=(error.reason,), messages=(str(error),)),))
        except ObjectMissing as error:
            return Outcome((replace(row, reasons=(RETRY + "missing",), messages=(str(error),)),))
        except (StorageError, MemoryError, torch.OutOfMemoryError):
            raise  # not this recording's doing: the shard is tried again
        except Exception as error:  # one recording must not hold up a shard; the next run tries it again
            reason, message = RETRY + type(error).__name__, f"{item.name!r}: {error}"
            return Outcome((replace(row, reasons=(reason,), messages=(message,)),))

    def _row(self, item: Item, shard: Shard) -> Row:
        return Row(
            item_id=item.item_id,
            source_uri=self.source.object_uri(item.name),
            source_fingerprint=item.fingerprint,
            source_sha256="",
            lane=Lane.FAILED,
            reasons=(),
            engine=self.engine.name,
            engine_sha256=self.engine.sha256,
            recipe=self.job.recipe,
            seed=self.job.treatment.sampling.seed,
            params=self.job.params,
            run_id=shard.run_id,
            created_at=datetime.now(UTC).isoformat(),
            shard=shard.name,
        )

    def _restored(self, item: Item, row: Row, path: Path, scratch: Path, clock: Clock) -> Outcome[Row]:
        with clock.stage("survey"):
            found = survey(path, item.name, self._dnsmos)
        faults = find_faults(found.scores, found.media)
        alone = self.job.leave_clean and is_clean(found.scores, faults)
        restored, excerpt = self._restore(item, path, found, alone, scratch / "restored.wav", clock)
        alone = alone or (self.job.leave_clean and not faults and excerpt.change_db() < UNHEARD_DB)
        target = scratch / layout.output_name(item, self.job.encoding.partition("-")[0])
        written = self._encode(path if alone else restored, target, found, clock, item.name if alone else restored.name)
        if "non_finite_samples" in written.problems:  # the reader zeroed them, which the gate must not take for sound
            written = replace(written, scores=replace(written.scores, true_peak_db=math.nan))
        shift = 0 if alone else excerpt.shift(found.media.sample_rate)
        with clock.stage("score"):
            faithful = None if alone or shift else excerpt.compare(found.media.sample_rate, self.job.preset == "speech")
        measured = Measured(found.scores, written.scores, found.problems, alone, shift, faithful)
        verdict = judge(measured, self.job.preset)
        messages = (*found.messages, *written.messages)
        if verdict.keep_original:
            written = self._encode(path, target, found, clock, item.name)
            messages = (*found.messages, *written.messages, "the original was kept")
        removed = None
        if self.job.keep_removed and not alone and not verdict.keep_original:
            removed = self._removed(path, item.name, target, scratch / "removed" / target.name, clock)
        tags = dict(found.media.tags)
        row = replace(
            row,
            lane=verdict.lane,
            reasons=verdict.reasons,
            messages=messages,
            faults=faults,
            file_name=target.name,
            sha256=written.sha256,
            removed_sha256=removed.sha256 if removed else None,
            media=found.media,
            bit_depth=written.bit_depth,
            frames=written.frames,
            before=found.scores,
            after=written.scores,
            faithful=faithful,
            license=tags.get("license"),
            attribution=tags.get("copyright") or tags.get("artist"),
        )
        wanted = item.preview or verdict.lane is not Lane.ACCEPTED
        with clock.stage("preview"):
            preview = excerpt.preview(item, found.media.sample_rate, alone) if wanted else None
        files = (target, removed.path) if removed else (target,)
        return Outcome((row,), files, preview, found.frames / found.media.sample_rate)

    @property
    def _dnsmos(self) -> bool:
        return self.job.preset == "speech"

    def _restore(
        self, item: Item, path: Path, found: Survey, alone: bool, target: Path, clock: Clock
    ) -> tuple[Path, _Excerpt]:
        """Second pass: decode and restore as one stream, to floating point, where nothing can clip; or leave alone."""
        media = found.media
        excerpt = _Excerpt(found.excerpt_start, EXCERPT_S * media.sample_rate)
        with (
            open_audio(path, item.name) as reader,
            AudioWriter(target, media.sample_rate, media.channels, "wav-float32", found.frames) as writer,
        ):
            for before, after in self._stream(reader, item, found, alone, clock):
                with clock.stage("encode"):
                    writer.write(after)
                excerpt.push(before, after)
        return target, excerpt

    def _stream(
        self, reader: AudioReader, item: Item, found: Survey, alone: bool, clock: Clock
    ) -> Iterator[tuple[Block, Block]]:
        if alone or found.level == 0.0:  # silence has nothing to restore, and no level to bring to the model's
            return ((block, block) for block in reader)
        gain = self.engine.level / found.level
        engine = _Guarded(self.engine, self.model, clock)
        how = self.job.treatment
        how = replace(how, sampling=replace(how.sampling, seed=item_seed(item, how.sampling.seed)))
        media = found.media
        return restore_stream(reader, media.sample_rate, media.channels, gain, engine, how, found.frames)

    def _encode(self, path: Path, target: Path, found: Survey, clock: Clock, name: str) -> _Written:
        """Third pass: to the delivery encoding, measured as written; peaks over full scale get headroom."""
        media, messages = found.media, []
        gain = np.float32(1.0)
        if self.job.encoding != "wav-float32":
            gain = headroom_gain(path, name)
            if gain < 1.0:
                messages.append(f"lowered by {-20.0 * np.log10(gain):.1f} dB: peaks were over full scale")
        meter = Meter(media.sample_rate, media.channels, self._dnsmos)
        with (
            open_audio(path, name) as reader,
            AudioWriter(target, media.sample_rate, media.channels, self.job.encoding, found.frames) as writer,
        ):
            for block in reader:
                with clock.stage("encode"):
                    writer.write(gain * block)
                with clock.stage("score"):
                    meter.push(gain * block)
        with clock.stage("score"):
            scores = meter.scores()
        return _Written(_sha256(target), writer.bit_depth, writer.frames, scores, tuple(messages), reader.problems)

    def _removed(self, path: Path, name: str, delivered: Path, target: Path, clock: Clock) -> _Removed:
        """Fourth pass: the recording less what is delivered, so that the two files add up to the recording.

        24 bits hold it exactly wherever the recording has no more than those.
        """
        target.parent.mkdir()
        with open_audio(path, name) as before, open_audio(delivered, delivered.name) as after:
            encoding: Encoding = "wav-float32" if self.job.encoding == "wav-float32" else _EXACT[target.suffix]
            media, blocks, queue = after.info, iter(after), BlockQueue(after.info.channels)
            writer = AudioWriter(target, media.sample_rate, media.channels, encoding, media.frames or 0)
            with writer, clock.stage("encode"):
                for block in before:
                    while queue.frames < block.shape[1]:
                        queue.push(next(blocks))
                    writer.write(block - queue.pull(block.shape[1]))
        return _Removed(target, _sha256(target))


_EXACT: dict[str, Encoding] = {".flac": "flac-24", ".wav": "wav-24"}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def item_seed(item: Item, seed: int) -> int:
    """The seed of an item's own noise, from its id and the run's seed."""
    return int(hashlib.sha256(f"{item.item_id}:{seed}".encode()).hexdigest()[:12], 16)


PEAK = 10.0 ** (-0.3 / 20.0)
"""Where sample peaks over full scale are brought down to; the true peak lies a little above."""


def headroom_gain(path: Path, name: str) -> np.float32:
    """The gain (at most 1) that keeps a recording's samples within full scale."""
    with open_audio(path, name) as reader:
        peak = max((float(np.abs(block).max(initial=0.0)) for block in reader), default=0.0)
    return np.float32(min(1.0, PEAK / peak) if peak > 1.0 else 1.0)


@dataclass(frozen=True, slots=True)
class _Written:
    """A finished output file and what was measured as it was written."""

    sha256: str
    bit_depth: int
    frames: int
    scores: Scores
    messages: tuple[str, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Removed:
    """A finished file of what was removed."""

    path: Path
    sha256: str


class _Guarded:
    """An engine that one thread uses at a time, on the clock's `model` stage."""

    def __init__(self, engine: RestorationEngine, lock: threading.Lock, clock: Clock) -> None:
        self._engine, self._lock, self._clock = engine, lock, clock
        self.name, self.sha256 = engine.name, engine.sha256
        self.sample_rate, self.level = engine.sample_rate, engine.level
        self.hop, self.batch = engine.hop, engine.batch

    def margin(self, sampling: Sampling) -> int:
        return self._engine.margin(sampling)

    def restore(self, windows: Tensor, starts: list[int], sampling: Sampling) -> Tensor:
        with self._lock, self._clock.stage("model"):
            return self._engine.restore(windows, starts, sampling)


class _Excerpt:
    """Keeps the frames from `start` on, before and after, and how much of the whole recording changed."""

    def __init__(self, start: int, frames: int) -> None:
        self.start, self.stop, self.at = start, start + frames, 0
        self.kept: list[tuple[Block, Block]] = []
        self.power = self.changed = 0.0

    def push(self, before: Block, after: Block) -> None:
        lo, hi = max(self.start - self.at, 0), min(self.stop - self.at, before.shape[1])
        if lo < hi:
            self.kept.append((before[:, lo:hi].copy(), after[:, lo:hi].copy()))
        self.at += before.shape[1]
        self.power += float(np.square(before, dtype=np.float64).sum())
        self.changed += float(np.square(after - before, dtype=np.float64).sum())

    @cached_property
    def sides(self) -> tuple[Block, Block]:
        """Before and after (C, T), once all has been pushed."""
        before, after = (np.concatenate(parts, axis=1) for parts in zip(*self.kept, strict=True))
        return before, after

    def change_db(self) -> float:
        """Power of the change over that of the recording."""
        return 10.0 * math.log10(max(self.changed, 1e-30) / max(self.power, 1e-30))

    def shift(self, sample_rate: int) -> int:
        """By how many samples the restoration lags, within 50 ms; 1 at least where its polarity is reversed."""
        before, after = (side.mean(axis=0) for side in self.sides)
        if not before.any() or not after.any() or not np.isfinite(after).all():
            return 0
        lag = align_delay(after, before, sample_rate // 20)
        return lag or int(np.vdot(before, after) < 0)

    def compare(self, sample_rate: int, speech: bool) -> Faithfulness | None:
        """Whether words, pitch and onsets are those of the recording; None where the restoration is not even sound."""
        before, after = self.sides
        if not np.isfinite(after).all():
            return None
        return compare(Waveform(before, sample_rate), Waveform(after, sample_rate), speech)

    def preview(self, item: Item, sample_rate: int, alone: bool) -> Preview:
        """The report's players for what was kept; of a recording left alone, whatever was tried on it."""
        before, after = self.sides
        if alone:
            after = before
        return make_preview(item.item_id, before, after, sample_rate, self.start / sample_rate)
