"""The files that a prompt table may be: each read into records, of which every one has its own headings."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq
import yaml  # type: ignore[import-untyped]

from audiodiff.generate.prompts import EXTRA, column_of

MOST_ROWS = 1_000_000
"""A Parquet file of a few kilobytes may claim any number."""
_HEAD = 2**16  # characters in which the headings end

Record = tuple[int, tuple[str, ...], Sequence[object]]
"""Where a row stands, its headings, and its cells, which may be fewer."""


@dataclass(frozen=True, slots=True)
class Format:
    """How a table is read, and what an entry of it is called; `read` raises anything in `BROKEN`."""

    read: Callable[[bytes], Iterator[Record]]
    entry: str


BROKEN = (ValueError, RecursionError, OSError, csv.Error, pa.ArrowException, yaml.YAMLError)


def _read_csv(data: bytes) -> Iterator[Record]:
    """Rows as a spreadsheet counts them, whatever lines they take."""
    text = _decoded(data)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=_comma(text), strict=True)
    headings: tuple[str, ...] = ()
    begins = 1
    try:
        for line, cells in enumerate(rows, 1):
            begins = rows.line_num + 1
            if not any(headings):
                headings = tuple(cells)
                continue
            while cells and not cells[-1].strip():
                cells.pop()
            more = (EXTRA,) if len(cells) > len(headings) else ()
            yield line, headings + more, cells[: len(headings + more)]
    except csv.Error as error:
        raise ValueError(f"line {begins}: {error}; a quote may not be closed") from error


def _comma(text: str) -> str:
    """What parts the cells: the one of comma, semicolon and tab that makes most headings known."""

    def known(comma: str) -> int:
        rows = csv.reader(io.StringIO(text[:_HEAD]), delimiter=comma)
        return sum(bool(column_of(heading)) for heading in next(filter(any, rows), ()))

    return max(",;\t", key=known)


def _read_parquet(data: bytes) -> Iterator[Record]:
    file = pq.ParquetFile(pa.BufferReader(data))
    if file.metadata.num_rows > MOST_ROWS:
        raise ValueError(f"it has {file.metadata.num_rows:,} rows; cut it into tables of at most {MOST_ROWS:,}")
    line = 0
    for batch in file.iter_batches(1024):
        headings = tuple(batch.schema.names)
        for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            line += 1
            yield line, headings, values


def _read_lines(data: bytes) -> Iterator[Record]:
    for line, text in enumerate(_decoded(data).split("\n"), 1):  # splitlines would cut at U+2028
        if text.strip():
            yield _record(f"line {line}", line, _parsed(text, line))


def _parsed(text: str, line: int) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"line {line} is no JSON: {error.msg} at column {error.colno}") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"line {line}: {error}") from error


def _read_json(data: bytes) -> Iterator[Record]:
    found = json.loads(_decoded(data))
    if not isinstance(found, list):
        raise ValueError("it must be a list of rows")  # noqa: TRY004 - of what can go wrong with a file
    for line, entry in enumerate(found, 1):
        yield _record(f"row {line}", line, entry)


def _record(where: str, line: int, entry: object) -> Record:
    if not isinstance(entry, dict):
        raise ValueError(f"{where} must be names and values")  # noqa: TRY004
    return line, tuple(map(str, entry)), list(entry.values())


def _read_yaml(data: bytes) -> Iterator[Record]:
    """Rows from the events of the parser: all scalars but null are text, for a line that says Yes is no boolean.

    PyYAML 6.0.3 crashes the interpreter where it makes objects of a deeply nested file.
    """
    found = yaml.parse(_decoded(data), Loader=yaml.CSafeLoader)
    events = (event for event in found if isinstance(event, yaml.NodeEvent | yaml.CollectionEndEvent))
    if not isinstance(next(events, None), yaml.SequenceStartEvent):
        raise ValueError("it must be a list of rows")  # noqa: TRY004
    for event in itertools.takewhile(lambda event: not isinstance(event, yaml.SequenceEndEvent), events):
        line = event.start_mark.line + 1
        if not isinstance(event, yaml.MappingStartEvent):
            raise ValueError(f"line {line} must be names and values")  # noqa: TRY004
        row = itertools.takewhile(lambda event: not isinstance(event, yaml.MappingEndEvent), events)
        scalars = [_scalar(event) for event in row]
        yield line, tuple(scalars[::2]), scalars[1::2]
    if next(events, None):
        raise ValueError("it must be one document, and not several")


def _scalar(event: yaml.NodeEvent) -> str:
    if not isinstance(event, yaml.ScalarEvent):
        raise ValueError(f"line {event.start_mark.line + 1}: a list, a mapping or an alias is no cell")  # noqa: TRY004
    is_null = event.implicit[0] and event.value in {"~", "null", "Null", "NULL"}  # quoted ones are text
    return "" if is_null else str(event.value)


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"line {line} is not UTF-8 (byte 0x{data[error.start]:02X}); save it as UTF-8") from error


FORMATS: dict[str, Format] = {
    "csv": Format(_read_csv, "line"),
    "tsv": Format(_read_csv, "line"),
    "parquet": Format(_read_parquet, "row"),
    "jsonl": Format(_read_lines, "line"),
    "ndjson": Format(_read_lines, "line"),
    "json": Format(_read_json, "row"),
    "yaml": Format(_read_yaml, "line"),
    "yml": Format(_read_yaml, "line"),
}
"""The suffixes of tables."""
