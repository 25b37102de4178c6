"""What the streaming metrics share: cutting blocks into frames, and histograms that stand in for a sort."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
Levels = NDArray[np.float64]


class Framer:
    """Cuts a stream of blocks (C, T) of any length into whole frames, without overlap."""

    def __init__(self, channels: int, frame: int) -> None:
        self._frame = frame
        self._rest = np.zeros((channels, 0), np.float32)
        self._started = False

    def push(self, block: Samples) -> Samples:
        """Return the frames (C, N, frame) that this block completes; N may be 0."""
        joined = np.concatenate([self._rest, block], axis=1) if self._rest.shape[1] else block
        count = joined.shape[1] // self._frame
        self._rest = joined[:, count * self._frame :].copy()  # a view would keep the whole block alive
        self._started = self._started or count > 0
        return joined[:, : count * self._frame].reshape(len(joined), count, self._frame)  # (C, N, frame)

    def flush(self) -> Samples:
        """Return the stream repeated to one frame (C, 1, frame) if it was shorter than that, else (C, 0, frame)."""
        if self._started or not self._rest.shape[1]:
            return self._rest[:, :0].reshape(len(self._rest), 0, self._frame)
        repeats = -(-self._frame // self._rest.shape[1])
        return np.tile(self._rest, repeats)[:, np.newaxis, : self._frame]


class LevelHistogram:
    """Counts levels in dB, row by row, so that percentiles of hours of audio need a few kilobytes.

    Levels outside `low_db .. high_db` count in the outermost bins.
    """

    def __init__(self, rows: int, low_db: float, high_db: float, step_db: float) -> None:
        self._low_db = low_db
        self._step_db = step_db
        self._counts = np.zeros((rows, round((high_db - low_db) / step_db)), np.int64)

    def add(self, levels_db: Levels) -> None:
        """Count levels (rows, N)."""
        rows, bins = self._counts.shape
        index = ((levels_db - self._low_db) / self._step_db).clip(0, bins - 1).astype(np.int64)
        index += np.arange(rows)[:, np.newaxis] * bins
        self._counts += np.bincount(index.ravel(), minlength=rows * bins).reshape(rows, bins)

    def percentile_db(self, percent: float) -> Levels:
        """Return each row's percentile (rows,), to the step; NaN if nothing was counted."""
        total = self._counts[0].sum()
        if not total:
            return np.full(len(self._counts), np.nan)
        reached = self._counts.cumsum(axis=1) >= total * percent / 100
        levels_db: Levels = self._low_db + reached.argmax(axis=1) * self._step_db
        return levels_db


def power_db(power: NDArray[np.floating], floor: float) -> Levels:
    """Return power in dB, no lower than the floor (a power, not dB)."""
    decibels: Levels = 10 * np.log10(np.maximum(power, floor), dtype=np.float64)
    return decibels
