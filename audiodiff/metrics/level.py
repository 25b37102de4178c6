"""Silence, noise floor and the agreement of two channels, from 20 ms levels and running sums."""

from __future__ import annotations

import math

import numpy as np

from audiodiff.metrics.streams import LevelHistogram, Samples, power_db

SILENCE_DB = -60.0  # a convention; pauses in most of the kit's clean speech lie above it (-46 to -58 dBFS)
_FLOOR_PERCENT = 10  # quiet enough to be a pause, common enough not to be a dropout
_LOWEST_DB = -120.0  # below the noise of any 20-bit converter; digital silence reads as this


class FrameLevels:
    """Takes 20 ms frames to the silent fraction and the noise floor."""

    def __init__(self) -> None:
        self._histogram = LevelHistogram(1, _LOWEST_DB, 40.0, 0.1)
        self._frames = 0
        self._silent = 0

    def push(self, frames: Samples) -> None:
        """Measure frames (C, N, T); a frame's level is the RMS over all channels."""
        channels, count, length = frames.shape
        power = np.einsum("cnt,cnt->n", frames, frames) / (channels * length)
        levels_db = power_db(power, 1e-13)
        self._histogram.add(levels_db[np.newaxis])
        self._frames += count
        self._silent += int(np.count_nonzero(levels_db < SILENCE_DB))

    def silent_fraction(self) -> float:
        """Return the fraction of frames below -60 dBFS."""
        return self._silent / self._frames if self._frames else math.nan

    def noise_floor_db(self) -> float:
        """Return the 10th percentile of the frame levels in dBFS RMS, at least -120."""
        return float(self._histogram.percentile_db(_FLOOR_PERCENT)[0])


class Correlation:
    """Pearson correlation of the first two channels from running sums; -1 is antiphase."""

    def __init__(self) -> None:
        self._count = 0
        self._sums = np.zeros(2)  # (x, y)
        self._products = np.zeros((2, 2))  # (xx, xy; yx, yy)

    def push(self, block: Samples) -> None:
        """Add a block (C, T); fewer than two channels are ignored."""
        if len(block) < 2:
            return
        pair = block[:2].astype(np.float64)
        self._count += pair.shape[1]
        self._sums += pair.sum(axis=1)
        self._products += pair @ pair.T

    def value(self) -> float:
        """Return the correlation; NaN for mono and where a channel is constant."""
        if not self._count:
            return math.nan
        covariance = self._products - np.outer(self._sums, self._sums) / self._count
        scale = math.sqrt(max(covariance[0, 0], 0.0) * max(covariance[1, 1], 0.0))
        return float(np.clip(covariance[0, 1] / scale, -1, 1)) if scale > 0 else math.nan
