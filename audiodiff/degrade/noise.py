"""Additive noise: coloured, tape hiss, mains hum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from audiodiff.degrade.base import add_at_snr, draw_seed, seeded, shaped_noise


@dataclass(frozen=True, slots=True)
class Noise:
    """Stationary noise with a random spectral tilt and slow level changes: rooms, traffic, preamplifiers."""

    snr_db: float
    tilt_db_per_octave: float
    bump_hz: float
    bump_db: float
    sway_db: float
    seed: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        """-2 to 30 dB SNR, from rumble to nearly white."""
        return cls(
            snr_db=float(rng.uniform(-2.0, 30.0)),
            tilt_db_per_octave=float(rng.uniform(-6.0, 0.5)),
            bump_hz=float(10 ** rng.uniform(2.0, 4.0)),
            bump_db=float(rng.uniform(-6.0, 12.0)),
            sway_db=float(rng.choice([0.0, rng.uniform(0.0, 6.0)])),
            seed=draw_seed(rng),
        )

    def apply(self, signal: Tensor, sample_rate: int) -> Tensor:
        """Add the noise at `snr_db` to (..., T)."""
        octave = [50.0 * 2**k for k in range(10)]
        shape = {hz: self.tilt_db_per_octave * k for k, hz in enumerate(octave)}
        tilt_at_bump = self.tilt_db_per_octave * np.log2(self.bump_hz / 50.0)
        shape[self.bump_hz] = float(tilt_at_bump + self.bump_db)
        noise = shaped_noise(signal.shape[-1], sample_rate, self.seed, sorted(shape.items()))
        return add_at_snr(signal, noise * self._sway(signal.shape[-1], sample_rate), self.snr_db)

    def _sway(self, length: int, sample_rate: int) -> Tensor:
        """A slow gain (T,) that wanders by about `sway_db`, with a knot every half second."""
        knots = torch.randn(1, 1, max(2, 2 * length // sample_rate), generator=seeded(self.seed + 1))
        curve = torch.nn.functional.interpolate(knots, size=length, mode="linear", align_corners=True)
        return 10.0 ** (self.sway_db * curve[0, 0] / 20.0)


@dataclass(frozen=True, slots=True)
class Hiss:
    """Tape hiss: rises to a peak between 3 and 12 kHz, steady, below the programme."""

    snr_db: float
    peak_hz: float
    rise_db_per_octave: float
    seed: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        """5 to 40 dB SNR."""
        return cls(
            snr_db=float(rng.uniform(5.0, 40.0)),
            peak_hz=float(rng.uniform(3000.0, 12000.0)),
            rise_db_per_octave=float(rng.uniform(1.0, 4.0)),
            seed=draw_seed(rng),
        )

    def apply(self, signal: Tensor, sample_rate: int) -> Tensor:
        """Add the hiss at `snr_db` to (..., T)."""
        octaves = float(np.log2(self.peak_hz / 50.0))
        shape = [(50.0, -self.rise_db_per_octave * octaves), (self.peak_hz, 0.0), (4.0 * self.peak_hz, -6.0)]
        return add_at_snr(signal, shaped_noise(signal.shape[-1], sample_rate, self.seed, shape), self.snr_db)


@dataclass(frozen=True, slots=True)
class Hum:
    """Mains hum at 50 or 60 Hz (as played: tape speed shifts it) with harmonics that fall off."""

    snr_db: float
    mains_hz: float
    harmonics: int
    fall_db: float
    seed: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        """0 to 35 dB SNR, a faint hum to a loud buzz."""
        return cls(
            snr_db=float(rng.uniform(0.0, 35.0)),
            mains_hz=float(rng.choice([50.0, 60.0]) * rng.uniform(0.98, 1.02)),
            harmonics=int(rng.integers(1, 30)),
            fall_db=float(rng.uniform(0.2, 4.0)),
            seed=draw_seed(rng),
        )

    def apply(self, signal: Tensor, sample_rate: int) -> Tensor:
        """Add the hum at `snr_db` to (..., T)."""
        time = torch.arange(signal.shape[-1], dtype=torch.float64) / sample_rate
        draws = torch.rand(self.harmonics, 2, generator=seeded(self.seed), dtype=torch.float64)
        hum = torch.zeros(signal.shape[-1], dtype=torch.float64)
        for index in range(self.harmonics):
            hertz = self.mains_hz * (index + 1)
            if hertz >= sample_rate / 2:
                break
            gain = 10.0 ** (-(self.fall_db * index + 12.0 * float(draws[index, 0])) / 20.0)
            hum += gain * torch.sin(2.0 * torch.pi * (hertz * time + draws[index, 1]))
        return add_at_snr(signal, hum.float(), self.snr_db)
