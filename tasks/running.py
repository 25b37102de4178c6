"""What the tasks of every flow share: when to try again, how shards are run, and how a run is shown in Prefect's UI."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from prefect import Task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.futures import as_completed
from prefect.task_runners import TaskRunner
from prefect.tasks import exponential_backoff

from audiodiff.errors import AudiodiffError, CommitError, ConfigError, EngineError
from audiodiff.records import Receipt, Shard
from tasks.progress import RunProgress

OrderT = TypeVar("OrderT")


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


def run_all(
    step: Task[[Shard, OrderT], Receipt],
    shards: Sequence[Shard],
    order: OrderT,
    runner: TaskRunner[Any],
    progress: RunProgress,
    reached: int,
) -> Iterator[Receipt | BaseException]:
    """Run a shard task over shards; yields each one's receipt, or what broke it, as it ends.

    `reached` is how many items of the run are done once all these shards are.
    """
    sizes = {shard.name: len(shard.items) for shard in shards}
    done = reached - sum(sizes.values())
    with runner:
        futures = [runner.submit(step, parameters={"shard": shard, "order": order}) for shard in shards]
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


def show_run(
    flow: str,
    run_id: str,
    unit: str,
    lanes: list[dict[str, Any]],
    reasons: Iterable[tuple[str, int]],
    explain: Callable[[str], str],
    headline: str,
) -> None:
    """Show a run's totals as artifacts: a table of its lanes, one of reasons with what they mean, and its headline."""
    create_table_artifact(lanes, key=f"{flow}-lanes", description=f"Run {run_id}: {unit} by lane")
    told = [{"reason": reason, unit: count, "means": explain(reason)} for reason, count in reasons]
    if told:
        create_table_artifact(told, key=f"{flow}-reasons", description=f"Run {run_id}: why")
    create_markdown_artifact(headline, key=f"{flow}-summary", description=run_id)
