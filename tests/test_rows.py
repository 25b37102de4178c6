"""Records to columns and back, for any flow's rows."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import pytest

from audiodiff.errors import CommitError, ConfigError
from audiodiff.generate.measures import TakeMeasures
from audiodiff.generate.records import Prompt, Take
from audiodiff.generate.schema import TAKES
from audiodiff.records import Lane, StoredFile
from audiodiff.rows import books_of

TAKE = Take(
    take_id="t", item_id="i", source_uri="/p.csv#0", source_fingerprint="f", source_sha256="s", lane=Lane.ACCEPTED,
    reasons=(), messages=("lowered by 2 dB",), engine="e", engine_sha256="h", recipe="r", seed=2**59, params="{}",
    run_id="run", created_at="2026-01-01T00:00:00+00:00", shard="shard-00000", row=2, take=1,
    prompt=Prompt('a "dog"\nbarks\udc80', kind="sfx", loop=True, seed=7, duration_s=2.5, edit="variation"),
    rank=1, file_name="x.wav", sha256="0", sample_rate=48_000, channels=1, bit_depth=24, frames=120_000, duration_s=2.5,
)  # fmt: skip


def stored(take: Take) -> Take:
    return TAKES.decode(TAKES.encode([take]))[0]


def test_a_take_comes_back_as_it_was() -> None:
    back = stored(replace(TAKE, score=0.5, guidance=3.0, measures=TakeMeasures(lufs=-20.0)))
    assert back.prompt == TAKE.prompt
    assert back.measures is not None
    assert back.measures.lufs == -20.0
    assert (back.seed, back.lane, back.created_at, back.score) == (TAKE.seed, TAKE.lane, TAKE.created_at, 0.5)
    assert back.files == (StoredFile("library/shard-00000/x.wav", "0"),)


def test_what_is_not_there_stays_so() -> None:
    back = stored(replace(TAKE, prompt=None, file_name=None, sha256=None))
    assert back.prompt is None
    assert back.measures is None
    assert back.files == ()
    assert math.isnan(back.score)


def test_the_seed_asked_for_and_the_one_drawn_with_have_columns_of_their_own() -> None:
    record = TAKES.to_table([TAKE]).to_pylist()[0]
    assert (record["asked_seed"], record["seed"]) == (7, 2**59)
    assert (record["asked_duration_s"], record["duration_s"]) == (2.5, 2.5)
    assert TAKES.schema.names[0] == "file_name"


def test_other_tables_are_refused() -> None:
    @dataclass(frozen=True)
    class Other:
        item_id: str

    other = books_of(Other, {}, {})
    with pytest.raises(CommitError, match="other columns"):
        TAKES.decode(other.encode([Other("i")]))


def test_an_instant_needs_a_time_zone() -> None:
    with pytest.raises(ConfigError):
        TAKES.encode([replace(TAKE, created_at="2026-01-01T00:00:00")])


def test_a_field_without_a_form_is_refused() -> None:
    @dataclass(frozen=True)
    class Odd:
        item_id: str
        value: complex

    with pytest.raises(TypeError, match="complex"):
        books_of(Odd, {}, {})
