"""Pitch: whether a voice, or a single instrument, is still as high as it was."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from audiodiff.faithful.match import RATE_HZ, Samples

_LOWEST_HZ, _HIGHEST_HZ = 65, 500
_WINDOW, _HOP = RATE_HZ * 40 // 1000, RATE_HZ // 100
_LONGEST, _SHORTEST = RATE_HZ // _LOWEST_HZ + 2, RATE_HZ // _HIGHEST_HZ  # periods in samples
_OCTAVE = 0.9  # the first peak this close to the highest is the period, its multiples being as high
_VOICED = 0.85  # normalised correlation from which a frame counts
_QUIET = 1e-3  # of the loudest frames' energy: below is no voice
_FEWEST = 20  # frames voiced in both: 0.2 s
_CENTS = 50.0


def pitch_moved(before: Samples, after: Samples) -> float:
    """The share of the frames voiced in both excerpts (T,) at 16 kHz whose pitch differs by more than 50 cents.

    NaN with fewer than 20 such frames. Octaves are folded: trackers err by them, restorers do not.
    Source: normalised autocorrelation, Boersma 1993, Accurate short-term analysis of the fundamental frequency.
    """
    hz_before, voiced_before = _track(before)
    hz_after, voiced_after = _track(after)
    both = voiced_before & voiced_after
    if both.sum() < _FEWEST:
        return math.nan
    cents = 1200 * np.log2(hz_after[both] / hz_before[both])
    return float((np.abs((cents + 600) % 1200 - 600) > _CENTS).mean())


def _track(samples: Samples) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Pitch in hertz and voicing of each 10 ms (N,)."""
    span = _WINDOW + _LONGEST
    if len(samples) < span:
        return np.ones(0), np.zeros(0, bool)
    frames = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), span)[::_HOP]  # (N, span)
    size = 1 << (span + _WINDOW - 1).bit_length()
    head = np.fft.rfft(frames[:, :_WINDOW], size)
    product = np.fft.irfft(np.fft.rfft(frames, size) * head.conj(), size)[:, :_LONGEST]
    total = np.pad(np.cumsum(frames**2, axis=1), ((0, 0), (1, 0)))
    energy = total[:, _WINDOW:span] - total[:, :_LONGEST]  # (N, lag)
    correlation = product / np.sqrt(energy[:, :1] * energy + 1e-9)
    period, height = _first_peak(correlation[:, _SHORTEST:])
    loud = energy[:, 0] > _QUIET * np.percentile(energy[:, 0], 95)
    return RATE_HZ / (_SHORTEST + period), loud & (height > _VOICED)


def _first_peak(curve: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Place, to a fraction by a parabola, and height of the first peak (N,) nearly as high as any of `curve` (N, L)."""
    left, middle, right = curve[:, :-2], curve[:, 1:-1], curve[:, 2:]
    high = middle > _OCTAVE * curve.max(axis=1, keepdims=True)
    peak = (middle >= left) & (middle > right) & high
    at, row = peak.argmax(axis=1), np.arange(len(curve))
    found = peak[row, at]
    low, top, up = left[row, at], middle[row, at], right[row, at]
    bend = low - 2 * top + up
    offset = np.where(found & (bend < 0), 0.5 * (low - up) / np.where(bend < 0, bend, 1.0), 0.0)
    return at + 1 + offset, np.where(found, top, 0.0)
