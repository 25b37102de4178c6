"""A known signal to find out how far a foreign tool's output lags behind its input."""

from __future__ import annotations

import numpy as np
import scipy.signal

from audiodiff.errors import EngineError
from audiodiff.metrics.paired import align_delay
from audiodiff.waveform import Block

MOST_DELAY_S = 0.15
LEAST_LIKENESS = 0.5
"""Correlation of output and probe below which a delay is not believed."""

_SECONDS, _REST_S = 3.0, 0.25
_FORMANTS_HZ, _WIDTHS_HZ = (600.0, 1_200.0, 2_500.0), (80.0, 100.0, 150.0)


def probe(sample_rate: int, level: float) -> Block:
    """A voice-like sound (1, T) of RMS `level` between two pauses, the same at each call.

    Noise removers let voices pass. Its pitch glides, so that no shift by a whole period fits as well as the right one.
    """
    time = np.arange(round(_SECONDS * sample_rate)) / sample_rate
    pitch_hz = 150.0 + 40.0 * np.sin(2 * np.pi * 0.7 * time) + 4.0 * np.sin(2 * np.pi * 5.5 * time)
    phase = np.cumsum(pitch_hz) / sample_rate
    voice = np.diff(np.floor(phase), prepend=0.0)  # a pulse a period
    for centre_hz, width_hz in zip(_FORMANTS_HZ, _WIDTHS_HZ, strict=True):
        radius, angle = np.exp(-np.pi * width_hz / sample_rate), 2 * np.pi * centre_hz / sample_rate
        voice = scipy.signal.lfilter([1.0], [1.0, -2 * radius * np.cos(angle), radius**2], voice)
    voice *= np.sin(np.pi * 2.0 * time) ** 2  # four syllables a second, as speech has
    rest = np.zeros(round(_REST_S * sample_rate))
    samples = np.concatenate([rest, voice, rest])
    levelled: Block = (samples * level / np.sqrt(np.square(samples).mean())).astype(np.float32)[None]
    return levelled


def measure_delay(out: Block, sent: Block, sample_rate: int) -> int:
    """By how many samples `out` (1, T) lags behind the probe `sent` (1, T); negative if it leads.

    Raises `EngineError` where the two are not alike at any shift up to `MOST_DELAY_S`.
    """
    most = round(MOST_DELAY_S * sample_rate)
    delay = align_delay(out[0], sent[0], most)
    moved = np.roll(out[0], -delay).astype(np.float64)  # the pauses are longer than any shift
    power = float(np.square(moved).sum() * np.square(sent[0], dtype=np.float64).sum())
    likeness = float(np.dot(moved, sent[0])) / np.sqrt(power) if power else 0.0
    if likeness < LEAST_LIKENESS or abs(delay) == most:
        raise EngineError(
            f"the delay cannot be measured: the output follows a voice-like test sound with a correlation of only "
            f"{likeness:.2f}; set `delay` to the samples by which the output lags"
        )
    return delay
