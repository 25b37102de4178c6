"""Wrong or missing equalisation of tapes and discs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Equalisation:
    """Two first-order shelves: what is left where a recording is played under another standard than it was made.

    The bass shelf lies below `bass_hz`, the treble shelf above `treble_hz`; these are the half-gain frequencies.
    Discs before 1955 had bass turnovers from 200 to 800 Hz and treble pre-emphasis from 0 to 16 dB at 10 kHz; tape
    standards (IEC, NAB) differ by the time constants of the same kind of shelf.
    """

    bass_hz: float
    bass_db: float
    treble_hz: float
    treble_db: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        """Up to 12 dB too much or too little at either end."""
        return cls(
            bass_hz=float(10 ** rng.uniform(1.7, 2.9)),
            bass_db=float(rng.uniform(-12.0, 12.0)),
            treble_hz=float(10 ** rng.uniform(3.0, 3.9)),
            treble_db=float(rng.uniform(-12.0, 12.0)),
        )

    def apply(self, signal: Tensor, sample_rate: int) -> Tensor:
        """Filter (..., T), with the phase of the analogue circuit."""
        length = signal.shape[-1]
        padded = 2 * length  # so that the filter's tail does not wrap round
        hertz = torch.fft.rfftfreq(padded, 1.0 / sample_rate, device=signal.device)
        response = _shelf(hertz, self.treble_hz, self.treble_db)
        response = response * 10.0 ** (self.bass_db / 20.0) * _shelf(hertz, self.bass_hz, -self.bass_db)
        filtered: Tensor = torch.fft.irfft(torch.fft.rfft(signal, n=padded) * response, n=padded)
        return filtered[..., :length].contiguous()


def _shelf(hertz: Tensor, half_hz: float, gain_db: float) -> Tensor:
    """Response (F,) of a shelf that is 0 dB far below `half_hz`, half of `gain_db` there, and all of it above."""
    root = 10.0 ** (gain_db / 40.0)
    s = 1j * hertz / half_hz
    response: Tensor = (1.0 + s * root) / (1.0 + s / root)
    return response
