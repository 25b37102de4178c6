"""Acoustic fingerprints: what stays of a recording when it is trimmed, re-encoded, resampled or turned up."""

from __future__ import annotations

import functools

import numpy as np
import scipy.fft
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from audiodiff.errors import ConfigError
from audiodiff.waveform import Block, Waveform

VERSION = 1
BANDS = 24
RATE_HZ = 8_000  # a telephone copy has no more
_FFT, _HOP = 1024, 256
_LAG = 2  # frames: half a window, the shortest time over which the spectrum of noise changes by itself
FRAME_S = _HOP / RATE_HZ
_LOW_HZ, _HIGH_HZ = 200.0, 3_400.0  # what GSM and telephone lines pass
_FLOOR_DB = 40.0  # below the loud frames: coding noise and dither lie there
_STEP_DB = 3.0  # the spectrum of steady noise changes about as much from frame to frame
_STEADY_DB = 0.5  # digital silence; two clips that share only that are not alike
_SILENCE = 1e-8  # mean square; -80 dB
LEAST_FRAMES = 5  # a clip of 0.32 s
_LEVELS = np.array([-1, -3, 1, 3], np.int8)  # of the four codes: change down, far down, up, far up
_FRAME_BYTES = BANDS // 4


def fingerprint(samples: Block, sample_rate: int) -> bytes:
    """The fingerprint of a clip (C, T): a version byte, then 6 bytes for each 32 ms (188 bytes a second).

    Empty for silence and for clips under 0.32 s. Each two bits say whether the power in one of 24 mel bands, over the
    mean of all bands, rose or fell within 64 ms, and whether by more than 3 dB: gain, equalisation and the place of
    the cuts drop out. The first band is in the lowest bits of the first byte.
    Source of the idea: Haitsma and Kalker 2002, A highly robust audio fingerprinting system.
    """
    mono = samples.mean(axis=0, keepdims=True)
    mono = mono - mono.mean() if mono.size else mono  # an offset would ring at the ends
    sound = Waveform(mono, sample_rate).resample(RATE_HZ).samples[0]
    if len(sound) < _FFT + (_LAG + LEAST_FRAMES - 1) * _HOP or np.mean(sound**2) < _SILENCE:
        return b""
    change_db = _changes_db(_bands(sound))
    codes = (2 * (change_db > 0) + (np.abs(change_db) > _STEP_DB)).astype(np.uint8)
    codes[np.abs(change_db).max(axis=1) < _STEADY_DB] = 0
    codes = codes.reshape(-1, _FRAME_BYTES, 4)
    packed: NDArray[np.uint8] = (codes << np.array([0, 2, 4, 6], np.uint8)).sum(axis=2, dtype=np.uint8)  # (N, bytes)
    return bytes([VERSION, *packed.tobytes()])


def levels(print_: bytes) -> NDArray[np.int8]:
    """What a fingerprint says: -3, -1, 1 or 3 for each frame and band (N, 24), 0 for frames in which nothing changes.

    Raises ConfigError for a fingerprint of another version.
    """
    if not print_:
        return np.zeros((0, BANDS), np.int8)
    if print_[0] != VERSION or (len(print_) - 1) % _FRAME_BYTES:
        raise ConfigError(f"fingerprint of version {print_[0]}, {len(print_)} bytes; version {VERSION} is known")
    packed = np.frombuffer(print_, np.uint8, offset=1)
    codes = (packed[:, np.newaxis] >> np.array([0, 2, 4, 6], np.uint8)) & 3
    codes = codes.reshape(-1, BANDS)
    told = codes.any(axis=1, keepdims=True)  # changes less their mean cannot all be negative
    found: NDArray[np.int8] = _LEVELS[codes] * told
    return found


def _bands(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """Power in mel bands (N, B), every 32 ms."""
    frames = sliding_window_view(sound, _FFT)[::_HOP] * np.hanning(_FFT).astype(np.float32)
    spectrum = scipy.fft.rfft(frames)
    return np.asarray((spectrum.real**2 + spectrum.imag**2) @ _filters(), np.float32)


@functools.cache
def _filters() -> NDArray[np.float32]:
    """Triangles of equal area over the mel scale (F, B)."""
    low, high = _mel(np.array([_LOW_HZ, _HIGH_HZ]))
    edges = np.linspace(low, high, BANDS + 2)
    mel = _mel(np.arange(_FFT // 2 + 1) * RATE_HZ / _FFT)[:, np.newaxis]
    rising = (mel - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - mel) / (edges[2:] - edges[1:-1])
    triangles = np.maximum(0, np.minimum(rising, falling))
    return np.asarray(triangles / triangles.sum(axis=0), np.float32)


def _mel(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    mel: NDArray[np.float64] = 2595 * np.log10(1 + hz / 700)
    return mel


def _changes_db(power: NDArray[np.float32]) -> NDArray[np.float32]:
    """By how much each band (N, B) rose within 64 ms, less the mean of all bands (N - 2, B)."""
    floor = np.quantile(power.mean(axis=1), 0.9) * 10 ** (-_FLOOR_DB / 10)
    level_db = 10 * np.log10(power + floor)
    change_db: NDArray[np.float32] = level_db[_LAG:] - level_db[:-_LAG]
    change_db -= change_db.mean(axis=1, keepdims=True)
    return change_db
