"""Alignment of real recordings with what they say."""

from __future__ import annotations

import csv
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from audiodiff.errors import MediaError
from audiodiff.generate.speech.text import speak_phones
from audiodiff.media import read_audio
from audiodiff.training.aligning import SCHEMA, Aligner, main
from audiodiff.waveform import Waveform

SPOKEN = Path(__file__).parent / "assets" / "en_asterisk_vm-tempgreeting2.g722"
SAID = "press 1 to record your temporary greeting, or press 2 to erase your temporary greeting"


@pytest.fixture(scope="module")
def spoken() -> Waveform:
    return read_audio(SPOKEN)


@pytest.fixture(scope="module")
def aligned(spoken):
    return Aligner().align(spoken, speak_phones(SAID))


def loudness_db(waveform: Waveform, start_s: float, end_s: float) -> float:
    part = waveform.samples[:, round(start_s * waveform.sample_rate) : round(end_s * waveform.sample_rate)]
    return float(10 * np.log10(np.square(part).mean() + 1e-12))


def test_every_phone_of_the_text_is_there_in_order(aligned):
    assert aligned.words[:3] == ("press", "one", "to")
    spoken = [(phone, word) for phone, word in zip(aligned.phones, aligned.word_of, strict=True) if word >= 0]
    assert [word for _, word in spoken] == sorted(word for _, word in spoken)
    assert [phone for phone, word in spoken if word == 0] == ["P", "R", "EH", "S"]
    assert {word for _, word in spoken} == set(range(len(aligned.words)))


def test_the_phones_fill_the_recording(spoken, aligned):
    assert aligned.starts_s[0] == 0.0
    assert aligned.ends_s[-1] == spoken.duration_s
    assert all(end == start for end, start in zip(aligned.ends_s, aligned.starts_s[1:], strict=False))


def test_silence_is_silent_and_vowels_are_loud(spoken, aligned):
    levels: dict[str, list[float]] = {"SIL": [], "EH": [], "IY": []}
    for phone, start_s, end_s in zip(aligned.phones, aligned.starts_s, aligned.ends_s, strict=True):
        if phone in levels:
            levels[phone].append(loudness_db(spoken, start_s, end_s))
    assert min(levels["EH"] + levels["IY"]) > max(levels["SIL"]) + 10


def test_phones_last_as_phones_do(aligned):
    seconds = [
        end - start
        for phone, start, end in zip(aligned.phones, aligned.starts_s, aligned.ends_s, strict=True)
        if phone != "SIL"
    ]
    assert 0.05 < np.median(seconds) < 0.12
    assert max(seconds) < 0.4


def test_a_delay_of_the_sound_delays_the_phones(spoken, aligned):
    noise = 1e-3 * np.random.default_rng(0).standard_normal((1, spoken.sample_rate // 2)).astype(np.float32)
    later = Waveform(np.concatenate([noise, spoken.samples], axis=1), spoken.sample_rate)
    moved = Aligner().align(later, speak_phones(SAID))
    first = [found.starts_s[found.word_of.index(5)] for found in (aligned, moved)]
    assert first[1] - first[0] == pytest.approx(0.5, abs=0.021)


def test_the_right_text_fits_better_than_another(spoken, aligned):
    other = "the number you have dialed is not in service, please check it and try again"
    try:
        wrong = Aligner().align(spoken, speak_phones(other)).score
    except MediaError:
        return
    assert wrong < aligned.score - 1


def test_a_text_that_is_too_long_cannot_be_aligned(spoken):
    with pytest.raises(MediaError, match="cannot be aligned"):
        Aligner().align(spoken, speak_phones(" ".join([SAID] * 8)))


def test_a_word_that_no_dictionary_has_is_aligned_too(spoken):
    words = speak_phones(SAID.replace("record", "reckordd"))
    found = Aligner().align(spoken, words)
    assert found.words[3] == "reckordd"
    assert 3 in found.word_of


def test_the_command_aligns_one_speaker_and_says_what_fails(tmp_path, spoken, capsys):
    soundfile.write(tmp_path / "a.wav", spoken.samples.T, spoken.sample_rate)
    rows = [
        ("a.wav", "speech", "Allison", SAID),
        ("missing.wav", "speech", "Allison", SAID),
        ("a.wav", "speech", "Allison", "Привет"),
        ("a.wav", "speech", "someone else", SAID),
    ]
    with (tmp_path / "manifest.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("path", "kind", "speaker", "transcript_or_caption"))
        table.writerows(rows)
    main([str(tmp_path / "manifest.csv"), "Allison", str(tmp_path / "out.parquet")])
    written = pq.read_table(tmp_path / "out.parquet")
    assert written.schema.equals(SCHEMA)
    good, missing, foreign = written.to_pylist()
    assert good["problem"] is None
    assert len(good["phones"]) == len(good["starts_s"]) == len(good["word_of"]) > 50
    assert all(start <= end for start, end in pairwise(good["starts_s"]))
    assert "missing.wav" in missing["problem"]
    assert "CYRILLIC" in foreign["problem"]
    assert foreign["phones"] is None
    assert "1 of 3" in capsys.readouterr().out
