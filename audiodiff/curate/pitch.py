"""The pitch of a clip, where it has one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.fft
import scipy.ndimage
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from audiodiff.curate.records import NAN
from audiodiff.faithful.match import RATE_HZ, Samples

Curve = NDArray[np.float64]

_LOUD_DB = 20.0  # below the loudest frame, frames no longer make the impression of a sound
_LOWEST_HZ, _HIGHEST_HZ = 48.0, 4_200.0
_PITCH_S, _PITCH_HOP_S = 0.06, 0.02
_FINER = 4  # lags per sample: at 4 kHz a period has four samples
_OCTAVE = 0.93  # the first peak this close to the highest is the period, its multiples being as high
_VOICED = 0.88  # normalised correlation; white noise reaches 0.3, brown noise 0.8 now and then
_STABLE = 0.04  # from one frame to the next: two thirds of a semitone
_FEWEST = 5  # frames: a tenth of a second
_LEAST = 0.1  # of the loud frames


def pitch(samples: Samples) -> tuple[float, float]:
    """Median pitch in hertz, and the share of loud frames that have one, of (T,) at 16 kHz without rumble.

    50 Hz to 4.2 kHz; a pitch must last for three frames of 20 ms. Pitch is NaN below a tenth of the frames, and both
    are where fewer than five are loud. Source: normalised autocorrelation, Boersma 1993, Accurate short-term analysis
    of the fundamental frequency; peaks after the first zero only, McLeod and Wyvill 2005, A smarter way to find pitch.
    """
    window, longest = round(_PITCH_S * RATE_HZ), round(RATE_HZ / _LOWEST_HZ) + 2
    if len(samples) < window + longest:
        return NAN, NAN
    frames = sliding_window_view(samples, window + longest)[:: round(_PITCH_HOP_S * RATE_HZ)]  # (N, span)
    power = np.square(frames).mean(axis=1)
    loud = power > power.max() * 10 ** (-_LOUD_DB / 10)
    hertz = np.concatenate([_pitches(part, window, longest) for part in _parts(frames)])  # (N,), NaN without
    hertz[~loud] = np.nan
    with np.errstate(invalid="ignore"):
        moves = np.abs(np.diff(hertz)) > _STABLE * hertz[1:]
    held = ~moves & ~np.isnan(np.diff(hertz))  # (N - 1,) from a frame to the next
    stable = scipy.ndimage.binary_opening(np.pad(held, 1), [True, True])  # two such steps, three frames
    pitched = stable[1:] | stable[:-1]
    if loud.sum() < _FEWEST:
        return NAN, NAN
    share = float(pitched.sum() / loud.sum())
    told = pitched.sum() >= _FEWEST and share >= _LEAST
    return (float(np.median(hertz[pitched])) if told else NAN), share


def _parts(frames: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """A thousand frames at a time: minutes of correlations would take gigabytes."""
    return (frames[start : start + 1000] for start in range(0, len(frames), 1000))


def _pitches(frames: NDArray[np.float32], window: int, longest: int) -> Curve:
    """The pitch in hertz of each frame (N, span), NaN for none."""
    size = scipy.fft.next_fast_len(frames.shape[1] + window, real=True)
    product = scipy.fft.rfft(frames, size) * scipy.fft.rfft(frames[:, :window], size).conj()
    correlation = scipy.fft.irfft(product, size * _FINER)[:, : longest * _FINER] * _FINER  # (N, lag)
    total = np.pad(np.cumsum(np.square(frames, dtype=np.float64), axis=1), ((0, 0), (1, 0)))
    energy = (total[:, window:] - total[:, :-window])[:, :longest]  # of the window from each lag on
    energy = scipy.ndimage.zoom(energy, (1, _FINER), order=1, mode="nearest", grid_mode=True)
    curve = correlation / np.sqrt(energy[:, :1] * energy + 1e-12)
    fallen = np.logical_or.accumulate(curve < 0, axis=1)  # a ripple on the first slope is no period
    curve = np.where(fallen, curve, 0.0)
    shortest = int(RATE_HZ * _FINER / _HIGHEST_HZ)
    lag, height = _first_peak(curve[:, shortest:])
    return np.where(height > _VOICED, RATE_HZ * _FINER / (shortest + lag), np.nan)


def _first_peak(curve: Curve) -> tuple[Curve, Curve]:
    """Place, to a fraction by a parabola, and height of the first peak (N,) nearly as high as any of `curve` (N, L)."""
    left, middle, right = curve[:, :-2], curve[:, 1:-1], curve[:, 2:]
    peak = (middle >= left) & (middle > right)
    highest = np.where(peak, middle, 0.0).max(axis=1, keepdims=True)
    at, row = (peak & (middle > _OCTAVE * highest)).argmax(axis=1), np.arange(len(curve))
    low, top, up = left[row, at], middle[row, at], right[row, at]
    bend = np.minimum(low - 2 * top + up, -1e-12)
    return at + 1 + 0.5 * (low - up) / bend, np.where(peak[row, at], top, 0.0)
