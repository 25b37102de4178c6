"""`restore_archive`: a folder or bucket of recordings in; restored audio, scores, provenance and a report out."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from prefect import flow, get_run_logger
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner
from pydantic import BaseModel, ConfigDict, Field

import audiodiff
from audiodiff.device import choose_device
from audiodiff.encode import Encoding
from audiodiff.engines import ENGINE_FILE, Sampling, open_engine
from audiodiff.plan import Plan, PlanRequest
from audiodiff.recipe import recipe_of
from audiodiff.records import Receipt
from audiodiff.report.render import RunSummary
from audiodiff.report.run import Tally
from audiodiff.restoration import Job, Preset
from audiodiff.restore import Treatment
from tasks.credentials import open_with_credentials
from tasks.progress import RunProgress
from tasks.restoring import Order, headline, plan, reconcile, report, restore_shard
from tasks.running import receipts_of, run_all

PREVIEWS = 60
"""Recordings with players in the report, besides all in review."""

_SETTINGS = {"preset", "evaluations", "strength", "encoding", "leave_clean", "keep_removed"}
"""What decides the result, and so the recipe."""


class RestoreConfig(BaseModel):
    """Restore every recording of a source into a destination."""

    model_config = ConfigDict(extra="forbid", title="Restore an archive")

    source: str = Field(description="Folder or s3://bucket/prefix with the recordings; never written to.")
    destination: str = Field(description="Folder or s3://bucket/prefix for library/, review/, ledger/ and runs/.")
    preset: Preset = Field(
        "archive", description="Which gates judge the result; speech adds DNSMOS and compares words."
    )
    engine: str = Field(
        "audiodiff-48k",
        description="audiodiff-48k; passthrough, which changes nothing and is for rehearsals; the name of an installed "
        "plug-in; or the path of an .engine.toml file on the workers.",
    )
    evaluations: int = Field(1, ge=1, le=8, description="Model evaluations per window; time grows with them.")
    strength: float = Field(1.0, ge=0.0, le=1.0, description="How much of the change to apply: 0 none, 1 all of it.")
    encoding: Encoding = Field("flac-24", description="Format and bit depth of the restored files.")
    leave_clean: bool = Field(True, description="Leave recordings without a fault as they are, sample by sample.")
    keep_removed: bool = Field(False, description="Also write what was removed from each recording, under removed/.")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where the model runs.")
    shard_items: int = Field(100, ge=1, le=500, description="Recordings a shard, the unit of work and of resuming.")
    shards_at_once: int = Field(1, ge=1, le=64, description="Shards running at the same time on this machine.")


class RestoreResult(BaseModel):
    """What a run came to: its id, items by lane, items skipped because they were done, and the report."""

    run_id: str
    lanes: dict[str, int]
    skipped: int
    report_uri: str


@flow(name="restore-archive", persist_result=False)
def restore_archive(config: RestoreConfig) -> RestoreResult:
    """Restore new recordings, judge them, publish and report; the same call again resumes or does nothing."""
    log, started, clock = get_run_logger(), datetime.now(UTC), time.monotonic()
    order = _order(config)
    planned = plan(config.source, config.destination, _request(config, order.job, started))
    if not planned.shards:
        log.info("nothing to do: all %d recordings of %s are done", planned.skipped, config.source)
        return RestoreResult(run_id="", lanes={}, skipped=planned.skipped, report_uri="")
    log.info("%d recordings in %d shards, %d done before", planned.items, len(planned.todo), planned.skipped)
    with RunProgress("restoring", planned.items) as progress:
        runner: TaskRunner[Any] = ThreadPoolTaskRunner(max_workers=config.shards_at_once)
        receipts = receipts_of(run_all(restore_shard, planned.todo, order, runner, progress, planned.items))
    reconcile(config.destination, planned)
    summary = _summary(config, order, planned, receipts, started, time.monotonic() - clock)
    tally: Tally = report(config.destination, planned, summary)
    log.info(headline(summary, tally).replace("\n\n", " "))
    return RestoreResult(
        run_id=planned.run_id, lanes=dict(tally.lanes), skipped=planned.skipped, report_uri=tally.report_uri
    )


def _order(config: RestoreConfig) -> Order:
    """Everything that decides the result, and the recipe that names it."""
    device = choose_device(config.device)
    name = str(Path(config.engine).resolve()) if config.engine.endswith(ENGINE_FILE) else config.engine
    engine = open_engine(name, device)
    settings = config.model_dump(include=_SETTINGS)
    recipe, params = recipe_of(config.preset, engine, settings)
    treatment = Treatment(Sampling(config.evaluations), config.strength, engine.batch)
    job = Job(config.preset, treatment, config.encoding, recipe, params, config.leave_clean, config.keep_removed)
    return Order(config.source, config.destination, name, device, job)


def _request(config: RestoreConfig, job: Job, started: datetime) -> PlanRequest:
    run_id = f"restore-{started:%Y%m%dT%H%M%S}-{started.microsecond:06d}"
    stored = config.model_dump() | {"recipe": job.recipe, "version": audiodiff.__version__}
    return PlanRequest(run_id, job.recipe, json.dumps(stored, indent=1), config.shard_items, previews=PREVIEWS)


def _summary(
    config: RestoreConfig, order: Order, planned: Plan, receipts: list[Receipt], started: datetime, wall_s: float
) -> RunSummary:
    stages: dict[str, float] = {}
    engine = open_engine(order.engine, order.device)
    for receipt in receipts:
        for stage, seconds in receipt.stage_s:
            stages[stage] = stages.get(stage, 0.0) + seconds
    return RunSummary(
        run_id=planned.run_id,
        source=open_with_credentials(config.source).uri,
        destination=open_with_credentials(config.destination).uri,
        started_at=started.isoformat(),
        finished_at=datetime.now(UTC).isoformat(),
        preset=config.preset,
        engine=engine.name,
        engine_sha256=engine.sha256,
        recipe=order.job.recipe,
        params=order.job.params,
        version=audiodiff.__version__,
        audio_s=sum(receipt.audio_s for receipt in receipts),
        wall_s=wall_s,
        stage_s=tuple(stages.items()),
        planned=planned.items,
        skipped=planned.skipped,
    )
