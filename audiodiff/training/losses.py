"""Losses for restoration, in the compressed spectrum and in time."""

from __future__ import annotations

import torch
from torch import Tensor

from audiodiff.diffusion.spectrum import Spectrum


def keep_unknown_band(estimate: Tensor, clean: Tensor, bandwidth_hz: Tensor, nyquist_hz: float) -> Tensor:
    """Put the clean planes into the estimate (B, 2, F, N) above each recording's own bandwidth (B,).

    What lies above is missing from the reference, not absent from the world: nothing is to be learnt there.
    """
    bins = torch.linspace(0.0, nyquist_hz, clean.shape[2], device=clean.device)
    known = bins[None, :] <= bandwidth_hz[:, None].to(clean.device)  # (B, F)
    return torch.where(known[:, None, :, None], estimate, clean)


def restoration_loss(spectrum: Spectrum, estimate: Tensor, planes: Tensor, clean: Tensor) -> Tensor:
    """Weighted sum for planes (B, 2, F, N) and samples (B, T): compressed MSE, time L1, log magnitudes.

    The weights bring the three to the same order at the level of `training.data.LEVEL`.
    """
    mse = (estimate - planes).square().mean()
    waveform = spectrum.decode(estimate, clean.shape[-1])
    l1 = (waveform - clean).abs().mean()
    return 50.0 * mse + 5.0 * l1 + 0.1 * multi_resolution_log_l1(waveform, clean)


def multi_resolution_log_l1(estimate: Tensor, clean: Tensor, sizes: tuple[int, ...] = (512, 2048)) -> Tensor:
    """Mean absolute difference of log magnitudes (B, T) over several STFT sizes, in nepers.

    Source: Yamamoto et al., "Parallel WaveGAN", arXiv:1910.11480, eq. 5; the floor keeps silence from ruling.
    """
    total = estimate.new_zeros(())
    for n_fft in sizes:
        window = torch.hann_window(n_fft, device=clean.device)
        pair = torch.stft(torch.cat([estimate, clean]), n_fft, n_fft // 4, window=window, return_complex=True)
        magnitude = (pair.real.square() + pair.imag.square() + 1e-4).sqrt().log()
        ours, theirs = magnitude.chunk(2)
        total = total + (ours - theirs).abs().mean()
    return total / len(sizes)
