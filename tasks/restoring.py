"""The tasks of `restore_archive`: plan, restore a shard, publish, report."""

from __future__ import annotations

from dataclasses import dataclass

from prefect import get_run_logger, task

from audiodiff.books import RESTORATIONS
from audiodiff.engines import open_engine
from audiodiff.gates import explain
from audiodiff.plan import Plan, PlanRequest, plan_run
from audiodiff.publish import Reconciled, publish
from audiodiff.records import Receipt, Shard
from audiodiff.report.render import RunSummary
from audiodiff.report.run import Tally, write_report
from audiodiff.restoration import Job, Restoration
from audiodiff.shards import run_shard
from tasks.credentials import open_with_credentials
from tasks.progress import RunProgress
from tasks.running import show_run, storage_retries


@dataclass(frozen=True, slots=True)
class Order:
    """What every shard of a run needs to know; small, it travels with each task."""

    source: str
    destination: str
    engine: str
    device: str
    job: Job
    threads: int = 2


@task(name="plan", **storage_retries)
def plan(source: str, destination: str, request: PlanRequest) -> Plan:
    """List, subtract what is done, cut into shards."""
    return plan_run(open_with_credentials(source), open_with_credentials(destination), request, RESTORATIONS)


@task(name="restore shard", task_run_name="restore {shard.name}", **storage_retries)
def restore_shard(shard: Shard, order: Order) -> Receipt:
    """Restore one shard and commit it; a retry overwrites what the last try left."""
    engine = open_engine(order.engine, order.device)
    work = Restoration(open_with_credentials(order.source), order.job, engine)
    progress = RunProgress.current
    destination, tick = open_with_credentials(order.destination), progress.tick if progress else None
    receipt = run_shard(shard, work, destination, RESTORATIONS, order.threads, tick)
    lanes = ", ".join(f"{count} {lane}" for lane, count in receipt.lanes)
    get_run_logger().info("%s: %s, %.0fx real time", shard.name, lanes, receipt.audio_s / max(receipt.wall_s, 1e-9))
    return receipt


@task(name="publish", **storage_retries)
def reconcile(destination: str, planned: Plan) -> Reconciled:
    """Prove that plan, ledger, metadata and files agree."""
    return publish(open_with_credentials(destination), planned, RESTORATIONS)


@task(name="report", **storage_retries)
def report(destination: str, planned: Plan, summary: RunSummary) -> Tally:
    """Write the report and the summary, and show the totals in the Prefect UI."""
    tally = write_report(open_with_credentials(destination), planned, summary)
    lanes = [{"lane": lane, "items": count} for lane, count in tally.lanes]
    show_run("restore", summary.run_id, "items", lanes, tally.reasons, explain, headline(summary, tally))
    return tally


def headline(summary: RunSummary, tally: Tally) -> str:
    """The run in a few lines of markdown."""
    lanes = ", ".join(f"{count:,} {lane}" for lane, count in tally.lanes if count)
    speed = summary.audio_s / max(summary.wall_s, 1e-9)
    return (
        f"**{summary.planned:,} items**: {lanes}. {summary.skipped:,} were done before.\n\n"
        f"{summary.audio_s / 3600:.2f} hours of audio in {summary.wall_s:.0f} s, {speed:.1f}x real time.\n\n"
        f"Report: `{tally.report_uri}`"
    )
