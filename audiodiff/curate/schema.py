"""The Arrow form of `Clip`: one column for each field, those of its parts beside the others."""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import StrEnum
from typing import Any

import pyarrow as pa

from audiodiff import schema
from audiodiff.books import Books
from audiodiff.curate.records import Acoustics, Clip, Facts
from audiodiff.records import Scores

_FIRST = "file_name"
"""Where Hugging Face's audiofolder looks for it."""

_PARTS: dict[str, type] = {"scores": Scores, "facts": Facts, "acoustics": Acoustics}
_GIVEN = frozenset({"license", "attribution", "caption"})
"""Facts whose names the clip's own columns have: `given_license` is what was given, `license` the SPDX expression."""

_ATOMS: dict[type, pa.DataType] = {str: pa.string(), int: pa.int64(), float: pa.float64()}


def _column(part: str, name: str) -> str:
    return f"given_{name}" if part == "facts" and name in _GIVEN else name


def _arrow_type(hint: Any) -> pa.DataType:
    """The Arrow type of a field's type: text, numbers, records, and tuples of them."""
    if hint in _ATOMS:
        return _ATOMS[hint]
    if typing.get_origin(hint) is tuple:
        inside = typing.get_args(hint)
        if inside[-1] is Ellipsis:
            return pa.list_(_arrow_type(inside[0]))
        return pa.struct([("key", _arrow_type(inside[0])), ("value", _arrow_type(inside[1]))])
    if is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        return pa.struct([(field.name, _arrow_type(hints[field.name])) for field in fields(hint)])
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return pa.string()
    raise TypeError(f"no Arrow type for {hint}")


def _columns(owner: type, part: str = "") -> Iterator[pa.Field]:
    hints = typing.get_type_hints(owner)
    for field in fields(owner):
        if field.name in _PARTS and not part:
            yield from _columns(_PARTS[field.name], field.name)
        elif field.name == "created_at":
            yield pa.field("created_at", pa.timestamp("us", "UTC"), nullable=False)
        else:
            hint = hints[field.name]
            optional = isinstance(hint, types.UnionType)
            kind = _arrow_type(typing.get_args(hint)[0] if optional else hint)
            yield pa.field(_column(part, field.name), kind, nullable=optional or kind == pa.float64())


def _in_order(columns: list[pa.Field]) -> list[pa.Field]:
    return sorted(columns, key=lambda column: column.name != _FIRST)


CLIP_SCHEMA = pa.schema(_in_order(list(_columns(Clip))), metadata=schema.VERSION)
"""Ledger and metadata of a curated dataset; NaN is null."""


def to_table(clips: Sequence[Clip]) -> pa.Table:
    """Clips as a table of CLIP_SCHEMA. Raises ConfigError for a `created_at` without a time zone."""
    return pa.Table.from_pylist([_record(clip) for clip in clips], schema=CLIP_SCHEMA)


def from_table(table: pa.Table) -> list[Clip]:
    """The clips that `to_table` was given."""
    return [_build(Clip, record) for record in table.to_pylist()]


def _record(owner: Any, part: str = "") -> dict[str, Any]:
    hints = typing.get_type_hints(type(owner))
    record: dict[str, Any] = {}
    for field in fields(owner):
        value = getattr(owner, field.name)
        if field.name in _PARTS and not part:
            record |= _record(value, field.name) if value is not None else {}
        elif field.name == "created_at":
            record["created_at"] = schema.instant(value)
        else:
            record[_column(part, field.name)] = _plain(hints[field.name], value)
    return record


def _plain(hint: Any, value: Any) -> Any:
    """A value as Arrow takes it: no NaN, no text that UTF-8 cannot carry."""
    if isinstance(value, str):  # a lane too
        return schema.printable_name(value)
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if typing.get_origin(hint) is tuple:
        first, last = typing.get_args(hint)
        if last is Ellipsis:
            return [_plain(first, one) for one in value]
        return {"key": _plain(first, value[0]), "value": _plain(last, value[1])}
    return _record(value, "inner") if is_dataclass(hint) else value


def _build(owner: Any, record: dict[str, Any], part: str = "") -> Any:
    hints = typing.get_type_hints(owner)
    values: dict[str, Any] = {}
    for field in fields(owner):
        if field.name in _PARTS and not part:
            values[field.name] = _build_part(field, record)
        elif field.name == "created_at":
            values["created_at"] = record["created_at"].isoformat()
        else:
            values[field.name] = _value(hints[field.name], record[_column(part, field.name)])
    return owner(**values)


def _build_part(field: Field[Any], record: dict[str, Any]) -> Any:
    """A part, or the default where all its figures are null (nothing was measured)."""
    part = _PARTS[field.name]
    if field.default is None and all(record[_column(field.name, inner.name)] is None for inner in fields(part)):
        return None
    assert field.default is not MISSING
    return _build(part, record, field.name)


def _value(hint: Any, value: Any) -> Any:
    """What `_plain` was given."""
    if isinstance(hint, types.UnionType):
        return None if value is None else _value(typing.get_args(hint)[0], value)
    if hint is float:
        return math.nan if value is None else value
    if typing.get_origin(hint) is tuple:
        first, last = typing.get_args(hint)
        if last is Ellipsis:
            return tuple(_value(first, one) for one in value)
        return _value(first, value["key"]), _value(last, value["value"])
    if is_dataclass(hint):
        return _build(hint, value, "inner")
    return hint(schema.exact_name(value)) if isinstance(value, str) else value


CLIPS = Books(CLIP_SCHEMA, to_table, from_table)
"""The books of `curate_dataset`."""
