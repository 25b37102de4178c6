"""A spectrum that ends as if cut is found, one that fades is not."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.signal
import torch
from pile import take

from audiodiff.degrade.codec import Codec
from audiodiff.metrics.cutoff import cutoff_hz
from audiodiff.waveform import Block, Waveform

RATE = 48_000


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 32_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_what_was_resampled_up_ends_at_its_old_rate(rate: int, channels: int) -> None:
    sound = Waveform(take(3, 2.0, channels), RATE).resample(rate).resample(RATE).samples
    assert cutoff_hz(sound, RATE) == pytest.approx(rate / 2, rel=0.1)


def test_mp3_at_64_kbit_ends_at_its_low_pass() -> None:
    sound = Codec("mp3", 64.0).apply(torch.from_numpy(take(3, 3.0)), RATE).numpy()
    assert cutoff_hz(sound, RATE) == pytest.approx(16_500, abs=1_500)


def dull(sound: Block) -> Block:
    """Lowered by 12 dB an octave above 1 kHz, as by a thick wall."""
    b, a = scipy.signal.butter(2, 1_000, fs=RATE)
    return scipy.signal.lfilter(b, a, sound).astype(np.float32)


@pytest.mark.parametrize("sound", [take(4, 2.0), dull(take(4, 2.0)), 0.1 * np.ones((1, RATE), np.float32)])
def test_full_band_dull_and_constant_sounds_have_no_edge(sound: Block) -> None:
    assert math.isnan(cutoff_hz(sound, RATE))


def test_too_little_to_tell() -> None:
    assert math.isnan(cutoff_hz(np.zeros((1, RATE), np.float32), RATE))
    assert math.isnan(cutoff_hz(np.zeros((1, 10), np.float32), RATE))
