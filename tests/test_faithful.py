"""Faithfulness of restorations: real recordings, unharmed and harmed in known ways."""

from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from audiodiff.faithful import compare
from audiodiff.faithful.envelope import envelope_agreement
from audiodiff.faithful.match import mono, under_same_noise
from audiodiff.faithful.onsets import onset_margin
from audiodiff.faithful.pitch import pitch_moved
from audiodiff.faithful.tuning import tuning_moved
from audiodiff.faithful.words import phones, word_agreement
from audiodiff.gates import FAITHFUL_GATES, PRESETS, WORDS_KEPT, Measured, judge
from audiodiff.media import read_audio
from audiodiff.records import Faithfulness, Lane, Scores
from audiodiff.waveform import Waveform
from benchmarks import alterations as do

ASSETS = Path(__file__).parent / "assets"
SPOKEN = {
    "en": "en_asterisk_vm-tempgreeting2.g722",
    "fr": "fr_asterisk_vm-instructions.g722",
    "ru": "ru_asterisk_vm-opts.g722",
}
SAME_SPEAKER = "en_asterisk_vm-newuser.gsm"
NOWHERE = Scores(*[math.nan] * len(fields(Scores)))


def spoken(language: str, seconds: float = 5) -> np.ndarray:
    return mono(read_audio(ASSETS / SPOKEN[language]))[: round(seconds * 16_000)]


def played(seconds: float = 6) -> np.ndarray:
    return mono(read_audio(ASSETS / "hyperrogue_hr-domina-mountain.ogg"))[: round(seconds * 16_000)]


def hiss(frames: int, seed: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(frames).astype(np.float32)


def reasons(found: Faithfulness) -> set[str]:
    return {gate.reason for gate in FAITHFUL_GATES if gate.fails(Measured(NOWHERE, NOWHERE, faithful=found))}


def compared(before, after, speech, rate=16_000) -> Faithfulness:
    return compare(Waveform(np.atleast_2d(before), rate), Waveform(np.atleast_2d(after), rate), speech)


@pytest.mark.parametrize("language", SPOKEN)
def test_denoised_speech_is_faithful(language):
    clean = spoken(language)
    found = compared(do.at_snr(clean, hiss(len(clean)), 15), clean, speech=True)
    assert reasons(found) == set()
    assert math.isnan(found.onsets)


def test_denoised_music_is_faithful():
    clean = played()
    found = compared(do.at_snr(clean, hiss(len(clean)), 15), clean, speech=False)
    assert reasons(found) == set()
    assert math.isnan(found.words)


def test_other_words_of_the_same_speaker_are_words_changed():
    said = spoken("en")
    other = mono(read_audio(ASSETS / SAME_SPEAKER))
    assert "words_changed" in reasons(compared(said, do.instead(said, other), speech=True))


def test_one_word_swapped_in_clean_speech_is_words_changed():
    said = spoken("en", 6.4)
    swapped = do.word_swapped(said[:80_000], said[-32_000:], np.random.default_rng(0))
    assert word_agreement(said[:80_000], swapped) < WORDS_KEPT


def test_an_equaliser_changes_no_words():
    assert word_agreement(spoken("fr", 3), do.equalised(spoken("fr", 3))) > 0.7


def test_a_word_cut_out_is_noticed():
    said = spoken("en")
    assert reasons(compared(said, do.word_cut(said, np.random.default_rng(1)), speech=True))


def test_another_speaker_is_words_changed():
    said = spoken("ru")
    assert "words_changed" in reasons(compared(said, do.instead(said, spoken("fr")), speech=True))


@pytest.mark.parametrize("semitones", [1, -2])
def test_transposed_speech_and_music_are_pitch_changed(semitones):
    said, tune = spoken("fr"), played()
    assert pitch_moved(said, do.transposed(said, semitones)) > 0.8
    assert tuning_moved(tune, do.transposed(tune, semitones)) > 0.8
    assert "pitch_changed" in reasons(compared(tune, do.transposed(tune, semitones), speech=False))


def test_a_quarter_of_a_semitone_is_no_change_of_pitch():
    assert tuning_moved(played(), do.transposed(played(), 0.25)) == 0


def test_pitch_is_measured_in_cents():
    t = np.arange(32_000) / 16_000
    saw = {
        hz: sum(np.sin(2 * np.pi * k * hz * t) / k for k in range(1, 9)).astype(np.float32) for hz in (110, 113, 114)
    }
    assert pitch_moved(saw[110], saw[113]) == 0  # 47 cents
    assert pitch_moved(saw[110], saw[114]) == 1  # 62 cents


def test_clicks_that_come_late_turn_the_margin_of_onsets():
    clicks = np.zeros(80_000, np.float32)
    for at in np.cumsum(np.random.default_rng(0).integers(4000, 9000, 11)):
        clicks[at : at + 800] = hiss(800)[: len(clicks) - at] if at < len(clicks) else 0
    assert onset_margin(clicks, clicks) > 0.5
    assert onset_margin(clicks, np.roll(clicks, 160)) > 0.5  # 10 ms
    assert onset_margin(clicks, np.roll(clicks, 1280)) < -0.5  # 80 ms


def test_a_steady_tone_has_no_onsets_to_compare():
    tone = np.sin(2 * np.pi * 200 * np.arange(80_000) / 16_000).astype(np.float32)
    assert math.isnan(onset_margin(tone, tone * np.float32(0.8)))


def test_a_late_bar_is_onsets_changed():
    music = played()
    after = do.bar_late(music, np.random.default_rng(0))
    assert "onsets_changed" in reasons(compared(music, after, speech=False))


def test_doing_nothing_at_any_rate_and_in_stereo_is_faithful():
    for rate in (8000, 48_000):
        said = np.repeat(Waveform(spoken("en", 3)[np.newaxis], 16_000).resample(rate).samples, 2, axis=0)
        found = compared(said, said, speech=True, rate=rate)
        assert (found.words, found.pitch) == (pytest.approx(1, abs=1e-3), 0)


def test_what_cannot_be_heard_is_unknown():
    noise = hiss(48_000) * np.float32(0.1)
    found = compared(noise, noise * np.float32(0.5), speech=True)
    assert math.isnan(found.words)
    assert math.isnan(found.pitch)
    silent = np.zeros_like(noise)
    assert reasons(compared(silent, silent, speech=True)) == set()
    assert reasons(compared(noise[:8000], silent[:8000], speech=True)) == set()


def test_phones_are_those_that_were_said():
    heard = [
        p for p, before in zip(phones(spoken("en")), ["", *phones(spoken("en"))], strict=False) if p and p != before
    ]
    assert heard[:4] == ["P", "R", "EH", "S"]  # "press one ..."


def test_the_same_noise_makes_denoised_sound_like_its_source_again():
    clean = spoken("en")
    noisy = do.at_snr(clean, hiss(len(clean)), 5)
    _, second = under_same_noise(noisy, clean)
    assert 20 * np.log10(do.rms(second - clean) / do.rms(noisy - clean)) == pytest.approx(0, abs=1)


def test_envelopes_agree_under_gain_and_not_with_others():
    said = spoken("en")
    assert envelope_agreement(said, said * np.float32(0.3)).min() > 0.99
    assert abs(np.median(envelope_agreement(said, do.instead(said, spoken("ru"))))) < 0.2


def test_excerpts_that_do_not_match_are_refused():
    said = spoken("en", 2)
    with pytest.raises(ValueError, match="rate or length"):
        compared(said, said[:-1], speech=True)
    with pytest.raises(ValueError, match="too long"):
        compared(np.resize(said, 61 * 16_000), np.resize(said, 61 * 16_000), speech=True)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (Faithfulness(0.1, math.nan, math.nan), "words_changed"),
        (Faithfulness(math.nan, 0.9, math.nan), "pitch_changed"),
        (Faithfulness(math.nan, math.nan, -1.0), "onsets_changed"),
    ],
)
def test_an_unfaithful_restoration_is_reviewed_and_the_original_kept(found, reason, preset):
    scores = Scores(**{field.name: -20.0 for field in fields(Scores)})
    verdict = judge(Measured(scores, scores, faithful=found), preset)
    unfaithful = {gate.reason for gate in FAITHFUL_GATES} & set(verdict.reasons)
    assert (unfaithful, verdict.lane, verdict.keep_original) == ({reason}, Lane.REVIEW, True)
