"""What speaks for damage, without a reference: steady noise, a background that never falls quiet, clicks."""

from __future__ import annotations

import math

import numpy as np
from scipy.ndimage import median_filter

from audiodiff.metrics.streams import Levels, Samples, power_db

_FRAME_S = 0.04
_PASSAGE = 250  # frames, 10 s: a lead-in's silence must not vouch for the noise of the whole tape
_SHORTEST = 25  # frames; under a second percentiles mean nothing
_TYPICAL = 90  # percent of the passages that are better
_QUIETEST = 2  # percent; between two words there is nearly always a frame without sound in a band of 250 Hz
_LOW, _HIGHER = 5, 25
_STEADY_DB = 3.0  # noise in ten bins moves by less than this between these percentiles
_WIDE, _MOST = 5, 4  # bands; a held note is steady as well, but noise is so in most of five neighbouring bands
_LOUD = 95
_FAR_DB = 40.0  # a passage so far below the loudest is a pause, whose noise says nothing of the programme's
_PEAK_S = 2e-3  # a click is shorter
_AROUND = 11  # peaks, 22 ms: what a click is compared with
_OUTSTANDING = 10.0  # times the median of its surroundings; voices and drums reach 6 several times a second
_AUDIBLE = 0.3  # of the passage's RMS


class Defects:
    """Takes frames of about 40 ms and their band levels to three figures, each that of a typical ten seconds.

    `noise_db`: the power of the bands that hardly move, relative to loud frames. `background_db`: the sum over bands of
    the quietest level each falls to, likewise: between words and notes, in some band or other, one hears what else is
    there. `clicks_per_s`: peaks of the second difference, shorter than 2 ms, that tower over what is around them.
    Source of the last: Godsill & Rayner, "Digital audio restoration", Springer 1998, ch. 5, with a fixed predictor.
    """

    def __init__(self, sample_rate: int) -> None:
        self._peak = max(4, round(_PEAK_S * sample_rate))
        self._frames: list[Samples] = []
        self._levels: list[Levels] = []
        self._count = 0
        self._passages: list[tuple[float, float, float, float]] = []  # loudness and the three figures

    def push(self, frames: Samples, levels_db: Levels) -> None:
        """Take frames (C, N, T) and their levels in bands (K, N)."""
        if not frames.shape[1]:
            return
        self._frames.append(frames)
        self._levels.append(levels_db)
        self._count += frames.shape[1]
        if self._count >= _PASSAGE:
            self._end_passage()

    def finish(self) -> tuple[float, float, float]:
        """Return (noise_db, background_db, clicks_per_s), NaN where there is less than a second or only silence."""
        if self._count >= (_PASSAGE // 2 if self._passages else _SHORTEST):  # else the rest says too little
            self._end_passage()
        loudest_db = max((passage[0] for passage in self._passages), default=-math.inf)
        heard = [passage[1:] for passage in self._passages if passage[0] > loudest_db - _FAR_DB]
        if not heard or loudest_db < -100.0:
            return math.nan, math.nan, math.nan
        noise_db, background_db, clicks_per_s = np.percentile(heard, _TYPICAL, axis=0)
        return float(noise_db), float(background_db), float(clicks_per_s)

    def _end_passage(self) -> None:
        frames, levels_db = np.concatenate(self._frames, axis=1), np.concatenate(self._levels, axis=1)
        self._frames, self._levels, self._count = [], [], 0
        loud_db = float(np.percentile(power_db(_power(levels_db).sum(axis=0), 1e-14), _LOUD))
        quietest, low, higher = np.percentile(levels_db, [_QUIETEST, _LOW, _HIGHER], axis=1)  # (K,) each
        steady = higher - low < _STEADY_DB  # (K,)
        wide = np.convolve(steady, np.ones(_WIDE), "same") >= _MOST
        noise = _power(low[steady & wide]).sum()
        self._passages.append((
            loud_db,
            float(power_db(noise, 1e-14)) - loud_db,
            float(power_db(_power(quietest).sum(), 1e-14)) - loud_db,
            self._clicks_per_frame(frames) / _FRAME_S,
        ))  # fmt: skip

    def _clicks_per_frame(self, frames: Samples) -> float:
        """Clicks in (C, N, T), the most of any channel, per frame."""
        channels, count, _ = frames.shape
        steps = np.abs(np.diff(frames.reshape(channels, -1), n=2, axis=1))
        whole = steps.shape[1] // self._peak * self._peak
        peaks = steps[:, :whole].reshape(channels, -1, self._peak).max(axis=2)  # (C, 2 ms)
        audible = _AUDIBLE * np.sqrt(np.square(steps).mean(axis=1, keepdims=True))
        out = (peaks > _OUTSTANDING * median_filter(peaks, size=(1, _AROUND))) & (peaks > audible)
        clicks = np.count_nonzero(out[:, 1:] & ~out[:, :-1], axis=1)
        return float(clicks.max(initial=0) / count)


def _power(levels_db: Levels) -> Levels:
    power: Levels = 10.0 ** (levels_db / 10.0)
    return power
