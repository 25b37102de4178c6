"""Finishing takes: trimmed, centred, faded and as loud as their kind should be, by meters that are not ours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
from scipy.signal import resample_poly

from audiodiff.generate.finish import Finish, finish, max_momentary_lufs
from audiodiff.media import read_audio
from audiodiff.waveform import Waveform

ASSETS = Path(__file__).parent / "assets"
RATE_HZ = 48_000
PLAIN = Finish(normalise="none")


def sine(hz: float, seconds: float, amplitude: float = 0.3, rate_hz: int = RATE_HZ, channels: int = 1) -> Waveform:
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    return Waveform(np.tile(amplitude * np.sin(2 * np.pi * hz * time_s), (channels, 1)).astype(np.float32), rate_hz)


def noise(seconds: float, level: float = 0.05, rate_hz: int = RATE_HZ, channels: int = 1) -> Waveform:
    samples = np.random.default_rng(0).standard_normal((channels, round(seconds * rate_hz))) * level
    return Waveform(samples.astype(np.float32), rate_hz)


def click() -> Waveform:
    """A knock: one sample wide, then ringing for 50 ms; its peak is far above its loudness."""
    samples = sine(900, 1.0, 0.05).samples * np.exp(-np.arange(RATE_HZ) / 500)
    samples[0, 0] = 0.8
    return Waveform(samples.astype(np.float32), RATE_HZ)


def lufs(waveform: Waveform) -> float:
    return pyloudnorm.Meter(waveform.sample_rate).integrated_loudness(waveform.samples.T.astype(np.float64))


def true_peak_db(waveform: Waveform) -> float:
    return 20 * np.log10(np.abs(resample_poly(waveform.samples.astype(np.float64), 8, 1, axis=1)).max())


def test_speech_is_at_19_lufs():
    found = finish(read_audio(ASSETS / "ru_asterisk_vm-opts.g722"), "voice", False, Finish())
    assert lufs(found.waveform) == pytest.approx(-19.0, abs=0.1)
    assert true_peak_db(found.waveform) <= -1.0
    assert found.messages == ()


@pytest.mark.parametrize("channels", [1, 2])
def test_music_is_at_16_lufs(channels):
    music = read_audio(ASSETS / "hyperrogue_hr-domina-mountain.ogg")
    dense = np.tanh(4 * music.samples[:channels, : 8 * music.sample_rate]) * 0.2  # as mastered music is
    take = Waveform(dense, music.sample_rate)
    found = finish(take, "music", False, Finish())
    assert (found.waveform.sample_rate, found.waveform.channels) == (48_000, channels)
    assert lufs(found.waveform) == pytest.approx(-16.0, abs=0.1)
    assert true_peak_db(found.waveform) <= -1.0
    assert found.messages == ()


@pytest.mark.parametrize("channels", [1, 2])
def test_the_loudest_400_ms_of_an_effect_are_at_18_lufs(channels):
    quiet, loud = noise(2.0, 0.01, channels=channels).samples, noise(0.4, 0.1, channels=channels).samples
    found = finish(Waveform(np.hstack([quiet, loud, quiet]), RATE_HZ), "sfx", False, Finish()).waveform
    window = Waveform(found.samples[:, 2 * RATE_HZ : 2 * RATE_HZ + 19_200], RATE_HZ)
    assert lufs(window) == pytest.approx(-18.0, abs=0.1)
    assert max_momentary_lufs(found) == pytest.approx(-18.0, abs=0.01)


def test_momentary_loudness_is_what_another_meter_says():
    for made in (sine(997, 0.4), sine(100, 0.4), noise(0.4), noise(0.4, channels=2)):
        assert max_momentary_lufs(made) == pytest.approx(lufs(made), abs=0.05)
    assert max_momentary_lufs(sine(997, 3.0, 10 ** (-20 / 20))) == pytest.approx(-23.0, abs=0.05)  # EBU Tech 3341
    half = max_momentary_lufs(sine(997, 0.2))
    assert half == pytest.approx(max_momentary_lufs(sine(997, 1.0)) - 3.01, abs=0.05)


def test_a_loop_is_as_loud_as_when_it_goes_round():
    short = sine(1000, 0.1)
    assert max_momentary_lufs(short, loop=True) == pytest.approx(max_momentary_lufs(sine(1000, 2.0)), abs=0.05)
    assert max_momentary_lufs(short) < max_momentary_lufs(short, loop=True) - 5


def test_where_the_peak_binds_a_take_stays_quieter_and_says_so():
    found = finish(click(), "sfx", False, Finish())
    assert true_peak_db(found.waveform) == pytest.approx(-1.0, abs=0.1)
    missing_db = -18 - max_momentary_lufs(found.waveform)
    assert missing_db > 3
    assert found.messages == (f"{missing_db:.1f} dB below -18 LUFS: peaks are at -1 dBTP",)


def test_peaks_between_the_samples_count():
    between = Waveform(np.tile(np.array([0.5, 0.5, -0.5, -0.5], np.float32), 12_000)[None], RATE_HZ)  # 12 kHz, +3 dB
    found = finish(between, "sfx", False, Finish(normalise="peak")).waveform
    assert np.abs(found.samples).max() == pytest.approx(10 ** (-4.01 / 20), abs=0.01)


@pytest.mark.parametrize("quiet_db", [-20, -60])
def test_a_quiet_take_reaches_its_target_as_well(quiet_db):
    found = finish(noise(2.0, 10 ** (quiet_db / 20)), "music", False, Finish())
    assert lufs(found.waveform) == pytest.approx(-16.0, abs=0.1)
    assert finish(found.waveform, "music", True, Finish()).gain_db == pytest.approx(0.0, abs=0.1)


def test_silence_around_it_is_cut_and_its_attack_kept():
    silence = np.zeros((1, RATE_HZ // 2), np.float32)
    burst = sine(1000, 0.5)
    found = finish(Waveform(np.hstack([silence, burst.samples, silence]), RATE_HZ), "sfx", False, PLAIN)
    assert found.trimmed_start_s == pytest.approx(0.49, abs=0.011)
    assert found.trimmed_end_s == pytest.approx(0.45, abs=0.011)
    assert found.waveform.duration_s == pytest.approx(1.5 - found.trimmed_start_s - found.trimmed_end_s, abs=1e-4)
    start = RATE_HZ // 2 - round(found.trimmed_start_s * RATE_HZ)
    kept = found.waveform.samples[:, start : start + burst.frames]
    np.testing.assert_allclose(kept, burst.samples - burst.samples.mean(), atol=1e-5)


def test_a_decay_is_kept_as_long_as_it_is_within_60_db():
    seconds = np.arange(4 * RATE_HZ) / RATE_HZ
    decay = noise(4.0, 0.2).samples * 10 ** (-20 * seconds / 20)  # 20 dB a second: 60 dB down after three
    found = finish(Waveform(decay.astype(np.float32), RATE_HZ), "sfx", False, PLAIN)
    assert found.trimmed_start_s == 0.0
    assert found.waveform.duration_s == pytest.approx(3.05, abs=0.1)


def test_fades_are_short_and_of_equal_power():
    found = finish(noise(1.0, rate_hz=RATE_HZ), "music", False, PLAIN).waveform.samples[0]
    before = noise(1.0).samples[0]
    gain = found / (before - np.median([part.mean() for part in np.array_split(before, 20)]))
    for fade in (gain[:96], gain[:-961:-1]):
        np.testing.assert_allclose(fade**2 + fade[::-1] ** 2, 1.0, atol=0.04)  # sin2 + cos2, a sample apart
        assert fade[0] == 0.0
    np.testing.assert_allclose(gain[96:-960], 1.0, atol=1e-3)


@pytest.mark.parametrize(("rate_hz", "frames"), [(48_000, 12_345), (22_050, 88_200), (44_100, 10_007), (32_000, 999)])
def test_a_loop_keeps_its_length_and_its_seam(rate_hz, frames):
    turns = 7  # whole periods, so that the end meets the beginning
    before = sine(turns * rate_hz / frames, frames / rate_hz, rate_hz=rate_hz)
    found = finish(before, "music", True, PLAIN)
    expected = round(frames * 48_000 / rate_hz)
    assert (found.waveform.frames, found.trimmed_start_s, found.trimmed_end_s) == (expected, 0.0, 0.0)
    ideal = 0.3 * np.sin(2 * np.pi * turns * np.arange(expected) / expected)
    np.testing.assert_allclose(found.waveform.samples[0], ideal, atol=1e-5)


def test_a_loop_with_silence_in_it_is_neither_cut_nor_faded():
    samples = np.hstack([np.zeros((1, RATE_HZ), np.float32), sine(500, 1.0).samples])
    found = finish(Waveform(samples, RATE_HZ), "sfx", True, PLAIN).waveform
    np.testing.assert_allclose(found.samples, samples - samples.mean(), atol=1e-6)


@pytest.mark.parametrize("loop", [False, True])
def test_a_constant_offset_goes(loop):
    before = sine(440, 2.0, channels=2)
    shifted = Waveform(before.samples + np.array([[0.1], [-0.05]], np.float32), RATE_HZ)
    found = finish(shifted, "sfx", loop, PLAIN).waveform.samples[:, 2_000:-2_000]
    np.testing.assert_allclose(found, before.samples[:, 2_000:-2_000], atol=2e-3)


def test_a_lopsided_thump_is_not_shifted():
    samples = np.zeros((1, RATE_HZ), np.float32)
    samples[0, 20_000:22_000] = np.hanning(2_000)
    found = finish(Waveform(samples, RATE_HZ), "sfx", False, PLAIN).waveform.samples
    assert found[0, :400] == pytest.approx(0.0, abs=1e-6)
    assert found.max() == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("level", [0.0, 0.2])
def test_silence_stays_silence(level):
    found = finish(Waveform(np.full((1, 8_000), level, np.float32), 16_000), "sfx", False, Finish())
    assert found.messages == ("there is no sound in it",)
    assert (found.waveform.frames, found.gain_db) == (24_000, 0.0)
    assert np.abs(found.waveform.samples).max() < 1e-6


def test_what_is_too_short_for_a_loudness_goes_to_its_peak():
    found = finish(sine(440, 0.2), "voice", False, Finish())
    assert found.messages == ("too short to have a loudness: normalised to -1 dBTP",)
    assert true_peak_db(found.waveform) == pytest.approx(-1.0, abs=0.05)


def test_the_gain_is_what_was_done():
    before = noise(2.0)
    found = finish(before, "sfx", True, Finish())
    expected = (before.samples - before.samples.mean()) * 10 ** (found.gain_db / 20)
    np.testing.assert_allclose(found.waveform.samples, expected, atol=1e-6)
    assert finish(before, "sfx", True, PLAIN).gain_db == 0.0


def test_the_same_take_gives_the_same_samples():
    first, second = (finish(noise(1.0, rate_hz=22_050), "voice", False, Finish()) for _ in range(2))
    np.testing.assert_array_equal(first.waveform.samples, second.waveform.samples)
