"""Careless digitisation: too few bits, a rate change without a filter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
import torchaudio.functional
from torch import Tensor

from audiodiff.degrade.base import draw_seed, seeded


@dataclass(frozen=True, slots=True)
class Quantise:
    """Rounding to `bits` of full scale, which is the signal's own peak; with triangular dither or without."""

    bits: int
    dithered: bool
    seed: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        """4 to 12 bits: early games to early digital recorders."""
        return cls(bits=int(rng.integers(4, 13)), dithered=bool(rng.random() < 0.5), seed=draw_seed(rng))

    def apply(self, signal: Tensor, sample_rate: int) -> Tensor:  # noqa: ARG002
        """Round (..., T)."""
        step = signal.abs().amax(dim=-1, keepdim=True).clamp_min(1e-9) * 2.0 ** (1 - self.bits)
        scaled = signal / step
        if self.dithered:
            noise = torch.rand(2, signal.shape[-1], generator=seeded(self.seed))
            scaled = scaled + (noise[0] - noise[1]).to(signal)
        return step * scaled.round()


@dataclass(frozen=True, slots=True)
class Alias:
    """Sampling at `rate_hz` without the low-pass before it: what lies above half of it is mirrored below."""

    rate_hz: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        """The usual low rates."""
        return cls(rate_hz=int(rng.choice([8_000, 11_025, 16_000, 22_050])))

    def apply(self, signal: Tensor, sample_rate: int) -> Tensor:
        """Alias (..., T); nothing happens to a signal whose rate is as low already."""
        if self.rate_hz >= sample_rate:
            return signal.clone()
        length = signal.shape[-1]
        count = max(1, length * self.rate_hz // sample_rate)
        taken = (torch.arange(count, device=signal.device) * sample_rate / self.rate_hz).round().long()
        back = torchaudio.functional.resample(signal[..., taken.clamp_max(length - 1)], self.rate_hz, sample_rate)
        return torch.nn.functional.pad(back, (0, max(0, length - back.shape[-1])))[..., :length].contiguous()
