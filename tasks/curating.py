"""The tasks of `curate_dataset`: plan, examine shards, decide, deliver shards, publish, export, report."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact

from audiodiff.caption.table import open_captioner
from audiodiff.caption.tagger import load_tagger
from audiodiff.curate.card import About, write_cards
from audiodiff.curate.decide import decide_run
from audiodiff.curate.deliver import Delivery
from audiodiff.curate.evaluation import reserve_all
from audiodiff.curate.examine import Examination, Job, examine_shard, examined_s, is_examined
from audiodiff.curate.exports import EXPORTS
from audiodiff.curate.forecast import Forecast
from audiodiff.curate.licences import Policy
from audiodiff.curate.rules import EXPLANATIONS, Preset, rules_for
from audiodiff.curate.schema import CLIPS
from audiodiff.curate.sources import Sampled, Source, open_source
from audiodiff.curate.spdx import as_spdx
from audiodiff.errors import ConfigError
from audiodiff.ledger import committed_shards
from audiodiff.plan import Plan, PlanRequest, plan_run
from audiodiff.publish import Reconciled, publish
from audiodiff.recipe import recipe_of
from audiodiff.records import Receipt, Shard
from audiodiff.report.dataset.render import DatasetSummary
from audiodiff.report.dataset.run import DatasetTally, write_dataset_report
from audiodiff.shards import run_shard
from tasks.credentials import open_with_credentials
from tasks.progress import RunProgress
from tasks.running import show_run, storage_retries

ENGINE = "audiodiff-curate"


@dataclass(frozen=True, slots=True)
class Order:
    """What every shard of a run needs to know; small, it travels with each task.

    Only every `every`-th recording of the source is taken, for a forecast. `keep_away` are evaluation sets.
    """

    source: str
    destination: str
    job: Job
    captioners: tuple[str, ...]
    twins: int
    keep_away: tuple[str, ...] = ()
    every: int = 1
    threads: int = 2

    def open_source(self) -> Source:
        """The recordings."""
        source = open_source(self.source, open_with_credentials)
        return source if self.every == 1 else Sampled(source, self.every)


@task(name="plan", **storage_retries)
def plan(order: Order, request: PlanRequest) -> Plan:
    """List, subtract what is done, cut into shards."""
    return plan_run(order.open_source(), open_with_credentials(order.destination), request, CLIPS)


@task(name="examine shard", task_run_name="examine {shard.name}", **storage_retries)
def examine(shard: Shard, order: Order) -> Receipt:
    """First pass over one shard: cut, measure, judge each clip by itself."""
    progress = RunProgress.current
    work, destination = Examination(order.open_source(), order.job), open_with_credentials(order.destination)
    return examine_shard(shard, work, destination, order.threads, progress.tick if progress else None)


@task(name="decide", **storage_retries)
def decide(planned: Plan, order: Order) -> None:
    """Over all clips together: leaks into evaluation sets, copies, splits."""
    destination = open_with_credentials(order.destination)
    sets = [open_source(uri, open_with_credentials) for uri in order.keep_away]
    decide_run(destination, planned, order.job.rules, list(reserve_all(sets, destination)))


@task(name="deliver shard", task_run_name="deliver {shard.name}", **storage_retries)
def deliver(shard: Shard, order: Order) -> Receipt:
    """Second pass over one shard: cut out, describe and encode what is kept, then commit."""
    destination = open_with_credentials(order.destination)
    captioners = [open_captioner(name) for name in order.captioners]
    tagger, twin = load_tagger("cpu"), order.job.rules.twin
    work = Delivery.of(order.open_source(), shard, destination, captioners, tagger, order.twins, twin)
    progress = RunProgress.current
    receipt = run_shard(shard, work, destination, CLIPS, order.threads, progress.tick if progress else None)
    lanes = ", ".join(f"{count} {lane}" for lane, count in receipt.lanes)
    get_run_logger().info("%s: %s", shard.name, lanes)
    return receipt


@task(name="publish", **storage_retries)
def reconcile(destination: str, planned: Plan) -> Reconciled:
    """Prove that plan, ledger, metadata and files agree."""
    return publish(open_with_credentials(destination), planned, CLIPS)


@task(name="write card", **storage_retries)
def write_card(destination: str, about: About) -> None:
    """Write the dataset's card."""
    store = open_with_credentials(destination)
    write_cards(store, committed_shards(store), about)


@task(name="export", **storage_retries)
def export(destination: str, kinds: tuple[str, ...]) -> list[str]:
    """Write the whole dataset in the formats that are asked for; returns what was written."""
    store = open_with_credentials(destination)
    shards = committed_shards(store)
    with tempfile.TemporaryDirectory(prefix="audiodiff-") as scratch:
        return [name for kind in kinds for name in EXPORTS[kind](store, shards, Path(scratch))]


@task(name="report", **storage_retries)
def report(destination: str, planned: Plan, summary: DatasetSummary) -> DatasetTally:
    """Write the report and the summary, and show the totals in the Prefect UI."""
    tally = write_dataset_report(open_with_credentials(destination), planned, summary)
    lanes = [{"lane": lane, "clips": count, "hours": round(s / 3600, 3)} for lane, count, s in tally.lanes]
    show_run(
        "curate",
        summary.run_id,
        "clips",
        lanes,
        tally.reasons,
        lambda why: EXPLANATIONS.get(why, why),
        headline(summary, tally),
    )
    return tally


def show_forecast(found: Forecast) -> None:
    """Show a forecast in the Prefect UI."""
    create_markdown_artifact(found.text, key="curate-forecast", description="What the whole run would come to")


def job_of(preset: Preset, rules: str, policy: Policy, license_default: str, settings: dict[str, Any]) -> Job:
    """What all items share, and the recipe that names it; `rules` is the address of a TOML file, or empty."""
    folder, _, name = rules.rpartition("/")
    changes = open_with_credentials(folder or ".").read_bytes(name).decode() if rules else ""
    decided = rules_for(preset, changes)
    for name in settings["captioners"]:
        open_captioner(name)  # one that is not there should be told now, and not after the first pass
    tagger = load_tagger("cpu")
    recipe, params = recipe_of(preset, tagger, settings | {"rules": asdict(decided)})
    given, _, author = license_default.partition(" by ")
    spdx = as_spdx(given)
    if given and not spdx:
        raise ConfigError(f"license_default {given!r} is no licence known to SPDX; give CC0-1.0, or CC-BY-4.0 by NAME")
    return Job(decided, policy, recipe, params, ENGINE, tagger.sha256, spdx, author.strip())


def count_source(order: Order) -> int:
    """How many objects the source lists."""
    return sum(1 for _ in order.open_source().list())


def not_examined(order: Order, planned: Plan) -> tuple[Shard, ...]:
    """The shards whose first pass is still to do."""
    destination = open_with_credentials(order.destination)
    return tuple(shard for shard in planned.todo if not is_examined(destination, shard, order.job.recipe))


def input_s(order: Order, planned: Plan) -> float:
    """Seconds of all recordings of a run, also of those that it examined before it was interrupted."""
    destination = open_with_credentials(order.destination)
    return sum(examined_s(destination, shard.name) for shard in planned.shards)


def headline(summary: DatasetSummary, tally: DatasetTally) -> str:
    """The run in a few lines of markdown."""
    lanes = ", ".join(f"{count:,} {lane} ({seconds / 3600:.2f} h)" for lane, count, seconds in tally.lanes if count)
    speed = summary.audio_s / max(summary.wall_s, 1e-9)
    return (
        f"**{summary.recordings:,} recordings**: {lanes}. {summary.skipped:,} were done before.\n\n"
        f"{summary.audio_s / 3600:.2f} hours of audio in {summary.wall_s:.0f} s, {speed:.1f}x real time.\n\n"
        f"Report: `{tally.report_uri}`"
    )
