from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from audiodiff.books import RESTORATIONS
from audiodiff.errors import CommitError, ConfigError
from audiodiff.records import Faithfulness, Item, Lane, MediaInfo, Row, Scores, Shard, StoredObject
from audiodiff.schema import (
    PLAN_SCHEMA,
    ROW_SCHEMA,
    exact_name,
    from_table,
    plan_from_table,
    plan_to_table,
    printable_name,
    read_table,
    to_table,
    write_parquet_bytes,
)

STRAY = b"caf\xe9 \xff.wav".decode("utf-8", "surrogateescape")
HOSTILE = [
    STRAY,
    "new\nline\r\0.wav",
    "'\"<script>\\%00%",
    "\ufffdFFFD",
    "\ufffd",
    "\ufffd\ufffdDCE9\udce9",
    "\ud800\udfff",
    "\u65e5\u672c\U0001f3b5",
    "",
]

BEFORE = Scores(-23.4, -0.1, 0.01, 0.2, 7900.0, -52.5, 0.99, -40.5, -30.0, 2.5, 3.1, 2.2, 2.0)
AFTER = Scores(-math.inf, -0.3, 0.0, 0.2, 19_500.0, 1e-300, -1.0, *[math.nan] * 6)
FAILED = Row(
    item_id="0123456789abcdef",
    source_uri="/tapes/broken.wav",
    source_fingerprint="0-1",
    source_sha256="ab" * 32,
    lane=Lane.FAILED,
    reasons=("undecodable",),
    engine="bridge",
    engine_sha256="cd" * 32,
    recipe="r1",
    seed=-(2**63),
    params='{"steps": 1}',
    run_id="run-1",
    created_at="2026-11-24T02:12:56+00:00",
    shard="shard-00000",
)
ACCEPTED = dataclasses.replace(
    FAILED,
    source_uri=f"s3://tapes/{STRAY}",
    lane=Lane.ACCEPTED,
    reasons=(),
    seed=2**63 - 1,
    created_at="2026-11-24T02:12:56.000001+00:00",
    file_name="a-0123.flac",
    sha256="ef" * 32,
    removed_sha256="01" * 32,
    media=MediaInfo("wav", "pcm_s24le", 48_000, 8, 24, None, (("title", STRAY), ("title", "again"))),
    bit_depth=24,
    frames=2**33,
    before=BEFORE,
    after=AFTER,
    faithful=Faithfulness(0.9, 0.0, math.nan),
    license="CC-BY-4.0",
    attribution="A \u00dc \udcff",
    messages=tuple(HOSTILE),
    faults=("noise", "lost band"),
)
REVIEW = dataclasses.replace(ACCEPTED, lane=Lane.REVIEW, media=MediaInfo("mp3", "mp3", 8000, 1, 16, 10), after=None)
ROWS = [FAILED, ACCEPTED, REVIEW]


def same(left: object, right: object) -> bool:
    """Equality in which NaN equals NaN and -0.0 is not 0.0: that of the written-out form."""
    return repr(left) == repr(right)


def test_rows_come_back_exactly() -> None:
    assert same(from_table(to_table(ROWS)), ROWS)
    assert same(RESTORATIONS.decode(write_parquet_bytes(to_table(ROWS))), ROWS)
    assert RESTORATIONS.decode(write_parquet_bytes(to_table([]))) == []


@pytest.mark.parametrize("text", HOSTILE)
def test_any_text_comes_back_from_its_printable_form(text: str) -> None:
    printable_name(text).encode()  # raises where UTF-8 cannot carry it
    assert exact_name(printable_name(text)) == text
    hostile = dataclasses.replace(
        ACCEPTED, source_uri=text, file_name=text, params=text, reasons=(text,), messages=(text, text),
        license=text, attribution=text,
    )  # fmt: skip
    assert same(RESTORATIONS.decode(write_parquet_bytes(to_table([hostile]))), [hostile])


def test_ordinary_names_are_their_own_printable_form() -> None:
    assert printable_name("Caf\u00e9 100%.wav") == "Caf\u00e9 100%.wav"
    assert printable_name(b"caf\xe9".decode("utf-8", "surrogateescape")) == "caf\ufffdDCE9"


def test_the_table_has_exactly_the_schema_whatever_the_rows() -> None:
    for rows in (ROWS, [FAILED], []):
        table = to_table(rows)
        assert table.schema.equals(ROW_SCHEMA, check_metadata=True)
        table.validate(full=True)
    assert ROW_SCHEMA.names[0] == "file_name"
    assert len(set(ROW_SCHEMA.names)) == len(ROW_SCHEMA.names)


def test_scores_are_columns_and_nan_is_null() -> None:
    record = to_table([ACCEPTED]).to_pylist()[0]
    assert record["source_bandwidth_hz"] == 7900.0
    assert record["bandwidth_hz"] == 19_500.0
    assert record["lufs"] == -math.inf
    assert record["dnsmos_ovrl"] is None
    assert record["duration_s"] == 2**33 / 48_000


def test_scores_of_nothing_but_nan_are_no_scores() -> None:
    nothing = dataclasses.replace(ACCEPTED, after=Scores(*[math.nan] * 13))
    assert from_table(to_table([nothing]))[0].after is None


def test_times_are_kept_as_instants() -> None:
    elsewhere = dataclasses.replace(FAILED, created_at="2026-11-24T03:12:56.5+01:00")
    assert from_table(to_table([elsewhere]))[0].created_at == "2026-11-24T02:12:56.500000+00:00"
    for text in ("2026-11-24T02:12:56", "yesterday"):
        with pytest.raises(ConfigError, match="created_at"):
            to_table([dataclasses.replace(FAILED, created_at=text)])


def test_the_same_rows_give_the_same_bytes() -> None:
    assert write_parquet_bytes(to_table(ROWS)) == write_parquet_bytes(to_table(ROWS))


def test_a_file_that_is_not_ours_is_refused() -> None:
    good = write_parquet_bytes(to_table(ROWS))
    newer = to_table(ROWS).replace_schema_metadata({b"audiodiff.schema_version": b"3"})
    other = pa.table({"a": [1]})
    plan = plan_to_table([])
    for data in (b"", b"PAR1", good[:-20], *map(write_parquet_bytes, (newer, other, plan))):
        with pytest.raises(CommitError, match="a table"):
            RESTORATIONS.decode(data)


def test_some_columns_can_be_read_alone() -> None:
    table = read_table(write_parquet_bytes(to_table(ROWS)), ROW_SCHEMA, ["item_id", "recipe"])
    assert table.to_pylist() == [{"item_id": row.item_id, "recipe": "r1"} for row in ROWS]


def test_duckdb_reads_many_shards_in_one_line(tmp_path: Path) -> None:
    for shard in ("shard-00000", "shard-00001"):
        (tmp_path / shard).mkdir()
        (tmp_path / shard / "metadata.parquet").write_bytes(write_parquet_bytes(to_table([ACCEPTED, REVIEW])))
    query = f"select count(*), min(source_tags[1].key), count(lufs) from '{tmp_path}/*/metadata.parquet'"  # noqa: S608
    with duckdb.connect() as database:
        assert database.sql(query).fetchall() == [(4, "title", 2)]


def test_plans_come_back_exactly() -> None:
    items = [dataclasses.replace(Item.of(StoredObject(name or "x", 2**40, f"1-{i}"), f"s3://t/{i}"), preview=i % 2 == 0)
             for i, name in enumerate([STRAY, "new\nline", "\ufffdFFFD", "a/b \u00e9"])]  # fmt: skip
    shards = [Shard("shard-00000", "run", tuple(items[:3])), Shard("shard-00001", "run", tuple(items[3:]))]
    data = write_parquet_bytes(plan_to_table(shards))
    assert plan_from_table(read_table(data, PLAN_SCHEMA)) == shards
    assert plan_from_table(plan_to_table([])) == []
    assert pq.read_schema(pa.BufferReader(data)).field("name").type == pa.binary()
