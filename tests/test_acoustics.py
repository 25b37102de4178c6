"""Acoustics of signals whose pitch, beat, attack, decay and colour are known by construction."""

from __future__ import annotations

import math
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import pytest
import scipy.signal

from audiodiff.curate.acoustics import acoustics, level_course
from audiodiff.curate.records import Acoustics
from audiodiff.media import read_audio
from audiodiff.metrics.loudness_range import loudness_range_lu
from audiodiff.waveform import Waveform

RATE = 48_000
ASSETS = Path(__file__).parent / "assets"


def sound(samples, sample_rate=RATE) -> Waveform:
    return Waveform(np.atleast_2d(samples).astype(np.float32), sample_rate)


def seconds(length_s, sample_rate=RATE):
    return np.arange(round(length_s * sample_rate)) / sample_rate


def sine(hz, length_s=1.0, sample_rate=RATE):
    return 0.3 * np.sin(2 * np.pi * hz * seconds(length_s, sample_rate))


def noise(length_s, sample_rate=RATE, tilt=0.0, seed=0):
    """Noise whose amplitude falls by f to the `tilt`: 0 white, 0.5 pink, 1 brown."""
    white = np.random.default_rng(seed).standard_normal(round(length_s * sample_rate))
    hertz = np.maximum(np.fft.rfftfreq(len(white), 1 / sample_rate), 20.0)
    shaped = np.fft.irfft(np.fft.rfft(white) * hertz**-tilt, len(white))
    return 0.1 * shaped / shaped.std()


def clicks(bpm, length_s=10.0, seed=0):
    train = np.zeros(round(length_s * RATE))
    train[(np.arange(0.2, length_s, 60 / bpm) * RATE).astype(int)] = 1.0
    click = noise(0.05, seed=seed) * np.exp(-seconds(0.05) / 0.01)
    return scipy.signal.fftconvolve(train, click)[: len(train)]


def stopping(rt_s, hold_s, carrier=None):
    """0.2 s of silence, a sound, and its exponential end."""
    after = seconds(0.4 + hold_s + rt_s) - 0.2
    envelope = np.where(after < 0, 0.0, 10 ** (-3 * np.maximum(after - hold_s, 0) / rt_s))
    return envelope * (noise(len(after) / RATE) if carrier is None else sine(carrier, len(after) / RATE))


# Pitch


@pytest.mark.parametrize("hz", [50, 110, 440, 1000, 2500, 4000])
@pytest.mark.parametrize("sample_rate", [16_000, 48_000])
def test_a_sine_has_its_pitch(hz, sample_rate):
    measured = acoustics(sound(sine(hz, 0.5, sample_rate), sample_rate))
    assert measured.pitch_hz == pytest.approx(hz, rel=0.01)
    assert measured.pitched_share > 0.9


@pytest.mark.parametrize("sample_rate", [8_000, 11_025, 96_000, 192_000])
def test_pitch_at_other_rates(sample_rate):
    assert acoustics(sound(sine(1000, 0.5, sample_rate), sample_rate)).pitch_hz == pytest.approx(1000, rel=0.01)


@pytest.mark.parametrize("hz", [50, 82, 220, 880, 2500, 4000])
def test_harmonics_have_the_pitch_of_their_fundamental(hz):
    saw = sum(sine(hz * k) / k for k in range(1, 20_000 // hz))
    assert acoustics(sound(saw)).pitch_hz == pytest.approx(hz, rel=0.01)


def test_a_missing_fundamental_is_heard():
    assert acoustics(sound(sum(sine(220 * k) for k in (3, 4, 5, 6)))).pitch_hz == pytest.approx(220, rel=0.01)


@pytest.mark.parametrize("tilt", [0.0, 0.5, 1.0])
def test_noise_has_neither_pitch_nor_beat_nor_end(tilt):
    measured = acoustics(sound(noise(6.0, tilt=tilt)))
    assert math.isnan(measured.pitch_hz)
    assert measured.pitched_share < 0.02
    assert math.isnan(measured.tempo_bpm)
    assert math.isnan(measured.decay_s)


def test_a_faint_ripple_on_rumble_is_no_pitch():
    """The autocorrelation of a low noise falls slowly from 1, and any tone makes peaks on its way down."""
    rumble = scipy.signal.sosfilt(scipy.signal.butter(4, [40, 160], "band", fs=RATE, output="sos"), noise(4.0))
    measured = acoustics(sound(rumble / rumble.std() * 0.1 + 0.1 * sine(3500, 4.0)))
    assert not measured.pitch_hz > 1000


# Beat and onsets


@pytest.mark.parametrize("bpm", [60, 75, 90, 120, 140, 180])
def test_clicks_have_their_tempo_or_an_octave_of_it(bpm):
    octaves = math.log2(acoustics(sound(clicks(bpm))).tempo_bpm / bpm)
    assert abs(octaves - round(octaves)) < math.log2(1.02)
    assert abs(octaves) < 1.1


def test_clicks_at_random_have_no_tempo():
    train = np.zeros(10 * RATE)
    train[np.random.default_rng(1).integers(0, len(train), 20)] = 1.0
    struck = scipy.signal.fftconvolve(train, noise(0.05) * np.exp(-seconds(0.05) / 0.01))[: len(train)]
    assert math.isnan(acoustics(sound(struck)).tempo_bpm)


def test_onsets_are_counted():
    assert acoustics(sound(clicks(120))).onsets_per_s == pytest.approx(2.0, abs=0.15)
    assert acoustics(sound(noise(5.0))).onsets_per_s == pytest.approx(0.2)  # its own start
    assert acoustics(sound(sine(440, 5.0))).onsets_per_s == pytest.approx(0.2)  # and not the cut at its end


# Attack and decay


@pytest.mark.parametrize("ramp_s", [0.005, 0.02, 0.1, 0.5, 1.0])
def test_a_ramp_takes_eight_tenths_of_its_length(ramp_s):
    ramp = np.clip((seconds(2.0) - 0.3) / ramp_s, 0, 1) * sine(440, 2.0)
    assert acoustics(sound(ramp)).attack_s == pytest.approx(0.8 * ramp_s, rel=0.05, abs=0.002)


def test_a_sound_that_was_there_before_has_no_attack():
    assert math.isnan(acoustics(sound(sine(440))).attack_s)


@pytest.mark.parametrize("carrier", [None, 500])
@pytest.mark.parametrize("hold_s", [0.0, 0.5])
@pytest.mark.parametrize("rt_s", [0.1, 0.3, 1.0, 3.0])
def test_a_sound_that_stops_has_its_decay(rt_s, hold_s, carrier):
    assert acoustics(sound(stopping(rt_s, hold_s, carrier))).decay_s == pytest.approx(rt_s, rel=0.15)


def test_decay_is_not_told_in_noise_or_without_an_end():
    decaying = stopping(1.0, 0.0)
    assert math.isnan(acoustics(sound(decaying + 0.06 * noise(len(decaying) / RATE, seed=1))).decay_s)
    assert math.isnan(acoustics(sound(decaying[: RATE // 2])).decay_s)


# Colour


@pytest.mark.parametrize(("low", "high"), [(200, 400), (1000, 1500), (4000, 6000), (10_000, 12_000)])
def test_brightness_lies_within_the_band_and_band_noise_is_noise(low, high):
    band = scipy.signal.butter(8, (low, high), "band", fs=RATE, output="sos")
    measured = acoustics(sound(scipy.signal.sosfilt(band, noise(3.0))))
    assert measured.brightness_hz == pytest.approx((low + high) / 2, rel=0.1)
    assert measured.flatness > 0.7


def test_flatness_tells_noise_from_tones():
    assert acoustics(sound(noise(3.0))).flatness > 0.97
    assert acoustics(sound(noise(3.0, tilt=0.5))).flatness > 0.9
    assert acoustics(sound(sine(440))).flatness < 0.01
    assert acoustics(sound(sum(sine(110 * k) / k for k in range(1, 30)))).flatness < 0.05


def test_a_lossy_or_resampled_copy_is_as_bright_and_flat():
    whole = sound(sum(sine(200 * k, 2.0) / k for k in range(1, 15)) + noise(2.0, tilt=0.5))
    copy = whole.resample(16_000)
    assert acoustics(copy).flatness == pytest.approx(acoustics(whole).flatness, abs=0.05)


# Level


def test_loudness_range_of_ebu_tech_3342():
    """Cases 1 and 2: two levels 10 and 5 LU apart."""
    for apart in (10, 5):
        gain = np.repeat([1.0, 10 ** (-apart / 20)], 20 * RATE)
        assert loudness_range_lu(sound(np.tile(sine(1000, 40.0) / 3 * gain, (2, 1)))) == pytest.approx(apart, abs=1)


def test_the_course_of_the_level():
    fade = 10 ** (-30 * np.linspace(0, 1, 3 * RATE) / 20)
    trend_db, spread_db = level_course(sound(sine(440, 3.0) * fade))
    assert trend_db == pytest.approx(-30, abs=1.5)
    assert spread_db < 0.5
    steady_then_silent = np.concatenate([sine(440, 1.0), np.zeros(2 * RATE)])
    assert level_course(sound(steady_then_silent)) == pytest.approx((0, 0), abs=0.1)


# Any sound


def test_silence_has_no_acoustics():
    assert all(math.isnan(value) for value in asdict(acoustics(sound(np.zeros((2, RATE))))).values())


def test_opposite_channels_do_not_cancel():
    left = sine(300)
    assert acoustics(sound(np.stack([left, -left]))).pitch_hz == pytest.approx(300, rel=0.01)


def test_level_and_offset_do_not_matter():
    plain, moved = (asdict(acoustics(sound(x))) for x in (stopping(0.5, 0.3, 440), 0.01 * stopping(0.5, 0.3, 440)))
    assert moved == pytest.approx(plain, rel=0.02, nan_ok=True)
    assert acoustics(sound(sine(440) + 0.5)).pitch_hz == pytest.approx(440, rel=0.01)


@pytest.mark.parametrize(("sample_rate", "channels"), [(8_000, 1), (22_050, 6), (44_100, 2), (192_000, 8)])
@pytest.mark.parametrize("length_s", [0.01, 0.3, 4.5])
def test_any_rate_channels_and_length(sample_rate, channels, length_s):
    tone = np.tile(sine(440, length_s, sample_rate), (channels, 1))
    measured = acoustics(sound(tone, sample_rate))
    assert measured.brightness_hz == pytest.approx(440, rel=0.5)
    assert all(isinstance(getattr(measured, field.name), float) for field in fields(Acoustics))


def test_a_voice_is_pitched_in_parts():
    measured = acoustics(read_audio(ASSETS / "en_asterisk_vm-tempgreeting2.g722"))
    assert 130 < measured.pitch_hz < 300
    assert 0.1 < measured.pitched_share < 0.8
    assert 1 < measured.onsets_per_s < 6
    assert math.isnan(measured.tempo_bpm)
