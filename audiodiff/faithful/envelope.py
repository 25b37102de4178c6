"""Agreement of two sounds' spectral envelopes in short windows, whatever their level and tone."""

from __future__ import annotations

import numpy as np
import scipy.signal
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from audiodiff.faithful.match import RATE_HZ, Samples

WINDOW, STEP = 40, 5
"""Frames of 10 ms in a window, and between the starts of two: 0.4 s is a short word."""

_FFT, _HOP = 512, RATE_HZ // 100
_CENTRES_HZ = 150 * 2 ** (np.arange(15) / 3)  # third octaves to 3.8 kHz, as in STOI


def envelope_agreement(before: Samples, after: Samples) -> NDArray[np.float64]:
    """Correlation of the envelopes in each window (W,), from excerpts (T,) at 16 kHz.

    1 is the same, 0 unrelated; gain and slow equalisation do not count.
    Source: the intermediate measure of Jensen and Taal 2016, An algorithm for predicting the intelligibility of
    speech masked by modulated noise maskers (ESTOI), equations 3 to 6.
    """
    first, second = (_normalised(_bands(samples)) for samples in (before, after))
    agreement: NDArray[np.float64] = (first * second).sum(axis=(1, 2)) / WINDOW
    return agreement


def window_levels_db(samples: Samples) -> NDArray[np.float64]:
    """Mean level of the bands in each window (W,), in decibels."""
    power = sliding_window_view((_bands(samples) ** 2).sum(axis=0), WINDOW)[::STEP].mean(axis=1)
    level: NDArray[np.float64] = 10 * np.log10(power + 1e-12)
    return level


def _bands(samples: Samples) -> NDArray[np.float64]:
    """Magnitudes of third octaves every 10 ms (bands, N)."""
    hz, _, spectrum = scipy.signal.stft(samples, RATE_HZ, nperseg=_FFT, noverlap=_FFT - _HOP, boundary=None)
    edges = np.searchsorted(hz, np.append(_CENTRES_HZ, 2 * _CENTRES_HZ[-3]) * 2 ** (-1 / 6))
    power = np.add.reduceat(np.abs(spectrum) ** 2, edges, axis=0)[:-1]
    bands: NDArray[np.float64] = np.sqrt(power + 1e-12)
    return bands


def _normalised(bands: NDArray[np.float64]) -> NDArray[np.float64]:
    """Windows (W, bands, 40) without mean and scale, first over time and then over bands."""
    windows = sliding_window_view(bands, WINDOW, axis=1)[:, ::STEP].transpose(1, 0, 2)
    for axis in (2, 1):
        windows = windows - windows.mean(axis=axis, keepdims=True)
        windows = windows / (np.linalg.norm(windows, axis=axis, keepdims=True) + 1e-9)
    return windows
