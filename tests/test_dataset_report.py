"""The report of a curated dataset: its figures, and the page's text."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from curated import EXPLAIN, HOSTILE, RATE, clip, hostile, out, summary, tone_player

from audiodiff.curate.schema import CLIPS
from audiodiff.records import Lane
from audiodiff.report.dataset import Player, make_player, render_dataset_report
from audiodiff.report.dataset.digest import LISTED, Digest
from audiodiff.report.dataset.funnel import STAGES
from audiodiff.report.dataset.map import MAX_POINTS, Sample, project
from audiodiff.report.dataset.render import PLAYERS_EMBEDDED
from audiodiff.report.dataset.tally import MAX_NAMES, Scale, Spread, Tally
from audiodiff.report.dataset.words import words_of
from audiodiff.waveform import Waveform


def embedded(page: str, name: str) -> dict:
    found = re.search(rf'id="{name}">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


@pytest.fixture(scope="module")
def player() -> Player:
    return tone_player()


# ---- figures


def test_every_second_of_the_input_ends_in_one_stage() -> None:
    clips = [
        clip("a", seconds=60),
        out("b", "too_short", seconds=0.5),
        out("c", "silence", seconds=3),
        out("d", "low_bandwidth", seconds=7),
        out("e", "near_duplicate", seconds=11),
        out("f", "leaks_evaluation", seconds=13),
        out("g", "licence_unknown", Lane.REVIEW, seconds=17),
        out("h", "undecodable", Lane.FAILED, seconds=0),
        clip("a twin", twin_of="a", duration_s=60.0),
    ]
    digest = Digest("/raw", {}).add_all(clips)
    taken = {step.name: (step.clips, step.seconds) for step in digest.stages.top()}
    assert set(taken) == set(STAGES)
    assert taken["accepted"] == (1, 60)
    assert taken["silence or too short"] == (2, 3.5)
    assert taken["filtered"] == (1, 7)
    assert taken["duplicates"] == (1, 11)
    assert taken["leakage"] == (1, 13)
    assert taken["licence"] == (1, 17)
    assert taken["unreadable"] == (1, 0)
    assert (digest.twins, digest.twins_s) == (1, 60)


def test_seconds_without_a_row_are_named() -> None:
    assert "5.0 min are not accounted for" in render_dataset_report(summary(), [clip("a", seconds=600)], {})
    assert "not accounted for" not in render_dataset_report(summary(audio_s=600.0), [clip("a", seconds=600)], {})


def test_spreads_have_the_medians_of_their_values() -> None:
    values = np.random.default_rng(0).normal(-20, 4, 2_000)
    scale = Scale("Loudness", "LUFS", lambda entry: entry.scores.lufs if entry.scores else np.nan, -80, 10, 0.1)
    spread = Spread(scale)
    for number, value in enumerate(values):
        entry = clip("a", Lane.REVIEW if number % 2 else Lane.ACCEPTED)
        spread.add(replace(entry, scores=replace(entry.scores, lufs=value)))
    medians = re.findall(r"median \N{MINUS SIGN}(\d+\.\d)", spread.caption)
    assert [float(median) for median in medians] == pytest.approx(
        [-np.median(values[0::2]), -np.median(values[1::2])], abs=0.11
    )
    spread.add(clip("a", scores=None))
    assert spread.counts.sum() == 2_000


def test_spreads_reach_from_end_to_end_of_their_scale() -> None:
    spread = Spread(Scale("Duration", "s", lambda entry: entry.source_duration_s, 0, 10, 0.1))
    for seconds in (0.01, 9.99, 500.0):
        spread.add(clip("a", seconds=seconds))
    assert "accepted: median 10.0 s" in spread.svg()
    assert spread.counts.sum() == 3


def test_tallies_count_the_accepted_apart_and_stay_bounded() -> None:
    tally = Tally()
    for number in range(MAX_NAMES + 5):
        tally.add(f"label {number}", clip("a"))
    for _ in range(3):
        tally.add("label 7", out("b", "silence"))
    tally.add("", clip("c"))
    top = tally.top(1)[0]
    assert (top.name, top.clips, top.accepted, top.seconds) == ("label 7", 4, 1, 20.0)
    assert (len(tally.clips), tally.further, tally.nameless) == (MAX_NAMES, 5, 1)


def test_the_map_keeps_neighbours_together_and_says_what_it_holds() -> None:
    random = np.random.default_rng(0)
    centres = np.repeat(random.normal(0, 1, (2, 32)), 50, axis=0)
    plane = project(centres + random.normal(0, 0.05, centres.shape))
    assert np.abs(plane.points).max() <= 1
    assert np.sign(plane.points[:50, 0]).sum() == pytest.approx(-np.sign(plane.points[50:, 0]).sum())
    assert plane.explained > 0.9
    assert project(centres * 0).explained == 0
    assert project(centres[:2, :1]).points.shape == (2, 2)


def test_the_map_draws_a_fair_sample_and_all_that_can_be_played() -> None:
    sample = Sample(MAX_POINTS - 10)
    for number in range(4 * MAX_POINTS):
        sample.add(clip(str(number), embedding=(float(number),)), wanted=number < 10)
    drawn = [int(entry.clip_id) for entry in sample.clips]
    assert len(drawn) == len(set(drawn)) == MAX_POINTS
    assert set(range(10)) <= set(drawn)
    assert np.mean(drawn) == pytest.approx(2 * MAX_POINTS, rel=0.05)


def test_words_are_those_that_say_something() -> None:
    assert words_of("A dog's bark, and the Rain; 12 RAIN \N{LATIN SMALL LETTER U WITH DIAERESIS}ber") == {
        "dog's",
        "bark",
        "rain",
        "\N{LATIN SMALL LETTER U WITH DIAERESIS}ber",
    }


def test_players_are_short_and_small(player: Player) -> None:
    assert (player.start_s, player.duration_s, player.sample_rate) == (61.5, 6.0, RATE)
    hiss = np.random.default_rng(0).normal(0, 0.5, (1, 7 * RATE)).astype(np.float32)
    noise = make_player(Waveform(hiss, RATE))
    assert len(noise.opus) + len(noise.png) < 100_000
    with pytest.raises(ValueError, match="without samples"):
        make_player(Waveform(np.zeros((1, 0), np.float32), RATE))


# ---- the page as text


def test_page_holds_hostile_text_only_escaped() -> None:
    clips = [hostile(text, place) for place, text in enumerate(HOSTILE)]
    page = render_dataset_report(
        summary(source="/raw/<u>\u202e'\""), CLIPS.from_table(CLIPS.to_table(clips)), {}, EXPLAIN
    )
    page.encode("utf-8")  # no lone surrogates
    for forbidden in ("<script>window", "<img src=x", "<u>", "<i>", "\u202e", "\u2028"):
        assert forbidden not in page
    assert page.count("</script>") == 3


def test_page_says_what_it_left_out_and_stays_small(player: Player) -> None:
    more = 1_000
    clips = (clip(str(number), caption="rain " * 40) for number in range(LISTED[Lane.ACCEPTED] + more))
    players = {str(LISTED[Lane.ACCEPTED] + number): player for number in range(PLAYERS_EMBEDDED + 5)}
    page = render_dataset_report(summary(), clips, players)
    listed = embedded(page, "listing")["rows"]
    assert len(listed) == LISTED[Lane.ACCEPTED] + PLAYERS_EMBEDDED  # those with players whatever their number
    assert f"{more - PLAYERS_EMBEDDED:,} more accepted clips are in the ledger" in page
    assert page.count('id="player-') == PLAYERS_EMBEDDED + 1  # and the template
    assert len(page) < 12_000_000


def test_duplicates_stand_under_the_clip_that_was_kept() -> None:
    copies = [out(f"copy {number}", "duplicate", duplicate_of="kept", cluster="c") for number in range(15)]
    digest = Digest("/raw", {}).add_all([*copies, clip("kept", cluster="c"), out("x", "duplicate", duplicate_of="old")])
    first, second = digest.clusters
    assert (first.kept, first.copies, first.seconds, first.named[0].name) == ("kept", 15, 75.0, "copy 0")
    assert (second.kept, second.kept_id) == ("", "old")
    assert "and 3 more in the ledger" in render_dataset_report(summary(), copies, {})
