"""`train_model`: a dataset in; a checkpoint, its model card and its curves out."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Literal

from prefect import flow, get_run_logger
from pydantic import BaseModel, ConfigDict, Field

from audiodiff.device import choose_device
from audiodiff.errors import ConfigError
from audiodiff.training.run import TrainingOrder
from tasks.training import pack_dataset, train


class TrainConfig(BaseModel):
    """Train a restoration model on a dataset of clean audio."""

    model_config = ConfigDict(extra="forbid", title="Train a model")

    dataset: str = Field(
        description="Local folder: a pack (index.parquet), a curated dataset, or a folder with a manifest.csv."
    )
    destination: str = Field(description="Local folder for checkpoint, card, curves and state; a state is continued.")
    recipe: Literal[
        "restore-48k", "restore-48k-on", "restore-48k-last", "restore-48k-gpu", "speech-16k", "speech-16k-gpu"
    ] = Field(
        "restore-48k", description="Network, data and schedule by name; the first trains in 90 minutes on two cores."
    )
    weights: str = Field("", description="Checkpoint to start from; left empty, weights are drawn at random.")
    steps: int = Field(0, ge=0, le=10_000_000, description="Length of the schedule; 0 is the recipe's own.")
    minutes: float = Field(0.0, ge=0.0, le=100_000.0, description="Save and leave after this long; 0 is to the end.")
    seed: int = Field(-1, ge=-1, le=2**31 - 1, description="Of weights, data and noise; -1 is the recipe's own.")
    workers: int = Field(1, ge=0, le=64, description="Processes that make the training batches.")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where the model trains.")


class TrainResult(BaseModel):
    """How far a run came, where its checkpoint and card are, and its last validation in dB of SI-SDR gained."""

    step: int
    steps: int
    checkpoint: str
    card: str
    gains_db: dict[str, float]


@flow(name="train-model", persist_result=False)
def train_model(config: TrainConfig) -> TrainResult:
    """Train a model to the end of its recipe or for some minutes; the same call again goes on to the same weights."""
    order = _order(config)
    trained = train(order)
    get_run_logger().info("step %d of %d: %s", trained.step, trained.steps, trained.checkpoint)
    return TrainResult(
        step=trained.step,
        steps=trained.steps,
        checkpoint=str(trained.checkpoint),
        card=str(trained.card),
        gains_db=trained.gains_db,
    )


def _order(config: TrainConfig) -> TrainingOrder:
    """The run as the library takes it; its dataset is packed beside it if need be."""
    if "s3://" in config.dataset + config.destination:
        raise ConfigError("training reads and writes local folders; copy the dataset here, or mount the bucket")
    folder = Path(config.destination)
    return TrainingOrder(
        pack=pack_dataset(Path(config.dataset), folder / "pack"),
        folder=folder,
        recipe=config.recipe,
        weights=Path(config.weights) if config.weights else None,
        steps=config.steps,
        seed=config.seed if config.seed >= 0 else None,
        device=choose_device(config.device),
        stop_after_s=60.0 * config.minutes or math.inf,
        workers=min(config.workers, os.cpu_count() or 1),
    )
