"""What every fault shares: the protocol, seeded noise and levels."""

from __future__ import annotations

from typing import Protocol, Self

import numpy as np
import torch
from torch import Tensor


class Damage(Protocol):
    """One kind of damage with its parameters fixed: a frozen dataclass whose fields are the draw."""

    def apply(self, signal: Tensor, sample_rate: int) -> Tensor:
        """Damage (..., T) samples; same shape and device, input untouched, deterministic."""


class Fault(Damage, Protocol):
    """Damage that can be drawn without anything but a generator."""

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        """Parameters as met in real recordings."""


def draw_seed(rng: np.random.Generator) -> int:
    """A seed to store with a fault, for the samples of its noise."""
    return int(rng.integers(2**31))


def seeded(seed: int) -> torch.Generator:
    """A CPU generator: noise is the same on every device."""
    return torch.Generator().manual_seed(seed)


def rms(signal: Tensor) -> Tensor:
    """Root mean square over time, (..., T) to (..., 1)."""
    return signal.square().mean(dim=-1, keepdim=True).sqrt()


def shaped_noise(length: int, sample_rate: int, seed: int, shape_db: list[tuple[float, float]]) -> Tensor:
    """Gaussian noise (T,) with unit RMS and a power spectrum through the points (hertz, decibels).

    The points are joined linearly over the logarithm of the frequency and held flat outside.
    """
    spectrum = torch.fft.rfft(torch.randn(length, generator=seeded(seed)))
    hertz = np.fft.rfftfreq(length, 1.0 / sample_rate)
    knots, gains_db = zip(*shape_db, strict=True)
    gain_db = np.interp(np.log10(np.maximum(hertz, 1.0)), np.log10(knots), gains_db)
    noise: Tensor = torch.fft.irfft(spectrum * torch.from_numpy(10.0 ** (gain_db / 20.0)).float(), n=length)
    noise /= rms(noise).clamp_min(1e-12)
    return noise


def add_at_snr(signal: Tensor, noise: Tensor, snr_db: float) -> Tensor:
    """Signal (..., T) plus noise (T,) or (..., T), scaled to the signal-to-noise ratio."""
    level: Tensor = rms(signal) / rms(noise).clamp_min(1e-12) * 10.0 ** (-snr_db / 20.0)
    return signal + level * noise.to(signal.device)
