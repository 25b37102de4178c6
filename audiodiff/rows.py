"""Frozen dataclasses as Arrow rows: one column for each field, those of its parts beside the others.

`books_of(Clip, parts={"scores": Scores}, renamed={"facts.license": "given_license"})` makes the schema of a record, and
takes records to tables and back. Text, whole numbers, numbers (NaN is null), switches, tuples and records in tuples
have a form.
"""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from enum import StrEnum
from typing import Any

import pyarrow as pa

from audiodiff import schema
from audiodiff.books import Books, R

_FIRST = "file_name"
"""Where Hugging Face's audiofolder looks for it."""

_ATOMS: dict[type, pa.DataType] = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}


def books_of(owner: type[R], parts: Mapping[str, type], renamed: Mapping[str, str]) -> Books[R]:
    """The books of a record whose fields named in `parts` are records too; `renamed` holds columns by `part.field`.

    Fields that may be None, and numbers, may be null; `created_at` is an instant with a time zone, and to write one
    without raises ConfigError. Raises TypeError for a field without an Arrow form.
    """
    form = _Form(owner, parts, renamed)
    columns = sorted(form.columns(owner), key=lambda column: column.name != _FIRST)
    names = [column.name for column in columns]
    assert len(set(names)) == len(names), f"two fields of {owner.__name__} share a column"
    arrow = pa.schema(columns, metadata=schema.VERSION)

    def to_table(rows: Sequence[R]) -> pa.Table:
        return pa.Table.from_pylist([form.record(row) for row in rows], schema=arrow)

    def from_table(table: pa.Table) -> list[R]:
        return [form.build(owner, record) for record in table.to_pylist()]

    return Books(arrow, to_table, from_table)


@dataclass(frozen=True, slots=True)
class _Form:
    """How a record with parts lies in columns; `part` is the part that is looked at, "" for the record itself."""

    owner: type
    parts: Mapping[str, type]
    renamed: Mapping[str, str]

    def column(self, part: str, name: str) -> str:
        return self.renamed.get(f"{part}.{name}", name)

    def columns(self, owner: type, part: str = "") -> Iterator[pa.Field]:
        hints = typing.get_type_hints(owner)
        optional_part = part and self._optional(part)
        for field in fields(owner):
            if field.name in self.parts and not part:
                yield from self.columns(self.parts[field.name], field.name)
            elif field.name == "created_at":
                yield pa.field("created_at", pa.timestamp("us", "UTC"), nullable=False)
            else:
                hint = hints[field.name]
                optional = isinstance(hint, types.UnionType)
                kind = self._arrow_type(typing.get_args(hint)[0] if optional else hint)
                nullable = optional or optional_part or kind == pa.float64()
                yield pa.field(self.column(part, field.name), kind, nullable=nullable)

    def _optional(self, part: str) -> bool:
        """Whether the record may be without the part."""
        return isinstance(typing.get_type_hints(self.owner)[part], types.UnionType)

    def _arrow_type(self, hint: Any) -> pa.DataType:
        """The Arrow type of a field's type."""
        if hint in _ATOMS:
            return _ATOMS[hint]
        if typing.get_origin(hint) is typing.Literal:
            return pa.string()
        if typing.get_origin(hint) is tuple:
            inside = typing.get_args(hint)
            if inside[-1] is Ellipsis:
                return pa.list_(self._arrow_type(inside[0]))
            return pa.struct([("key", self._arrow_type(inside[0])), ("value", self._arrow_type(inside[1]))])
        if is_dataclass(hint):
            hints = typing.get_type_hints(hint)
            return pa.struct([(field.name, self._arrow_type(hints[field.name])) for field in fields(hint)])
        if isinstance(hint, type) and issubclass(hint, StrEnum):
            return pa.string()
        raise TypeError(f"no Arrow type for {hint}")

    def record(self, owner: Any, part: str = "") -> dict[str, Any]:
        hints = typing.get_type_hints(type(owner))
        record: dict[str, Any] = {}
        for field in fields(owner):
            value = getattr(owner, field.name)
            if field.name in self.parts and not part:
                record |= self.record(value, field.name) if value is not None else {}
            elif field.name == "created_at":
                record["created_at"] = schema.instant(value)
            else:
                record[self.column(part, field.name)] = self._plain(hints[field.name], value)
        return record

    def _plain(self, hint: Any, value: Any) -> Any:
        """A value as Arrow takes it: no NaN, no text that UTF-8 cannot carry."""
        if isinstance(value, str):  # a lane too
            return schema.printable_name(value)
        if isinstance(value, float):
            return None if math.isnan(value) else value
        if typing.get_origin(hint) is tuple:
            first, last = typing.get_args(hint)
            if last is Ellipsis:
                return [self._plain(first, one) for one in value]
            return {"key": self._plain(first, value[0]), "value": self._plain(last, value[1])}
        return self.record(value, "inner") if is_dataclass(hint) else value

    def build(self, owner: Any, record: dict[str, Any], part: str = "") -> Any:
        hints = typing.get_type_hints(owner)
        values: dict[str, Any] = {}
        for field in fields(owner):
            if field.name in self.parts and not part:
                values[field.name] = self._part(field, record)
            elif field.name == "created_at":
                values["created_at"] = record["created_at"].isoformat()
            else:
                values[field.name] = self._value(hints[field.name], record[self.column(part, field.name)])
        return owner(**values)

    def _part(self, field: Field[Any], record: dict[str, Any]) -> Any:
        """A part, or the default where all its columns are null (nothing was measured)."""
        part = self.parts[field.name]
        columns = (self.column(field.name, inner.name) for inner in fields(part))
        if field.default is None and all(record[column] is None for column in columns):
            return None
        assert field.default is not MISSING
        return self.build(part, record, field.name)

    def _value(self, hint: Any, value: Any) -> Any:
        """What `_plain` was given."""
        if isinstance(hint, types.UnionType):
            return None if value is None else self._value(typing.get_args(hint)[0], value)
        if hint is float:
            return math.nan if value is None else value
        if typing.get_origin(hint) is tuple:
            first, last = typing.get_args(hint)
            if last is Ellipsis:
                return tuple(self._value(first, one) for one in value)
            return self._value(first, value["key"]), self._value(last, value["value"])
        if isinstance(value, str):
            text = schema.exact_name(value)
            return hint(text) if isinstance(hint, type) else text
        return self.build(hint, value, "inner") if is_dataclass(hint) else value
