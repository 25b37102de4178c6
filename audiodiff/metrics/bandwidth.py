"""Effective bandwidth: how far up the recording reaches, whatever its sample rate promises."""

from __future__ import annotations

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from audiodiff.metrics.streams import LevelHistogram, Levels, Samples, power_db

# 65 dB below the strongest bin: just under the highest consonants of close speech, just above what Opus and
# Vorbis fill in over a cut-off (Kerstin's 16.4 kHz reads as 20 kHz with 70 dB).
_BELOW_PEAK_DB = 65.0
_BAND_BINS = 10  # ten 25 Hz bins: a steady noise then varies by less than 5 dB between these percentiles
_QUIET_PERCENT, _LOUD_PERCENT = 10, 95
_LIVELY_DB = 8.0  # so a band that varies by more than this carries signal and not just hiss
_MIN_FRAMES = 25  # under a second the percentiles mean nothing
_SMOOTH_BINS = 5


class Bandwidth:
    """Takes frames of about 40 ms to the highest frequency that carries signal.

    That is the highest frequency whose long-term average power is within 65 dB of the strongest, in a 250 Hz
    band that moves: the 95th percentile of its level exceeds the 10th by 8 dB. Steady hiss does not move and
    is not bandwidth. A wholly steady signal (a tone, a noise) is judged by power alone. Broad-band crackle
    moves and does count.
    """

    def __init__(self, sample_rate: int, frame: int) -> None:
        bins = frame // 2 + 1
        self._bin_hz = sample_rate / frame
        self._window = np.hanning(frame).astype(np.float32)
        self._scale = float(2 / (self._window**2).sum() / frame)  # bins add up to the mean square
        self._bands = max(bins // _BAND_BINS, 1)
        self._power = np.zeros(bins)
        self._frames = 0
        self._levels = LevelHistogram(self._bands, -160.0, 40.0, 1.0)

    def push(self, frames: Samples) -> Levels:
        """Measure frames (C, N, T); power is averaged over channels, so antiphase does not cancel.

        Returns the level of each band of 250 Hz in each frame (K, N), in dBFS.
        """
        if not frames.shape[1]:
            return np.zeros((self._bands, 0))
        spectrum = scipy.fft.rfft(frames * self._window, axis=-1)  # (C, N, F)
        power = (spectrum.real**2 + spectrum.imag**2).mean(axis=0) * self._scale  # (N, F)
        self._power += power.sum(axis=0)
        self._frames += len(power)
        width = min(_BAND_BINS, power.shape[1])
        banded = power[:, : self._bands * width].reshape(len(power), self._bands, width).sum(axis=2)  # (N, bands)
        levels_db = power_db(banded, 1e-16).T
        self._levels.add(levels_db)
        return levels_db

    def hz(self) -> float:
        """Return the bandwidth in hertz, 0 for digital silence, NaN if there was no frame."""
        if not self._frames:
            return float("nan")
        if not self._power.any():
            return 0.0
        smooth = np.convolve(self._power / self._frames, np.ones(_SMOOTH_BINS) / _SMOOTH_BINS, "same")
        level_db = power_db(smooth, 1e-30)
        strong = level_db > level_db.max() - _BELOW_PEAK_DB
        lively = strong & self._lively()
        highest = int(np.flatnonzero(lively if lively.any() else strong)[-1])
        return highest * self._bin_hz

    def _lively(self) -> NDArray[np.bool_]:
        """Return which bins (F,) lie in a band that moves."""
        bins = len(self._power)
        if self._frames < _MIN_FRAMES:
            return np.ones(bins, bool)
        moved_db = self._levels.percentile_db(_LOUD_PERCENT) - self._levels.percentile_db(_QUIET_PERCENT)
        band = np.minimum(np.arange(bins) // _BAND_BINS, self._bands - 1)  # the last bins share the last band
        lively: NDArray[np.bool_] = (moved_db > _LIVELY_DB)[band]
        return lively
