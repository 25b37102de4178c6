"""What a voice says: texts to words, words to phones, phones to durations."""

# ruff: noqa: RUF001 - quotes and dashes as people write them

from __future__ import annotations

import numpy as np
import pytest

from audiodiff.errors import ConfigError
from audiodiff.generate.speech import numbers, writing
from audiodiff.generate.speech.dictionary import pronunciations
from audiodiff.generate.speech.durations import phone_durations, phone_track
from audiodiff.generate.speech.letters import spell_out
from audiodiff.generate.speech.lexicon import letter_name, pronounce
from audiodiff.generate.speech.phones import PAUSE, PHONES, SILENCE, phone_ids
from audiodiff.generate.speech.text import speak_phones

MODEL_FRAMES_PER_S = 93.75


def words(text: str) -> str:
    return " ".join(word.text for word in speak_phones(text) if word.source != "pause")


def phones(text: str) -> list[str]:
    return [phone for word in speak_phones(text) for phone in word.phones]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Mr. Smith met Dr. Jones", "mister smith met doctor jones"),
        ("12 Elm St. by St. Paul", "twelve elm street by saint paul"),
        ("e.g. this, vs. that", "for example this versus that"),
        ("It's 3.14% of 1,250", "it's three point one four percent of one thousand two hundred fifty"),
        ("the 21st and the 30th", "the twenty first and the thirtieth"),
        (
            "in 1984, 2005, 1905 and 1900",
            "in nineteen eighty four two thousand five nineteen oh five and nineteen hundred",
        ),
        ("the 1990s and the '80s", "the nineteen nineties and the eighties"),
        ("$5.20, £1 and €3 million", "five dollars and twenty cents one pound and three million euros"),
        ("at 7:30 p.m., 7:05 or 7:00", "at seven thirty p. m. seven oh five or seven o'clock"),
        ("from 10-20 km at -5°C", "from ten to twenty kilometers at minus five degrees celsius"),
        ("agent 007, call 555-1234", "agent zero zero seven call five five five one two three four"),
        ("1/2 cup, 24/7", "one half cup twenty four seven"),
        ("R2D2 plays MP3", "r. two d. two plays m. p. three"),
        ("NASA, the US and our NPCs", "nasa the u. s. and our n. p. c.'s"),
        ("J. R. Tolkien of the U.S.A.", "j. r. tolkien of the u. s. a."),
        ("NO! Stop.", "no stop"),
        ("HE JUMPED ZORB", "he jumped zorb"),
        ("Part II: a + b = @c & d", "part two a plus b equals at c and d"),
        ("“Café” – the naïve dogs’ ‘bone’…", "cafe the naive dogs' bone"),
        ("me@site.org", "me at site dot org"),
        ("*wow* 😀 (really)", "wow really"),
    ],
)
def test_texts_are_written_out(text, said):
    assert words(text) == said


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0, "zero"),
        (13, "thirteen"),
        (40, "forty"),
        (101, "one hundred one"),
        (1_000_000, "one million"),
        (7_002_019, "seven million two thousand nineteen"),
        (10**15, " ".join(["one"] + ["zero"] * 15)),
    ],
)
def test_cardinals(number, said):
    assert numbers.cardinal(number) == said


def test_ordinals():
    assert [numbers.ordinal(n) for n in (1, 2, 3, 5, 12, 20, 100)] == [
        "first", "second", "third", "fifth", "twelfth", "twentieth", "one hundredth",
    ]  # fmt: skip


def test_whatever_is_written_for_a_sign_is_in_the_pronunciations():
    tables = (writing._SIGNS, writing._ABBREVIATIONS, writing._UNITS, writing._FRACTIONS, writing._ROMAN)
    written = {word for table in tables for said in table.values() for word in said.split()}
    assert written - pronunciations().keys() == {"kilohertz", "gigahertz"}


def test_punctuation_makes_pauses_of_two_lengths():
    said = phones("Well, stop. (Now)!")
    assert said == [
        SILENCE, "W", "EH", "L", PAUSE, "S", "T", "AA", "P", SILENCE, "N", "AW", SILENCE,
    ]  # fmt: skip


def test_the_before_a_vowel():
    assert phones("the apple")[1:3] == ["DH", "IY"]
    assert phones("the pear")[1:3] == ["DH", "AH"]


@pytest.mark.parametrize("text", ["", " \n", "...", "?! -- ,", "😀"])
def test_a_text_without_words_is_refused(text):
    with pytest.raises(ConfigError, match="no words to say"):
        speak_phones(text)


@pytest.mark.parametrize(("text", "named"), [("Привет", "CYRILLIC"), ("say 你好", "CJK"), ("γεια", "GREEK")])
def test_another_script_is_refused_by_name(text, named):
    with pytest.raises(ConfigError, match=named):
        speak_phones(text)


def test_pronunciations_say_where_they_come_from():
    assert pronounce("voice") == (("V", "OY", "S"), "dictionary")
    assert pronounce("steward's") == ((*pronunciations()["steward"][0], "Z"), "derived")
    assert pronounce("pascal's")[0][-1] == "Z"
    assert pronounce("zorblatt")[1] == "letters"
    assert letter_name("W") == ("D", "AH", "B", "AH", "L", "Y", "UW")


def test_letters_are_read_as_english_reads_them():
    assert spell_out("blick") == ("B", "L", "IH", "K")
    assert spell_out("shreem") == ("SH", "R", "IY", "M")
    assert spell_out("phonted")[:1] == ("F",)


def test_every_phone_has_an_id_and_a_pause_sounds_as_silence():
    assert len(set(PHONES)) == 41
    assert phone_ids([SILENCE, PAUSE, "AA"]) == [1, 1, 2]
    assert {phone for ways in pronunciations().values() for way in ways for phone in way} == set(PHONES[2:])


def test_a_phrase_slows_down_at_its_end():
    within = speak_phones("the stone is here")
    final = speak_phones("here is the stone")
    assert [word.text for word in (within[2], final[4])] == ["stone", "stone"]
    rhyme_s = [sum(phone_durations(said)[place : place + 2]) for said, place in ((within, 5), (final, 10))]
    assert rhyme_s[1] > 1.3 * rhyme_s[0]


def test_durations_follow_rate_and_seed():
    said = speak_phones("Hello there, how are you? Fine.")
    usual = np.array(phone_durations(said))
    assert len(usual) == sum(len(word.phones) for word in said)
    assert 2.0 < usual.sum() < 5.0
    assert np.array(phone_durations(said, rate=2.0)) == pytest.approx(usual / 2)
    assert phone_durations(said) == usual.tolist()
    other = np.array(phone_durations(said, seed=1))
    assert not np.allclose(other, usual)
    assert np.abs(np.log(other / usual)).max() < 0.7


def test_stops_pause_longer_than_commas():
    said = speak_phones("One, two. Three")
    lasts = dict(zip([phone for word in said for phone in word.phones][1:-1], phone_durations(said)[1:-1], strict=True))
    assert lasts[SILENCE] > 1.5 * lasts[PAUSE]


@pytest.mark.parametrize("rate", [0.0, -1.0, 9.0])
def test_an_absurd_rate_is_refused(rate):
    with pytest.raises(ConfigError, match="speaking rate"):
        phone_durations(speak_phones("hi"), rate=rate)


def test_a_track_has_the_phone_of_each_frame():
    track = phone_track(["SIL", "AA", "T"], [0.2, 0.1, 0.1], 10.0, 6)
    assert track.tolist() == [1, 1, PHONES.index("AA"), PHONES.index("T"), 0, 0]


def test_no_phone_is_lost_at_the_rate_of_the_model():
    said = speak_phones("It is a test of the track, isn't it?")
    names = [phone for word in said for phone in word.phones]
    seconds = phone_durations(said)
    track = phone_track(names, seconds, MODEL_FRAMES_PER_S, round(sum(seconds) * MODEL_FRAMES_PER_S)).numpy()
    changes = track[np.flatnonzero(np.diff(track, prepend=-1))]
    assert changes.tolist() == phone_ids(names)
