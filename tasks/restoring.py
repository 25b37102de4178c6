"""The tasks of `restore_archive`: plan, restore a shard, publish, report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from prefect import Task, get_run_logger, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.futures import as_completed
from prefect.task_runners import TaskRunner
from prefect.tasks import exponential_backoff

from audiodiff.books import RESTORATIONS
from audiodiff.engines import open_engine
from audiodiff.errors import AudiodiffError, CommitError, ConfigError, EngineError
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


def may_pass(_task: Task[Any, Any], _run: TaskRun, state: State[Any]) -> bool:
    """Whether trying again can help: not with a wrong parameter, a wrong checkpoint or books that do not balance."""
    return not isinstance(state.data, ConfigError | EngineError | CommitError)


storage_retries: dict[str, Any] = {
    "retries": 3,
    "retry_condition_fn": may_pass,
    "retry_delay_seconds": exponential_backoff(5),
    "retry_jitter_factor": 0.5,
    "cache_policy": NO_CACHE,
    "persist_result": False,
}


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
    create_table_artifact(lanes, key="restore-lanes", description=f"Run {summary.run_id}: items by lane")
    reasons = [{"reason": reason, "items": count, "means": explain(reason)} for reason, count in tally.reasons]
    if reasons:
        create_table_artifact(reasons, key="restore-reasons", description=f"Run {summary.run_id}: why")
    create_markdown_artifact(headline(summary, tally), key="restore-summary", description=summary.run_id)
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


def restore_all(
    planned: Plan, order: Order, runner: TaskRunner[Any], progress: RunProgress
) -> Iterator[Receipt | BaseException]:
    """Run the shards on a task runner; yields each one's receipt, or what broke it, as it ends."""
    sizes = {shard.name: len(shard.items) for shard in planned.todo}
    done = planned.items - sum(sizes.values())
    with runner:
        futures = [runner.submit(restore_shard, parameters={"shard": shard, "order": order}) for shard in planned.todo]
        for future in as_completed(futures):
            result = future.result(raise_on_failure=False)
            if isinstance(result, Receipt):
                done += sizes[result.shard]
                progress.reached(done)
            yield result


def receipts_of(results: Iterable[Receipt | BaseException]) -> list[Receipt]:
    """The receipts; shards that failed make the run fail, after all others have been committed."""
    ended = list(results)
    failed = [result for result in ended if not isinstance(result, Receipt)]
    if failed:
        raise AudiodiffError(
            f"{len(failed)} of {len(ended)} shards failed; the others are committed, the same command resumes. "
            f"First cause: {failed[0]}"
        ) from failed[0]
    return [result for result in ended if isinstance(result, Receipt)]
