"""Gates on scores that differ in one thing, and on real signals measured before and after a fault."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from audiodiff.errors import ConfigError
from audiodiff.gates import PRESETS, Measured, explain, gates, judge
from audiodiff.metrics.meter import Meter
from audiodiff.records import Lane, Scores

SOURCE = Scores(
    lufs=-23.0,
    true_peak_db=-3.0,
    clipped_fraction=0.0,
    silent_fraction=0.1,
    bandwidth_hz=16_000.0,
    noise_floor_db=-50.0,
    channel_correlation=0.5,
    steady_noise_db=-70.0,
    background_db=-40.0,
    clicks_per_s=0.5,
    dnsmos_sig=3.0,
    dnsmos_bak=3.0,
    dnsmos_ovrl=3.0,
)
BETTER = replace(SOURCE, lufs=-23.5, noise_floor_db=-62.0, silent_fraction=0.3, dnsmos_ovrl=3.3)


def verdict(before=SOURCE, after=BETTER, problems=(), preset="archive"):
    return judge(Measured(before, after, problems), preset)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_good_restoration_is_accepted(preset):
    assert verdict(preset=preset) == type(verdict())(Lane.ACCEPTED, (), keep_original=False)
    assert verdict(after=SOURCE, preset=preset).lane is Lane.ACCEPTED  # doing nothing is no worse


@pytest.mark.parametrize("code", ["truncated", "non_finite_samples", "corrupt_frames"])
def test_a_damaged_file_is_reviewed_with_its_restoration(code):
    found = verdict(problems=(code,))
    assert (found.lane, found.reasons, found.keep_original) == (Lane.REVIEW, (code,), False)


def test_a_mislabelled_file_is_accepted_but_says_so():
    found = verdict(problems=("mislabelled",))
    assert (found.lane, found.reasons) == (Lane.ACCEPTED, ("mislabelled",))


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("loudness_moved", {"lufs": -19.0}),
        ("loudness_moved", {"lufs": -30.0}),
        ("loudness_moved", {"lufs": -math.inf}),
        ("peak_over", {"true_peak_db": 0.3}),
        ("bandwidth_lost", {"bandwidth_hz": 8000.0, "noise_floor_db": -50.0}),
        ("bandwidth_lost", {"bandwidth_hz": 2000.0}),
        ("new_clipping", {"clipped_fraction": 0.001}),
        ("noise_raised", {"noise_floor_db": -48.0}),
        ("silence_added", {"silent_fraction": 0.8}),
    ],
)
@pytest.mark.parametrize("preset", PRESETS)
def test_an_output_worse_than_its_input_is_reviewed_and_the_original_kept(reason, change, preset):
    found = verdict(after=replace(BETTER, **change), preset=preset)
    assert (found.lane, found.reasons, found.keep_original) == (Lane.REVIEW, (reason,), True)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"true_peak_db": 1.0}, {"true_peak_db": 0.9}),  # it was over before
        ({"bandwidth_hz": 24_000.0}, {"bandwidth_hz": 8000.0}),  # the noise above 8 kHz is gone
        ({"noise_floor_db": -120.0}, {"noise_floor_db": -90.0}),  # digital silence became dither
        ({}, {"lufs": -21.5, "noise_floor_db": -48.0}),  # turned up as a whole
        ({"lufs": math.nan}, {"lufs": math.nan}),  # too short for a loudness
        ({"bandwidth_hz": 4000.0}, {"bandwidth_hz": 16_000.0}),
    ],
)
def test_what_restoration_is_expected_to_do_passes(before, after):
    assert verdict(replace(SOURCE, **before), replace(BETTER, **after)).reasons == ()


def test_the_opinion_of_speech_counts_for_speech_only():
    worse = replace(BETTER, dnsmos_ovrl=2.85)
    assert verdict(after=worse).lane is Lane.ACCEPTED
    found = verdict(after=worse, preset="speech")
    assert (found.lane, found.reasons, found.keep_original) == (Lane.REVIEW, ("opinion_dropped",), True)
    assert verdict(after=replace(BETTER, dnsmos_ovrl=math.nan), preset="speech").lane is Lane.ACCEPTED


def test_the_worst_lane_wins_and_all_reasons_stay_in_order():
    broken = replace(BETTER, true_peak_db=math.nan, clipped_fraction=0.1)
    found = verdict(after=broken, problems=("truncated", "mislabelled"))
    assert found.lane is Lane.REJECTED
    assert found.reasons == ("mislabelled", "truncated", "non_finite_output", "new_clipping")
    assert not found.keep_original  # what was rejected is what can be heard


def test_an_unknown_preset_names_the_known_ones():
    with pytest.raises(ConfigError, match="'tape' is unknown; known are archive, speech"):
        verdict(preset="tape")


@pytest.mark.parametrize("preset", PRESETS)
def test_every_reason_is_unique_and_explained(preset):
    reasons = [gate.reason for gate in gates(preset)]
    assert len(set(reasons)) == len(reasons)
    for reason in reasons:
        assert explain(reason).endswith(".")
    assert explain("unheard_of") == "unheard_of"


def measured(signal) -> Scores:
    meter = Meter(48_000, len(signal), dnsmos=False)
    meter.push(signal.astype(np.float32))
    return meter.scores()


def programme(seed=0):
    """Four seconds of stereo, in syllables."""
    t = np.arange(4 * 48_000) / 48_000
    loud = np.clip(np.sin(2 * np.pi * 3 * t), 0.003, 1)
    return 0.05 * np.random.default_rng(seed).standard_normal((2, len(t))) * loud


@pytest.mark.parametrize(
    ("damage", "lane", "reasons"),
    [
        (lambda x: x, Lane.ACCEPTED, ()),
        (lambda x: 0 * x, Lane.REJECTED, ("silent_output",)),
        (lambda x: np.where(np.arange(x.shape[1]) == 9, np.nan, x), Lane.REJECTED, ("non_finite_output",)),
        (lambda x: x.clip(-0.02, 0.02), Lane.REVIEW, ("new_clipping",)),
        (lambda x: x + 0.001 * np.roll(programme(1), 20_000, axis=1) / 0.05, Lane.ACCEPTED, ()),
        (lambda x: x + 0.01 * np.random.default_rng(2).standard_normal(x.shape), Lane.REVIEW, ("noise_raised",)),
        (lambda x: 2 * x, Lane.REVIEW, ("loudness_moved",)),
        (lambda x: (x + np.roll(x, 1, 1) + np.roll(x, 2, 1) + np.roll(x, 3, 1)) / 2, Lane.ACCEPTED, ()),
    ],
)
def test_damage_to_real_signals_is_caught(damage, lane, reasons):
    source = programme()
    found = judge(Measured(measured(source), measured(damage(source))), "archive")
    assert found.lane is lane
    assert set(reasons) <= set(found.reasons)
    assert bool(found.reasons) == bool(reasons)


def test_a_silent_source_is_reviewed_and_kept():
    silence = measured(np.zeros((1, 48_000)))
    found = judge(Measured(silence, silence), "archive")
    assert (found.lane, found.reasons, found.keep_original) == (Lane.REVIEW, ("silent_source",), True)


def test_an_antiphase_source_is_reviewed_and_restored():
    left = programme()[0]
    scores = measured(np.stack([left, -left]))
    found = judge(Measured(scores, scores), "archive")
    assert (found.lane, found.reasons, found.keep_original) == (Lane.REVIEW, ("antiphase",), False)
