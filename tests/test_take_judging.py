"""Verdicts name what they found and want; the best of some takes comes first, and repeats of it last."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from functools import partial

import numpy as np
import pytest

from audiodiff.generate.judging import EXPLANATIONS, PRESETS, REPEATS, RULES, Limits, Verdict, judge
from audiodiff.generate.measures import TakeMeasures
from audiodiff.generate.ranking import TERMS, rank, score
from audiodiff.generate.records import Prompt
from audiodiff.records import Lane

SFX, MUSIC = Prompt("a dog barking", duration_s=4.0), Prompt("calm piano", "music", duration_s=4.0, tempo_bpm=90.0)
VOICE = Prompt("a calm voice", "voice", text="good evening")
GOOD = TakeMeasures(
    drawn_s=4.0, broken_share=0.0, lufs=-20.0, true_peak_db=-1.0, clipped_fraction=0.0, silent_fraction=0.1,
    bandwidth_hz=18_000.0, clicks_per_s=0.5, channel_correlation=0.8, dc_offset=0.001, head_db=-30.0, tail_db=-40.0,
    tail_rise_db=3.0, hum_db=-120.0, buzz_db=-120.0, ring_db=-120.0, tempo_error=0.01, dnsmos_ovrl=3.2,
    seam_change_db=-2.0, seam_click_db=-3.0, seam_gap_db=-1.0, match=0.8, clap_match=0.4,
    text_evidence=-0.3, weakest_word=-1.0,
    memory_likeness=0.1, sibling_likeness=0.1,
)  # fmt: skip
STRICT = {kind: replace(limits, least_clap_match=0.2) for kind, limits in PRESETS.items()}

BREAKS = {
    "not_finite": (SFX, Lane.REJECTED, {"broken_share": 0.01}),
    "silent": (SFX, Lane.REJECTED, {"silent_fraction": 1.0}),
    "too_quiet": (SFX, Lane.REJECTED, {"lufs": -math.inf}),
    "clipped": (SFX, Lane.REJECTED, {"clipped_fraction": 0.02}),
    "memorised": (SFX, Lane.REJECTED, {"memory_likeness": 0.7}),
    "dc_offset": (SFX, Lane.REVIEW, {"dc_offset": 0.05}),
    "antiphase": (SFX, Lane.REVIEW, {"channel_correlation": -0.99}),
    "hum": (SFX, Lane.REVIEW, {"hum_db": -10.0}),
    "buzz": (SFX, Lane.REVIEW, {"buzz_db": -10.0}),
    "ringing": (VOICE, Lane.REVIEW, {"ring_db": -20.0}),
    "crackle": (VOICE, Lane.REVIEW, {"clicks_per_s": 12.0}),
    "cut_tail": (SFX, Lane.REVIEW, {"tail_db": -2.0, "tail_rise_db": 30.0}),
    "cut_head": (VOICE, Lane.REVIEW, {"head_db": -1.0}),
    "too_short": (SFX, Lane.REVIEW, {"drawn_s": 3.0}),
    "too_long": (SFX, Lane.REVIEW, {"drawn_s": 5.0}),
    "mismatch": (SFX, Lane.REVIEW, {"match": 0.01}),
    "clap_mismatch": (SFX, Lane.REVIEW, {"clap_match": 0.05}),
    "wrong_text": (VOICE, Lane.REJECTED, {"text_evidence": -3.0}),
    "wrong_word": (VOICE, Lane.REVIEW, {"weakest_word": -6.0}),
    "poor_speech": (VOICE, Lane.REVIEW, {"dnsmos_ovrl": 1.5}),
    "wrong_tempo": (MUSIC, Lane.REVIEW, {"tempo_error": 0.2}),
    "seam_change": (SFX, Lane.REVIEW, {"seam_change_db": 9.0}),
    "seam_click": (SFX, Lane.REVIEW, {"seam_click_db": 20.0}),
    "seam_gap": (SFX, Lane.REVIEW, {"seam_gap_db": 15.0}),
    "training_like": (SFX, Lane.REVIEW, {"memory_likeness": 0.6}),
    "repeats_sibling": (SFX, Lane.REVIEW, {"sibling_likeness": 0.8}),
}


@pytest.mark.parametrize("prompt", [SFX, MUSIC, VOICE])
def test_a_good_take_is_accepted(prompt):
    assert judge(GOOD, prompt, STRICT) == Verdict(Lane.ACCEPTED, (), ())


@pytest.mark.parametrize("reason", BREAKS)
def test_each_rule_names_value_and_limit(reason):
    prompt, lane, figures = BREAKS[reason]
    verdict = judge(replace(GOOD, **figures), prompt, STRICT)
    assert verdict.lane is lane
    assert verdict.reasons[0] == reason
    assert verdict.messages[0].startswith(f"{reason}: ")
    assert verdict.messages[0].endswith("wanted")
    assert EXPLANATIONS[reason]


def test_every_rule_and_limit_is_tried_here():
    assert {rule.reason for rule in RULES} == set(BREAKS)
    assert {rule.limit for rule in RULES} == {field.name for field in fields(Limits)}


@pytest.mark.parametrize("prompt", [SFX, MUSIC, VOICE])
def test_what_is_not_known_breaks_nothing(prompt):
    assert judge(TakeMeasures(), prompt, STRICT).lane is Lane.ACCEPTED


def test_the_worst_lane_counts_and_all_reasons_are_told():
    verdict = judge(replace(GOOD, dc_offset=0.1, silent_fraction=1.0), SFX)
    assert verdict.lane is Lane.REJECTED
    assert verdict.reasons == ("silent", "dc_offset")
    assert verdict.messages == ("silent: 1, at most 0.97 wanted", "dc_offset: 0.1, at most 0.02 wanted")


def test_a_loop_need_not_end_and_edits_may_be_alike():
    loud_end = replace(GOOD, tail_db=-2.0, tail_rise_db=30.0)
    assert judge(loud_end, replace(SFX, loop=True)).lane is Lane.ACCEPTED
    alike = replace(GOOD, sibling_likeness=0.9)
    assert judge(alike, replace(SFX, edit="variation", reference="bark.wav")).lane is Lane.ACCEPTED


def test_a_steady_end_is_not_cut():
    assert judge(replace(GOOD, tail_db=-1.0, tail_rise_db=4.0), SFX).lane is Lane.ACCEPTED


def test_the_engine_chooses_a_length_that_is_not_asked_for():
    assert judge(replace(GOOD, drawn_s=9.0), replace(SFX, duration_s=0.0)).lane is Lane.ACCEPTED


# Ranking


def places(takes, likeness=None, prompt=SFX):
    return [one.index for one in rank(takes, prompt, np.eye(len(takes)) if likeness is None else likeness)]


def test_lane_comes_before_match():
    takes = [replace(GOOD, match=0.9, silent_fraction=1.0), replace(GOOD, match=0.9, dc_offset=0.1), GOOD]
    assert places(takes) == [2, 1, 0]


def test_match_comes_before_quality():
    takes = [replace(GOOD, match=0.5), replace(GOOD, match=0.9, bandwidth_hz=9_000.0, buzz_db=-40.0)]
    assert places(takes) == [1, 0]


def test_ties_keep_their_order():
    assert places([GOOD] * 5) == [0, 1, 2, 3, 4]


def test_a_repeat_goes_down_and_says_of_which():
    takes = [replace(GOOD, match=0.7), replace(GOOD, match=0.9), replace(GOOD, match=0.3)]
    likeness = np.array([[1.0, 0.8, 0.1], [0.8, 1.0, 0.1], [0.1, 0.1, 1.0]])
    ranked = rank(takes, SFX, likeness)
    assert [one.index for one in ranked] == [1, 2, 0]
    assert [one.verdict.lane for one in ranked] == [Lane.ACCEPTED, Lane.ACCEPTED, Lane.REVIEW]
    assert ranked[2].verdict.reasons == (REPEATS,)
    assert ranked[2].measures.sibling_likeness == 0.8
    assert ranked[2].why.endswith("0.80 like take 1")


def test_what_is_like_a_repeat_only_is_none():
    chain = np.array([[1.0, 0.8, 0.1], [0.8, 1.0, 0.8], [0.1, 0.8, 1.0]])
    takes = [replace(GOOD, match=match) for match in (0.9, 0.8, 0.7)]
    assert places(takes, chain) == [0, 2, 1]


def test_other_limits_can_be_judged_by():
    lenient = {kind: replace(limits, most_sibling_like=math.nan) for kind, limits in PRESETS.items()}
    ranked = rank([GOOD, GOOD], SFX, np.ones((2, 2)), partial(judge, presets=lenient))
    assert [one.verdict.lane for one in ranked] == [Lane.ACCEPTED] * 2


def test_a_score_is_from_0_to_1_and_is_told():
    assert score(TakeMeasures()) == 0.0
    assert 0.7 < score(GOOD) < 1.0
    (only,) = rank([GOOD], SFX, np.eye(1))
    assert only.score == score(GOOD)
    assert only.why.startswith("match 0.80, ")
    assert all(term.name in only.why for term in TERMS)


@pytest.mark.parametrize(
    "worse",
    [{"match": 0.1}, {"clap_match": 0.1}, {"text_evidence": -1.2}, {"tempo_error": 0.05}, {"seam_click_db": 3.0},
     {"dnsmos_ovrl": 2.5}, {"hum_db": -30.0}, {"bandwidth_hz": 5_000.0}, {"memory_likeness": 0.5}],
)  # fmt: skip
def test_every_term_counts(worse):
    assert score(replace(GOOD, **worse)) < score(GOOD)


def test_no_takes_no_places():
    assert rank([], SFX, np.zeros((0, 0))) == []
