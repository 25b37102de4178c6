"""Captions of what people said of a recording."""

from __future__ import annotations

import numpy as np
import pytest

from audiodiff.caption import Heard
from audiodiff.caption.merge import merge
from audiodiff.caption.metadata import GIVEN, LABELLED, NAMED, TITLED, MetadataCaptioner, words_of
from audiodiff.caption.table import CAPTIONERS, open_captioner
from audiodiff.curate.records import Acoustics, Caption, Facts
from audiodiff.errors import ConfigError
from audiodiff.metrics.meter import Meter
from audiodiff.waveform import Waveform


def caption(facts: Facts, name: str = "a0412.wav") -> Caption | None:
    sound = Waveform(np.zeros((1, 480), np.float32), 48_000)
    heard = Heard(name, sound, facts, Meter(48_000, 1, dnsmos=False).scores(), Acoustics())
    return MetadataCaptioner().caption([heard])[0]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sfx/Dog_Bark-03.wav", "dog bark"),
        ("CarPassFast02.wav", "car pass fast"),
        ("ANMLDog_SmallDogBarking_JD_SND.wav", "small dog barking"),
        ("DOORWood-Old_Acme-Creaking Door_AB_None_take 4.wav", "creaking door"),
        ("rain on tin roof.flac", "rain on tin roof"),
        ("THUNDER_close_big_03.wav", "thunder close big"),
        ("glass/0001.wav", "glass"),
        ("a0412.flac", ""),
        ("track01.mp3", ""),
        ("9f86d081884c7d65.wav", ""),
        ("2024-05-01.wav", ""),
        ("Гром.wav", "гром"),
    ],
)
def test_words_of_names(name: str, words: str) -> None:
    assert words_of(name) == words


def test_the_most_trusted_wins() -> None:
    facts = Facts(caption="a dog barks twice", labels=("dog",), title="Rex")
    assert caption(facts) == Caption("metadata", "a dog barks twice", GIVEN)
    assert caption(Facts(labels=("dog_bark", "yard"), title="Rex")) == Caption("metadata", "dog bark, yard", LABELLED)
    assert caption(Facts(title="Thunder"), "rain.wav") == Caption("metadata", "Thunder", TITLED)
    assert caption(Facts(), "rain.wav") == Caption("metadata", "rain", NAMED)
    assert caption(Facts()) is None


def test_a_transcript_is_no_caption() -> None:
    said = caption(Facts(transcript="The dog barks.", language="en"), "dog.wav")
    assert said is not None
    assert said.text == "a voice speaking in en"


def test_descriptions_of_recorders_count() -> None:
    assert caption(Facts(others=(("comment", "waves on a beach"),))) == Caption("metadata", "waves on a beach", TITLED)
    assert caption(Facts(others=(("comment", "0x12"),))) is None


def test_merged_is_what_it_is_and_how_it_sounds() -> None:
    name, tag = Caption("metadata", "a dog barks", 0.9), Caption("tagger", "rain falling", 0.8)
    sounds = Caption("acoustic", "A short, bright sound.", 0.7)
    assert merge([tag, sounds, name]) == Caption("metadata+acoustic", "A dog barks. A short, bright sound.", 0.9)
    assert merge([sounds, tag]) == Caption("tagger+acoustic", "Rain falling. A short, bright sound.", 0.8)
    assert merge([sounds]) == sounds
    assert merge([]) is None


def test_unknown_captioners_are_refused() -> None:
    with pytest.raises(ConfigError, match=", ".join(CAPTIONERS)):
        open_captioner("oracle")
