"""Metrics on signals whose loudness, bandwidth, clipping and so on are known by construction."""

from __future__ import annotations

import math
import time
import tracemalloc

import numpy as np
import pyloudnorm
import pytest
import scipy.ndimage
import scipy.signal
import torch

from audiodiff.metrics.meter import Meter
from audiodiff.metrics.paired import align_delay, aligned, log_spectral_distance_db, si_sdr_db
from audiodiff.records import Scores

RATE = 48_000


def measure(signal, sample_rate=RATE, dnsmos=False, block=65_536) -> Scores:
    signal = np.atleast_2d(signal).astype(np.float32)
    meter = Meter(sample_rate, len(signal), dnsmos)
    for start in range(0, signal.shape[1], block):
        meter.push(signal[:, start : start + block])
    return meter.scores()


def sine(hz, seconds, sample_rate=RATE, db=0.0, phase=0.0):
    t = np.arange(round(seconds * sample_rate)) / sample_rate
    return 10 ** (db / 20) * np.sin(2 * np.pi * hz * t + phase)


def noise(seconds, rms_db, sample_rate=RATE, channels=1, seed=0):
    shape = (channels, round(seconds * sample_rate))
    return 10 ** (rms_db / 20) * np.random.default_rng(seed).standard_normal(shape)


def syllables(signal, sample_rate=RATE):
    """Gate a signal (C, T) four times a second, as speech does."""
    t = np.arange(signal.shape[-1]) / sample_rate
    return signal * np.clip(np.sin(2 * np.pi * 4 * t), 0, 1)


def voice(seconds, noise_level):
    """A gliding voiced source in syllables with noise, 16 kHz; speechmos was run on exactly this."""
    rng = np.random.default_rng(7)
    t = np.arange(int(seconds * 16_000)) / 16_000
    phase = 2 * np.pi * np.cumsum(120 + 30 * np.sin(2 * np.pi * 0.7 * t)) / 16_000
    voiced = sum(np.sin(k * phase) / k for k in range(1, 25)) * np.clip(np.sin(2 * np.pi * 2.5 * t), 0, 1)
    return 0.1 * voiced + noise_level * rng.standard_normal(len(t))


def as_array(scores: Scores):
    return np.array([getattr(scores, name) for name in Scores.__slots__])


# Loudness and true peak


@pytest.mark.parametrize("sample_rate", [8_000, 11_025, 44_100, 48_000, 96_000, 192_000])
def test_stereo_tone_of_minus_23_dbfs_reads_minus_23_lufs(sample_rate):
    """EBU Tech 3341, case 1."""
    tone = np.tile(sine(1000, 5, sample_rate, db=-23), (2, 1))
    assert measure(tone, sample_rate).lufs == pytest.approx(-23, abs=0.1)


def test_quiet_passages_are_gated():
    """EBU Tech 3341, case 3, at a quarter of its length."""
    tone = np.concatenate([sine(1000, s, db=db) for s, db in ((3, -36), (15, -23), (3, -36))])
    assert measure(np.tile(tone, (2, 1))).lufs == pytest.approx(-23, abs=0.1)


@pytest.mark.parametrize(("sample_rate", "channels"), [(8000, 1), (16_000, 2), (44_100, 1), (48_000, 2), (48_000, 5)])
def test_loudness_agrees_with_pyloudnorm(sample_rate, channels):
    signal = syllables(noise(6, -20, sample_rate, channels), sample_rate) + noise(6, -60, sample_rate, channels, 1)
    up = 48_000 // sample_rate  # below 44.1 kHz, compare where the K filter is defined
    expected = pyloudnorm.Meter(up * sample_rate).integrated_loudness(
        scipy.signal.resample_poly(signal, up, 1, axis=1).T
    )
    assert measure(signal, sample_rate).lufs == pytest.approx(expected, abs=0.1)


def test_true_peak_between_samples():
    """EBU Tech 3341, case 16: a quarter of the rate at 45 degrees peaks 3 dB above its samples."""
    tone = sine(RATE / 4, 1, db=-6, phase=np.pi / 4) * scipy.signal.windows.tukey(RATE, 0.1)
    assert 20 * np.log10(np.abs(tone).max()) == pytest.approx(-9, abs=0.1)
    assert measure(tone).true_peak_db == pytest.approx(-6, abs=0.1)


@pytest.mark.parametrize("db", [0.0, -20.0, -70.0])
def test_true_peak_of_the_last_sample_counts_at_any_level(db):
    signal = np.zeros(RATE + 123)
    signal[-1] = 10 ** (db / 20)
    assert measure(signal).true_peak_db == pytest.approx(db, abs=0.3)


def test_silence_and_fragments_have_defined_scores():
    silence = measure(np.zeros((2, RATE)))
    assert silence.lufs == silence.true_peak_db == -math.inf
    assert (silence.silent_fraction, silence.bandwidth_hz, silence.clipped_fraction) == (1, 0, 0)
    assert silence.noise_floor_db == pytest.approx(-120)
    assert math.isnan(measure(sine(1000, 0.399, db=-23)).lufs)
    for sample_rate in (8_000, 48_000):
        assert measure(sine(1000, 0.4, sample_rate, db=-23), sample_rate).lufs == pytest.approx(-26, abs=0.15)
    fragment = measure(sine(1000, 0.01, db=-6))
    assert math.isnan(fragment.lufs)
    assert fragment.true_peak_db == pytest.approx(-6, abs=0.5)
    assert (fragment.silent_fraction, fragment.clipped_fraction) == (0, 0)
    assert np.isnan(as_array(measure(np.zeros((2, 0)), dnsmos=True))).all()


# Clipping


@pytest.mark.parametrize(("floor", "gain"), [(-0.5, 1.0), (-0.5, 0.1), (-9.0, 1.0)])
def test_clipping_is_found_at_any_gain_and_on_one_side(floor, gain):
    low = scipy.signal.sosfilt(scipy.signal.butter(4, 2000, fs=RATE, output="sos"), noise(4, 0)[0])
    clipped = low.clip(floor, 0.5)
    flat = (clipped == 0.5) | (clipped == floor)
    runs = scipy.ndimage.binary_opening(flat, np.ones(3))  # three in a row and more
    scores = measure(clipped * gain, block=1001)
    assert runs.mean() > 0.003
    assert scores.clipped_fraction == pytest.approx(runs.mean(), rel=0.02)


@pytest.mark.parametrize("block", [1, 2, 7, 10_000])
def test_a_plateau_counts_once_wherever_blocks_end(block):
    signal = sine(440, 0.02)
    signal[100:105] = 1.5
    signal[300:302] = 1.5  # two samples are no plateau
    assert measure(signal, block=block).clipped_fraction == pytest.approx(5 / len(signal))


def test_unclipped_sound_and_steps_far_from_the_extreme_are_not_clipping():
    steps = np.repeat([0.5, -0.2, 0.3, -0.4], 100)
    steps = np.concatenate([steps, sine(900, 0.1)])
    assert measure(noise(2, -20)).clipped_fraction == 0
    assert measure(steps).clipped_fraction == 0


# Levels


def test_silent_fraction_and_noise_floor():
    half = np.concatenate([sine(500, 2, db=-20), np.zeros(2 * RATE)])
    assert measure(half).silent_fraction == pytest.approx(0.5, abs=0.01)
    hissy = syllables(noise(4, -20)) + noise(4, -50, seed=1)
    scores = measure(hissy)
    assert scores.noise_floor_db == pytest.approx(-50, abs=0.5)
    assert scores.silent_fraction == 0


@pytest.mark.parametrize(("second", "expected"), [(1.0, 1), (-0.3, -1), (0.0, math.nan)])
def test_correlation_of_a_scaled_copy(second, expected):
    left = noise(1, -20)[0]
    stereo = np.stack([left + 0.1, left * second])  # an offset must not matter
    assert measure(stereo).channel_correlation == pytest.approx(expected, abs=1e-4, nan_ok=True)


def test_correlation_of_strangers_and_of_mono():
    assert abs(measure(noise(2, -20, channels=2)).channel_correlation) < 0.02
    assert math.isnan(measure(noise(1, -20)).channel_correlation)


# Bandwidth


@pytest.mark.parametrize("cutoff_hz", [3400, 7000, 16_000])
@pytest.mark.parametrize("hiss_db", [-140, -60])
@pytest.mark.parametrize("channels", [1, 2])
def test_bandwidth_is_the_programmes_not_the_files_nor_the_hiss(cutoff_hz, hiss_db, channels):
    sos = scipy.signal.cheby2(16, 90, cutoff_hz, fs=RATE, output="sos")
    programme = syllables(scipy.signal.sosfilt(sos, noise(4, -20, channels=channels)))
    measured = measure(programme + noise(4, hiss_db, channels=channels, seed=1)).bandwidth_hz
    assert measured == pytest.approx(cutoff_hz, rel=0.1)  # the filter is down 90 dB there


@pytest.mark.parametrize("sample_rate", [8_000, 44_100, 192_000])
def test_bandwidth_of_full_band_sound_is_half_the_rate(sample_rate):
    signal = syllables(noise(2, -20, sample_rate), sample_rate)
    assert measure(signal, sample_rate).bandwidth_hz == pytest.approx(sample_rate / 2, rel=0.01)


def test_bandwidth_of_steady_sound_is_judged_by_power():
    assert measure(sine(5000, 2, db=-10)).bandwidth_hz == pytest.approx(5000, abs=300)
    assert measure(noise(2, -30)).bandwidth_hz == pytest.approx(24_000, rel=0.01)


def test_antiphase_does_not_hide_bandwidth():
    left = syllables(noise(2, -20))[0]
    assert measure(np.stack([left, -left])).bandwidth_hz > 23_500


# DNSMOS


@pytest.mark.parametrize(
    ("seconds", "noise_level", "expected"),
    [
        (9.01, 0.001, (2.2804, 2.6983, 1.9012)),
        (9.01, 0.02, (1.7009, 1.2224, 1.2974)),
        (4.505, 0.005, (3.1886, 2.5287, 2.2059)),
    ],
)
def test_opinion_is_that_of_speechmos(seconds, noise_level, expected):
    """The expected values are `speechmos.dnsmos.run` 0.0.1.1 (with librosa) on the same samples."""
    scores = measure(voice(seconds, noise_level), 16_000, dnsmos=True)
    assert (scores.dnsmos_sig, scores.dnsmos_bak, scores.dnsmos_ovrl) == pytest.approx(expected, abs=0.01)


def test_opinion_hears_noise_at_48_khz_stereo():
    def heard(noise_level):
        signal = scipy.signal.resample_poly(voice(6, noise_level), 3, 1)
        return measure(np.stack([signal, signal]), RATE, dnsmos=True)

    assert heard(0.001).dnsmos_bak > heard(0.02).dnsmos_bak + 0.5


def test_opinion_of_a_long_recording_is_bounded_and_ignores_its_lead_in():
    speech = np.tile(voice(9.01, 0.005), 5)
    lead_in = speech.copy()
    lead_in[: int(9.01 * 16_000)] = noise(9.01, -20, 16_000)[0, : int(9.01 * 16_000)]
    started = time.process_time()
    one, other = (measure(signal, 16_000, dnsmos=True, block=5000) for signal in (speech, lead_in))
    assert time.process_time() - started < 5
    assert one.dnsmos_ovrl == pytest.approx(other.dnsmos_ovrl, abs=0.01)


def test_opinion_of_silence_is_undefined():
    assert math.isnan(measure(np.zeros(16_000), 16_000, dnsmos=True).dnsmos_ovrl)


# The meter as a whole


@pytest.mark.parametrize("sample_rate", [8_000, 11_025, 44_100, 192_000])
@pytest.mark.parametrize("channels", range(1, 9))
def test_every_rate_and_channel_count_is_measured(sample_rate, channels):
    scores = measure(syllables(noise(1, -20, sample_rate, channels), sample_rate), sample_rate)
    values = [scores.lufs, scores.true_peak_db, scores.noise_floor_db, scores.bandwidth_hz]
    assert np.isfinite(values).all()
    assert math.isnan(scores.channel_correlation) == (channels == 1)


@pytest.mark.parametrize("block", [997, 4800, 1 << 20])
def test_scores_do_not_depend_on_blocks(block):
    signal = syllables(noise(2.5, -10, channels=2)).clip(-0.4, 0.4)
    assert as_array(measure(signal, block=block)) == pytest.approx(
        as_array(measure(signal, block=100_000)), rel=1e-4, nan_ok=True
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_samples_that_are_no_audio_are_reported_and_do_no_harm(bad):
    clean = noise(2, -20, channels=2)
    broken = clean.copy()
    broken[1, 5000:5010] = bad
    scores, expected = measure(broken), measure(clean)
    assert math.isnan(scores.true_peak_db)
    assert scores.lufs == pytest.approx(expected.lufs, abs=0.1)
    assert scores.bandwidth_hz == pytest.approx(expected.bandwidth_hz, rel=0.05)


def test_memory_does_not_grow_with_length():
    block = noise(10, -20, 8000).astype(np.float32)

    def peak_bytes(blocks):
        tracemalloc.start()
        meter = Meter(8000, 1, dnsmos=False)
        for _ in range(blocks):
            meter.push(block)
        meter.scores()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    assert peak_bytes(60) < 1.1 * peak_bytes(6) + 100_000


def test_measuring_costs_less_than_a_hundredth_of_real_time():
    signal = syllables(noise(30, -20)).astype(np.float32)
    measure(signal[:, :RATE])
    started = time.process_time()
    measure(signal)
    assert time.process_time() - started < 30 / 100


# Against a reference


@pytest.mark.parametrize("snr_db", [-5, 0, 20, 60])
@pytest.mark.parametrize("gain", [1.0, -0.2])
def test_si_sdr_of_orthogonal_noise_is_its_ratio(snr_db, gain):
    reference = sine(1000, 1, 16_000)
    estimate = gain * (reference + sine(3000, 1, 16_000, db=-snr_db) + 0.5)  # neither gain nor offset count
    assert si_sdr_db(estimate, reference) == pytest.approx(snr_db, abs=0.01)


def test_si_sdr_at_the_limits():
    reference = noise(1, -20)[0]
    assert si_sdr_db(reference, reference) > 200
    assert np.isnan(si_sdr_db(reference, np.zeros_like(reference)))


@pytest.mark.parametrize("gain_db", [0, 6, -20])
def test_log_spectral_distance_of_a_gain_is_the_gain(gain_db):
    reference = noise(1, -20)[0]
    distance = log_spectral_distance_db(reference * 10 ** (gain_db / 20), reference, RATE)
    assert distance == pytest.approx(abs(gain_db), abs=0.01)


def test_log_spectral_distance_of_a_missing_half_band_is_finite_and_large():
    reference = noise(1, -20)[0]
    dull = scipy.signal.sosfilt(scipy.signal.butter(8, 12_000, fs=RATE, output="sos"), reference)
    assert 10 < log_spectral_distance_db(dull, reference, RATE) < 80


def test_batches_of_tensors_and_arrays_agree():
    reference = noise(0.5, -20, channels=6).reshape(2, 3, -1).astype(np.float32)
    estimate = reference + noise(0.5, -40, channels=6, seed=1).reshape(2, 3, -1).astype(np.float32)
    for measure_pair in (si_sdr_db, lambda e, r: log_spectral_distance_db(e, r, RATE)):
        array = measure_pair(estimate, reference)
        tensor = measure_pair(torch.from_numpy(estimate), torch.from_numpy(reference))
        assert isinstance(array, np.ndarray)
        assert array.shape == tuple(tensor.shape) == (2, 3)
        np.testing.assert_allclose(array, tensor.numpy())
    assert si_sdr_db(estimate, reference) == pytest.approx(np.full((2, 3), 20), abs=0.2)


@pytest.mark.parametrize("delay", [-700, -1, 0, 1, 480])
@pytest.mark.parametrize("gain", [1.0, -0.5])
def test_delay_is_found_to_the_sample_and_removed(delay, gain):
    source = noise(1, -20)[0]
    reference, estimate = source[1000:31_000], gain * source[1000 - delay : 30_500 - delay]
    assert align_delay(estimate, reference) == delay
    moved = aligned(estimate, reference)
    assert moved.shape == reference.shape
    np.testing.assert_allclose(moved[1000:29_000], gain * reference[1000:29_000])


def test_a_delay_is_looked_for_no_further_than_told() -> None:
    steady = np.sin(2 * np.pi * 100.0 * np.arange(4_000) / 8_000)  # repeats every 80 samples
    late = np.concatenate([np.zeros(30), steady])
    assert align_delay(late, steady, most=60) == 30
    assert abs(align_delay(late, steady, most=20)) <= 20
    assert aligned(late, steady, most=60) == pytest.approx(steady)
