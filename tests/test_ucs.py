"""UCS: the table, the category a prompt gets, and file names that any system takes."""

from __future__ import annotations

import csv
import re
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from audiodiff.errors import ConfigError
from audiodiff.generate.records import Prompt
from audiodiff.generate.ucs import Category, categorise, file_name, fx_name, read_table

TABLE = read_table()
DOG = Category("ANIMALS", "DOG", "ANMLDog", "ANML")
ITEM = "3fa29c0d11b2c3d4"
ANY_SYSTEM = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _-]*[A-Za-z0-9]\.wav")
HOSTILE = [
    "../../etc/passwd",
    r"C:\Windows\system32",
    "<script>alert('x')</script>",
    "CON",
    "nul.wav",
    "\u202egnikrab god",  # right-to-left override
    "🐕‍🦺 barking 🐕",
    "大きな犬が吠える",
    "собака лает",
    "Ärger über Füße, naïve café",
    "a\x00b\nc\td",
    "  leading and trailing dots...  ",
    "%2e%2e%2f?*:|\"'`$;&",
    "under_score-and-dash",
    "a",
    "...",
    "",
    "dog " * 125,
    "x" * 500,
]


@pytest.mark.parametrize(
    ("prompt", "cat_id"),
    [
        ("a dog barking in the rain", "ANMLDog"),
        ("heavy rain on a metal roof", "RAINMetl"),
        ("rain", "RAIN"),
        ("metal door slams shut", "DOORMetl"),
        ("wooden door creaks open slowly", "DOORCreak"),
        ("footsteps on gravel", "FEETHmn"),
        ("glass bottle breaking on concrete", "GLASBrk"),
        ("a large bird shrieking", "BIRDSong"),  # not BELLS, LARGE
        ("an electric guitar slide", "MUSCStr"),  # not MOTORS, ELECTRIC
        ("helicopter hovering overhead", "AEROHeli"),
        ("a rooster crowing", "BIRDFowl"),
        ("DISTANT THUNDER!", "THUN"),
        ("Bees", "ANMLInsc"),
        ("catalogue", "DSGNMisc"),  # whole words: no cat
        ("qwertyuiop", "DSGNMisc"),
        ("", "DSGNMisc"),
    ],
)
def test_an_effect_gets_the_category_most_of_its_words_speak_for(prompt, cat_id):
    assert categorise(Prompt(prompt), TABLE).cat_id == cat_id


@pytest.mark.parametrize(
    ("kind", "prompt", "cat_id"),
    [
        ("music", "battle music with swords", "MUSCMisc"),
        ("music", "calm piano in the rain", "MUSCInst"),
        ("music", "a brass fanfare", "MUSCBrass"),
        ("voice", "a calm woman with a dog", "VOXFem"),
        ("voice", "an old man", "VOXMale"),
        ("voice", "robot", "VOXMisc"),
    ],
)
def test_music_and_voice_stay_among_their_own(kind, prompt, cat_id):
    assert categorise(Prompt(prompt, kind=kind), TABLE).cat_id == cat_id


@pytest.mark.parametrize("name", ["ANMLDog", "anmldog", "ANIMALS-DOG", "animals  dog"])
def test_a_category_can_be_given(name):
    assert categorise(Prompt("rain", category=name), TABLE).cat_id == "ANMLDog"


def test_an_unknown_category_lists_those_like_it():
    with pytest.raises(ConfigError, match=r"'ANMLDgo' in the table; like it: ANMLDog"):
        categorise(Prompt("rain", category="ANMLDgo"), TABLE)
    with pytest.raises(ConfigError, match="like it: none"):
        categorise(Prompt("rain", category="123456"), TABLE)


def test_the_open_table_is_well_formed():
    ids = [row.cat_id for row in TABLE.categories]
    assert len(ids) == len(set(ids)) > 60
    for row in TABLE.categories:
        assert row.cat_id.startswith(row.cat_short), row
        assert row.category == row.category.upper(), row
        assert row.synonyms == tuple(dict.fromkeys(row.synonyms)), row


def write(path, rows):
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file).writerows(rows)
    return path


PUBLISHED = ["Category", "SubCategory", "CatID", "CatShort", "Explanations", "Synonyms - Comma Separated"]
WHALE = ["ANIMALS", "AQUATIC", "ANMLAqua", "ANML", "Any, in water", "whale, dolphin, sea lion"]


def test_the_published_list_can_be_mounted_as_csv_and_as_parquet(tmp_path):
    as_csv = write(tmp_path / "ucs.csv", [PUBLISHED, WHALE])
    as_parquet = tmp_path / "ucs.parquet"
    pq.write_table(pa.table({name: [value] for name, value in zip(PUBLISHED, WHALE, strict=True)}), as_parquet)
    for path in (as_csv, as_parquet):
        table = read_table(path)
        expected = Category("ANIMALS", "AQUATIC", "ANMLAqua", "ANML", ("whale", "dolphin", "sea lion"))
        assert table.categories == (expected,)
        assert categorise(Prompt("two sea lions"), table) == expected
        assert categorise(Prompt("rain"), table).cat_id == "DSGNMisc"


def test_without_synonyms_the_names_themselves_count(tmp_path):
    path = write(tmp_path / "ucs.csv", [PUBLISHED[:4], ["ANIMALS", "DOG", "ANMLDog", "ANML"]])
    assert categorise(Prompt("dogs"), read_table(path)).cat_id == "ANMLDog"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([["Category", "CatID"], ["A", "B"]], "has no column subcategory, catshort"),
        ([PUBLISHED, WHALE, WHALE], "'ANMLAqua' in row 3 is there already"),
        ([PUBLISHED, ["ANIMALS", "DOG", "../x", "ANML", "", ""]], "'../x' in row 2 is no CatID"),
        ([PUBLISHED, ["ANIMALS"]], "'' in row 2 is no CatID"),
        ([], "has no column category"),
    ],
)
def test_a_table_that_is_none_is_refused_with_its_row(tmp_path, rows, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        read_table(write(tmp_path / "ucs.csv", rows))


def test_a_table_that_cannot_be_read_is_refused(tmp_path):
    (tmp_path / "ucs.parquet").write_bytes(b"not parquet")
    (tmp_path / "ucs.csv").write_bytes(b"\xff\xfe\x00C")
    for name in ("ucs.parquet", "ucs.csv", "absent.csv"):
        with pytest.raises(ConfigError, match=f"'{name}' cannot be read"):
            read_table(tmp_path / name)


def test_a_file_name_has_its_parts():
    prompt = Prompt("a dog barking in the rain")
    assert (
        file_name(DOG, prompt, 1, 4, "ADIF", "Forest Lib", ITEM)
        == "ANMLDog_Dog Barking In Rain_ADIF_ForestLib_3fa29c0d_02.wav"
    )
    assert file_name(DOG, prompt, 0, 1, "ADIF", "LIB", ITEM) == "ANMLDog_Dog Barking In Rain_ADIF_LIB_3fa29c0d.wav"
    loop = file_name(DOG, prompt, 0, 1, "ADIF", "LIB", ITEM, user_category="LOOP", suffix=".flac")
    assert loop == "ANMLDog-LOOP_Dog Barking In Rain_ADIF_LIB_3fa29c0d.flac"
    assert file_name(DOG, prompt, 4, 120, "A", "B", ITEM).endswith("_005.wav")


def test_a_name_of_ones_own_is_taken():
    assert fx_name(DOG, Prompt("a dog barking", name="Guard dog's bark")) == "Guard Dogs Bark"
    assert fx_name(DOG, Prompt("a dog barking", name="...")) == "Dog Barking"


def test_a_long_name_is_cut_between_words():
    name = fx_name(DOG, Prompt("an enormous distant thunderstorm rolling over wide hills at night"))
    assert name == "Enormous Distant Thunderstorm Rolling"
    assert fx_name(DOG, Prompt("x" * 500)) == "X" + "x" * 39
    assert fx_name(DOG, Prompt("y" * 40 + " z")) == "Y" + "y" * 39


def test_what_cannot_be_written_in_ascii_is_named_by_its_category():
    assert fx_name(DOG, Prompt("大きな犬が吠える")) == "Animals Dog"
    assert fx_name(DOG, Prompt("Ärger über Füße, naïve café")) == "Arger Uber Fusse Naive Cafe"


@pytest.mark.parametrize("text", HOSTILE)
def test_any_prompt_gives_a_name_that_any_system_takes(text):
    prompt = Prompt(text, name=text)
    name = file_name(categorise(prompt, TABLE), prompt, 0, 2, "ADIF", "LIB", ITEM, user_category=text)
    assert ANY_SYSTEM.fullmatch(name), name
    assert len(name) <= 120
    assert "  " not in name
    first, fx, creator, source, identity, number = name.removesuffix(".wav").split("_")
    assert (creator, source, identity, number) == ("ADIF", "LIB", "3fa29c0d", "01")
    assert first.partition("-")[0] in {row.cat_id for row in TABLE.categories}
    assert fx


def test_prompts_of_one_name_and_takes_of_one_prompt_do_not_meet():
    names = [
        file_name(DOG, Prompt("dog"), take, 12, "ADIF", "LIB", item).lower()
        for item in (ITEM, "0123456789abcdef")
        for take in range(12)
    ]
    assert len(set(names)) == 24


@pytest.mark.parametrize(("creator", "source"), [("", "LIB"), ("ADIF", "___"), ("犬", "LIB")])
def test_a_name_needs_a_creator_and_a_source(creator, source):
    with pytest.raises(ConfigError, match="has no letter or digit"):
        file_name(DOG, Prompt("dog"), 0, 1, creator, source, ITEM)


def test_ten_thousand_prompts_take_seconds():
    began = time.process_time()
    for number in range(10_000):
        prompt = Prompt(f"a dog barking in the rain number {number}")
        file_name(categorise(prompt, TABLE), prompt, 0, 4, "ADIF", "LIB", ITEM)
    assert time.process_time() - began < 5.0
