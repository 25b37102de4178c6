"""What befalls the channels as a whole: azimuth error, imbalance, gain and offset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Azimuth:
    """A playback head that stands askew: channels shift against each other, each loses treble over its own width.

    `delay_us` is the shift between the outer edges of the tape.
    """

    delay_us: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        """A cassette deck out of adjustment: 10 to 250 microseconds."""
        return cls(delay_us=float(10 ** rng.uniform(1.0, 2.4)))

    def apply(self, signal: Tensor, sample_rate: int) -> Tensor:
        """Skew (C, T) or (..., C, T); a lone (T,) is one track over the whole width."""
        length = signal.shape[-1]
        channels = signal.shape[-2] if signal.ndim > 1 else 1
        hertz = torch.fft.rfftfreq(2 * length, 1.0 / sample_rate, device=signal.device)
        turns = hertz * self.delay_us * 1e-6
        loss = torch.sinc(turns / channels)
        place = (torch.arange(channels, device=signal.device) - (channels - 1) / 2.0) / channels  # centres of tracks
        shift = torch.exp(-2j * torch.pi * place[:, None] * turns)  # (C, F)
        spectrum = torch.fft.rfft(signal, n=2 * length) * loss * (shift if signal.ndim > 1 else shift[0])
        skewed: Tensor = torch.fft.irfft(spectrum, n=2 * length)
        return skewed[..., :length].contiguous()


@dataclass(frozen=True, slots=True)
class Imbalance:
    """Channels at different levels: the last is `difference_db` over the first; a single one is only turned down."""

    difference_db: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        """Up to 12 dB either way."""
        return cls(difference_db=float(rng.uniform(-12.0, 12.0)))

    def apply(self, signal: Tensor, sample_rate: int) -> Tensor:  # noqa: ARG002  one signature for all faults
        """Unbalance (C, T) or (..., C, T); the louder side keeps its level."""
        channels = signal.shape[-2] if signal.ndim > 1 else 1
        slope = torch.linspace(0.0, 1.0, channels, device=signal.device) if channels > 1 else torch.zeros(1)
        gain_db = self.difference_db * slope - max(0.0, self.difference_db)
        gain = 10.0 ** (gain_db.to(signal) / 20.0)
        return signal * (gain[:, None] if signal.ndim > 1 else gain)


@dataclass(frozen=True, slots=True)
class GainOffset:
    """A wrong level and a constant offset; `offset` is in units of the signal's RMS."""

    gain_db: float
    offset: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        """30 dB too low to 6 dB too high; half of the draws have an offset."""
        return cls(gain_db=float(rng.uniform(-30.0, 6.0)), offset=float(rng.choice([0.0, rng.uniform(-0.3, 0.3)])))

    def apply(self, signal: Tensor, sample_rate: int) -> Tensor:  # noqa: ARG002
        """Scale and shift (..., T)."""
        rms = signal.square().mean(dim=-1, keepdim=True).sqrt()
        out: Tensor = 10.0 ** (self.gain_db / 20.0) * (signal + self.offset * rms)
        return out
