"""The first pass over a recording: what it is, every score, its level, and where it is worth listening to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audiodiff.media import open_audio
from audiodiff.metrics.meter import Meter
from audiodiff.records import MediaInfo, Scores
from audiodiff.waveform import Block

EXCERPT_S = 10


@dataclass(frozen=True, slots=True)
class Survey:
    """What the first pass over a recording found. `level` is the RMS of all that is not silence."""

    media: MediaInfo
    frames: int
    scores: Scores
    level: float
    excerpt_start: int
    problems: tuple[str, ...]
    messages: tuple[str, ...]


def survey(path: Path, name: str, dnsmos: bool) -> Survey:
    """Read the whole recording once, in constant memory; errors as `media.open_audio`."""
    with open_audio(path, name) as reader:
        meter = Meter(reader.info.sample_rate, reader.info.channels, dnsmos)
        levels = _Levels(reader.info.sample_rate)
        for block in reader:
            meter.push(block)
            levels.push(block)
    return Survey(
        reader.info,
        reader.frames,
        meter.scores(),
        levels.rms(),
        levels.loudest_start(reader.frames),
        reader.problems,
        reader.messages,
    )


class _Levels:
    """Energy of a recording second by second: its RMS without the silences, and its loudest stretch."""

    SILENCE = 1e-3
    """RMS (-60 dBFS) below which a second does not count towards the level."""

    def __init__(self, sample_rate: int) -> None:
        self.second = sample_rate
        self.power: list[float] = []
        self._held: list[Block] = []
        self._count = 0

    def push(self, block: Block) -> None:
        self._held.append(block)
        self._count += block.shape[1]
        if self._count >= self.second:
            samples = np.concatenate(self._held, axis=1)
            whole = samples.shape[1] // self.second * self.second
            self._add(samples[:, :whole].reshape(samples.shape[0], -1, self.second))
            self._held, self._count = [samples[:, whole:]], samples.shape[1] - whole

    def rms(self) -> float:
        """RMS over the seconds that are not silent; 0 if the recording is digital silence throughout."""
        if self._count:
            samples = np.concatenate(self._held, axis=1)
            self._add(samples[:, None])
            self._held, self._count = [], 0
        power = np.asarray(self.power)
        loud = power[power > self.SILENCE**2]
        return float(np.sqrt((loud if loud.size else power).mean())) if power.size else 0.0

    def loudest_start(self, frames: int) -> int:
        """First frame of the loudest `EXCERPT_S` seconds, so that the report shows something."""
        if len(self.power) <= EXCERPT_S:
            return 0
        smoothed = np.convolve(self.power, np.ones(EXCERPT_S), "valid")
        return min(int(smoothed.argmax()) * self.second, max(0, frames - EXCERPT_S * self.second))

    def _add(self, seconds: np.ndarray) -> None:
        """(C, S, T) samples to S mean powers."""
        self.power.extend(np.square(seconds, dtype=np.float64).mean(axis=(0, 2)).tolist())
