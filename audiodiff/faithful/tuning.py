"""Tuning: whether music that has no single voice is still at the pitch it was."""

from __future__ import annotations

import math

import numpy as np
import scipy.ndimage
import scipy.signal
from numpy.typing import NDArray

from audiodiff.faithful.match import RATE_HZ, Samples

_FFT, _HOP = 8192, 2048
_STEPS = 120  # of an octave: 10 cents
_GRID_HZ = 110 * 2 ** (np.arange(5 * _STEPS) / _STEPS)
_FARTHEST, _MOVED = 30, 5  # steps: three semitones to search, half a semitone to count
_ALIKE = 0.3  # correlation from which a frame says anything; unrelated spectra stay below
_QUIET = 1e-3  # of the loudest frames' power
_FEWEST = 5  # frames


def tuning_moved(before: Samples, after: Samples) -> float:
    """The share of frames of two excerpts (T,) at 16 kHz whose spectra agree best 50 cents or more apart.

    Spectra on a logarithmic frequency axis shift as a whole when the pitch changes. Shifts up to three semitones
    are tried. NaN with fewer than five frames that agree at any shift.
    Source: the idea of Brown 1991, Calculation of a constant Q spectral transform: musical intervals are distances.
    """
    first, power = _spectrum(before)
    second, _ = _spectrum(after)
    fixed = first[_FARTHEST:-_FARTHEST]  # (bins, N)
    shifts = np.arange(-_FARTHEST, _FARTHEST + 1)
    agreement = np.array([_correlation(fixed, second[_FARTHEST + s : len(second) - _FARTHEST + s]) for s in shifts])
    told = (agreement.max(axis=0) > _ALIKE) & (power > _QUIET * np.percentile(power, 95))  # (N,)
    if told.sum() < _FEWEST:
        return math.nan
    shift = shifts[agreement.argmax(axis=0)][told]
    return float((np.abs(shift) >= _MOVED).mean())


def _correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each frame (N,) of two (bins, N)."""
    scale = np.sqrt((first**2).sum(axis=0) * (second**2).sum(axis=0) + 1e-9)
    correlation: NDArray[np.float64] = (first * second).sum(axis=0) / scale
    return correlation


def _spectrum(samples: Samples) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Partials over the floor, on 10 cents from 110 Hz to 3.5 kHz (bins, N), and each frame's power (N,)."""
    magnitude = np.abs(scipy.signal.stft(samples, nperseg=_FFT, noverlap=_FFT - _HOP)[2])  # (F, N)
    level = np.log1p(magnitude / (np.median(magnitude) + 1e-9))
    at = _GRID_HZ * _FFT / RATE_HZ
    below = at.astype(np.int64)
    part = (at - below)[:, np.newaxis]
    grid = level[below] * (1 - part) + level[below + 1] * part
    return grid - scipy.ndimage.uniform_filter1d(grid, _STEPS // 2, axis=0), (magnitude**2).sum(axis=0)
