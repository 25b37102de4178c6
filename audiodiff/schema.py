"""The only Arrow schemas: rows (ledger and metadata alike) and plans, to and from Parquet bytes.

The schema version is in every file's metadata; a file of another version is refused, never guessed at.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from audiodiff.errors import CommitError, ConfigError
from audiodiff.records import Faithfulness, Item, Lane, MediaInfo, Row, Scores, Shard

SCHEMA_VERSION = "2"
_VERSION_KEY = b"audiodiff.schema_version"
VERSION = {_VERSION_KEY: SCHEMA_VERSION.encode()}
"""What every table carries in its metadata."""

_SCORES = tuple(field.name for field in fields(Scores))
_FAITHFUL = tuple(field.name for field in fields(Faithfulness))


def _text(*names: str) -> list[pa.Field]:
    return [pa.field(name, pa.string(), nullable=False) for name in names]


ROW_SCHEMA = pa.schema(
    [
        pa.field("file_name", pa.string()),  # first, where Hugging Face's audiofolder looks for it
        *_text("item_id", "source_uri", "source_fingerprint", "source_sha256", "lane"),
        pa.field("reasons", pa.list_(pa.string()), nullable=False),
        pa.field("messages", pa.list_(pa.string()), nullable=False),
        pa.field("faults", pa.list_(pa.string()), nullable=False),
        *_text("engine", "engine_sha256", "recipe"),
        pa.field("seed", pa.int64(), nullable=False),
        *_text("params", "run_id"),
        pa.field("created_at", pa.timestamp("us", "UTC"), nullable=False),
        *_text("shard"),
        pa.field("sha256", pa.string()),
        pa.field("removed_sha256", pa.string()),
        pa.field("source_container", pa.string()),
        pa.field("source_codec", pa.string()),
        pa.field("source_bit_depth", pa.int32()),
        pa.field("source_frames", pa.int64()),
        pa.field("source_tags", pa.list_(pa.struct([("key", pa.string()), ("value", pa.string())]))),
        pa.field("sample_rate", pa.int32()),
        pa.field("channels", pa.int32()),
        pa.field("bit_depth", pa.int32()),
        pa.field("frames", pa.int64()),
        pa.field("duration_s", pa.float64()),
        *(pa.field(name, pa.float64()) for name in _SCORES),
        *(pa.field(f"source_{name}", pa.float64()) for name in _SCORES),
        *(pa.field(f"faithful_{name}", pa.float64()) for name in _FAITHFUL),
        pa.field("license", pa.string()),
        pa.field("attribution", pa.string()),
    ],
    metadata=VERSION,
)

PLAN_SCHEMA = pa.schema(
    [
        *_text("shard", "run_id", "item_id"),
        pa.field("name", pa.binary(), nullable=False),  # the exact bytes: file names need not be UTF-8
        pa.field("size", pa.int64(), nullable=False),
        *_text("fingerprint"),
        pa.field("preview", pa.bool_(), nullable=False),
    ],
    metadata=VERSION,
)


def printable_name(text: str) -> str:
    """Text that UTF-8 can carry: each lone surrogate (a stray byte of a file name) as U+FFFD and its code in hex.

    All valid UTF-8 without U+FFFD is unchanged; `exact_name` takes it back. Arrow, JSON and HTML need this.
    """
    return re.sub("[\ud800-\udfff\ufffd]", lambda found: f"\ufffd{ord(found[0]):04X}", text)


def exact_name(text: str) -> str:
    """The text that `printable_name` was given."""
    return re.sub("\ufffd([0-9A-F]{4})", lambda found: chr(int(found[1], 16)), text)


def to_table(rows: Sequence[Row]) -> pa.Table:
    """Rows as a table of ROW_SCHEMA.

    A NaN score becomes null, so Scores that are NaN throughout come back as None. Raises ConfigError for a
    `created_at` without a time zone.
    """
    return pa.Table.from_pylist([_record(row) for row in rows], schema=ROW_SCHEMA)


def from_table(table: pa.Table) -> list[Row]:
    """The rows that `to_table` was given; `created_at` in UTC as `datetime.isoformat` writes it."""
    return [_row(record) for record in table.to_pylist()]


def plan_to_table(shards: Sequence[Shard]) -> pa.Table:
    """Planned shards as a table of PLAN_SCHEMA, one row per item; a shard without items leaves no trace."""
    records = [
        {
            "shard": shard.name,
            "run_id": shard.run_id,
            "item_id": item.item_id,
            "name": item.name.encode("utf-8", "surrogateescape"),
            "size": item.size,
            "fingerprint": item.fingerprint,
            "preview": item.preview,
        }
        for shard in shards
        for item in shard.items
    ]
    return pa.Table.from_pylist(records, schema=PLAN_SCHEMA)


def plan_from_table(table: pa.Table) -> list[Shard]:
    """The shards that `plan_to_table` was given, in their order."""
    grouped = itertools.groupby(table.to_pylist(), lambda record: (record["shard"], record["run_id"]))
    return [Shard(name, run_id, tuple(_item(record) for record in records)) for (name, run_id), records in grouped]


def write_parquet_bytes(table: pa.Table) -> bytes:
    """The table as a Parquet file (zstd); the same table gives the same bytes with the same pyarrow."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue().to_pybytes())


def read_table(data: bytes, schema: pa.Schema, columns: Sequence[str] | None = None) -> pa.Table:
    """The table in a Parquet file, or only some of its columns.

    Raises CommitError where the bytes are no Parquet file, or hold another schema or another version of it.
    """
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        found = file.schema_arrow
        version = (found.metadata or {}).get(_VERSION_KEY, b"none").decode(errors="replace")
        if version != SCHEMA_VERSION or not found.equals(schema):
            raise CommitError(
                f"a table has schema version {version}, or other columns; this audiodiff reads {SCHEMA_VERSION}"
            )
        return file.read(columns=None if columns is None else list(columns))
    except pa.ArrowException as error:
        raise CommitError(f"a table is not a readable Parquet file: {error}") from error


def _record(row: Row) -> dict[str, Any]:
    duration_s = row.frames / row.media.sample_rate if row.frames is not None and row.media else None
    return {
        "file_name": _printable(row.file_name),
        "item_id": row.item_id,
        "source_uri": printable_name(row.source_uri),
        "source_fingerprint": row.source_fingerprint,
        "source_sha256": row.source_sha256,
        "lane": row.lane.value,
        "reasons": [printable_name(reason) for reason in row.reasons],
        "messages": [printable_name(message) for message in row.messages],
        "faults": list(row.faults),
        "engine": row.engine,
        "engine_sha256": row.engine_sha256,
        "recipe": row.recipe,
        "seed": row.seed,
        "params": printable_name(row.params),
        "run_id": row.run_id,
        "created_at": instant(row.created_at),
        "shard": row.shard,
        "sha256": row.sha256,
        "removed_sha256": row.removed_sha256,
        "bit_depth": row.bit_depth,
        "frames": row.frames,
        "duration_s": duration_s,
        "license": _printable(row.license),
        "attribution": _printable(row.attribution),
        **_media_columns(row.media),
        **_score_columns("", row.after),
        **_score_columns("source_", row.before),
        **_faithful_columns(row.faithful),
    }


def _row(record: dict[str, Any]) -> Row:
    return Row(
        item_id=record["item_id"],
        source_uri=exact_name(record["source_uri"]),
        source_fingerprint=record["source_fingerprint"],
        source_sha256=record["source_sha256"],
        lane=Lane(record["lane"]),
        reasons=tuple(exact_name(reason) for reason in record["reasons"]),
        engine=record["engine"],
        engine_sha256=record["engine_sha256"],
        recipe=record["recipe"],
        seed=record["seed"],
        params=exact_name(record["params"]),
        run_id=record["run_id"],
        created_at=record["created_at"].isoformat(),
        shard=record["shard"],
        file_name=_exact(record["file_name"]),
        sha256=record["sha256"],
        removed_sha256=record["removed_sha256"],
        media=_media(record),
        bit_depth=record["bit_depth"],
        frames=record["frames"],
        before=_scores("source_", record),
        after=_scores("", record),
        faithful=_faithful(record),
        license=_exact(record["license"]),
        attribution=_exact(record["attribution"]),
        messages=tuple(exact_name(message) for message in record["messages"]),
        faults=tuple(record["faults"]),
    )


def _media_columns(media: MediaInfo | None) -> dict[str, Any]:
    if media is None:
        return {}
    return {
        "source_container": media.container,
        "source_codec": media.codec,
        "source_bit_depth": media.bit_depth,
        "source_frames": media.frames,
        "source_tags": [{"key": printable_name(key), "value": printable_name(value)} for key, value in media.tags],
        "sample_rate": media.sample_rate,
        "channels": media.channels,
    }


def _media(record: dict[str, Any]) -> MediaInfo | None:
    if record["source_container"] is None:
        return None
    return MediaInfo(
        container=record["source_container"],
        codec=record["source_codec"],
        sample_rate=record["sample_rate"],
        channels=record["channels"],
        bit_depth=record["source_bit_depth"],
        frames=record["source_frames"],
        tags=tuple((exact_name(tag["key"]), exact_name(tag["value"])) for tag in record["source_tags"]),
    )


def _score_columns(prefix: str, scores: Scores | None) -> dict[str, float | None]:
    values = {name: math.nan if scores is None else getattr(scores, name) for name in _SCORES}
    return {prefix + name: None if math.isnan(value) else value for name, value in values.items()}


def _scores(prefix: str, record: dict[str, Any]) -> Scores | None:
    values = [record[prefix + name] for name in _SCORES]
    if all(value is None for value in values):
        return None
    return Scores(*(math.nan if value is None else value for value in values))


def _faithful_columns(found: Faithfulness | None) -> dict[str, float | None]:
    values = {name: math.nan if found is None else getattr(found, name) for name in _FAITHFUL}
    return {f"faithful_{name}": None if math.isnan(value) else value for name, value in values.items()}


def _faithful(record: dict[str, Any]) -> Faithfulness | None:
    values = [record[f"faithful_{name}"] for name in _FAITHFUL]
    if all(value is None for value in values):
        return None
    return Faithfulness(*(math.nan if value is None else value for value in values))


def _item(record: dict[str, Any]) -> Item:
    name = record["name"].decode("utf-8", "surrogateescape")
    return Item(record["item_id"], name, record["size"], record["fingerprint"], record["preview"])


def instant(text: str) -> datetime:
    """An ISO 8601 text as an instant; raises ConfigError without a time zone."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"created_at {text!r} is not an ISO 8601 time") from error
    if instant.tzinfo is None:
        raise ConfigError(f"created_at {text!r} has no time zone; use UTC")
    return instant.astimezone(UTC)


def _printable(text: str | None) -> str | None:
    return None if text is None else printable_name(text)


def _exact(text: str | None) -> str | None:
    return None if text is None else exact_name(text)
