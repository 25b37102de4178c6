"""Losses for restoration, in the compressed spectrum and in time."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from audiodiff.diffusion.spectrum import Spectrum

CLEAN_ENOUGH = 3e-3
"""Relative power of the error, -25 dB, below which an excerpt counts for less and less."""


def keep_unknown_band(estimate: Tensor, clean: Tensor, bandwidth_hz: Tensor, nyquist_hz: float) -> Tensor:
    """Put the clean planes into the estimate (B, 2, F, N) above each recording's own bandwidth (B,).

    What lies above is missing from the reference, not absent from the world: nothing is to be learnt there.
    """
    bins = torch.linspace(0.0, nyquist_hz, clean.shape[2], device=clean.device)
    known = bins[None, :] <= bandwidth_hz[:, None].to(clean.device)  # (B, F)
    return torch.where(known[:, None, :, None], estimate, clean)


LOST = 0.15
"""Damaged over clean power of the compressed planes, -16 dB of the signal's, below which a region counts as lost."""


def free_lost_phase(estimate: Tensor, clean: Tensor, damaged: Tensor) -> Tensor:
    """The clean planes (B, 2, F, N), turned to the estimate's phase wherever the damage left nothing to tell it by.

    No network can guess the phases of a band that was cut off: asked to, it answers with the mean of all phases, which
    is silence. Asked for magnitudes alone, it fills the band.
    """
    power = functional.avg_pool2d(torch.cat([clean, damaged]).square().sum(dim=1), 5, stride=1, padding=2)
    heard, left = power.chunk(2)  # (B, F, N) each
    lost = (left < LOST * heard)[:, None]
    magnitude = clean.square().sum(dim=1, keepdim=True).sqrt()
    direction = estimate.detach()
    direction = direction / direction.square().sum(dim=1, keepdim=True).add(1e-12).sqrt()
    return torch.where(lost, magnitude * direction, clean)


def restoration_loss(
    spectrum: Spectrum, estimate: Tensor, planes: Tensor, y: Tensor, clean: Tensor, damaged: Tensor
) -> Tensor:
    """Relative errors of planes (B, 2, F, N) and of samples (B, T), with a little of the log magnitudes.

    `planes` are the clean ones, `y` the damaged ones; what was lost counts by its magnitudes alone.

    Every excerpt counts alike, whatever its level. Tried and worse: absolute errors, which loud excerpts rule; decibels
    of error, whose slope grows without bound where it is small, so that nearly clean excerpts teach "leave be"; more of
    the log magnitudes, after which spectra are right and waveforms wrong.
    """
    waveform = spectrum.decode(estimate, clean.shape[-1])
    target = free_lost_phase(estimate, planes, y)
    compressed = relative_error(estimate, target, y, floor=1e-4)
    time = relative_error(waveform, spectrum.decode(target, clean.shape[-1]), damaged, floor=1e-7)
    sizes = (spectrum.hop, 4 * spectrum.hop)
    return (compressed + time).mean() + 0.04 * multi_resolution_log_l1(waveform, clean, sizes)


def relative_error(estimate: Tensor, clean: Tensor, damaged: Tensor, floor: float) -> Tensor:
    """Root of the error's power over the signal's, (B, ...) to (B,): about 1 where the estimate is silence.

    A little of the damaged power counts as signal, lest pauses in the clean excerpt drown all else; so does `floor`,
    the power that is silence: 50 dB below the level that models work at.
    """
    dims = tuple(range(1, clean.dim()))
    power = clean.square().mean(dims) + 0.03 * damaged.square().mean(dims) + floor
    return ((estimate - clean).square().mean(dims) / power + CLEAN_ENOUGH).sqrt()


def multi_resolution_log_l1(estimate: Tensor, clean: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """Mean absolute difference of log magnitudes (B, T) over several STFT sizes, in nepers.

    Source: Yamamoto et al., "Parallel WaveGAN", arXiv:1910.11480, eq. 5; the floor keeps silence from ruling.
    """
    total = estimate.new_zeros(())
    for n_fft in sizes:
        window = torch.hann_window(n_fft, device=clean.device)
        pair = torch.stft(torch.cat([estimate, clean]), n_fft, n_fft // 2, window=window, return_complex=True)
        magnitude = (pair.real.square() + pair.imag.square() + 1e-4).sqrt().log()
        ours, theirs = magnitude.chunk(2)
        total = total + (ours - theirs).abs().mean()
    return total / len(sizes)
