"""Crackle and clicks of discs: short bursts at random times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiodiff.degrade.base import draw_seed, rms, seeded


@dataclass(frozen=True, slots=True)
class Crackle:
    """Poisson clicks: each a burst of noise of 0.05 to 2 ms that dies away, with a heavy-tailed loudness."""

    per_second: float
    level_db: float
    spread_db: float
    longest_ms: float
    seed: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        """From a click a second to worn shellac; the level is that of a median click's peak over the signal's RMS."""
        return cls(
            per_second=float(10 ** rng.uniform(0.0, 2.2)),
            level_db=float(rng.uniform(-6.0, 15.0)),
            spread_db=float(rng.uniform(2.0, 8.0)),
            longest_ms=float(rng.uniform(0.1, 2.0)),
            seed=draw_seed(rng),
        )

    def apply(self, signal: Tensor, sample_rate: int) -> Tensor:
        """Add the clicks to (..., T)."""
        length = signal.shape[-1]
        rng = np.random.default_rng(self.seed)
        count = int(rng.poisson(self.per_second * length / sample_rate))
        reach = max(4, int(3e-3 * sample_rate))
        decay = np.maximum(1.5, rng.uniform(0.05, 1.0, count) * self.longest_ms * 1e-3 * sample_rate / 3.0)
        gain = 10.0 ** ((self.level_db + self.spread_db * rng.standard_normal(count)) / 20.0)
        shape = gain[:, None] * np.exp(-np.arange(reach) / decay[:, None])  # (clicks, reach)
        bursts = torch.from_numpy(shape).float() * torch.randn(count, reach, generator=seeded(self.seed))
        at = torch.from_numpy(rng.integers(0, length, count))[:, None] + torch.arange(reach)
        clicks = torch.zeros(length + reach).index_put((at,), bursts, accumulate=True)[:length]
        return signal + rms(signal) * clicks.to(signal.device)


@dataclass(frozen=True, slots=True)
class Scratch:
    """A scratch across the grooves of a disc: the same loud tick at every turn."""

    turns_per_minute: float
    level_db: float
    ring_hz: float
    seed: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        """At 33, 45 or 78 turns a minute; the peak is 0 to 20 dB over the signal's RMS."""
        return cls(
            turns_per_minute=float(rng.choice([100 / 3, 45.0, 78.26])),
            level_db=float(rng.uniform(0.0, 20.0)),
            ring_hz=float(10 ** rng.uniform(2.8, 3.9)),
            seed=draw_seed(rng),
        )

    def apply(self, signal: Tensor, sample_rate: int) -> Tensor:
        """Add the ticks to (..., T): each turn a few per mille early or late, each a little other in strength."""
        rng, length = np.random.default_rng(self.seed), signal.shape[-1]
        turn = 60.0 / self.turns_per_minute * sample_rate
        turns = np.arange(rng.uniform(0.0, min(turn, length)), length, turn)
        at = np.clip(turns + rng.normal(0.0, 1e-3 * turn, len(turns)), 0, length - 1).astype(np.int64)
        tick = _ring(self.ring_hz, 1.5 / self.ring_hz, sample_rate)
        return signal + rms(signal) * _placed(at, rng.uniform(0.5, 1.0, len(at)), tick, self.level_db, length).to(
            signal
        )


@dataclass(frozen=True, slots=True)
class Thumps:
    """Low thuds: a tone arm that jumps, a microphone stand that is knocked."""

    per_minute: float
    level_db: float
    ring_hz: float
    seed: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        """A few a minute, 15 to 80 Hz; the peak is -5 to 15 dB over the signal's RMS."""
        return cls(
            per_minute=float(10 ** rng.uniform(0.7, 2.0)),
            level_db=float(rng.uniform(-5.0, 15.0)),
            ring_hz=float(rng.uniform(15.0, 80.0)),
            seed=draw_seed(rng),
        )

    def apply(self, signal: Tensor, sample_rate: int) -> Tensor:
        """Add the thuds to (..., T)."""
        rng, length = np.random.default_rng(self.seed), signal.shape[-1]
        count = max(1, int(rng.poisson(self.per_minute * length / sample_rate / 60.0)))
        thud = _ring(self.ring_hz, 1.5 / self.ring_hz, sample_rate)
        at, gains = rng.integers(0, length, count), rng.uniform(0.2, 1.0, count)
        return signal + rms(signal) * _placed(at, gains, thud, self.level_db, length).to(signal)


def _ring(hertz: float, decay_s: float, sample_rate: int) -> NDArray[np.float64]:
    """A struck resonance (L,) that dies away by 60 dB, with a peak of about 1."""
    time = np.arange(max(4, int(7.0 * decay_s * sample_rate))) / sample_rate
    return np.sin(2.0 * np.pi * hertz * time) * np.exp(-time / decay_s)


def _placed(
    at: NDArray[np.int64], gains: NDArray[np.float64], shape: NDArray[np.float64], level_db: float, length: int
) -> Tensor:
    """The same event (L,) at several places of (T,)."""
    out = np.zeros(length + len(shape), np.float32)
    for start, gain in zip(at, gains, strict=True):
        out[start : start + len(shape)] += (10.0 ** (level_db / 20.0) * gain * shape).astype(np.float32)
    return torch.from_numpy(out[:length])
