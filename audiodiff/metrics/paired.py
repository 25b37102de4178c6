"""Measurements against a reference: SI-SDR, log-spectral distance, and the delay between two signals.

The measures take numpy arrays or torch tensors (..., T) and return the same kind (...).
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import scipy.signal
import torch
from numpy.typing import NDArray
from torch import Tensor

Signal = TypeVar("Signal", NDArray[np.floating], Tensor)

_FRAME_S = 0.032
_FLOOR = 1e-8  # 80 dB below the reference's strongest bin; what lies deeper is not heard and would dominate


def si_sdr_db(estimate: Signal, reference: Signal) -> Signal:
    """Return the scale-invariant signal-to-distortion ratio in dB of (..., T) signals, as (...).

    Means are removed first. A perfect estimate gives +inf (or the limit of float32), a silent reference NaN.
    Source: Le Roux et al. 2019, SDR - half-baked or well done?, eq. 3.
    """
    x, s = _centred(estimate), _centred(reference)
    target = (x * s).sum(-1, keepdim=True) / s.square().sum(-1, keepdim=True) * s
    ratio = target.square().sum(-1) / (x - target).square().sum(-1)
    return _like(10 * ratio.log10(), estimate)


def log_spectral_distance_db(estimate: Signal, reference: Signal, sample_rate: int) -> Signal:
    """Return the log-spectral distance in dB of (..., T) signals, as (...); 0 is identical.

    The root mean square over frequency of the difference of two power spectra in dB, averaged over frames
    of 32 ms; levels lower than 80 dB below the reference's strongest bin count as equal.
    Source: Gray and Markel 1976, Distance measures for speech processing.
    """
    ours, theirs = _power(estimate, sample_rate), _power(reference, sample_rate)  # (..., F, N)
    floor = (theirs.amax((-2, -1), keepdim=True) * _FLOOR).clamp_min(1e-20)
    difference_db = 10 * (torch.maximum(ours, floor).log10() - torch.maximum(theirs, floor).log10())
    return _like(difference_db.square().mean(-2).sqrt().mean(-1), estimate)


def align_delay(estimate: NDArray[np.floating], reference: NDArray[np.floating], most: int | None = None) -> int:
    """Return by how many samples `estimate` (T1,) lags behind `reference` (T2,); negative if it leads.

    The maximum of the cross-correlation of the two signals without their means, where given within `most` samples
    either way; polarity is ignored.
    """
    x = estimate.astype(np.float64) - estimate.mean()
    s = reference.astype(np.float64) - reference.mean()
    correlation = scipy.signal.correlate(x, s, mode="full", method="fft")
    zero = len(s) - 1
    first = 0 if most is None else max(0, zero - most)
    last = None if most is None else zero + most + 1
    return int(np.abs(correlation[first:last]).argmax()) + first - zero


def aligned(
    estimate: NDArray[np.floating], reference: NDArray[np.floating], most: int | None = None
) -> NDArray[np.floating]:
    """Return `estimate` (T1,) without its delay (`align_delay`), cut or zero-filled to the reference's (T2,)."""
    delay = align_delay(estimate, reference, most)
    moved = np.zeros(len(reference), estimate.dtype)
    start, stop = max(0, -delay), min(len(reference), len(estimate) - delay)
    moved[start:stop] = estimate[start + delay : stop + delay]
    return moved


def _centred(signal: NDArray[np.floating] | Tensor) -> Tensor:
    tensor = torch.as_tensor(signal).double()  # float32 sums over minutes lose what SI-SDR above 60 dB needs
    return tensor - tensor.mean(-1, keepdim=True)


def _power(signal: NDArray[np.floating] | Tensor, sample_rate: int) -> Tensor:
    """Return the power spectrogram (..., F, N)."""
    tensor = torch.as_tensor(signal).double()
    frame = round(sample_rate * _FRAME_S)
    window = torch.hann_window(frame, dtype=torch.float64, device=tensor.device)
    flat = tensor.reshape(-1, tensor.shape[-1])  # (B, T)
    spectrum = torch.stft(flat, frame, frame // 4, window=window, pad_mode="constant", return_complex=True)
    return spectrum.abs().square().reshape(*tensor.shape[:-1], *spectrum.shape[-2:])


def _like(result: Tensor, signal: Signal) -> Signal:
    if isinstance(signal, Tensor):
        return result.float()
    return np.asarray(result.numpy(), np.float32)
