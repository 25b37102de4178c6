"""Where a spectrum ends as if cut: the mark of a lower sample rate, or of a lossy codec, in the recording's past."""

from __future__ import annotations

import numpy as np
import scipy.fft

from audiodiff.metrics.streams import power_db
from audiodiff.waveform import Block

_FRAME_S = 0.04
_BAND_HZ = 250.0
_CLIFF_DB = 18.0  # over two bands; natural spectra fall by 3 to 10, resamplers and codecs by 20 to 80
_LOWEST_HZ = 3_000.0
_MARGIN = 0.92  # of half the rate: every converter rolls off above
_BLOCK_FRAMES = 2_048


def cutoff_hz(samples: Block, sample_rate: int) -> float:
    """The frequency from which (C, T) holds nothing although its rate allows it; NaN without such an edge.

    The long-term spectrum in bands of 250 Hz falls by 18 dB or more within two bands, and nothing above rises again.
    A dull sound falls slowly and is not meant: this finds copies that were resampled up, or went through MP3 or AAC.
    Source: Derrien, "Detection of genuine lossless audio files", DAFx 2019, section 2 (the cut-off feature).
    """
    level_db = _spectrum_db(samples, sample_rate)
    highest = int(_MARGIN * sample_rate / 2 / _BAND_HZ)
    lowest = int(_LOWEST_HZ / _BAND_HZ)
    for band in range(lowest, min(highest, len(level_db)) - 2):
        if level_db[band] - level_db[band + 2 : highest + 1].max() > _CLIFF_DB:
            return (band + 1) * _BAND_HZ
    return float("nan")


def _spectrum_db(samples: Block, sample_rate: int) -> np.ndarray:
    """Mean power in bands of 250 Hz (K,), over channels and time, in dB."""
    frame = scipy.fft.next_fast_len(int(_FRAME_S * sample_rate), real=True)
    window = np.hanning(frame).astype(np.float32)
    count = samples.shape[1] // frame
    bands = (np.arange(frame // 2 + 1) * sample_rate / frame / _BAND_HZ).astype(int)
    power = np.zeros(frame // 2 + 1)
    for first in range(0, count, _BLOCK_FRAMES):
        some = np.asarray(samples[:, first * frame : min(first + _BLOCK_FRAMES, count) * frame])
        frames = some.reshape(len(some), -1, frame)  # (C, N, T)
        spectrum = scipy.fft.rfft(frames * window, axis=-1)
        power += (spectrum.real**2 + spectrum.imag**2).sum(axis=(0, 1))
    scale = 1.0 / max(count * len(samples) * float((window**2).sum()), 1e-12)
    total = np.bincount(bands, power) / np.maximum(np.bincount(bands), 1)
    return np.asarray(power_db(total * scale, 1e-16))
