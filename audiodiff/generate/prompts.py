"""What the columns of a prompt table are, and what each cell and each row is checked for.

A cell is text here, whatever table it came from, so that a prompt is the same in every format.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, get_args

from audiodiff.errors import ConfigError
from audiodiff.generate.records import LONGEST_S, Edit, Kind, Prompt

SHORTEST_S = 0.2
"""Of one take, as of a sound that curation keeps (`curate.rules`)."""
MOST_TAKES = 1000
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # lone surrogates too, which UTF-8 cannot carry
_SPACES = re.compile("[ \t\r\n\u2028\u2029]+")
_S3 = re.compile(r"s3://[A-Za-z0-9][A-Za-z0-9._-]{1,254}/([^?]+)")  # as `open_store` takes it; ? begins options

EXPLANATIONS: dict[str, str] = {
    "empty_prompt": "There is no prompt.",
    "no_text": "A voice has no words to say.",
    "unknown_kind": "The kind is none of sfx, music and voice.",
    "bad_value": "A cell holds what its column does not take.",
    "absurd_duration": "A take is shorter or longer than can be made.",
    "too_long": "A text is longer than engines read.",
    "control_character": "A text has characters that are no text.",
    "bad_stretch": "The stretch to inpaint ends before it begins.",
    "bad_reference": "The reference is not there, may not be read, or does not go with the edit.",
    "extra_cells": "The row has more cells than the table has columns.",
    "duplicate_row": "The same row stands further up.",
}
"""What each reason of a prompt table means."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a row cannot be used: a key of `EXPLANATIONS`, and where, what is there and what is wanted, in words."""

    reason: str
    message: str


class _Refused(ValueError):
    """A cell that its column does not take; the text says what it takes."""

    def __init__(self, reason: str, wanted: str) -> None:
        super().__init__(wanted)
        self.reason = reason


# --- columns ---

Parse = Callable[[str], object]
"""A cell's text to its value; raises `_Refused`. Empty cells are never parsed: they are the default."""


def _plain(text: str, longest: int) -> str:
    """The text as it is, without spaces around it."""
    text = text.strip(" \t\r\n")
    if found := _CONTROL.search(text):
        raise _Refused("control_character", f"U+{ord(found[0]):04X} is no text")
    if len(text) > longest:
        raise _Refused("too_long", f"these are {len(text)} characters, and {longest} are allowed")
    return text


def _words(longest: int) -> Parse:
    """Text on one line: a line break, as quoted cells may have it, is a space."""
    return lambda text: _plain(_SPACES.sub(" ", text), longest)


def _one_of(known: Sequence[str], reason: str = "bad_value") -> Parse:
    def parse(text: str) -> str:
        word = text.strip().lower()
        if word not in known:
            raise _Refused(reason, f"known are {', '.join(known)}")
        return word

    return parse


def _spelt(pattern: str, letters: str, longest: int) -> Parse:
    def parse(text: str) -> str:
        word = _plain(text, longest)
        if re.fullmatch(pattern, word) is None:
            raise _Refused("bad_value", f"it may only hold {letters}")
        return word

    return parse


def _whole(low: int, high: int) -> Parse:
    def parse(text: str) -> int:
        found = re.fullmatch(r"([+-]?[0-9]{1,19})(\.0*)?", text.strip())  # a spreadsheet may say 5.0
        if found is None or not low <= int(found[1]) <= high:
            raise _Refused("bad_value", f"it must be a whole number from {low} to {high}")
        return int(found[1])

    return parse


def _number(low: float, high: float, zero: str = "", reason: str = "bad_value") -> Parse:
    """A number from `low` to `high`, or 0 where `zero` says what that stands for."""
    wanted = f"it must be from {low:g} to {high:g}" + (f", or 0 for {zero}" if zero else "")

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise _Refused("bad_value", f"{wanted}, written like 2.5") from None
        if not low <= value <= high and not (zero and value == 0.0):
            raise _Refused(reason, wanted)
        return value or 0.0  # -0.0 is the same prompt

    return parse


def _yes_no(text: str) -> bool:
    word = text.strip().lower().removesuffix(".0")  # Parquet may hold 1.0
    if word not in {"true", "yes", "1", "false", "no", "0"}:
        raise _Refused("bad_value", "it must be true, yes or 1, or false, no or 0")
    return word in {"true", "yes", "1"}


def _reference(text: str) -> str:
    """A name below the table's folder, or s3://bucket/key: a table from elsewhere must not read this machine's disk."""
    address = _plain(text, 1000).removeprefix("./")
    on_s3 = _S3.fullmatch(address)
    parts = (on_s3[1] if on_s3 else address).split("/")
    if {"", ".", ".."} & set(parts):  # also where the name is absolute, or an address of another kind
        raise _Refused("bad_reference", "it must be a name below the table's folder, or s3://bucket/key")
    if len(address.encode()) > 1000 or max(len(part.encode()) for part in parts) > 255:
        raise _Refused("too_long", "disks take 255 bytes for each name, and buckets 1000 in all")
    return address


COLUMNS: dict[str, Parse] = {
    "prompt": _words(500),
    "kind": _one_of(get_args(Kind), "unknown_kind"),
    "count": _whole(1, MOST_TAKES),
    "duration_s": _number(SHORTEST_S, LONGEST_S, "the engine's choice", "absurd_duration"),
    "negative": _words(500),
    "seed": _whole(0, 2**63 - 1),
    "loop": _yes_no,
    "category": _spelt("[A-Za-z0-9]+", "letters and digits, as a CatID of UCS does", 20),
    "text": _words(1000),
    "reference": _reference,
    "edit": _one_of(get_args(Edit)),
    "strength": _number(0.0, 1.0),
    "start_s": _number(0.0, LONGEST_S),
    "end_s": _number(0.0, LONGEST_S),
    "influence": _number(0.0, 1.0),
    "tempo_bpm": _number(30.0, 300.0, "any tempo"),
    "name": _spelt("[A-Za-z0-9 _-]+", "letters from a to z, digits, spaces, - and _", 100),
}
"""The fields of `Prompt`, and what reads each from a cell."""

ALIASES: dict[str, str] = {
    "type": "kind",
    "n": "count",
    "takes": "count",
    "variations": "count",
    "duration": "duration_s",
    "seconds": "duration_s",
    "negative_prompt": "negative",
    "loopable": "loop",
    "prompt_influence": "influence",
    "bpm": "tempo_bpm",
}
"""What else a column may be called."""

EXTRA = ""
"""The column of cells that stand under no heading."""


def column_of(heading: str) -> str | None:
    """The column that a heading stands for, None where it is unknown; "Duration s" is duration_s."""
    name = re.sub(r"[\s-]+", "_", heading.strip().lower())
    name = ALIASES.get(name, name)
    return name if name in COLUMNS or name == EXTRA else None


def columns_of(headings: Sequence[str]) -> tuple[str | None, ...]:
    """The column of each heading; None for those that begin with `_` or `x_`, which are left out.

    Raises ConfigError for an unknown heading, naming the most similar one, and for two of the same column.
    """
    found = tuple(None if heading.startswith(("_", "x_")) else _known(heading) for heading in headings)
    seen: dict[str, str] = {}
    for heading, column in zip(headings, found, strict=True):
        if column in seen:
            raise ConfigError(f"columns {seen[column]!r} and {heading!r} are both {column}; keep one")
        if column:
            seen[column] = heading
    return found


def _known(heading: str) -> str:
    column = column_of(heading)
    if column is None:
        near = difflib.get_close_matches(heading.strip().lower(), [*COLUMNS, *ALIASES], 1)
        meant = f"did you mean {near[0]}?" if near else f"known are {', '.join(COLUMNS)}."
        raise ConfigError(f"column {_shown(heading)} is unknown; {meant} Columns that begin with x_ are left out")
    return column


# --- rows ---


@dataclass(frozen=True, slots=True)
class Rule:
    """What cells must be together: where it is `broken`, the `column` is to blame."""

    reason: str
    column: str
    broken: Callable[[Prompt], bool]
    wanted: str


RULES = (
    Rule("empty_prompt", "prompt", lambda p: not _visible(p.prompt), "say what is to be heard, or how a voice sounds"),
    Rule("no_text", "text", lambda p: p.kind == "voice" and not _spoken(p.text),
         "a voice needs the words it says; prompt is how it sounds"),
    Rule("bad_value", "text", lambda p: p.kind != "voice" and bool(p.text), "only kind voice says a text"),
    Rule("bad_reference", "reference", lambda p: p.edit != "new" and not p.reference,
         "edit needs a recording to work on"),
    Rule("bad_reference", "edit", lambda p: p.edit == "new" and bool(p.reference),
         "with a reference it must be variation, inpaint or continue"),
    Rule("bad_stretch", "end_s", lambda p: p.edit == "inpaint" and p.start_s >= p.end_s,
         "inpaint needs it to be after start_s"),
)  # fmt: skip


def check(cells: Mapping[str, str], where: str) -> Prompt | Problem:
    """The prompt of a row, or the first thing wrong with it; `where` is how messages call the row.

    `cells` are the texts that are not empty, by column (`column_of`).
    """
    if EXTRA in cells:
        message = f"{where}: {_shown(cells[EXTRA])} stands under no heading; a text with a comma needs quotes around it"
        return Problem("extra_cells", message)
    values: dict[str, Any] = {"prompt": ""}
    for column, text in cells.items():
        try:
            values[column] = COLUMNS[column](text)
        except _Refused as refused:
            return Problem(refused.reason, _message(where, column, text, str(refused)))
    prompt = Prompt(**values)
    for rule in RULES:
        if rule.broken(prompt):
            return Problem(rule.reason, _message(where, rule.column, str(getattr(prompt, rule.column)), rule.wanted))
    return prompt


_DEFAULTS = {field.name: field.default for field in fields(Prompt)}


def content_sha256(content: Prompt | Mapping[str, str]) -> str:
    """A hash of all that a prompt asks for, or of the cells of a row that is none.

    Defaults are left out, so a column that a later version adds changes no prompt that does without it.
    """
    if isinstance(content, Prompt):
        given = {name: getattr(content, name) for name in COLUMNS}
        content = {name: value for name, value in given.items() if value != _DEFAULTS[name]}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _visible(text: str) -> bool:
    return any(char.isprintable() and char != " " for char in text)


def _spoken(text: str) -> bool:
    return any(char.isalnum() for char in text)


def _message(where: str, column: str, value: str, wanted: str) -> str:
    return f"{where}: {column} is {_shown(value)}; {wanted}"


def _shown(value: str) -> str:
    if not value:
        return "empty"
    text = re.sub("://.*", "://...", value, flags=re.DOTALL)  # an address may have a secret in it
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
