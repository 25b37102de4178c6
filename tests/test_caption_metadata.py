"""Captions of what people said of a recording, in its facts or by its name."""

from __future__ import annotations

import numpy as np
import pytest

from audiodiff.caption import Heard
from audiodiff.caption.metadata import FOLDER, GIVEN, LABELLED, NAMED, TITLED, MetadataCaptioner
from audiodiff.caption.names import UCS, folder_words, words_of
from audiodiff.curate.records import Acoustics, Caption, Facts
from audiodiff.metrics.meter import Meter
from audiodiff.waveform import Waveform


def caption(facts: Facts, name: str = "a0412.wav") -> Caption | None:
    sound = Waveform(np.zeros((1, 480), np.float32), 48_000)
    heard = Heard(name, sound, facts, Meter(48_000, 1, dnsmos=False).scores(), Acoustics())
    return MetadataCaptioner().caption([heard])[0]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("dog_bark_03.wav", "dog bark"),
        ("sfx/Dog-Bark-03.wav", "dog bark"),
        ("CarPassByFast02.wav", "car pass by fast"),
        ("rain on the tin roof.flac", "rain on tin roof"),
        ("esc10_sea-waves_4-182613-B.ogg", "sea waves"),
        ("minetest_doors_door_close.ogg", "door close"),
        ("noise/train.ogg", "train"),
        ("wesnoth_cave-in.ogg", "cave in"),
        ("footstep.1.ogg", "footstep"),
        ("Thunder 20240501.wav", "thunder"),
        ("sci_fi_door.wav", "sci door"),
        ("Гром_02.wav", "гром"),
        ("music/battle.ogg", "battle music"),
        ("music/disco_music.ogg", "disco music"),
    ],
)
def test_names_of_words_tell(name: str, words: str) -> None:
    assert words_of(name) == words


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ANMLDog_Small Dog Barking_JD_SND.wav", "small dog barking"),
        ("DOORWood-Old_Acme-Creaking Door_AB_None_take 4.wav", "wood creaking door"),
        ("GUNAuto-EXT_UZI 9mm-Rapid Fire Short Bursts_TN_NONE_416.wav", "automatic gun rapid fire short bursts"),
        ("VOXLaff_Giggle_TN_DORY.wav", "laughing voice giggle"),
        ("RAIN_0034_TN_DORY.wav", "rain"),
        ("CREADrgn_Dragon Roar_TN_DORY.wav", "dragon roar"),
    ],
)
def test_names_of_the_universal_category_system_tell(name: str, words: str) -> None:
    assert words_of(name) == words


def test_the_table_of_categories_is_small_and_sayable() -> None:
    assert len(UCS) == 100
    assert all(phrase == phrase.lower().strip() and phrase.replace(" ", "").isalpha() for phrase in UCS.values())


@pytest.mark.parametrize(
    "name",
    [
        "a0412.flac", "p225_001.wav", "LJ001-0002.wav", "track01.mp3",
        "9f86d081884c7d65.wav", "Precise_25d158f9-9489-4f59.wav", "2eKa0oleW.wav",
        "2024-05-01.wav",
        "084-121123-0000.flac", "speech/xx/1234.wav", "speech/night.wav", "fr_CA_f_June/goodbye.g722", "nl/boat.ogg",
        "en_kathleen_a0412.opus", "ro_tuxpaint_black_dress.ogg", "cow_white_desc_da.ogg", "athena-en-us-93496813.wav",
        "voices/Coward.ogg", "train/0001.wav", "default/untitled.wav", "",
    ],
)  # fmt: skip
def test_ids_and_names_of_what_is_spoken_say_nothing(name: str) -> None:
    assert caption(Facts(), name) is None


def test_folders_tell_where_files_do_not() -> None:
    assert folder_words("sfx/glass_break/0001.wav") == "glass break"
    assert folder_words("chainsaw/train/0001.wav") == "chainsaw"
    assert caption(Facts(), "rain/take 3.wav") == Caption("metadata", "rain", FOLDER)
    assert caption(Facts(), "album music/track01.wav") == Caption("metadata", "music", FOLDER)


def test_the_most_trusted_wins() -> None:
    facts = Facts(caption="a dog barks\n twice", labels=("dog",), title="Rex")
    assert caption(facts) == Caption("metadata", "a dog barks twice", GIVEN)
    assert caption(Facts(labels=("dog_bark", "yard", "17"), title="Rex")) == Caption(
        "metadata", "dog bark, yard", LABELLED
    )
    assert caption(Facts(title="Thunder over the lake"), "rain.wav") == Caption(
        "metadata", "Thunder over the lake", TITLED
    )
    assert caption(Facts(title="rain_heavy_02"), "x.wav") == Caption("metadata", "rain heavy", TITLED)
    assert caption(Facts(title="Track 7"), "rain.wav") == Caption("metadata", "rain", NAMED)
    assert caption(Facts()) is None


def test_a_transcript_is_no_caption() -> None:
    facts = Facts(transcript="The dog barks.", language="de-DE", speaker="thorsten", labels=("dog",))
    said = caption(facts, "dog.wav")
    assert said == Caption("metadata", "a voice speaking German", LABELLED)
    unnamed = caption(Facts(transcript="Rain.", language="xx-YY", speaker="4f2a91"), "rain.wav")
    assert unnamed == Caption("metadata", "a voice speaking", LABELLED)
    assert caption(Facts(others=(("kind", "speech"),), language="Swahili")) == Caption(
        "metadata", "a voice speaking Swahili", LABELLED
    )
    assert caption(Facts(language="en"), "rain.wav") == Caption("metadata", "rain", NAMED)


def test_descriptions_and_comments_count_where_they_describe() -> None:
    others = (("comment", "waves on a beach"), ("Description", "a calm sea at night"))
    assert caption(Facts(others=others)) == Caption("metadata", "a calm sea at night", TITLED)
    assert caption(Facts(others=others[:1])) == Caption("metadata", "waves on a beach", TITLED)
    for junk in ("0x12", "Encoded by Acme Studio", "see http://example.org/waves", "sSPEED=024.000", "(c) Acme Waves"):
        assert caption(Facts(others=(("comment", junk),))) is None
