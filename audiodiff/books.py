"""How a flow keeps its books: the rows of its ledger and metadata, and their tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import pyarrow as pa

from audiodiff import schema
from audiodiff.records import Lane, StoredFile


class LedgerRow(Protocol):
    """What the commit protocol needs to know of a row, whatever else is in it."""

    @property
    def item_id(self) -> str:
        """The input it tells of; several rows may tell of one."""

    @property
    def shard(self) -> str:
        """The shard that wrote it."""

    @property
    def lane(self) -> Lane:
        """What became of it."""

    @property
    def key(self) -> str:
        """What no other row of a ledger has."""

    @property
    def files(self) -> tuple[StoredFile, ...]:
        """The objects it stands for; a metadata table lies beside the first."""


R = TypeVar("R", bound=LedgerRow)


@dataclass(frozen=True, slots=True)
class Books(Generic[R]):
    """The schema of a flow's rows, and rows to tables and back."""

    schema: pa.Schema
    to_table: Callable[[Sequence[R]], pa.Table]
    from_table: Callable[[pa.Table], list[R]]

    def encode(self, rows: Sequence[R]) -> bytes:
        """Rows as a Parquet file."""
        return schema.write_parquet_bytes(self.to_table(rows))

    def read(self, data: bytes, columns: Sequence[str] | None = None) -> pa.Table:
        """The table in a Parquet file, or some of its columns; raises CommitError as `schema.read_table` does."""
        return schema.read_table(data, self.schema, columns)

    def decode(self, data: bytes) -> list[R]:
        """The rows in a Parquet file; raises CommitError as `read` does."""
        return self.from_table(self.read(data))


RESTORATIONS = Books(schema.ROW_SCHEMA, schema.to_table, schema.from_table)
"""The books of `restore_archive`."""
