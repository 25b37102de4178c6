"""The work on one prompt: how many takes are drawn, which are kept, and what becomes of errors and of killed runs."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from generating import JOB, generate_once, rows_of, started, state_of, work_on

from audiodiff.errors import StorageError
from audiodiff.generate.generation import MORE, Generation, explain
from audiodiff.generate.records import Draw, Request, Take
from audiodiff.generators.rehearsal import Rehearsal
from audiodiff.records import Item, Lane, Shard
from audiodiff.shards import Clock
from audiodiff.waveform import Waveform


class Clumsy(Rehearsal):
    """Spoils the takes whose numbers it is given."""

    def __init__(self, spoilt: Sequence[int]) -> None:
        self.spoilt, self.drawn = spoilt, 0

    def generate(self, requests: Sequence[Request], draw: Draw) -> list[Waveform]:
        self.drawn += len(requests)
        sounds = super().generate(requests, draw)
        return [
            Waveform(np.zeros_like(sound.samples), sound.sample_rate) if request.take in self.spoilt else sound
            for request, sound in zip(requests, sounds, strict=True)
        ]


class Broken(Rehearsal):
    """Raises what it is given."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def generate(self, requests: Sequence[Request], draw: Draw) -> list[Waveform]:
        raise self.error


def table(folder: Path, *rows: str) -> str:
    path = folder / "prompts.csv"
    path.write_text("\n".join(["prompt,count,duration_s", *rows]) + "\n")
    return str(path)


def done(work: Generation, tmp_path: Path) -> list[Take]:
    """The rows of the table's only prompt."""
    (found,) = work.table.list()
    item = Item.of(found, work.table.object_uri(found.name))
    outcome = work(item, Shard("shard-00000", "run", (item,)), tmp_path, Clock())
    assert all(path.is_file() for path in outcome.files)
    assert len(outcome.files) == sum(row.file_name is not None for row in outcome.rows)
    return list(outcome.rows)


def test_spoilt_takes_are_rejected_and_drawn_again(tmp_path: Path) -> None:
    generator = Clumsy(range(4))
    rows = done(work_on(table(tmp_path, "a gust,2,1"), generator), tmp_path)
    assert generator.drawn == 8
    assert sum(row.file_name is not None for row in rows if row.lane is Lane.REJECTED) == 2  # as many as were asked for
    assert sorted(row.take for row in rows if row.lane is Lane.ACCEPTED) == sorted(row.take for row in rows[:2])
    spoilt = [row for row in rows if row.take < 4]
    assert all(row.lane is Lane.REJECTED and "silent" in row.reasons for row in spoilt)


def test_what_is_missing_after_some_rounds_is_not_made_up(tmp_path: Path) -> None:
    generator = Clumsy(range(1000))
    rows = done(work_on(table(tmp_path, "a gust,2,1"), generator), tmp_path)
    assert generator.drawn == len(rows) == 2 * JOB.draws * MORE
    assert not [row for row in rows if row.lane is Lane.ACCEPTED]


def test_a_repeated_take_goes_to_review(tmp_path: Path) -> None:
    class Same(Rehearsal):
        def generate(self, requests: Sequence[Request], draw: Draw) -> list[Waveform]:
            return super().generate([replace(request, seed=5) for request in requests], draw)

    rows = done(work_on(table(tmp_path, "a gust,1,1"), Same()), tmp_path)
    assert [row.lane for row in rows] == [Lane.ACCEPTED, Lane.REVIEW]
    assert rows[1].reasons == ("repeats_sibling",)


def test_a_take_can_be_drawn_again_from_its_row(tmp_path: Path) -> None:
    work = work_on(table(tmp_path, "a gust,1,1"))
    row = done(work, tmp_path)[0]
    assert row.prompt is not None
    request = Request(row.prompt, row.take, row.seed)
    again, other = (
        work.generator.generate([one], Draw(row.steps, row.guidance))[0] for one in (request, replace(request, seed=1))
    )
    assert row.measures is not None
    assert again.duration_s == row.measures.drawn_s
    assert not np.array_equal(again.samples, other.samples)


def test_an_error_of_one_prompt_is_its_row_and_tried_again(tmp_path: Path) -> None:
    rows = done(work_on(table(tmp_path, "a gust,1,1"), Broken(RuntimeError("no luck"))), tmp_path)
    assert [(row.lane, row.reasons, row.messages) for row in rows] == [
        (Lane.FAILED, ("error:RuntimeError",), ("no luck",))
    ]
    assert "next run" in explain("error:RuntimeError")


def test_errors_of_storage_and_memory_fail_the_shard(tmp_path: Path) -> None:
    for error in (StorageError("gone"), MemoryError()):
        with pytest.raises(type(error)):
            done(work_on(table(tmp_path, "a gust,1,1"), Broken(error)), tmp_path)


def test_flac_is_delivered_too(tmp_path: Path) -> None:
    work = work_on(table(tmp_path, "a gust,1,1"), job=replace(JOB, format="flac-24"))
    row = done(work, tmp_path)[0]
    assert row.file_name is not None
    assert row.file_name.endswith("_01.flac") or row.file_name.endswith("_02.flac")


def test_every_reason_is_explained(tmp_path: Path) -> None:
    for reason in ("outranked", "not_served", "silent", "memorised", "wrong_text", "duplicate_row", "undecodable"):
        assert explain(reason) != reason


@pytest.mark.timeout(240)
def test_killed_at_random_and_started_again(tmp_path: Path) -> None:
    rows = [f"a gust {n},2,{1 + n / 10}" for n in range(8)]
    prompts = table(tmp_path, *rows, ",1,1", "a gust 0,2,1.0")
    alone, killed = str(tmp_path / "alone"), str(tmp_path / "killed")
    generate_once(prompts, alone)
    files = [sum(1 for path in Path(alone).rglob("*") if path.is_file())]
    interrupted = 0
    for progress in sorted(random.Random(5).sample(range(1, files[0] - 2), 5)):
        process = started(prompts, killed)
        while process.is_alive() and sum(1 for path in Path(killed).rglob("*") if path.is_file()) < progress:
            time.sleep(0.002)
        interrupted += process.is_alive()
        process.kill()
        process.join()
    assert interrupted >= 3
    generate_once(prompts, killed)
    assert state_of(killed) == state_of(alone)
    assert {row.lane for row in rows_of(killed)} >= {Lane.ACCEPTED, Lane.FAILED}
