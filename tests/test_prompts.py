from __future__ import annotations

import pytest

from audiodiff.errors import ConfigError
from audiodiff.generate.prompts import ALIASES, COLUMNS, EXPLANATIONS, Problem, check, columns_of, content_sha256
from audiodiff.generate.records import Prompt


def prompt(**cells: str) -> Prompt:
    found = check({"prompt": "rain"} | cells, "line 2")
    assert isinstance(found, Prompt), found
    return found


def problem(**cells: str) -> Problem:
    found = check({"prompt": "rain"} | cells, "line 2")
    assert isinstance(found, Problem), found
    return found


def test_every_column_is_read() -> None:
    assert prompt(
        kind="Voice", count="5", duration_s="2.50", negative="noise", seed=str(2**63 - 1), loop="yes",
        category="VOXMale", text="Hello.", reference="./takes/a b.wav", edit="inpaint", strength="0.25", start_s="1",
        end_s="1.5", influence="1", tempo_bpm="120", name="My name_1-a",
    ) == Prompt(
        "rain", "voice", 5, 2.5, "noise", 2**63 - 1, True, "VOXMale", "Hello.", "takes/a b.wav", "inpaint", 0.25, 1.0,
        1.5, 1.0, 120.0, "My name_1-a",
    )  # fmt: skip
    assert check({"prompt": "rain"}, "") == Prompt("rain")


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("Yes", True), ("1", True), ("1.0", True), ("FALSE", False), ("no", False), ("0", False)],
)
def test_yes_and_no(text: str, value: bool) -> None:
    assert prompt(loop=text).loop is value


@pytest.mark.parametrize("seed", ["7", " 7 ", "7.0", "+7", "007"])
def test_whole_numbers_as_spreadsheets_write_them(seed: str) -> None:
    assert prompt(seed=seed).seed == 7


def test_zero_leaves_duration_and_tempo_open() -> None:
    assert prompt(duration_s="0", tempo_bpm="-0.0") == Prompt("rain")


@pytest.mark.parametrize(
    "text",
    [
        "=HYPERLINK(\"http://evil\",\"x\")", "@SUM(1)", "+1-1|cmd", "<script>alert(1)</script>", "../../etc/passwd",
        "C:\\x\\..\\y", "'; drop table takes; --", "${HOME} $(rm) `rm`", "{{ 7*7 }} %s %n", "\u200fגשם כבד", "a\u202eb",
        "🐕 barks \U0001f468\u200d\U0001f469\u200d\U0001f467",  # a family: people joined by U+200D
        "e\u0301", "null", "nan", "雨",
    ],
)  # fmt: skip
def test_any_text_is_a_prompt(text: str) -> None:
    assert prompt(prompt=text, negative=text).prompt == text


def test_line_breaks_are_spaces() -> None:
    assert prompt(prompt="\n rain \r\n\t on  a\u2028roof ").prompt == "rain on a roof"


@pytest.mark.parametrize(
    ("reason", "cells", "message"),
    [
        ("empty_prompt", {"prompt": " \n "}, "prompt is empty; say what"),
        ("empty_prompt", {"prompt": "\u200b"}, "prompt is '\\u200b'; say what"),
        ("unknown_kind", {"kind": "sxf"}, "kind is 'sxf'; known are sfx, music, voice"),
        ("bad_value", {"count": "0"}, "count is '0'; it must be a whole number from 1 to 1000"),
        ("bad_value", {"count": "1001"}, "1 to 1000"),
        ("bad_value", {"count": "2.5"}, "whole number"),
        ("bad_value", {"count": "five"}, "whole number"),
        ("bad_value", {"seed": str(2**63)}, f"seed is '{2**63}'; it must be a whole number from 0 to {2**63 - 1}"),
        ("bad_value", {"seed": "9" * 5000}, "whole number"),
        ("bad_value", {"seed": "-1"}, "whole number"),
        ("absurd_duration", {"duration_s": "0.1"}, "from 0.2 to 60, or 0 for the engine's choice"),
        ("absurd_duration", {"duration_s": "9e9"}, "from 0.2 to 60"),
        ("absurd_duration", {"duration_s": "nan"}, "from 0.2 to 60"),
        ("bad_value", {"duration_s": "2,5"}, "duration_s is '2,5'; it must be from 0.2 to 60, or 0 for the engine's "
                                             "choice, written like 2.5"),
        ("bad_value", {"strength": "1.1"}, "strength is '1.1'; it must be from 0 to 1"),
        ("bad_value", {"influence": "-0.1"}, "from 0 to 1"),
        ("bad_value", {"tempo_bpm": "29"}, "from 30 to 300, or 0 for any tempo"),
        ("bad_value", {"start_s": "61"}, "from 0 to 60"),
        ("bad_value", {"loop": "perhaps"}, "true, yes or 1"),
        ("bad_value", {"edit": "remix"}, "known are new, variation, inpaint, continue"),
        ("bad_value", {"category": "DOG Bark"}, "letters and digits"),
        ("bad_value", {"name": "a/b"}, "name is 'a/b'; it may only hold letters"),
        ("bad_value", {"name": "../x"}, "letters"),
        ("bad_value", {"name": "größe"}, "letters"),
        ("too_long", {"prompt": "a" * 501}, f"'{'a' * 57}...'; these are 501 characters, and 500 are allowed"),
        ("too_long", {"text": "a" * 1001}, "1000 are allowed"),
        ("too_long", {"reference": "é" * 128}, "255 bytes"),
        ("too_long", {"reference": "s3://bucket/" + "ab/" * 400}, "1000 are allowed"),
        ("control_character", {"prompt": "a\0b"}, "U+0000"),
        ("control_character", {"prompt": "a\x1b[31m"}, "U+001B"),
        ("control_character", {"text": "\ud800", "kind": "voice"}, "text is '\\ud800'; U+D800 is no text"),
        ("control_character", {"name": "a\nb"}, "U+000A"),
        ("no_text", {"kind": "voice"}, "text is empty; a voice needs the words it says"),
        ("no_text", {"kind": "voice", "text": "..."}, "text is '...'"),
        ("bad_value", {"text": "Hello"}, "only kind voice says a text"),
        ("bad_reference", {"edit": "variation"}, "reference is empty; edit needs a recording"),
        ("bad_reference", {"reference": "a.wav"}, "edit is 'new'; with a reference it must be variation"),
        ("bad_stretch", {"reference": "a.wav", "edit": "inpaint"}, "end_s is '0.0'; inpaint needs it to be after"),
        ("bad_stretch", {"reference": "a.wav", "edit": "inpaint", "start_s": "2", "end_s": "2"}, "end_s is '2.0'"),
        ("extra_cells", {"": "sfx"}, "'sfx' stands under no heading; a text with a comma needs quotes"),
    ],
)  # fmt: skip
def test_what_is_refused(reason: str, cells: dict[str, str], message: str) -> None:
    found = problem(**cells)
    assert found.reason == reason
    assert found.reason in EXPLANATIONS
    assert found.message.startswith("line 2: ")
    assert message in found.message
    assert len(found.message) < 250
    found.message.encode()


@pytest.mark.parametrize(
    "reference",
    [
        "../x.wav", "a/../../x.wav", "a/..", "/etc/passwd", "//host/x", "a//b", "a/", "./../x", "file:///etc/passwd",
        "https://host/x.wav", "s3://bucket", "s3://bucket/../x", "s3://bucket/a/./b", "s3://KEY:hush@bucket/x",
        "s3://bucket/x?X-Amz-Signature=hush", "s3:///x", "S3://bucket/x", ".", "..",
    ],
)  # fmt: skip
def test_references_that_lead_elsewhere_are_refused(reference: str) -> None:
    found = problem(reference=reference, edit="variation")
    assert found.reason == "bad_reference"
    assert "below the table's folder, or s3://bucket/key" in found.message
    assert "hush" not in found.message


@pytest.mark.parametrize("reference", ["a.wav", "deep/er/a b.wav", "...", "-rf", "s3://bucket/a/b.wav", "Ünï.flac"])
def test_references_that_may_be_read(reference: str) -> None:
    assert prompt(reference=reference, edit="variation").reference == reference


def test_every_field_of_a_prompt_is_a_column_and_every_alias_is_of_one() -> None:
    assert list(COLUMNS) == list(Prompt.__dataclass_fields__)
    assert set(ALIASES.values()) <= set(COLUMNS)
    assert not set(ALIASES) & set(COLUMNS)


@pytest.mark.parametrize(
    ("heading", "column"),
    [
        ("duration", "duration_s"), ("seconds", "duration_s"), ("bpm", "tempo_bpm"), ("loopable", "loop"),
        ("negative_prompt", "negative"), ("type", "kind"), ("n", "count"), ("takes", "count"), ("variations", "count"),
        ("prompt_influence", "influence"), (" Tempo BPM ", "tempo_bpm"), ("Negative-Prompt", "negative"), ("", ""),
        ("_notes", None), ("x_owner", None),
    ],
)  # fmt: skip
def test_headings(heading: str, column: str | None) -> None:
    assert columns_of([heading]) == (column,)


def test_an_unknown_heading_suggests_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"column 'durration' is unknown; did you mean duration\?.* x_ are left out"):
        columns_of(["prompt", "durration"])
    with pytest.raises(ConfigError, match=r"'zzz' is unknown; known are prompt, kind, count"):
        columns_of(["zzz"])


def test_two_headings_of_one_column_are_refused() -> None:
    with pytest.raises(ConfigError, match="columns 'duration' and 'seconds' are both duration_s"):
        columns_of(["prompt", "duration", "seconds"])
    assert columns_of(["", "", "_a", "_a"]) == ("", "", None, None)


def test_the_hash_is_of_what_is_asked_for() -> None:
    assert content_sha256(prompt(seed="0", count="1", duration_s="0", kind="SFX")) == content_sha256(Prompt("rain"))
    assert content_sha256(prompt(duration_s="4")) == content_sha256(prompt(duration_s="4.00 "))
    others = [prompt(seed="1"), prompt(count="2"), prompt(loop="1"), prompt(name="x"), prompt(prompt="Rain")]
    assert len({content_sha256(other) for other in [*others, Prompt("rain")]}) == 6
    # the names of takes that are in people's libraries depend on it
    assert content_sha256(Prompt("rain", seed=3)).startswith("1183a1bddbcfefbc")
