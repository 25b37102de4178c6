"""Flat tops: the trace that clipping leaves, also in recordings that were turned down afterwards."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audiodiff.metrics.streams import Samples

_LOWEST_DB, _HIGHEST_DB, _STEP_DB = -40.0, 120.0, 0.1  # below -40 dBFS, 8-bit steps alone make flat tops
_NEAR_BINS = 2  # within 0.2 dB: an extreme on a bin's edge, or one stray sample above the plateau, must not hide it


class Clipping:
    """Counts samples in runs of three or more equal samples at the signal's own extreme.

    The extreme is known only at the end, so runs are counted by polarity and level (0.1 dB bins) and summed
    up afterwards within 0.2 dB of each channel's highest and lowest sample. Clipping that was resampled or
    coded with loss later is no longer flat and is not found; neither is any below -40 dBFS.
    """

    def __init__(self, channels: int) -> None:
        bins = round((_HIGHEST_DB - _LOWEST_DB) / _STEP_DB)
        self._samples = 0
        self._tail = np.full((channels, 3), np.nan, np.float32)  # NaN equals nothing: no run begins before 0
        self._extremes = np.zeros((channels, 2))  # (C, polarity)
        self._flat = np.zeros((channels, 2, bins), np.int64)  # (C, polarity, level)

    def push(self, block: Samples) -> None:
        """Count a block (C, T), T > 0, of finite samples."""
        joined = np.concatenate([self._tail, block], axis=1)  # (C, 3 + T)
        self._tail = joined[:, -3:].copy()
        self._samples += block.size
        self._extremes = np.maximum(self._extremes, np.stack([block.max(axis=1), -block.min(axis=1)], axis=1))
        equal = joined[:, 1:] == joined[:, :-1]
        triple = equal[:, 1:] & equal[:, :-1]  # (C, 1 + T); the first was counted with the block before
        channel, at = np.nonzero(triple[:, 1:] & (np.abs(joined[:, 2:-1]) > 10 ** (_LOWEST_DB / 20)))
        if len(at):
            # A run of n samples holds n - 2 triples, so its first triple stands for three samples.
            weight = np.where(triple[channel, at], 1, 3)
            self._count(channel, joined[channel, at + 2], weight)

    def fraction(self) -> float:
        """Return clipped samples / all samples of all channels; NaN of an empty signal."""
        if not self._samples:
            return float("nan")
        first = np.maximum(_bin(np.maximum(self._extremes, 1e-9)) - _NEAR_BINS, 0)  # (C, polarity)
        near = np.arange(self._flat.shape[2]) >= first[:, :, np.newaxis]
        return float(self._flat[near].sum() / self._samples)

    def _count(self, channel: NDArray[np.int64], level: Samples, weight: NDArray[np.int64]) -> None:
        np.add.at(self._flat, (channel, (level < 0).astype(np.int64), _bin(np.abs(level))), weight)


def _bin(amplitude: NDArray[np.floating]) -> NDArray[np.int64]:
    index = (20 * np.log10(amplitude) - _LOWEST_DB) / _STEP_DB
    bins: NDArray[np.int64] = index.clip(0, (_HIGHEST_DB - _LOWEST_DB) / _STEP_DB - 1).astype(np.int64)
    return bins
