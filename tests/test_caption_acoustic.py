"""Sentences about sounds that are known by construction, and that no sentence says what was not measured."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from test_acoustics import clicks, noise, seconds, sine, sound, stopping

from audiodiff.caption import Captioner, Heard
from audiodiff.caption.acoustic import WORDS, AcousticCaptioner, claims, sentence
from audiodiff.curate.acoustics import acoustics
from audiodiff.curate.records import Acoustics, Facts
from audiodiff.media import read_audio
from audiodiff.metrics.meter import Meter
from audiodiff.waveform import Waveform

ASSETS = Path(__file__).parent / "assets"
CAPTIONER: Captioner = AcousticCaptioner()


def heard(waveform: Waveform, **changed: float) -> Heard:
    meter = Meter(waveform.sample_rate, waveform.channels, dnsmos=False)
    meter.push(waveform.samples)
    measured = replace(acoustics(waveform), **changed)
    return Heard("clip.wav", waveform, Facts(), meter.scores(), measured)


def text(waveform: Waveform, **changed: float) -> str:
    caption = CAPTIONER.caption([heard(waveform, **changed)])[0]
    assert caption is not None
    return caption.text


SOUNDS = {
    "strike": lambda: sound(stopping(0.3, 0.0, 880)),
    "bell": lambda: sound(stopping(1.5, 0.0, 880)),
    "white": lambda: sound(noise(5.0)),
    "brown": lambda: sound(noise(5.0, tilt=1.0)),
    "beat": lambda: sound(clicks(120)),
    "note": lambda: sound(sum(sine(220 * k, 3.0) / k for k in range(1, 20))),
    "fade": lambda: sound(noise(4.0) * 10 ** (-30 * np.linspace(0, 1, 4 * 48_000) / 20)),
    "swell": lambda: sound(noise(4.0) * 10 ** (30 * np.linspace(-1, 0, 4 * 48_000) / 20)),
    "wide": lambda: sound(np.stack([noise(3.0), noise(3.0, seed=1)])),
    "voice": lambda: read_audio(ASSETS / "en_asterisk_vm-tempgreeting2.g722"),
    "music": lambda: read_audio(ASSETS / "hyperrogue_hr-domina-mountain.ogg"),
    "telephone": lambda: read_audio(ASSETS / "en_asterisk_vm-newuser.gsm"),
}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("strike", ("short", "percussive", "sharp attack")),
        ("bell", ("sharp attack", "A5 (880 Hz)", "dying away over about 1.5 seconds")),
        ("white", ("steady", "bright", "noise-like", "of 5 seconds", "no clear pitch")),
        ("beat", ("rhythmic", "120 beats per minute")),
        ("note", ("steady", "tonal", "A3 (220 Hz)", "of 3 seconds")),
        ("fade", ("fading",)),
        ("swell", ("swelling",)),
        ("wide", ("in wide stereo",)),
    ],
)
def test_what_is_heard_is_said(name, expected):
    said = text(SOUNDS[name]())
    assert [part for part in expected if part not in said] == [], said


@pytest.mark.parametrize("name", SOUNDS)
def test_no_caption_invents_what_was_not_measured(name):
    """Every claim holds a word of the table that is true of its value, and the sentence holds nothing but claims."""
    clip = heard(SOUNDS[name]())
    values = asdict(clip.acoustics) | asdict(clip.scores) | {"duration_s": clip.sound.duration_s}
    said = claims(clip)
    for claim in said:
        assert not math.isnan(claim.value)
        if claim.measure in values:
            assert claim.value == values[claim.measure]
        assert claim.facet == "duration" or any(
            word.facet == claim.facet and word.measure == claim.measure and word.low <= claim.value < word.high
            for word in WORDS
        )
        if "Hz" in claim.text:
            assert f"({clip.acoustics.pitch_hz:.0f} Hz)" in claim.text
        elif figures := re.findall(r"[0-9.]+", claim.text):
            assert float(figures[0]) == pytest.approx(claim.value, abs=0.51 if claim.value >= 10 else 0.5)
    rest = sentence(said).lower()
    for claim in sorted(said, key=lambda claim: -len(claim.text)):
        assert claim.text.lower() in rest, claim
        rest = rest.replace(claim.text.lower(), "", 1)
    glue = {"a", "sound", "recording", "with", "and"} | ({"rhythmic"} if "beats" in sentence(said) else set())
    assert set(re.findall(r"[a-z]+", rest)) <= glue


@pytest.mark.parametrize("name", ["white", "note", "beat", "bell"])
@pytest.mark.parametrize(
    ("measure", "words"),
    [
        ("brightness_hz", ()),
        ("flatness", ("tonal", "noise-like")),
        ("pitched_share", ("pitch",)),
        ("pitch_hz", ("Hz",)),
        ("tempo_bpm", ("beats", "rhythmic")),
        ("attack_s", ("attack", "percussive")),
        ("decay_s", ("dying", "percussive")),
    ],
)
def test_what_is_not_measured_is_not_said(name, measure, words):
    caption = CAPTIONER.caption([heard(SOUNDS[name](), **{measure: math.nan})])[0]
    said = caption.text if caption else ""
    assert [word for word in words if word in said] == []


def test_speech_is_said_only_where_it_is_measured():
    voice = SOUNDS["voice"]()
    assert "speaking" not in text(voice)
    assert text(voice, speech_share=0.95).startswith("Someone speaking for ")
    assert "with pauses" in text(voice, speech_share=0.6)
    assert "with pauses" not in text(voice, speech_share=0.95)
    clip = heard(voice)
    for share in np.arange(0.2, 1.0, 0.01):
        clip = replace(clip, acoustics=replace(clip.acoustics, speech_share=float(share)))
        facets = {claim.facet for claim in claims(clip)}
        assert "speech" in facets or "pauses" not in facets


def test_nothing_is_said_of_silence_or_without_measures():
    silence = heard(sound(np.zeros(48_000)))
    unmeasured = Heard("clip.wav", sound(noise(1.0)), Facts(), silence.scores, Acoustics())
    assert CAPTIONER.caption([silence, unmeasured]) == [None, None]
    assert claims(silence) == ()


def test_gain_changes_no_word():
    assert text(sound(0.02 * noise(5.0))) == text(sound(noise(5.0)))


def test_a_telephone_has_its_band():
    assert "telephone-like band" in text(SOUNDS["telephone"]())
    assert "telephone" not in text(SOUNDS["voice"]())


def test_what_is_near_a_limit_is_not_said_and_far_is_surer():
    bright = next(word for word in WORDS if word.text == "bright")
    assert bright.certainty(bright.low) == 0.5
    assert bright.certainty(2**bright.slack * bright.low) == pytest.approx(0.75)
    assert bright.certainty(0.99 * bright.low) == bright.certainty(math.nan) == 0.0
    assert "bright" not in text(SOUNDS["white"](), brightness_hz=bright.low * 1.01)
    near, far = (CAPTIONER.caption([heard(SOUNDS["note"](), flatness=value)])[0] for value in (0.13, 0.001))
    assert near.confidence < far.confidence


def test_a_sound_is_not_called_percussive_for_a_slow_start():
    swelling = np.clip(seconds(1.2) / 0.3, 0, 1) * stopping(0.3, 0.5, 440)[: round(1.2 * 48_000)]
    assert "percussive" not in text(sound(swelling))


def test_name_and_source():
    caption = CAPTIONER.caption([heard(SOUNDS["white"]())])[0]
    assert (CAPTIONER.name, CAPTIONER.sha256, caption.source) == ("acoustic", "", "acoustic")
    assert 0.6 <= caption.confidence <= 1.0
