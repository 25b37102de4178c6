"""Crackle and clicks of discs: short bursts at random times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
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
