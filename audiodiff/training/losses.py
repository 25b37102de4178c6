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
    """Weighted sum for planes (B, 2, F, N) and samples (B, T): compressed MSE, time L1, SNR, log magnitudes.

    MSE and L1 are absolute, so loud excerpts rule them; the SNR counts every excerpt alike. The log magnitudes see
    the faint parts. More of them (0.1 and no SNR) was tried: spectra then come out right, waveforms do not.
    """
    mse = (estimate - planes).square().mean()
    waveform = spectrum.decode(estimate, clean.shape[-1])
    l1 = (waveform - clean).abs().mean()
    snr = negative_snr_db(waveform, clean)
    return 20.0 * mse + 2.0 * l1 + 0.1 * snr + 0.03 * multi_resolution_log_l1(waveform, clean)


def negative_snr_db(estimate: Tensor, clean: Tensor, ceiling_db: float = 15.0) -> Tensor:
    """Mean over the batch of minus the signal-to-noise ratio of (B, T) samples, levelling off at `ceiling_db`.

    Source: Wisdom et al., "Unsupervised sound separation using mixture invariant training", arXiv:2006.12701, eq. 2.
    """
    power = clean.square().mean(dim=-1)
    error = (estimate - clean).square().mean(dim=-1)
    return (10.0 * torch.log10((error + 10.0 ** (-ceiling_db / 10.0) * power + 1e-9) / (power + 1e-9))).mean()


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
