"""What bends the waveform or cuts the band: clipping and band-limiting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from audiodiff.degrade.base import rms


@dataclass(frozen=True, slots=True)
class Clip:
    """Overload: peaks are cut (hard) or bent (soft, tanh) at a level over the signal's RMS."""

    level_db: float
    soft: bool

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        """From grazing to heavily overdriven; one in three is soft."""
        return cls(level_db=float(rng.uniform(-2.0, 12.0)), soft=bool(rng.random() < 1 / 3))

    def apply(self, signal: Tensor, sample_rate: int) -> Tensor:  # noqa: ARG002  one signature for all faults
        """Clip (..., T)."""
        limit: Tensor = (rms(signal) * 10.0 ** (self.level_db / 20.0)).clamp_min(1e-9)
        if self.soft:
            return limit * torch.tanh(signal / limit)
        return torch.minimum(torch.maximum(signal, -limit), limit)


@dataclass(frozen=True, slots=True)
class BandLimit:
    """A lost top (and bottom): a low-pass of varied steepness, optionally with a high-pass, zero phase."""

    high_hz: float
    low_hz: float
    slope_db_per_octave: float
    floor_db: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        """Telephone (3.4 kHz) to worn tape (16 kHz), from gentle tilts to brick walls."""
        return cls(
            high_hz=float(np.exp(rng.uniform(np.log(3000.0), np.log(16000.0)))),
            low_hz=float(rng.choice([0.0, 0.0, rng.uniform(40.0, 350.0)])),
            slope_db_per_octave=float(10 ** rng.uniform(1.0, 3.0)),
            floor_db=float(rng.uniform(-120.0, -60.0)),
        )

    def apply(self, signal: Tensor, sample_rate: int) -> Tensor:
        """Filter (..., T)."""
        length = signal.shape[-1]
        hertz = torch.fft.rfftfreq(length, 1.0 / sample_rate, device=signal.device).clamp_min(1.0)
        loss_db = self.slope_db_per_octave * torch.log2(hertz / self.high_hz).clamp_min(0.0)
        if self.low_hz > 0.0:
            loss_db = loss_db + 24.0 * torch.log2(self.low_hz / hertz).clamp_min(0.0)
        gain = 10.0 ** ((-loss_db).clamp_min(self.floor_db) / 20.0)
        limited: Tensor = torch.fft.irfft(torch.fft.rfft(signal) * gain, n=length)
        return limited


@dataclass(frozen=True, slots=True)
class SlewLimit:
    """An amplifier too slow for the signal, which may change by so many times its RMS in a millisecond."""

    rms_per_ms: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        """From dull peaks to triangles."""
        return cls(rms_per_ms=float(10 ** rng.uniform(0.3, 1.3)))

    def apply(self, signal: Tensor, sample_rate: int) -> Tensor:
        """Limit the slope of (..., T)."""
        rows = signal.reshape(-1, signal.shape[-1]).double().cpu()
        steps = rms(rows) * self.rms_per_ms * 1_000.0 / sample_rate
        slow = [_slewed(row.tolist(), float(step)) for row, step in zip(rows, steps, strict=True)]
        return torch.tensor(slow, dtype=signal.dtype, device=signal.device).reshape(signal.shape)


def _slewed(samples: list[float], step: float) -> list[float]:
    level, out = 0.0, []
    for sample in samples:  # each value hangs on the last, so there is nothing to vectorise
        level += min(step, max(-step, sample - level))
        out.append(level)
    return out
