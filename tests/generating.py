"""A whole generation through the library, without an orchestrator, in a process of its own that may be killed."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import time
from dataclasses import replace
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from audiodiff import layout
from audiodiff.generate.finish import Finish
from audiodiff.generate.generation import Generation, Job
from audiodiff.generate.measures import Ears
from audiodiff.generate.records import Draw, Take
from audiodiff.generate.schema import TAKES
from audiodiff.generate.table import open_table
from audiodiff.generate.ucs import read_table
from audiodiff.generators import Generator, open_generator
from audiodiff.ledger import all_rows, committed_shards
from audiodiff.plan import PlanRequest, plan_run
from audiodiff.publish import publish
from audiodiff.shards import run_shard
from audiodiff.storage import open_store

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["generating", "pandas"])

JOB = Job(Draw(), 2, Finish(), "wav-24", "TEST", "LIBRARY", "recipe", "{}")


def work_on(prompts: str, generator: Generator | None = None, job: Job = JOB, ears: Ears | None = None) -> Generation:
    """The work on the prompts of a table."""
    table = open_table(prompts, open_store)
    return Generation(table, job, generator or open_generator("rehearsal"), ears or Ears(), read_table())


def generate_once(prompts: str, destination_uri: str) -> None:
    """Plan, generate, publish, in shards of three prompts; what an earlier run has done is not done again."""
    work, destination = work_on(prompts), open_store(destination_uri)
    request = PlanRequest(
        f"run-{time.time_ns()}", "recipe", json.dumps({"recipe": "recipe"}), shard_items=3, previews=0
    )
    plan = plan_run(work.table, destination, request, TAKES)
    if not plan.shards:
        return
    for shard in plan.todo:
        run_shard(shard, work, destination, TAKES)
    publish(destination, plan, TAKES)
    destination.write_bytes(layout.run(plan.run_id, "summary.json"), b"{}")


def started(prompts: str, destination: str) -> ForkServerProcess:
    """A process that has just begun `generate_once`."""
    process = _context.Process(target=generate_once, args=(prompts, destination))
    process.start()
    return process


def rows_of(destination: str) -> list[Take]:
    """All rows of the ledger."""
    store = open_store(destination)
    return list(all_rows(store, committed_shards(store), TAKES))


def state_of(destination: str) -> tuple[list[str], dict[str, str]]:
    """What a run left, but for run ids and times: its rows, and its audio by name."""
    rows = [repr(replace(row, run_id="", created_at="")) for row in rows_of(destination)]
    audio = {
        str(path.relative_to(destination)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in Path(destination).rglob("*.wav")
    }
    return rows, audio
