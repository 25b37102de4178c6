"""Prompt tables as the source of a run: each row an item, named after what it asks for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from pathlib import Path

from audiodiff.errors import ConfigError, MediaError, ObjectMissing
from audiodiff.generate.formats import BROKEN, FORMATS, Format, Record
from audiodiff.generate.prompts import Problem, check, columns_of, content_sha256
from audiodiff.generate.records import Prompt
from audiodiff.records import StoredObject
from audiodiff.storage import Store

MOST_BYTES = 256 * 2**20
"""Of a table: a million prompts of 256 characters."""
_OPEN_S = 4.0  # what `Prompt.duration_s` leaves to engines
_CHARACTERS_PER_S = 15.2  # LJSpeech: 1,308,678 characters in 23:55:17
_ASKED_AT_ONCE = 16  # a bucket answers in 5 to 50 ms

OpenStore = Callable[[str], Store]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table: a prompt, or what is wrong with it.

    `line` is as a spreadsheet counts (its first row is line 2) for CSV and TSV, the file's for JSON Lines and YAML,
    else the number of the entry from 1. `sha256` is of the row's content (`prompts.content_sha256`).
    """

    line: int
    sha256: str
    content: Prompt | Problem

    @property
    def prompt(self) -> Prompt | None:
        """The prompt, None where there is a problem."""
        return self.content if isinstance(self.content, Prompt) else None

    @property
    def problem(self) -> Problem | None:
        """The problem, None where there is a prompt."""
        return self.content if isinstance(self.content, Problem) else None

    @property
    def reference(self) -> str:
        """The prompt's reference, empty where there is none."""
        return self.prompt.reference if self.prompt else ""


class PromptTable:
    """The rows of a table as the items of a run; may stand for the source in `plan_run`.

    A row is named after its content, so it is the same item on whatever line of whatever table it stands: its takes
    are the same there too. One that repeats a row above it is `NAME~2`, `NAME~3`, ..., with a problem. The sizes listed
    are an estimate of the work, in milliseconds of sound. It is safe under threads.
    """

    def __init__(self, uri: str, store: Store, rows: dict[str, Row], open_store: OpenStore) -> None:
        self.uri, self.store, self.rows, self._open_store = uri, store, rows, open_store

    def row(self, name: str) -> Row:
        """The row of an item."""
        return self.rows[name]

    def list(self) -> Iterator[StoredObject]:
        """An item for each row, in the order of the table; a changed reference changes the fingerprint."""
        for name, row in self.rows.items():
            mark = f"{row.sha256}-{self._marks[row.reference]}" if row.reference else row.sha256
            yield StoredObject(name, _work_ms(row.prompt), mark)

    def object_uri(self, name: str) -> str:
        """`prompt:NAME`: not the table's address, for a table that was moved asks for the same sounds."""
        return f"prompt:{name}"

    def sha256(self, name: str) -> str:
        """SHA-256 of the row's content, that of its reference included."""
        row = self.rows[name]
        if not row.reference:
            return row.sha256
        store, leaf = self._locate(row.reference)
        try:
            reference = store.sha256(leaf)
        except (ObjectMissing, ConfigError):  # ConfigError: a symbolic link leads out of the folder
            reference = "missing"
        return hashlib.sha256(f"{row.sha256}-{reference}".encode()).hexdigest()

    def fetch_reference(self, reference: str, scratch: Path) -> Path:
        """A local file with a prompt's reference: the file itself where it lies on a disk, or a copy in `scratch`.

        Raises MediaError `bad_reference` where it is missing or leads out of the table's folder.
        """
        store, leaf = self._locate(reference)
        try:
            return store.at_hand(leaf, scratch)[0]
        except (ObjectMissing, ConfigError) as error:
            raise MediaError("bad_reference", f"reference {reference!r} cannot be read: {error}") from error

    def _locate(self, reference: str) -> tuple[Store, str]:
        if not reference.startswith("s3://"):
            return self.store, reference
        bucket, _, key = reference.removeprefix("s3://").partition("/")
        return self._open_store(f"s3://{bucket}"), key

    @cached_property
    def _marks(self) -> dict[str, str]:
        """The fingerprint of each reference."""
        references = {row.reference for row in self.rows.values()} - {""}
        with ThreadPoolExecutor(_ASKED_AT_ONCE) as pool:
            return dict(zip(references, pool.map(self._mark, references), strict=True))

    def _mark(self, reference: str) -> str:
        store, leaf = self._locate(reference)
        try:
            return store.stat(leaf).fingerprint
        except (ObjectMissing, ConfigError):
            return "missing"


def open_table(uri: str, open_store: OpenStore) -> PromptTable:
    """Read the table at a path or s3:// address; what its suffix may be is in `FORMATS`.

    What is wrong with one row is that row's `problem`. Raises ConfigError, naming file and line, for what cannot be
    read, an unknown column, a table without rows or without prompts, and one over `MOST_BYTES` or `MOST_ROWS`.
    """
    folder, slash, leaf = uri.rpartition("/")
    if _suffix(leaf) not in FORMATS or folder.endswith(":/"):  # s3://bucket has no folder above it
        raise ConfigError(f"prompt table {uri} must be a file that ends in .{', .'.join(FORMATS)}")
    store = open_store(folder or slash or ".")
    return PromptTable(store.object_uri(leaf), store, read_rows(store, leaf), open_store)


def read_rows(store: Store, name: str) -> dict[str, Row]:
    """The rows of a table by the names of their items."""
    title, kind = f"prompt table {store.object_uri(name)}", FORMATS[_suffix(name)]
    rows: dict[str, Row] = {}
    lines: dict[str, list[int]] = {}  # where each content stands
    for line, cells in _cells_of_rows(_records(store, name, title, kind), title, kind.entry):
        where = f"{kind.entry} {line}"
        content = check(cells, where)
        sha256 = content_sha256(cells if isinstance(content, Problem) else content)
        item = sha256[:16]
        same = lines.setdefault(item, [])
        same.append(line)
        if len(same) > 1:
            item = f"{item}~{len(same)}"
            content = Problem("duplicate_row", f"{where}: the same as {kind.entry} {same[0]}")
        rows[item] = Row(line, sha256, content)
    if not rows:
        raise ConfigError(f"{title} has no rows")
    return rows


def _records(store: Store, name: str, title: str, kind: Format) -> list[Record]:
    try:
        size = store.stat(name).size
    except ObjectMissing as error:
        raise ConfigError(f"{title} does not exist") from error
    if size > MOST_BYTES:
        raise ConfigError(f"{title} has {size >> 20} MiB; cut it into tables of at most {MOST_BYTES >> 20} MiB")
    data = store.read_bytes(name)
    try:
        return list(kind.read(data))
    except BROKEN as error:
        raise ConfigError(f"{title} cannot be read: {' '.join(str(error).split())}") from error


def _cells_of_rows(records: list[Record], title: str, entry: str) -> Iterator[tuple[int, dict[str, str]]]:
    """The texts of each row by column; rows without any are left out, as spreadsheets end in them."""
    known: dict[tuple[str, ...], tuple[str | None, ...]] = {}
    for line, headings, values in records:
        where = f"{title}: {entry} {line}"
        if headings not in known:
            known[headings] = _columns(headings, where if known else title)  # the first are those of the whole table
        cells: dict[str, str] = {}
        for column, value in zip(known[headings], values, strict=False):
            if column is not None and (text := _text(value, column, where)).strip():
                cells[column] = text
        if cells:
            yield line, cells
    if known and not any("prompt" in columns for columns in known.values()):
        raise ConfigError(f"{title} has no column prompt")


def _columns(headings: tuple[str, ...], where: str) -> tuple[str | None, ...]:
    try:
        return columns_of(headings)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def _text(value: object, column: str, where: str) -> str:
    """A cell as text: empty for what is missing, which pandas writes as NaN."""
    if value is None or value != value:  # noqa: PLR0124 - only NaN is not itself
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float | Decimal):
        raise ConfigError(f"{where}: {column} is a {type(value).__name__}; it must be text, a number, or true or false")
    return str(value)


def _suffix(name: str) -> str:
    return name.rpartition(".")[2].lower()


def _work_ms(prompt: Prompt | None) -> int:
    """Milliseconds of sound that a prompt asks for, over all its takes."""
    if prompt is None:
        return 0
    left_open_s = len(prompt.text) / _CHARACTERS_PER_S if prompt.kind == "voice" else _OPEN_S
    return round(1000 * prompt.count * (prompt.duration_s or left_open_s))
