"""Print-through: neighbouring layers of a wound tape magnetise each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class PrintThrough:
    """A faint echo a turn of the reel before and after the signal, strongest at wavelengths of the tape's thickness."""

    delay_s: float
    before_db: float
    after_db: float
    peak_hz: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        """A turn takes half a second to four seconds; the echo is 30 to 60 dB down."""
        level_db = float(rng.uniform(-60.0, -30.0))
        return cls(
            delay_s=float(rng.uniform(0.5, 4.0)),
            before_db=level_db,
            after_db=level_db - float(rng.uniform(0.0, 8.0)),
            peak_hz=float(10 ** rng.uniform(2.5, 3.5)),
        )

    def apply(self, signal: Tensor, sample_rate: int) -> Tensor:
        """Add both echoes to (..., T)."""
        length = signal.shape[-1]
        shift = min(length, round(self.delay_s * sample_rate))
        hertz = torch.fft.rfftfreq(length, 1.0 / sample_rate, device=signal.device) / self.peak_hz
        shape = 2.0 * hertz / (1.0 + hertz.square())  # rises and falls by 6 dB an octave around the peak
        printed = torch.fft.irfft(torch.fft.rfft(signal) * shape, n=length)
        out = signal.clone()
        out[..., : length - shift] += 10.0 ** (self.before_db / 20.0) * printed[..., shift:]
        out[..., shift:] += 10.0 ** (self.after_db / 20.0) * printed[..., : length - shift]
        return out
