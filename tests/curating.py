"""A whole curation through the library, without an orchestrator, in a process of its own that may be killed."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import time
from dataclasses import asdict, replace
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from audiodiff import layout
from audiodiff.caption.tagger import load_tagger
from audiodiff.curate.decide import decide_run
from audiodiff.curate.deliver import Delivery
from audiodiff.curate.evaluation import reserve
from audiodiff.curate.examine import Examination, Job, examine_shard, is_examined
from audiodiff.curate.records import Clip
from audiodiff.curate.rules import PRESETS
from audiodiff.curate.schema import CLIPS
from audiodiff.curate.sources import open_source
from audiodiff.ledger import all_rows, committed_shards
from audiodiff.plan import PlanRequest, plan_run
from audiodiff.publish import publish
from audiodiff.shards import run_shard
from audiodiff.storage import open_store

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["curating", "pandas"])


def curate_once(folder: str, destination_uri: str) -> None:
    """Plan, examine, decide, deliver, publish, in shards of four; what an earlier run has done is not done again."""
    source, destination = open_source(f"{folder}/pile", open_store), open_store(destination_uri)
    request = PlanRequest(
        f"run-{time.time_ns()}", "recipe", json.dumps({"recipe": "recipe"}), shard_items=4, previews=0
    )
    plan = plan_run(source, destination, request, CLIPS)
    if not plan.shards:
        return
    rules = PRESETS["sfx"]
    work = Examination(source, Job(rules, "commercial", "recipe", "{}", "curation"))
    for shard in plan.todo:
        if not is_examined(destination, shard, "recipe"):
            examine_shard(shard, work, destination)
    decide_run(destination, plan, rules, reserve(open_source(f"{folder}/evaluation", open_store), destination))
    for shard in plan.todo:
        delivery = Delivery.of(source, shard, destination, (), load_tagger("cpu"), 1, "vinyl")
        run_shard(shard, delivery, destination, CLIPS)
    publish(destination, plan, CLIPS)
    destination.write_bytes(layout.run(plan.run_id, "summary.json"), b"{}")


def started(folder: str, destination: str) -> ForkServerProcess:
    """A process that has just begun `curate_once`."""
    process = _context.Process(target=curate_once, args=(folder, destination))
    process.start()
    return process


def rows_of(destination: str) -> list[Clip]:
    """All rows of the ledger."""
    store = open_store(destination)
    return list(all_rows(store, committed_shards(store), CLIPS))


def state_of(destination: str) -> tuple[list[str], dict[str, str]]:
    """What a run left, but for run ids and times: its rows, and its audio by name."""
    rows = [repr(asdict(replace(row, run_id="", created_at=""))) for row in rows_of(destination)]
    audio = {
        str(path.relative_to(destination)): hashlib.sha256(path.read_bytes()).hexdigest()
        for lane in layout.AUDIO_FOLDERS
        for path in Path(destination, str(lane)).rglob("*")
        if path.is_file() and path.suffix != ".parquet"
    }
    return rows, audio
