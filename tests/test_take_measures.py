"""Measures of takes whose faults are known by construction."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import scipy.signal

from audiodiff.caption.tagger import load_tagger
from audiodiff.generate.heard import Evidence
from audiodiff.generate.judging import judge
from audiodiff.generate.measures import (
    FRAMES_HZ,
    MAINS_HZ,
    NOTHING_DB,
    Ears,
    TakeMeasures,
    edges_db,
    lines_db,
    measure,
    named_classes,
    ring_db,
    tempo_error,
)
from audiodiff.generate.memory import remember
from audiodiff.generate.records import Prompt
from audiodiff.media import read_audio
from audiodiff.records import Lane
from audiodiff.waveform import Waveform

ASSETS = Path(__file__).parent / "assets"
RATE = 48_000
WIND = Prompt("wind")
CLASSES = ("dog bark", "rain", "sea waves", "fire crackling", "speech", "music", "door slam")


def seconds(length_s):
    return np.arange(round(length_s * RATE)) / RATE


def noise(length_s=2.0, seed=0):
    return 0.1 * np.random.default_rng(seed).standard_normal(round(length_s * RATE))


def knock(length_s=2.0):
    """A struck sound that dies away: noise and a tone."""
    t = seconds(length_s)
    return np.exp(-t / 0.15) * (noise(length_s) + 0.3 * np.sin(2 * np.pi * 410 * t)) * np.minimum(1, t / 0.005)


def sound(samples, sample_rate=RATE) -> Waveform:
    return Waveform(np.atleast_2d(samples).astype(np.float32), sample_rate)


def lines(base, count, gain=0.01, length_s=2.0):
    return gain * sum(np.sin(2 * np.pi * base * k * seconds(length_s) + k) for k in range(1, count))


def reasons(samples, prompt=WIND) -> tuple[str, ...]:
    return judge(measure(sound(samples), prompt), prompt).reasons


FAULTS = {
    "not_finite": np.where(np.arange(2 * RATE) % 5_000 == 0, np.nan, noise()),
    "silent": np.zeros(2 * RATE),
    "too_quiet": 3e-4 * noise(),
    "clipped": np.clip(10 * noise(), -0.5, 0.5),
    "dc_offset": noise() + 0.1,
    "antiphase": np.stack([noise(), -noise()]),
    "hum": noise() * 0.1 + lines(50, 8),
    "buzz": noise() * 0.1 + lines(FRAMES_HZ[0], 30, 0.005),
    "cut_tail": np.concatenate([1e-4 * noise(1.0), noise(0.5)]),
}


@pytest.mark.parametrize("name", FAULTS)
def test_planted_faults_are_found(name):
    assert name in reasons(FAULTS[name])


@pytest.mark.parametrize("samples", [noise(), knock(), noise() * 0.03, np.stack([noise(), noise(seed=1)])])
def test_whole_sounds_are_accepted(samples):
    assert reasons(samples) == ()


@pytest.mark.parametrize("name", ["ru_asterisk_vm-opts.g722", "fr_asterisk_vm-instructions.g722"])
def test_real_speech_is_accepted(name):
    take = read_audio(ASSETS / name)
    prompt = Prompt("a woman speaks", "voice", text="?")
    measures = measure(take, prompt)
    assert 2.4 < measures.dnsmos_ovrl < 5
    assert judge(measures, prompt).lane is Lane.ACCEPTED
    middle = sound(take.samples[:, : take.frames // 2], take.sample_rate)
    assert measure(middle, replace(prompt, kind="sfx")).tail_db > measures.tail_db


def test_real_music_is_accepted():
    music = read_audio(ASSETS / "hyperrogue_hr-domina-mountain.ogg")
    take = sound(music.samples[:, 3 * RATE : 7 * RATE], music.sample_rate)
    prompt = Prompt("a tense march", "music")
    measures = measure(take, prompt, Ears(tagger=load_tagger()))
    assert measures.match > 0.5
    assert judge(measures, prompt).lane is Lane.ACCEPTED


def test_an_empty_take_is_told_by_its_length():
    measures = measure(sound(np.zeros((1, 0))), WIND)
    assert measures.drawn_s == 0.0
    assert math.isnan(measures.lufs)
    assert "too_short" in judge(measures, replace(WIND, duration_s=2.0)).reasons


def test_only_what_is_asked_for_is_measured():
    measures = measure(sound(noise()), WIND)
    heard = {"dnsmos_ovrl", "match", "clap_match", "text_evidence", "weakest_word"}
    apart = heard | {"tempo_error", "memory_likeness", "sibling_likeness"}
    apart |= {"seam_change_db", "seam_click_db", "seam_gap_db"}
    assert all(math.isnan(getattr(measures, name)) for name in apart)
    told = {"drawn_s", "broken_share", "lufs", "bandwidth_hz", "tail_db", "hum_db", "noise_share"}
    assert not any(math.isnan(getattr(measures, name)) for name in told)
    assert all(math.isnan(field.default) for field in fields(TakeMeasures))


def test_ears_are_asked():
    class Same:
        def similarity(self, text: str, waveform: Waveform) -> float:
            return 0.25 if text == "wind" and waveform.frames else math.nan

    rng = np.random.default_rng(3)
    gusts = scipy.signal.resample(rng.random(20), 2 * RATE) * noise()
    prompt = replace(WIND, text="hello", loop=True)
    known = remember([("gusts", sound(gusts))])
    ears = Ears(clap=Same(), memory=known, says=lambda _, text: Evidence(-0.5, -1.0, text))
    measures = measure(sound(gusts), prompt, ears)
    assert measures.clap_match == 0.25
    assert measures.memory_likeness > 0.9
    assert (measures.text_evidence, measures.weakest_word) == (-0.5, -1.0)
    assert not math.isnan(measures.seam_click_db)


# Ends


def test_ends_against_the_loudest_and_the_quietest():
    head_db, tail_db, rise_db = edges_db(sound(knock()))
    assert head_db > -3
    assert tail_db < -50
    assert rise_db < 0
    _, tail_db, rise_db = edges_db(sound(knock()[::-1]))
    assert tail_db > -3
    assert rise_db > 40


@pytest.mark.parametrize("samples", [np.zeros(RATE), noise(0.2)])
def test_ends_of_silence_and_of_moments_are_unknown(samples):
    assert all(math.isnan(value) for value in edges_db(sound(samples)))


# Lines


@pytest.mark.parametrize("base", [50.0, 60.0])
def test_hum_is_measured_against_the_whole(base):
    mixed = noise() + lines(base, 6)
    expected_db = 10 * math.log10(np.square(lines(base, 6)).mean() / np.square(mixed).mean())
    assert lines_db(mixed.astype(np.float32), RATE, MAINS_HZ, 600.0) == pytest.approx(expected_db, abs=1.0)


def test_what_is_no_hum():
    t = seconds(2.0)
    glide = np.sin(2 * np.pi * (90 * t + 10 * t**2))
    low_note = noise() + np.sin(2 * np.pi * 55 * t) + np.sin(2 * np.pi * 110 * t)
    for samples in (noise(), noise() + glide, low_note, noise() + np.sin(2 * np.pi * 50 * t)):
        assert lines_db(samples.astype(np.float32), RATE, MAINS_HZ, 600.0) == NOTHING_DB


def test_ringing_never_stops():
    ringing = noise(3.0) + 0.02 * np.sin(2 * np.pi * 5_333 * seconds(3.0))
    assert ring_db(ringing.astype(np.float32), RATE) > -25
    notes = ringing - noise(3.0)
    notes[: RATE * 3 // 2] = 0
    assert ring_db((noise(3.0) + notes).astype(np.float32), RATE) == NOTHING_DB
    assert math.isnan(ring_db(noise(0.5).astype(np.float32), RATE))


# Tempo and match


@pytest.mark.parametrize(
    ("found", "asked", "error"), [(120, 120, 0), (60, 120, 0), (180, 90, 0), (126, 120, 0.05), (100, 150, 1 / 3)]
)
def test_tempo_is_held_against_the_one_asked_for(found, asked, error):
    assert tempo_error(found, asked) == pytest.approx(error)


def test_no_tempo_no_error():
    assert math.isnan(tempo_error(math.nan, 120.0))
    assert math.isnan(tempo_error(120.0, 0.0))


@pytest.mark.parametrize(
    ("prompt", "named"),
    [
        (Prompt("A big dog barks twice"), ["dog bark"]),
        (Prompt("heavy RAIN on a tin roof, a dog barking"), ["dog bark", "rain"]),
        (Prompt("a train passes"), []),
        (Prompt("surf"), ["sea waves"]),
        (Prompt("ocean waves"), ["sea waves"]),
        (Prompt("a campfire"), ["fire crackling"]),
        (Prompt("a dog whines"), []),
        (Prompt("the slam of a door"), ["door slam"]),
        (Prompt("rain", "music"), ["music"]),
        (Prompt("rain", "voice"), ["speech"]),
    ],
)
def test_classes_named_by_prompts(prompt, named):
    assert named_classes(prompt, CLASSES) == named
