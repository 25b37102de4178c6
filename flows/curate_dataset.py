"""`curate_dataset`: a pile of audio in; a segmented, filtered, deduplicated, captioned dataset with its books out."""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from prefect import flow, get_run_logger
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner
from pydantic import BaseModel, ConfigDict, Field

import audiodiff
from audiodiff.curate.contents import About
from audiodiff.curate.examine import Job
from audiodiff.curate.forecast import Forecast, forecast
from audiodiff.curate.licences import Policy
from audiodiff.curate.rules import Preset
from audiodiff.errors import AudiodiffError
from audiodiff.plan import Plan, PlanRequest
from audiodiff.records import Receipt
from audiodiff.report.dataset.render import DatasetSummary
from audiodiff.report.dataset.run import DatasetTally
from tasks.credentials import open_with_credentials
from tasks.curating import (
    Order,
    count_source,
    decide,
    deliver,
    examine,
    export,
    headline,
    input_s,
    job_of,
    not_examined,
    plan,
    reconcile,
    report,
    show_forecast,
    write_card,
)
from tasks.progress import RunProgress
from tasks.running import receipts_of, run_all

SHARD_ITEMS = 200
FORECAST_ITEMS = 100
"""Recordings that a forecast looks into."""

_SETTINGS = {"preset", "policy", "license_default", "captioners", "twins", "keep_away"}
"""What decides the result, and with the rules the recipe."""


class CurateConfig(BaseModel):
    """Turn a pile of audio into a dataset."""

    model_config = ConfigDict(extra="forbid", title="Curate a dataset")

    source: str = Field(
        description="Folder, s3://bucket/prefix, manifest (CSV, Parquet, JSONL), WebDataset tars or audiofolder."
    )
    destination: str = Field(description="Folder or s3://bucket/prefix for library/, review/, degraded/ and ledger/.")
    preset: Preset = Field("sfx", description="How clips are cut and how good they must be.")
    rules: str = Field("", description="TOML file that changes the preset's rules; see docs/howto-curate.md.")
    policy: Policy = Field("commercial", description="Which licences may be in; unknown ones always go to review.")
    license_default: str = Field(
        "", description="Licence of recordings that name none, such as your own: CC0-1.0, or CC-BY-4.0 by NAME."
    )
    keep_away: list[str] = Field(
        default_factory=list, description="Evaluation sets (folders, buckets, manifests) nothing may resemble."
    )
    captioners: list[str] = Field(
        default_factory=lambda: ["metadata", "tagger", "acoustic"],
        description="Who describes clips: metadata, acoustic, tagger, clap:FOLDER, audio_llm:URL#MODEL.",
    )
    twins: int = Field(0, ge=0, le=16, description="Degraded copies of each clip, for training restorers.")
    exports: list[Literal["webdataset", "shar", "nemo"]] = Field(
        default_factory=list, description="Formats to write besides Parquet and audio: WebDataset, Lhotse Shar, NeMo."
    )
    dry_run: bool = Field(False, description="Only look into a sample and forecast yield, storage and time.")
    shards_at_once: int = Field(1, ge=1, le=64, description="Shards running at the same time on this machine.")


class CurateResult(BaseModel):
    """What a run came to: its id, clips and hours by lane, recordings that were done before, and the report."""

    run_id: str
    clips: dict[str, int]
    hours: dict[str, float]
    skipped: int
    report_uri: str
    forecast: str = ""


@flow(name="curate-dataset", persist_result=False)
def curate_dataset(config: CurateConfig) -> CurateResult:
    """Examine, decide, deliver, publish and report; the same call again resumes, or takes in what is new."""
    log, order = get_run_logger(), _order(config)
    if config.dry_run:
        found = _forecast(config, order)
        show_forecast(found)
        log.info(found.text.replace("\n", " "))
        return CurateResult(run_id="", clips={}, hours={}, skipped=0, report_uri="", forecast=found.text)
    done = _curate(config, order)
    if done is None:
        skipped = count_source(order)
        export(order.destination, tuple(config.exports))  # asked for later, they are still written
        log.info("nothing to do: all %d recordings of %s are done", skipped, config.source)
        return CurateResult(run_id="", clips={}, hours={}, skipped=skipped, report_uri="")
    summary, tally = done
    log.info(headline(summary, tally).replace("\n\n", " "))
    return CurateResult(
        run_id=summary.run_id,
        clips={lane: count for lane, count, _ in tally.lanes},
        hours={lane: round(seconds / 3600, 4) for lane, _, seconds in tally.lanes},
        skipped=summary.skipped,
        report_uri=tally.report_uri,
    )


def _curate(config: CurateConfig, order: Order) -> tuple[DatasetSummary, DatasetTally] | None:
    """The run itself, None if there is nothing new."""
    started, clock = datetime.now(UTC), time.monotonic()
    planned = plan(order, _request(config, order.job, started))
    if not planned.shards:
        return None
    with RunProgress("examining and delivering", 2 * planned.items) as progress:
        receipts = _both_passes(config, order, planned, progress)
    reconcile(order.destination, planned)
    write_card(order.destination, _about(config, order.job, started))
    export(order.destination, tuple(config.exports))
    summary = _summary(config, order, planned, receipts, started, time.monotonic() - clock)
    return summary, report(order.destination, planned, summary)


def _both_passes(config: CurateConfig, order: Order, planned: Plan, progress: RunProgress) -> list[Receipt]:
    """Examine what is not examined yet, decide over all, deliver what is not committed yet."""
    first: TaskRunner[Any] = ThreadPoolTaskRunner(max_workers=config.shards_at_once)
    todo = not_examined(order, planned)
    receipts = receipts_of(run_all(examine, todo, order, first, progress, planned.items))
    decide(planned, order)
    second: TaskRunner[Any] = ThreadPoolTaskRunner(max_workers=config.shards_at_once)
    return [*receipts, *receipts_of(run_all(deliver, planned.todo, order, second, progress, 2 * planned.items))]


def _forecast(config: CurateConfig, order: Order) -> Forecast:
    """The whole run on a sample, into a folder that is thrown away, and scaled up."""
    recordings = count_source(order)
    with tempfile.TemporaryDirectory(prefix="audiodiff-") as folder:
        sample = replace(order, destination=folder, every=max(1, recordings // FORECAST_ITEMS))
        done = _curate(config, sample)
        if done is None:
            raise AudiodiffError("there is nothing to forecast")
        stored = sum(found.size for found in open_with_credentials(folder).list() if not found.name.startswith("runs/"))
        return forecast(recordings, *done, stored)


def _order(config: CurateConfig) -> Order:
    """Everything that decides the result, and the recipe that names it."""
    settings = config.model_dump(include=_SETTINGS)
    job = job_of(config.preset, config.rules, config.policy, config.license_default, settings)
    return Order(
        _absolute(config.source), config.destination, job, tuple(config.captioners), config.twins,
        tuple(map(_absolute, config.keep_away)),
    )  # fmt: skip


def _absolute(uri: str) -> str:
    return uri if "://" in uri else str(Path(uri).expanduser().absolute())


def _request(config: CurateConfig, job: Job, started: datetime) -> PlanRequest:
    run_id = f"curate-{started:%Y%m%dT%H%M%S}-{started.microsecond:06d}"
    stored = config.model_dump() | {"recipe": job.recipe, "version": audiodiff.__version__}
    return PlanRequest(run_id, job.recipe, json.dumps(stored, indent=1), SHARD_ITEMS, previews=0)


def _about(config: CurateConfig, job: Job, started: datetime) -> About:
    name = config.destination.rstrip("/").rpartition("/")[2] or "dataset"
    description = f"Audio curated by audiodiff with the preset `{config.preset}`."
    now = started.isoformat()
    return About(name, description, config.preset, job.recipe, audiodiff.__version__, now, config.policy)


def _summary(
    config: CurateConfig, order: Order, planned: Plan, receipts: list[Receipt], started: datetime, wall_s: float
) -> DatasetSummary:
    stages: dict[str, float] = {}
    for receipt in receipts:
        for stage, seconds in receipt.stage_s:
            stages[stage] = stages.get(stage, 0.0) + seconds
    return DatasetSummary(
        run_id=planned.run_id,
        source=order.open_source().uri,
        destination=open_with_credentials(order.destination).uri,
        started_at=started.isoformat(),
        finished_at=datetime.now(UTC).isoformat(),
        preset=config.preset,
        policy=config.policy,
        recipe=order.job.recipe,
        params=order.job.params,
        version=audiodiff.__version__,
        recordings=planned.items,
        skipped=planned.skipped,
        audio_s=input_s(order, planned),
        wall_s=wall_s,
        stage_s=tuple(stages.items()),
    )
