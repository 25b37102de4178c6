"""`generate_library`: a table of prompts in; gated, named, described sounds, their books and a contact sheet out."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner
from pydantic import BaseModel, ConfigDict, Field

import audiodiff
from audiodiff.device import choose_device
from audiodiff.generate.finish import Finish, Normalise
from audiodiff.generate.generation import Format, Job
from audiodiff.generate.records import Draw
from audiodiff.generators import open_generator
from audiodiff.plan import Plan, PlanRequest
from audiodiff.recipe import recipe_of
from audiodiff.records import Receipt
from audiodiff.report.library.render import LibrarySummary
from audiodiff.report.library.run import LibraryTally
from tasks.credentials import open_with_credentials
from tasks.generating import Order, generate_shard, headline, plan, reconcile, report
from tasks.progress import RunProgress
from tasks.running import receipts_of, run_all

SHARD_S = 300
"""Seconds of sound a shard; some minutes of work on two CPU cores, less than one on a GPU."""

SHARD_ITEMS = 50

_SETTINGS = {"steps", "guidance", "draws", "encoding", "normalise", "creator", "library", "categories"}
"""What decides the result besides the prompts, and so the recipe."""


class GenerateConfig(BaseModel):
    """Turn a table of prompts into a library of sounds."""

    model_config = ConfigDict(extra="forbid", title="Generate a library")

    prompts: str = Field(
        description="Table of prompts (CSV, TSV, Parquet, JSON, JSONL, YAML), a path or s3:// address; "
        "columns: docs/howto-generate.md."
    )
    destination: str = Field(description="Folder or s3://bucket/prefix for library/, review/, ledger/ and runs/.")
    engine: str = Field(
        "audiodiff",
        description="audiodiff; diffusers:FOLDER or diffusers:HUB_ID, a pipeline of diffusers; command:FILE.toml, a "
        "program of your own; or rehearsal, bands of noise to try a table with.",
    )
    steps: int = Field(0, ge=0, le=200, description="Steps of the sampler; 0 is the engine's own number.")
    guidance: float = Field(
        0.0, ge=0.0, le=20.0, description="How strongly the prompt is followed; 0 is the engine's own figure."
    )
    draws: int = Field(2, ge=1, le=8, description="Takes drawn for each one asked; the best are kept.")
    encoding: Format = Field("wav-24", description="Format and bit depth of the files, at 48 kHz.")
    normalise: Normalise = Field(
        "loudness", description="Level: by loudness for each kind, to a true peak of -1 dB, or left as drawn."
    )
    creator: str = Field("AUDIODIFF", description="CreatorID in the file names (UCS): who delivers the library.")
    library: str = Field("LIBRARY", description="SourceID in the file names (UCS): what the library is called.")
    categories: str = Field("", description="Your UCS category table (CSV or Parquet); empty: a small one of ours.")
    shards_at_once: int = Field(1, ge=1, le=64, description="Shards running at the same time on this machine.")


class GenerateResult(BaseModel):
    """What a run came to: its id, takes asked for and delivered, rows that failed, prompts done before, the report."""

    run_id: str
    asked: int
    delivered: int
    failed: int
    skipped: int
    report_uri: str


@flow(name="generate-library", persist_result=False)
def generate_library(config: GenerateConfig) -> GenerateResult:
    """Draw, judge, deliver, publish and report; the same call again resumes, or makes what is new in the table."""
    log, started, clock = get_run_logger(), datetime.now(UTC), time.monotonic()
    order = _order(config)
    planned = plan(order, _request(config, order.job, started))
    if not planned.shards:
        log.info("nothing to do: all %d prompts of %s are done", planned.skipped, config.prompts)
        return GenerateResult(run_id="", asked=0, delivered=0, failed=0, skipped=planned.skipped, report_uri="")
    log.info("%d prompts in %d shards, %d done before", planned.items, len(planned.todo), planned.skipped)
    with RunProgress("generating", planned.items) as progress:
        runner: TaskRunner[Any] = ThreadPoolTaskRunner(max_workers=config.shards_at_once)
        receipts = receipts_of(run_all(generate_shard, planned.todo, order, runner, progress, planned.items))
    reconcile(config.destination, planned)
    summary = _summary(order, planned, receipts, started, time.monotonic() - clock)
    tally: LibraryTally = report(config.destination, planned, summary)
    log.info(headline(summary, tally).replace("\n\n", " "))
    return GenerateResult(
        run_id=planned.run_id,
        asked=tally.asked,
        delivered=tally.delivered,
        failed=tally.failed,
        skipped=planned.skipped,
        report_uri=tally.report_uri,
    )


def _order(config: GenerateConfig) -> Order:
    """Everything that decides the result, and the recipe that names it."""
    device = choose_device("auto")
    generator = open_generator(config.engine, device)
    settings = config.model_dump(include=_SETTINGS)
    recipe, params = recipe_of("library", generator, settings)
    finish = Finish(normalise=config.normalise)
    job = Job(
        Draw(config.steps, config.guidance), config.draws, finish, config.encoding, config.creator, config.library,
        recipe, params,
    )  # fmt: skip
    order = Order(
        _absolute(config.prompts), config.destination, config.engine, device, job, _absolute(config.categories)
    )
    order.open_categories()  # a wrong one should be told now
    return order


def _absolute(uri: str) -> str:
    return uri if "://" in uri or not uri else str(Path(uri).expanduser().absolute())


def _request(config: GenerateConfig, job: Job, started: datetime) -> PlanRequest:
    run_id = f"generate-{started:%Y%m%dT%H%M%S}-{started.microsecond:06d}"
    stored = config.model_dump() | {"recipe": job.recipe, "version": audiodiff.__version__}
    return PlanRequest(run_id, job.recipe, json.dumps(stored, indent=1), SHARD_ITEMS, SHARD_S * 1000, previews=0)


def _summary(order: Order, planned: Plan, receipts: list[Receipt], started: datetime, wall_s: float) -> LibrarySummary:
    stages: dict[str, float] = {}
    generator = open_generator(order.engine, order.device)
    for receipt in receipts:
        for stage, seconds in receipt.stage_s:
            stages[stage] = stages.get(stage, 0.0) + seconds
    return LibrarySummary(
        run_id=planned.run_id,
        table=order.prompts,
        destination=open_with_credentials(order.destination).uri,
        generator=generator.name,
        generator_sha256=generator.sha256,
        license=generator.license,
        recipe=order.job.recipe,
        params=order.job.params,
        version=audiodiff.__version__,
        started_at=started.isoformat(),
        finished_at=datetime.now(UTC).isoformat(),
        wall_s=wall_s,
        audio_s=sum(receipt.audio_s for receipt in receipts),
        stage_s=tuple(stages.items()),
        prompts=planned.items,
        skipped=planned.skipped,
    )
