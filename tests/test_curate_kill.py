"""A curation that is killed and started again ends like one that was left alone."""

from __future__ import annotations

import random
import time
from dataclasses import replace
from pathlib import Path

import curating
import pytest
from curating import curate_once, rows_of, started, state_of
from pile import LANES, make_pile

from audiodiff.curate.examine import is_examined
from audiodiff.records import Item, Shard
from audiodiff.storage import open_store


def files_in(folder: str) -> int:
    return sum(1 for path in Path(folder).rglob("*") if path.is_file())


@pytest.mark.timeout(240)
def test_killed_at_random_and_started_again(tmp_path: Path) -> None:
    make_pile(tmp_path)
    alone, killed = str(tmp_path / "alone"), str(tmp_path / "killed")
    curate_once(str(tmp_path), alone)
    interrupted = 0
    for progress in sorted(random.Random(5).sample(range(1, files_in(alone) - 2), 7)):
        process = started(str(tmp_path), killed)
        while process.is_alive() and files_in(killed) < progress:
            time.sleep(0.002)
        interrupted += process.is_alive()
        process.kill()
        process.join()
    assert interrupted >= 4
    curate_once(str(tmp_path), killed)
    assert state_of(killed) == state_of(alone)
    found = {Path(row.source_uri).name: (row.lane.value, row.reasons) for row in rows_of(killed) if not row.twin_of}
    assert found == LANES
    left = [path for path in Path(killed).rglob(".audiodiff-tmp-*") if "runs" not in path.parts]
    assert left == []


def test_decisions_outlive_a_crash_between_the_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_pile(tmp_path)
    destination = str(tmp_path / "set")

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(curating, "run_shard", crash)
        with pytest.raises(KeyboardInterrupt):
            curate_once(str(tmp_path), destination)
    decided = {path: path.read_bytes() for path in Path(destination).rglob("decided/*.parquet")}
    examined = {path: path.stat().st_mtime_ns for path in Path(destination, "examined").iterdir()}
    assert len(decided) == len(examined) == -(-len(LANES) // 4)
    curate_once(str(tmp_path), destination)
    assert {path: path.read_bytes() for path in decided} == decided
    assert {path: path.stat().st_mtime_ns for path in examined} == examined
    assert len([row for row in rows_of(destination) if not row.twin_of]) == len(LANES)


def test_what_an_abandoned_run_examined_does_not_count(tmp_path: Path) -> None:
    make_pile(tmp_path)
    destination = open_store(str(tmp_path / "set"))
    curate_once(str(tmp_path), destination.uri)
    table = destination.read_bytes("examined/shard-00000.parquet")
    items = {row.item_id for row in rows_of(destination.uri) if row.shard == "shard-00000"}
    shard = Shard("shard-00000", "run", tuple(Item(item_id, "", 0, "") for item_id in items))
    assert is_examined(destination, shard, "recipe")
    assert not is_examined(destination, shard, "another")
    assert not is_examined(destination, replace(shard, items=shard.items[:1]), "recipe")
    destination.write_bytes("examined/shard-00099.parquet", table)
    assert not is_examined(destination, replace(shard, name="shard-00098"), "recipe")
