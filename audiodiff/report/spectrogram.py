"""Spectrograms for the report: mel-spaced rows, one dB range for all pictures of an item, small palette PNGs."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import fft

WIDTH_PX = 640
HEIGHT_PX = 160
RANGE_DB = 80.0  # from black to white; the same for every picture of the report
FLOOR_DB = -140.0  # stands for digital silence

_LEVELS = 48  # shades: enough for the eye at 1.7 dB each, and a third smaller than 256
_WINDOW_S = 0.04  # long enough to resolve mains hum from speech, short enough to show single clicks
_FRAMES_PER_PIXEL = 2
# Ten even steps of matplotlib's "magma" (CC0): perceptually uniform, readable in grey and for colour-blind eyes.
_MAGMA = ("000004", "180f3e", "451077", "721f81", "9f2f7f", "cd4071", "f1605d", "fd9567", "fec98d", "fcfdbf")


def level_map_db(waveform: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """Mean power of (C, T) samples as (HEIGHT_PX, WIDTH_PX) dB re full scale, low frequencies in row 0.

    Channels are averaged as power, so antiphase material does not vanish as it would in a downmix.
    """
    power = _frame_power(waveform, sample_rate)  # (frames, bins)
    pixels = power.reshape(WIDTH_PX, _FRAMES_PER_PIXEL, -1).mean(axis=1) @ _mel_rows(power.shape[1], sample_rate).T
    level_db: NDArray[np.float32] = 10.0 * np.log10(np.maximum(pixels.T, np.float32(10.0 ** (FLOOR_DB / 10))))
    return level_db


def to_png(level_db: NDArray[np.float32], top_db: float) -> bytes:
    """An (H, W) level map as a PNG of the palette kind: `top_db` is the brightest, `RANGE_DB` below it black."""
    unit = np.clip((level_db - top_db) / RANGE_DB + 1.0, 0.0, 1.0)
    image = Image.fromarray(np.flipud(np.rint(unit * (_LEVELS - 1)).astype(np.uint8)))
    image.putpalette(_palette().tobytes())
    target = io.BytesIO()
    image.save(target, format="PNG")
    return target.getvalue()


def _frame_power(waveform: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """(C, T) to (frames, bins): power of a full-scale sine is 1 in its bin."""
    size = 2 ** round(np.log2(_WINDOW_S * sample_rate))
    padded = np.pad(waveform, ((0, 0), (size // 2, size - size // 2)))
    frames = WIDTH_PX * _FRAMES_PER_PIXEL
    starts = np.linspace(0, waveform.shape[1], frames, endpoint=False).astype(np.int64)
    window = np.hanning(size + 1)[:-1].astype(np.float32)
    total: NDArray[np.float32] = np.zeros((frames, size // 2 + 1), dtype=np.float32)
    for channel in padded:  # one at a time: a channel's frames take 10 MB at 48 kHz
        segments = np.lib.stride_tricks.sliding_window_view(channel, size)[starts] * window  # (frames, size)
        total += np.abs(fft.rfft(segments, axis=1)) ** 2
    total *= 4.0 / window.sum() ** 2 / len(waveform)
    return total


def _mel_rows(bins: int, sample_rate: int) -> NDArray[np.float32]:
    """(HEIGHT_PX, bins) weights, one triangle for each row, never narrower than a bin."""
    mel = np.linspace(0.0, _hz_to_mel(sample_rate / 2), HEIGHT_PX)
    centre_hz = 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
    bin_hz = sample_rate / 2 / (bins - 1)
    width_hz = np.maximum(np.gradient(centre_hz), bin_hz)
    distance = np.abs(np.arange(bins) * bin_hz - centre_hz[:, None]) / width_hz[:, None]
    weights = np.maximum(1.0 - distance, 0.0)
    rows: NDArray[np.float32] = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return rows


def _hz_to_mel(frequency_hz: float) -> float:
    """O'Shaughnessy's formula, which page.js repeats for its frequency labels."""
    return float(2595.0 * np.log10(1.0 + frequency_hz / 700.0))


def _palette() -> NDArray[np.uint8]:
    """(_LEVELS, 3) colours from dark to bright."""
    anchors = np.array([list(bytes.fromhex(colour)) for colour in _MAGMA], dtype=np.float64)  # (10, 3)
    at = np.linspace(0, len(anchors) - 1, _LEVELS)
    channels = [np.interp(at, np.arange(len(anchors)), anchors[:, channel]) for channel in range(3)]
    return np.rint(np.stack(channels, axis=1)).astype(np.uint8)
