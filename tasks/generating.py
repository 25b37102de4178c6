"""The tasks of `generate_library`: plan, generate a shard, publish, report."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from prefect import get_run_logger, task

from audiodiff.caption.tagger import load_tagger
from audiodiff.generate.generation import Generation, Job, explain
from audiodiff.generate.heard import text_evidence
from audiodiff.generate.measures import Ears
from audiodiff.generate.memory import shipped_memory
from audiodiff.generate.schema import TAKES
from audiodiff.generate.table import PromptTable, open_table
from audiodiff.generate.ucs import Table, read_table
from audiodiff.generators import open_generator
from audiodiff.plan import Plan, PlanRequest, plan_run
from audiodiff.publish import Reconciled, publish
from audiodiff.records import Receipt, Shard
from audiodiff.report.library.render import LibrarySummary
from audiodiff.report.library.run import LibraryTally, write_library_report
from audiodiff.shards import run_shard
from tasks.credentials import open_with_credentials
from tasks.progress import RunProgress
from tasks.running import show_run, storage_retries


@dataclass(frozen=True, slots=True)
class Order:
    """What every shard of a run needs to know; small, it travels with each task. `categories` may be empty."""

    prompts: str
    destination: str
    engine: str
    device: str
    job: Job
    categories: str = ""
    threads: int = 2

    def open_table(self) -> PromptTable:
        """The prompts."""
        return open_table(self.prompts, open_with_credentials)

    def open_categories(self) -> Table:
        """The user's table of categories, or the default."""
        if not self.categories:
            return read_table()
        folder, _, name = self.categories.rpartition("/")
        with tempfile.TemporaryDirectory(prefix="audiodiff-") as scratch:
            return read_table(open_with_credentials(folder or ".").at_hand(name, Path(scratch))[0])


@task(name="plan", **storage_retries)
def plan(order: Order, request: PlanRequest) -> Plan:
    """Read the table, subtract what is done, cut into shards."""
    return plan_run(order.open_table(), open_with_credentials(order.destination), request, TAKES)


@task(name="generate shard", task_run_name="generate {shard.name}", **storage_retries)
def generate_shard(shard: Shard, order: Order) -> Receipt:
    """Generate one shard's prompts and commit it; a retry overwrites what the last try left."""
    generator = open_generator(order.engine, order.device)
    ears = Ears(tagger=load_tagger("cpu"), memory=shipped_memory(), says=text_evidence)
    work = Generation(order.open_table(), order.job, generator, ears, order.open_categories())
    progress = RunProgress.current
    destination, tick = open_with_credentials(order.destination), progress.tick if progress else None
    receipt = run_shard(shard, work, destination, TAKES, order.threads, tick)
    lanes = ", ".join(f"{count} {lane}" for lane, count in receipt.lanes)
    get_run_logger().info("%s: %s, %.1fx real time", shard.name, lanes, receipt.audio_s / max(receipt.wall_s, 1e-9))
    return receipt


@task(name="publish", **storage_retries)
def reconcile(destination: str, planned: Plan) -> Reconciled:
    """Prove that plan, ledger, metadata and files agree."""
    return publish(open_with_credentials(destination), planned, TAKES)


@task(name="report", **storage_retries)
def report(destination: str, planned: Plan, summary: LibrarySummary) -> LibraryTally:
    """Write the contact sheet and the summary, and show the totals in the Prefect UI."""
    tally = write_library_report(open_with_credentials(destination), planned, summary, explain)
    lanes = [{"lane": lane, "takes": count} for lane, count in tally.lanes]
    show_run("generate", summary.run_id, "takes", lanes, tally.reasons, explain, headline(summary, tally))
    return tally


def headline(summary: LibrarySummary, tally: LibraryTally) -> str:
    """The run in a few lines of markdown."""
    missing = f", {tally.shortfall:,} are missing" if tally.shortfall else ""
    speed = summary.audio_s / max(summary.wall_s, 1e-9)
    return (
        f"**{tally.delivered:,} of {tally.asked:,} takes** of {tally.prompts:,} prompts delivered{missing}; "
        f"{tally.failed:,} rows failed. {summary.skipped:,} prompts were done before.\n\n"
        f"{summary.audio_s / 60:.1f} minutes drawn in {summary.wall_s:.0f} s, {speed:.1f}x real time.\n\n"
        f"Report: `{tally.report_uri}`"
    )
