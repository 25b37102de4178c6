"""Whether a loop's seam is heard: the wrap from its end to its beginning against all other places of the sound."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.fft
import scipy.linalg
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from audiodiff.waveform import Waveform

NAN = math.nan
Samples = NDArray[np.float32]
Curve = NDArray[np.float64]

SHORTEST_S = 1.0
"""A loop shorter than this has too few other places to compare its seam with."""

_USUAL = 0.95  # quantile: what happens at the seam may happen at one place in twenty

_FRAME_S = 0.04
_SPANS = (2, 8)  # frames on either side: 80 ms for a cut through a note, 320 ms for a step in level or colour
_BANDS, _LOW_HZ = 20, 100.0
_LEAST_STEP_DB = 1.0  # about what is just heard
_FLOOR_DB = 50.0  # under the loudest band: what changes below is not heard

_ORDER, _PAST, _AHEAD = 32, 1024, 32  # samples: a click comes in less than 1 ms, told from the 21 ms before at 48 kHz
_STEP_S = 0.02  # what is usual is the largest error in each 20 ms, so that attacks of notes count
_LEAST_SURPRISE = 2.0  # what the largest of 32 errors of a noise comes to
_QUIET = 1e-3  # of the RMS: in pauses the prediction of dither says nothing

_LEVEL_S = 0.05
_LOW = 0.1  # quantile: a seam quieter than this is a hole
_DEEPEST_DB = 60.0


@dataclass(frozen=True, slots=True)
class Seam:
    """How far a seam stands out, in dB; NaN where it cannot be told, and 0 or less where it does not.

    `change_db`: by how much the step of the spectrum is larger than what is usual inside. `click_db`: the same of the
    error of predicting the first samples from the last. `gap_db`: how far the level falls below its quiet places.
    """

    change_db: float = NAN
    click_db: float = NAN
    gap_db: float = NAN


def seam(sound: Waveform) -> Seam:
    """Measure the seam of a loop (C, T), played as the mean of its channels; NaN below 1 s and for silence."""
    if sound.duration_s < SHORTEST_S:
        return Seam()
    loop, rate = sound.mono().samples[0], sound.sample_rate  # to resample would smear the ends
    if not np.square(loop).mean() > 1e-10:
        return Seam()
    return Seam(_change_db(loop, rate), _click_db(loop, rate), _gap_db(loop, rate))


def _change_db(loop: Samples, rate: int) -> float:
    """The step of the spectrum at the wrap over the usual one, at the span at which it stands out most."""
    levels_db = _band_levels_db(loop, rate)  # (N, B), the first frame begins at the wrap
    return max(_against_usual(_steps_db(levels_db, span), span, _LEAST_STEP_DB) for span in _SPANS)


def _steps_db(levels_db: Curve, span: int) -> Curve:
    """Distance (N,) of the mean spectra of `span` frames before and after the beginning of each frame."""
    wrapped = np.concatenate([levels_db[-span:], levels_db, levels_db[: span - 1]])
    means = sliding_window_view(wrapped, span, axis=0).mean(axis=2)  # (N + span, B)
    steps: Curve = np.sqrt(np.square(means[span:] - means[:-span]).mean(axis=1))
    return steps


def _band_levels_db(loop: Samples, rate: int) -> Curve:
    """Levels (N, B) of bands of equal width in octaves, every 40 ms."""
    frame = round(_FRAME_S * rate)
    count = len(loop) // frame
    frames = loop[: count * frame].reshape(count, frame) * np.hanning(frame).astype(np.float32)
    power = np.square(np.abs(scipy.fft.rfft(frames))).astype(np.float64)
    edges_hz = np.geomspace(_LOW_HZ, 0.45 * rate, _BANDS + 1)
    edges = np.unique(np.round(edges_hz * frame / rate).astype(int))
    banded = np.add.reduceat(power, edges, axis=1)[:, :-1] / np.diff(edges)
    level_db: Curve = 10 * np.log10(banded + banded.max() * 10 ** (-_FLOOR_DB / 10))
    return level_db


def _against_usual(values: Curve, near: int, least: float) -> float:
    """In dB: the first of (N,) over the usual one, those within `near` places of the wrap aside; both at least so."""
    usual = float(np.quantile(values[near:-near], _USUAL))
    return 20 * math.log10(max(float(values[0]), least) / max(usual, least))


def _click_db(loop: Samples, rate: int) -> float:
    """The largest error of predicting a millisecond after the wrap, over the usual one.

    Source of the predictor: the autocorrelation method, Makhoul 1975, Linear prediction: a tutorial review.
    """
    wrapped = np.concatenate([loop[-_PAST:], loop[:_AHEAD]]).astype(np.float64)
    step = round(_STEP_S * rate)
    inside = sliding_window_view(loop, _PAST + step)[::step].astype(np.float64)
    floor = _QUIET * math.sqrt(float(np.square(loop, dtype=np.float64).mean()))
    return _against_usual(np.array([_surprise(window, floor) for window in (wrapped, *inside)]), 1, _LEAST_SURPRISE)


def _surprise(window: Curve, floor: float) -> float:
    """The largest error after the first samples of (PAST + T,) over the RMS error in those, which it is learnt from."""
    past = window[:_PAST] * np.hanning(_PAST)
    spectrum = scipy.fft.rfft(past, 2 * _PAST)
    correlation = scipy.fft.irfft(np.square(np.abs(spectrum)))[: _ORDER + 1]
    correlation[0] = correlation[0] * (1 + 1e-6) + 1e-30
    weights = scipy.linalg.solve_toeplitz(correlation[:-1], correlation[1:])
    predicted = sliding_window_view(window, _ORDER)[:-1] @ weights[::-1]
    error = window[_ORDER:] - predicted
    known = _PAST - _ORDER
    usual = math.sqrt(float(np.square(error[:known]).mean()))
    return float(np.abs(error[known:]).max()) / (usual + floor)


def _gap_db(loop: Samples, rate: int) -> float:
    """How far the quietest of the 50 ms on either side of the wrap and across it lies below the quiet places."""
    frame = round(_LEVEL_S * rate)
    power = np.square(loop[: len(loop) // frame * frame].reshape(-1, frame), dtype=np.float64).mean(axis=1)
    across = np.concatenate([loop[-frame:], loop[:frame]])
    around = sliding_window_view(np.square(across, dtype=np.float64), frame).mean(axis=1).min()
    floor = float(power.max()) * 10 ** (-_DEEPEST_DB / 10)
    return 10 * math.log10((float(np.quantile(power, _LOW)) + floor) / (around + floor))
