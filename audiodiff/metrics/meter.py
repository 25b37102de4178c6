"""`Meter`: every reference-free score of one signal, as a stream, in memory that does not grow."""

from __future__ import annotations

import math

import numpy as np

from audiodiff.metrics.bandwidth import Bandwidth
from audiodiff.metrics.clipping import Clipping
from audiodiff.metrics.defects import Defects
from audiodiff.metrics.dnsmos import Opinion
from audiodiff.metrics.level import Correlation, FrameLevels
from audiodiff.metrics.loudness import Loudness
from audiodiff.metrics.streams import Framer, Samples
from audiodiff.records import Scores

_LARGEST = 1e6  # +120 dBFS: anything beyond is not audio, and its square would soon overflow


class Meter:
    """Measures a signal pushed block by block: (C, T) float32 at its own rate, full scale 1.

    1 to 8 channels, 8 to 192 kHz. Samples that are not finite (or beyond +120 dBFS) are measured as zeros and
    make `true_peak_db` NaN, which a finite signal with samples never has. `dnsmos` adds the opinion scores,
    which are meant for speech and NaN otherwise.
    """

    def __init__(self, sample_rate: int, channels: int, dnsmos: bool) -> None:
        half = sample_rate // 50  # 20 ms
        self._half = half
        self._framer = Framer(channels, 2 * half)
        self._levels = FrameLevels()
        self._correlation = Correlation()
        self._clipping = Clipping(channels)
        self._bandwidth = Bandwidth(sample_rate, 2 * half)
        self._defects = Defects(sample_rate)
        self._loudness = Loudness(sample_rate, channels)
        self._opinion = Opinion(sample_rate) if dnsmos else None
        self._empty = True
        self._finite = True

    def push(self, block: Samples) -> None:
        """Measure a block (C, T); T may be anything, also 0."""
        if not block.shape[1]:
            return
        self._empty = False
        block = self._finite_only(block)
        self._take_frames(self._framer.push(block))
        self._correlation.push(block)
        self._clipping.push(block)
        self._loudness.push(block)
        if self._opinion:
            self._opinion.push(block)

    def scores(self) -> Scores:
        """Return the scores of all that was pushed; call it once, at the end. All are NaN of an empty signal."""
        self._take_frames(self._framer.flush())
        lufs, true_peak_db = self._loudness.finish()
        noise_db, background_db, clicks_per_s = self._defects.finish()
        sig, bak, ovrl = self._opinion.finish() if self._opinion else (math.nan,) * 3
        return Scores(
            lufs=lufs,
            true_peak_db=true_peak_db if self._finite and not self._empty else math.nan,
            clipped_fraction=self._clipping.fraction(),
            silent_fraction=self._levels.silent_fraction(),
            bandwidth_hz=self._bandwidth.hz(),
            noise_floor_db=self._levels.noise_floor_db(),
            channel_correlation=self._correlation.value(),
            steady_noise_db=noise_db,
            background_db=background_db,
            clicks_per_s=clicks_per_s,
            dnsmos_sig=sig,
            dnsmos_bak=bak,
            dnsmos_ovrl=ovrl,
        )

    def _take_frames(self, frames: Samples) -> None:
        channels, count, _ = frames.shape
        self._defects.push(frames, self._bandwidth.push(frames))
        self._levels.push(frames.reshape(channels, 2 * count, self._half))  # (C, 2 N, 20 ms)

    def _finite_only(self, block: Samples) -> Samples:
        if np.abs(block).max() <= _LARGEST:  # false for NaN too
            return block
        self._finite = False
        return np.where(np.abs(block) <= _LARGEST, block, np.float32(0))
