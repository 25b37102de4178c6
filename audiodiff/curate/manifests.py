"""Tables that list recordings and what is known of them, held as Arrow: a million rows are no Python objects."""

from __future__ import annotations

import bisect
import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from audiodiff.errors import ConfigError
from audiodiff.schema import exact_name, printable_name
from audiodiff.storage import Store

SUFFIXES = (".csv", ".tsv", ".parquet", ".jsonl", ".ndjson", ".json")
_NAMES = ("file_name", "audio_filepath", "path", "file", "filename", "audio", "uri", "url")
"""Columns that may hold the recording, the first that is there: Hugging Face's, NeMo's, then any."""

_LINE = "\0line"  # the column of a row that is kept as JSON
_BATCH = 10_000  # rows of JSON that are Python objects at a time
_OUTSIDE = r"^$|^/|(^|/)\.\.?(/|$)|\x00|^[A-Za-z][A-Za-z0-9+.-]*://"


@dataclass(frozen=True, slots=True)
class Manifest:
    """Rows of a table by the recording they are about.

    `names` are printable (`schema.printable_name`), relative to the store, and sorted; `rows` says which row of `table`
    each stands for. The recordings are not known to exist.
    """

    uri: str
    names: pa.Array
    rows: NDArray[np.int64]
    table: pa.Table
    name_column: str

    def __len__(self) -> int:
        return len(self.names)

    def name(self, index: int) -> str:
        """The recording at this place of the order."""
        return exact_name(self.names[index].as_py())

    def find(self, name: str, guess: int = 0) -> int | None:
        """The place of a recording, None where no row is about it; a right guess saves the search."""
        wanted = printable_name(name)
        if guess < len(self) and self.names[guess].as_py() == wanted:
            return guess
        at = bisect.bisect_left(self.names, wanted, key=lambda scalar: scalar.as_py())
        return at if at < len(self) and self.names[at].as_py() == wanted else None

    def record(self, index: int) -> dict[str, object]:
        """The row at this place, without the column of the recording."""
        row = self.table.slice(int(self.rows[index]), 1).to_pylist()[0]
        record: dict[str, object] = json.loads(row[_LINE]) if _LINE in row else row
        return {name: value for name, value in record.items() if name != self.name_column}


def read_manifest(store: Store, name: str) -> Manifest:
    """Read a CSV, TSV, Parquet or JSON Lines file, or a JSON list of objects, about recordings in or below its folder.

    The column of the recording is the first there is of file_name, audio_filepath, path, file, filename, audio, uri and
    url. A recording is given relative to the manifest's folder, or as a full path or address below it; to list others,
    put the manifest into a folder above them. ConfigError, naming file and row: what cannot be parsed or is not UTF-8,
    no such column, a name that is empty or leads out of the folder, one recording in two rows, and NeMo's `offset`, for
    recordings are taken whole.
    """
    uri = store.object_uri(name)
    path = store.local_path(name)
    source = pa.memory_map(str(path)) if path else pa.BufferReader(store.read_bytes(name))
    try:
        table, column = _read(source, name.rpartition(".")[2].lower(), uri)
    except (pa.ArrowException, UnicodeError, csv.Error) as error:
        raise ConfigError(f"manifest {uri} cannot be read: {error}") from error
    names = _relative(table[column], printable_name(uri.rpartition("/")[0]), uri)
    if "/" in name:
        folder, slash = (pa.scalar(text, names.type) for text in (printable_name(name.rpartition("/")[0]), "/"))
        names = pc.binary_join_element_wise(folder, names, slash)
    if column == "audio_filepath" and "offset" in table.column_names:
        _refuse_offsets(table["offset"], uri)
    order = pc.sort_indices(names)
    manifest = Manifest(uri, names.take(order), order.to_numpy().astype(np.int64), table, column)
    _refuse_twins(manifest)
    kept = table.select([_LINE]) if _LINE in table.column_names else table
    return replace(manifest, table=kept)


def _read(source: pa.NativeFile, suffix: str, uri: str) -> tuple[pa.Table, str]:
    if suffix == "parquet":
        table = pq.read_table(source)
    elif suffix in {"csv", "tsv"}:
        table = _read_text(source, "\t" if suffix == "tsv" else ",")
    else:
        table = _read_json(source, uri)
    if len(set(table.column_names)) < len(table.column_names):
        raise ConfigError(f"manifest {uri} has two columns of the same name: {table.column_names}")
    column = _name_column(table.column_names, uri)
    if not pa.types.is_string(table[column].type) and not pa.types.is_large_string(table[column].type):
        raise ConfigError(
            f"manifest {uri}: column {column} must name files, but is {table[column].type}; audio inside a table is "
            "not read, export it to a folder first"
        )
    return table, column


def _read_text(source: pa.NativeFile, delimiter: str) -> pa.Table:
    """A table all of text, for a guessed type would fail at the first row that is of another, and lose "007"."""
    head = io.StringIO(source.read(2**16).decode("utf-8-sig", "ignore"), newline="")
    columns = next(csv.reader(head, delimiter=delimiter), [])
    source.seek(0)
    return pa_csv.read_csv(
        source,
        parse_options=pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        convert_options=pa_csv.ConvertOptions(column_types=dict.fromkeys(columns, pa.string()), null_values=[""],
                                              strings_can_be_null=True),
    )  # fmt: skip


def _read_json(source: pa.NativeFile, uri: str) -> pa.Table:
    """Names and offsets as columns, and each row as it is: those of JSON need not agree in their types."""
    column = ""
    batches: list[pa.RecordBatch] = []
    held: list[dict[str, Any]] = []
    for number, record in _json_records(source, uri):
        column = column or _name_column(list(record), uri)
        if not isinstance(record.get(column), str):
            raise ConfigError(f"manifest {uri}: row {number} has no text in {column}")
        held.append({column: record[column], "offset": str(record.get("offset") or 0), _LINE: json.dumps(record)})
        if len(held) == _BATCH:
            batches.append(pa.RecordBatch.from_pylist(held))
            held = []
    if held:
        batches.append(pa.RecordBatch.from_pylist(held))
    if not batches:
        raise ConfigError(f"manifest {uri} has no rows")
    return pa.Table.from_batches(batches)


def _json_records(source: pa.NativeFile, uri: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Numbered objects of a list, or of lines, which NeMo calls .json too."""
    begins = source.read(64).lstrip(b"\xef\xbb\xbf \r\n\t")[:1]
    source.seek(0)
    if begins == b"[":
        rows: Iterator[Any] = iter(_parsed(source.read(), uri, 1))
    else:
        lines = io.BufferedReader(source)
        rows = (_parsed(line, uri, number) for number, line in enumerate(lines, 1) if line.strip())
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise ConfigError(f"manifest {uri}: row {number} is no JSON object")
        yield number, row


def _parsed(text: bytes, uri: str, line: int) -> Any:
    try:
        return json.loads(text.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"manifest {uri}: line {line} is no JSON: {error}") from error


def _name_column(columns: list[str], uri: str) -> str:
    lower = {column.lower(): column for column in reversed(columns)}
    for name in _NAMES:
        if name in lower:
            return lower[name]
    raise ConfigError(f"manifest {uri} has no column of recordings ({', '.join(_NAMES)}); it has {', '.join(columns)}")


def _relative(column: pa.ChunkedArray, folder: str, uri: str) -> pa.Array:
    names = pc.fill_null(column.cast(pa.large_string()), "").combine_chunks()
    names = pc.replace_substring_regex(names, rf"^(file://)?{re.escape(folder.rstrip('/'))}/|^(\./)+", "")
    outside = pc.match_substring_regex(names, _OUTSIDE)
    if pc.any(outside).as_py():
        row = pc.index(outside, value=True).as_py()
        raise ConfigError(
            f"manifest {uri}: row {row + 1} names {column[row].as_py()!r}, which is not below {folder}; "
            "put the manifest into a folder above all its recordings"
        )
    return names


def _refuse_offsets(offsets: pa.ChunkedArray, uri: str) -> None:
    for row, value in enumerate(offsets, 1):
        if float(value.as_py() or 0) != 0.0:
            raise ConfigError(f"manifest {uri}: row {row} has offset {value}, but recordings are taken whole")


def _refuse_twins(manifest: Manifest) -> None:
    same = pc.equal(manifest.names[1:], manifest.names[:-1])
    if pc.any(same).as_py():
        at = pc.index(same, value=True).as_py()
        first, second = sorted(int(row) + 1 for row in manifest.rows[at : at + 2])
        raise ConfigError(f"manifest {manifest.uri}: rows {first} and {second} both name {manifest.name(at)!r}")
