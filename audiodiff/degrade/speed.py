"""Uneven speed: wow and flutter of tapes and discs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from audiodiff.degrade.base import draw_seed

_TAPS = 16
_CHUNK = 65_536


@dataclass(frozen=True, slots=True)
class WowFlutter:
    """A speed that swings slowly (wow, as of an off-centre disc) and quickly (flutter, as of a worn capstan).

    `wow_percent` and `flutter_percent` are the peak deviations of speed. The recording neither gains nor loses time.
    """

    wow_hz: float
    wow_percent: float
    flutter_hz: float
    flutter_percent: float
    seed: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        """From a good deck (0.05 % in all) to a slipping one (2 %)."""
        return cls(
            wow_hz=float(rng.uniform(0.3, 4.0)),
            wow_percent=float(10 ** rng.uniform(-1.3, 0.3)),
            flutter_hz=float(rng.uniform(6.0, 60.0)),
            flutter_percent=float(10 ** rng.uniform(-1.7, -0.3)),
            seed=draw_seed(rng),
        )

    def apply(self, signal: Tensor, sample_rate: int) -> Tensor:
        """Play (..., T) at the uneven speed."""
        length = signal.shape[-1]
        time = torch.arange(length, dtype=torch.float64) / sample_rate
        phases = np.random.default_rng(self.seed).uniform(0.0, 2.0 * np.pi, 2)
        position = time * sample_rate
        swings = ((self.wow_hz, self.wow_percent), (self.flutter_hz, self.flutter_percent))
        for (hertz, percent), phase in zip(swings, phases, strict=True):
            radians = 2.0 * np.pi * hertz
            swing = torch.sin(radians * time + phase) - np.sin(phase)
            position += 0.01 * percent / radians * sample_rate * swing
        return _read_at(signal, position.clamp(0.0, length - 1.0).to(signal.device))


def _read_at(signal: Tensor, position: Tensor) -> Tensor:
    """(..., T) at fractional positions (T',) by a windowed sinc of 32 taps; silence outside."""
    padded = torch.nn.functional.pad(signal, (_TAPS, _TAPS))
    offsets = torch.arange(1 - _TAPS, _TAPS + 1, device=signal.device)
    parts = []
    for at in torch.split(position, _CHUNK):
        whole = at.floor()
        distance = (at - whole)[:, None] - offsets  # (T', taps)
        weight = torch.sinc(distance) * torch.cos(0.5 * torch.pi * distance / _TAPS).square()
        taps = padded[..., whole.long()[:, None] + offsets + _TAPS]  # (..., T', taps)
        parts.append((taps * weight.to(signal.dtype)).sum(dim=-1))
    return torch.cat(parts, dim=-1)
