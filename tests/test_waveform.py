"""Resampling: exact lengths, no matter the blocks, and no shift in time."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from audiodiff.waveform import StreamResampler, Waveform

RATES_HZ = (8_000, 11_025, 44_100, 48_000, 96_000, 192_000)


def sine(rate_hz: int, frames: int, hz: float = 1_000.0) -> NDArray[np.float32]:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(frames) / rate_hz)).astype(np.float32)[None]


def streamed(samples: NDArray[np.float32], in_hz: int, out_hz: int, block: int) -> NDArray[np.float32]:
    resampler = StreamResampler(len(samples), in_hz, out_hz)
    parts = [resampler.push(samples[:, at : at + block]) for at in range(0, samples.shape[1], block)]
    return np.concatenate([*parts, resampler.flush()], axis=1)


@pytest.mark.parametrize("in_hz", RATES_HZ)
@pytest.mark.parametrize("out_hz", RATES_HZ)
@pytest.mark.parametrize("frames", [0, 1, 7, 10_007])
def test_length_is_exact(in_hz, out_hz, frames):
    out = Waveform(sine(in_hz, frames), in_hz).resample(out_hz)
    assert (out.channels, out.frames, out.sample_rate) == (1, round(frames * out_hz / in_hz), out_hz)
    assert out.samples.dtype == np.float32


@pytest.mark.parametrize("block", [1, 160, 4_097, 48_000])
@pytest.mark.parametrize(("in_hz", "out_hz"), [(8_000, 48_000), (44_100, 48_000), (48_000, 44_100), (192_000, 16_000)])
def test_blocks_do_not_change_the_result(in_hz, out_hz, block):
    samples = np.random.default_rng(0).normal(0, 0.1, (2, 9_001)).astype(np.float32)
    whole = Waveform(samples, in_hz).resample(out_hz).samples
    np.testing.assert_allclose(streamed(samples, in_hz, out_hz, block), whole, atol=1e-6)


@pytest.mark.parametrize(("in_hz", "out_hz"), [(8_000, 48_000), (44_100, 48_000), (96_000, 44_100), (192_000, 8_000)])
def test_a_sine_stays_where_it_is(in_hz, out_hz):
    out = Waveform(sine(in_hz, in_hz), in_hz).resample(out_hz).samples
    middle = slice(out_hz // 10, -out_hz // 10)
    np.testing.assert_allclose(
        out[:, middle], sine(out_hz, out_hz)[:, middle], atol=2e-4
    )  # 1e-4 rad: far below a sample


@pytest.mark.parametrize(("in_hz", "out_hz"), [(16_000, 48_000), (48_000, 16_000), (44_100, 48_000)])
def test_a_click_stays_where_it_is(in_hz, out_hz):
    click = np.zeros((1, in_hz), np.float32)
    click[0, in_hz // 2] = 1.0
    energy = np.square(Waveform(click, in_hz).resample(out_hz).samples[0].astype(np.float64))
    centre_s = (energy * np.arange(out_hz)).sum() / energy.sum() / out_hz
    assert centre_s == pytest.approx(0.5, abs=0.01 / out_hz)


def test_channels_stay_apart():
    samples = np.concatenate([sine(44_100, 8_000), np.zeros((1, 8_000), np.float32)])
    out = Waveform(samples, 44_100).resample(48_000).samples
    assert np.abs(out[0]).max() > 0.49
    assert not out[1].any()


def test_the_same_rate_changes_nothing():
    samples = sine(48_000, 1_000)
    np.testing.assert_array_equal(Waveform(samples, 48_000).resample(48_000).samples, samples)


def test_measures_and_mono():
    stereo = Waveform(np.concatenate([sine(8_000, 4_000), -0.5 * sine(8_000, 4_000)]), 8_000)
    assert (stereo.channels, stereo.frames, stereo.duration_s) == (2, 4_000, 0.5)
    mono = stereo.mono()
    assert (mono.channels, mono.sample_rate, mono.samples.dtype) == (1, 8_000, np.float32)
    np.testing.assert_allclose(mono.samples, 0.25 * sine(8_000, 4_000), atol=1e-7)
