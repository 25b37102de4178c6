"""Runs that are killed and run again: what a run does without an orchestrator, and how to compare end states."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from dataclasses import asdict, dataclass, replace
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from audiodiff import layout
from audiodiff.books import RESTORATIONS
from audiodiff.engines import Sampling, open_engine
from audiodiff.ledger import all_rows, committed_shards
from audiodiff.plan import PlanRequest, plan_run
from audiodiff.publish import publish
from audiodiff.recipe import recipe_of
from audiodiff.records import Row
from audiodiff.report.preview import Preview, previews_from_parquet
from audiodiff.report.render import RunSummary
from audiodiff.report.run import write_report
from audiodiff.restoration import Job, Restoration
from audiodiff.restore import Treatment
from audiodiff.shards import run_shard
from audiodiff.storage import Store, open_store

LANES = tuple(f"{lane.folder}/" for lane in layout.AUDIO_LANES)

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["audiodiff.report.run", "audiodiff.restoration", "audiodiff.s3", "pandas"])


def run_once(source_uri: str, destination_uri: str, environment: dict[str, str]) -> None:
    """One whole run through the library: plan, shards one after the other, publish, report."""
    os.environ.update(environment)
    source, destination = open_store(source_uri), open_store(destination_uri)
    engine = open_engine("passthrough")
    recipe, params = recipe_of("archive", engine, {})
    run_id = f"run-{time.time_ns()}"
    asked = PlanRequest(run_id, recipe, json.dumps({"recipe": recipe}), shard_items=3, previews=2)
    plan = plan_run(source, destination, asked, RESTORATIONS)
    if not plan.shards:
        return
    work = Restoration(source, Job("archive", Treatment(Sampling()), "flac-24", recipe, params), engine)
    receipts = [run_shard(shard, work, destination, RESTORATIONS) for shard in plan.todo]
    publish(destination, plan, RESTORATIONS)
    summary = RunSummary(
        run_id=plan.run_id,
        source=source_uri,
        destination=destination_uri,
        started_at="2026-01-01T00:00:00+00:00",
        finished_at="2026-01-01T00:00:01+00:00",
        preset="archive",
        engine=engine.name,
        engine_sha256=engine.sha256,
        recipe=recipe,
        params=params,
        version="0",
        audio_s=sum(receipt.audio_s for receipt in receipts),
        wall_s=1.0,
        stage_s=(),
        planned=plan.items,
        skipped=plan.skipped,
    )
    write_report(destination, plan, summary)


def started(source: str, destination: str, environment: dict[str, str]) -> ForkServerProcess:
    """A process that has just begun `run_once`; forked from one with all imports done, so it begins at once."""
    process = _context.Process(target=run_once, args=(source, destination, environment))
    process.start()
    return process


@dataclass(frozen=True)
class State:
    """Everything a finished run left, but for what a repetition may change: run ids and times."""

    audio: dict[str, str]
    ledger: list[dict[str, object]]
    metadata: dict[str, list[dict[str, object]]]
    previews: list[Preview]
    runs: list[str]


def state_of(destination: str) -> State:
    """Read the whole destination."""
    store = open_store(destination)
    names = [found.name for found in store.list()]
    lanes = [name for name in names if name.startswith(LANES)]
    tables = [name for name in lanes if name.endswith(".parquet")]
    previews = [preview for name in names if "/previews/" in name for preview in read_previews(store, name)]
    return State(
        audio={name: store.sha256(name) for name in lanes if name not in tables},
        ledger=[_timeless(row) for row in all_rows(store, committed_shards(store), RESTORATIONS)],
        metadata={name: [_timeless(row) for row in RESTORATIONS.decode(store.read_bytes(name))] for name in tables},
        previews=sorted(previews, key=lambda preview: preview.item_id),
        runs=sorted(name.split("/", 2)[2] for name in names if name.startswith("runs/")),
    )


def read_previews(store: Store, name: str) -> list[Preview]:
    return list(previews_from_parquet(store.read_bytes(name)))


def _timeless(row: Row) -> dict[str, object]:
    return asdict(replace(row, run_id="", created_at=""))


def ledger_marks(store: Store) -> dict[str, str]:
    """Committed shards and a mark that changes if one is written again."""
    return {found.name: found.fingerprint for found in store.list("ledger/")}


def half_done(store: Store) -> set[str]:
    """Shards that wrote something and did not commit."""
    begun = {found.name.split("/")[1] for lane in LANES for found in store.list(lane)}
    return begun - set(committed_shards(store))


def temporary_files(folder: Path) -> list[Path]:
    """What a killed writer left on a local disk and nobody took over."""
    return [path for path in folder.rglob(".audiodiff-tmp-*") if not path.is_relative_to(folder / "runs")]
