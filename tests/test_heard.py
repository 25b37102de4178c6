"""Whether a recogniser hears a text, on real recordings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from audiodiff.errors import ConfigError
from audiodiff.generate.heard import LEAST_NATS, SAYS_EVERY_WORD, SAYS_TEXT, text_evidence, word_error
from audiodiff.media import read_audio
from audiodiff.waveform import Waveform

ASSETS = Path(__file__).parent / "assets"
FIRST, SECOND = "en_asterisk_vm-tempgreeting2.g722", "en_asterisk_vm-newuser.gsm"
SAID = {
    FIRST: "press 1 to record your temporary greeting, or press 2 to erase your temporary greeting",
    SECOND: "Welcome to Comedian Mail. First, I will guide you through a short setup process.",
}


def noise(frames: int) -> Waveform:
    return Waveform(0.1 * np.random.default_rng(0).standard_normal((1, frames)).astype(np.float32), 16_000)


@pytest.mark.parametrize("name", SAID)
def test_a_recording_says_its_text(name):
    found = text_evidence(read_audio(ASSETS / name), SAID[name])
    assert found.mean > SAYS_TEXT
    assert found.weakest > SAYS_EVERY_WORD


@pytest.mark.parametrize(("name", "other"), [(FIRST, SECOND), (SECOND, FIRST)])
def test_a_recording_does_not_say_another_text(name, other):
    assert text_evidence(read_audio(ASSETS / name), SAID[other]).mean < SAYS_TEXT


def test_one_wrong_word_is_found():
    found = text_evidence(read_audio(ASSETS / FIRST), SAID[FIRST].replace("record", "purple"))
    assert found.word == "purple"
    assert found.weakest < SAYS_EVERY_WORD


def test_half_of_a_recording_does_not_say_all_of_its_text():
    whole = read_audio(ASSETS / FIRST)
    assert (
        text_evidence(Waveform(whole.samples[:, : whole.frames // 2], whole.sample_rate), SAID[FIRST]).mean < SAYS_TEXT
    )


@pytest.mark.parametrize("sound", [noise(16_000), Waveform(np.zeros((2, 96_000), np.float32), 48_000), noise(50)])
def test_noise_and_silence_say_nothing(sound):
    found = text_evidence(sound, "Welcome to the show")
    assert (found.mean, found.weakest) == (LEAST_NATS, LEAST_NATS)
    assert word_error(sound, "Welcome to the show") >= 1.0


def test_rate_channels_and_level_do_not_matter():
    spoken = read_audio(ASSETS / FIRST)
    quiet = Waveform(np.repeat(0.05 * spoken.resample(48_000).samples, 2, axis=0), 48_000)
    assert text_evidence(quiet, SAID[FIRST]).mean == pytest.approx(text_evidence(spoken, SAID[FIRST]).mean, abs=0.5)


def test_words_are_counted_wrong_against_the_text():
    whole = read_audio(ASSETS / FIRST)
    spoken = Waveform(whole.samples[:, : whole.frames // 2], whole.sample_rate)
    right = word_error(spoken, "press 1 to record your temporary greeting")
    assert right < 0.5
    assert word_error(spoken, SAID[SECOND]) > right + 0.4


def test_what_was_heard_before_does_not_matter():
    spoken = read_audio(ASSETS / SECOND)
    before = text_evidence(spoken, SAID[SECOND])
    text_evidence(noise(16_000), "hello")
    assert text_evidence(spoken, SAID[SECOND]) == before


@pytest.mark.parametrize("measure", [word_error, text_evidence])
def test_a_text_without_words_is_refused(measure):
    with pytest.raises(ConfigError, match="no words"):
        measure(noise(16_000), "...")
