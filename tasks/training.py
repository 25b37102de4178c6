"""The tasks of `train_model`: pack a dataset, train on the pack."""

from __future__ import annotations

from pathlib import Path

from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from audiodiff.training.pack import INDEX
from audiodiff.training.packing import dataset_sources, write_pack
from audiodiff.training.recipes import recipe_named
from audiodiff.training.run import Trained, TrainingOrder, run_training
from tasks.progress import RunProgress


@task(name="pack", cache_policy=NO_CACHE, persist_result=False)
def pack_dataset(dataset: Path, folder: Path) -> Path:
    """The pack of a dataset: the dataset itself if it is one, else one made in `folder`, once."""
    if (dataset / INDEX).exists():
        return dataset
    sources = dataset_sources(dataset)
    if not (folder / INDEX).exists():
        index = write_pack(sources, folder)
        get_run_logger().info("packed %d recordings of %s", len(index), dataset)
    return folder


@task(name="train", cache_policy=NO_CACHE, persist_result=False)
def train(order: TrainingOrder) -> Trained:
    """Train, or go on training, until the recipe's end or the time is up; the card becomes an artifact."""
    log, recipe = get_run_logger(), recipe_named(order.recipe)
    with RunProgress("training", order.steps or recipe.steps) as progress:

        def tell(step: int, text: str) -> None:
            progress.reached(step)
            log.info("step %d: %s", step, text)

        trained = run_training(order, tell)
    create_markdown_artifact(trained.card.read_text(), key="model-card", description=str(trained.checkpoint))
    return trained
