"""The domain our models work in: an STFT whose magnitudes are compressed, as real and imaginary planes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Spectrum:
    """A compressed complex STFT, `scale * |X|**exponent * exp(j arg X)`, and its inverse.

    Compression evens out the large dynamic range of audio, so that one noise level suits loud and faint bins.
    Source: Richter et al., "Speech enhancement and dereverberation with diffusion-based generative models",
    arXiv:2208.05830, eq. 20, whose exponent and scale these are.
    """

    n_fft: int = 1536
    hop: int = 512
    exponent: float = 0.5
    scale: float = 0.15

    @property
    def bins(self) -> int:
        """Frequencies of one frame: all but the Nyquist bin, so that they divide into bands."""
        return self.n_fft // 2

    def encode(self, waveform: Tensor) -> Tensor:
        """(B, T) samples to (B, 2, F, N) planes; frame n is centred on sample n * hop."""
        window = torch.hann_window(self.n_fft, device=waveform.device, dtype=waveform.dtype)
        stft = torch.stft(waveform, self.n_fft, self.hop, window=window, center=True, return_complex=True)
        planes = torch.view_as_real(stft[:, :-1]).permute(0, 3, 1, 2)  # (B, 2, F, N)
        return planes * (self.scale * _magnitude(planes) ** (self.exponent - 1.0))

    def decode(self, planes: Tensor, length: int) -> Tensor:
        """(B, 2, F, N) planes back to (B, length) samples."""
        planes = planes.float() / self.scale
        stft = planes * _magnitude(planes) ** (1.0 / self.exponent - 1.0)
        window = torch.hann_window(self.n_fft, device=planes.device)
        spectrum = torch.view_as_complex(stft.permute(0, 2, 3, 1).contiguous())  # (B, F, N)
        spectrum = nn.functional.pad(spectrum, (0, 0, 0, 1))  # (B, F + 1, N)
        return torch.istft(spectrum, self.n_fft, self.hop, window=window, center=True, length=length)


def _magnitude(planes: Tensor) -> Tensor:
    """(B, 2, F, N) to (B, 1, F, N); the floor keeps the gradient of |X|**p finite at X = 0."""
    return (planes.square().sum(dim=1, keepdim=True) + 1e-10).sqrt()
