"""From the names that others give to what they know of a recording, to `Facts`."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping

from audiodiff.curate.records import Facts

_TEXT = ("transcript_or_caption", "text")
"""Columns that hold what is said where someone speaks, and what is heard where nobody does."""

_ALIASES: dict[str, tuple[str, ...]] = {
    "license": ("license", "licence", "spdx"),
    "attribution": ("attribution", "artist", "author", "credit", "creator", "copyright"),
    "title": ("title", "fxname"),
    "caption": ("caption", "description", "text_description"),
    "transcript": ("transcript", "transcription", "sentence"),
    "language": ("language", "lang", "locale"),
    "speaker": ("speaker", "speaker_id", "voice", "client_id"),
    "collection": ("collection", "source", "dataset", "album", "library"),
    "labels": ("labels", "label", "category", "subcategory", "class", "tags", "genre", "keywords"),
}
"""What each fact is called elsewhere, the most telling name first: Hugging Face, NeMo, Common Voice, Vorbis, UCS."""

_LABELS = frozenset(_ALIASES["labels"])
_TEXT_FIELDS = tuple(field for field in _ALIASES if field != "labels")


def facts_from(record: Mapping[str, object]) -> Facts:
    """The facts of one row of a manifest, one JSON sidecar, or the tags of one file.

    Names count regardless of case, "-", "_" and spaces. `text` is a transcript where the record is of kind or type
    "speech" or names a speaker, else a caption. Labels are split at ";" and "|", or else at ",". What has no place, or
    a place that a more telling name took, goes into `others` in the record's order. None, NaN, empty text and bytes
    are left out.
    """
    texts = {name: text for name, value in record.items() if (text := _text(value))}
    keys = {name: _key(name) for name in texts}
    taken: set[str] = set()
    values: dict[str, str] = {}
    for field, aliases in _with_text(keys, texts).items():
        names = [name for alias in aliases for name, key in keys.items() if key == alias]
        if names and field != "labels":
            names = names[:1]
            values[field] = texts[names[0]]
        taken.update(names)
    labels = _unique(label for name, key in keys.items() if key in _LABELS for label in _labels(record[name]))
    others = tuple((name, text) for name, text in texts.items() if name not in taken)
    return Facts(**values, labels=labels, others=others)


def merged(first: Facts, *rest: Facts) -> Facts:
    """All that several know: the first that has a field gives it, labels and others are united in their order."""
    every = (first, *rest)
    values = {field: next(filter(None, (getattr(facts, field) for facts in every)), "") for field in _TEXT_FIELDS}
    others: dict[str, str] = {}
    for name, text in (entry for facts in every for entry in facts.others):
        others.setdefault(name, text)
    labels = _unique(label for facts in every for label in facts.labels)
    return Facts(**values, labels=labels, others=tuple(others.items()))


def _with_text(keys: Mapping[str, str], texts: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """The table of names, with `text` where it belongs in this record."""
    kinds = {texts[name].lower() for name, key in keys.items() if key in {"kind", "type"}}
    spoken = "speech" in kinds or not set(map(_key, _ALIASES["speaker"])).isdisjoint(keys.values())
    field = "transcript" if spoken else "caption"
    table = {**_ALIASES, field: _ALIASES[field] + _TEXT}
    return {field: tuple(map(_key, aliases)) for field, aliases in table.items()}


def _key(name: str) -> str:
    return re.sub(r"[\s_-]", "", name.lower())


def _text(value: object) -> str:
    """A value in words; lists and records as JSON."""
    if value is None or isinstance(value, bytes) or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, list | tuple | dict):
        return json.dumps(value, ensure_ascii=False, default=str) if value else ""
    return str(value).strip()


def _labels(value: object) -> Iterator[str]:
    """The labels of one entry: those of a list stay whole, for some have commas ("Inside, small room")."""
    if isinstance(value, list | tuple):
        yield from filter(None, map(_text, value))
        return
    text = _text(value)
    parts = re.split(r"[;|]", text) if re.search(r"[;|]", text) else text.split(",")
    yield from filter(None, (part.strip() for part in parts))


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
