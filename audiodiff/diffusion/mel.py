"""Log-mel levels: what the generator draws and the vocoder turns into sound."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
import torchaudio
from torch import Tensor

_FLOOR = 1e-5
"""About -100 dB re a full-scale sine: below what 16 bits hold."""


@dataclass(frozen=True, slots=True)
class Mel:
    """Full-band log-mel levels at 48 kHz: 93.75 frames a second, 128 bands of 20 Hz to 24 kHz (Slaney)."""

    rate_hz: int = 48_000
    n_fft: int = 2048
    hop: int = 512
    bands: int = 128
    lowest_hz: float = 20.0

    @property
    def frames_per_s(self) -> float:
        """Frames a second."""
        return self.rate_hz / self.hop

    def levels(self, samples: Tensor) -> Tensor:
        """(B, T) samples to (B, bands, N) natural logarithms of mel amplitudes; N is T // hop + 1, centred frames."""
        window = torch.hann_window(self.n_fft, device=samples.device)
        spectrum = torch.stft(samples, self.n_fft, self.hop, window=window, return_complex=True)  # (B, F, N)
        scale = 2.0 / float(window.sum())  # a full-scale sine has amplitude 1
        return (self.filters(samples.device) @ (scale * spectrum.abs())).clamp(min=_FLOOR).log()

    def filters(self, device: torch.device) -> Tensor:
        """(bands, F) triangles whose weights sum to one, so that levels do not depend on a band's width."""
        return _filters(self).to(device)


@cache
def _filters(mel: Mel) -> Tensor:
    bank = torchaudio.functional.melscale_fbanks(
        mel.n_fft // 2 + 1, mel.lowest_hz, mel.rate_hz / 2, mel.bands, mel.rate_hz, norm=None, mel_scale="slaney"
    )  # (F, bands)
    weights: Tensor = bank / bank.sum(dim=0)
    return weights.T.contiguous()
