"""A whole training run: pack in; state, curves, checkpoint and model card out.

`python -m audiodiff.training.run PACK OUT --recipe NAME` is the same as the flow `train_model`, without Prefect.
On several GPUs, `torchrun --standalone --nproc-per-node gpu -m audiodiff.training.run ...` with the same arguments.
"""

from __future__ import annotations

import argparse
import math
import os
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import torch

from audiodiff.diffusion.bridge import Bridge
from audiodiff.engines.checkpoint import load_restorer, save_restorer
from audiodiff.errors import ConfigError
from audiodiff.training.card import model_card
from audiodiff.training.curves import draw_curves, read_curves
from audiodiff.training.data import DOUBT, LEVEL, DegradedBatches
from audiodiff.training.loop import State, Tell, new_state, print_step, train
from audiodiff.training.pack import INDEX, Pack
from audiodiff.training.recipes import RECIPES, Recipe, recipe_named
from audiodiff.training.state import STATE, load_state
from audiodiff.training.team import Team, assembled
from audiodiff.training.validation import draw_cases

CHECKPOINT, CARD, PICTURE = "checkpoint.safetensors", "card.md", "curves.svg"


@dataclass(frozen=True, slots=True)
class TrainingOrder:
    """What to train, where; `steps` 0 and `seed` None are the recipe's own, `weights` a checkpoint to start from.

    `workers` are those of each process that trains.
    """

    pack: Path
    folder: Path
    recipe: str
    steps: int = 0
    seed: int | None = None
    device: str = "cpu"
    stop_after_s: float = math.inf
    workers: int = 0
    weights: Path | None = None


@dataclass(frozen=True, slots=True)
class Trained:
    """How far a run came; `gains_db` are those of the last validation."""

    step: int
    steps: int
    checkpoint: Path
    card: Path
    gains_db: dict[str, float]


def run_training(order: TrainingOrder, tell: Tell = print_step) -> Trained:
    """Start or continue the run in `order.folder`, and leave a checkpoint with its card there.

    Under `torchrun` every process calls it, and all return when the files are there. Raises `ConfigError` for an
    unknown recipe, a folder without a pack, a state of another network, or a batch that its processes cannot share.
    """
    recipe = recipe_named(order.recipe)
    seed = recipe.seed if order.seed is None else order.seed
    recipe = replace(recipe, steps=order.steps or recipe.steps, seed=seed)
    if not (order.pack / INDEX).exists():
        raise ConfigError(f"{order.pack} is no pack: it has no {INDEX}; python -m audiodiff.training.packing")
    pack = Pack(order.pack)
    with assembled(order.device) as team:
        state = trained_state(order, recipe, pack, team, tell)
        if team.leads:
            _publish(order, recipe, pack, state)
        team.wait()
    gains = _last_gains(read_curves(order.folder))
    return Trained(state.step, recipe.steps, order.folder / CHECKPOINT, order.folder / CARD, gains)


def trained_state(order: TrainingOrder, recipe: Recipe, pack: Pack, team: Team, tell: Tell) -> State:
    """The run as this process of the team has it when it ends; raises as `run_training` does."""
    batches = DegradedBatches(pack, recipe, team.places(recipe.batch))
    cases = draw_cases(pack, recipe) if team.leads else []
    weights = load_restorer(order.weights).net.state_dict() if order.weights else None
    state = new_state(recipe, torch.device(order.device), weights, team)
    if (order.folder / STATE).exists():
        try:
            load_state(state, order.folder)
        except (RuntimeError, KeyError) as error:
            raise ConfigError(f"the state in {order.folder} is of another network: {error}") from error
    return train(state, recipe, batches, order.folder, cases, order.stop_after_s, order.workers, tell, team)


def _publish(order: TrainingOrder, recipe: Recipe, pack: Pack, state: State) -> None:
    """Write the checkpoint, the picture of the curves and the model card."""
    checkpoint = order.folder / CHECKPOINT
    save_restorer(state.average, recipe.spectrum, Bridge(), recipe.rate_hz, LEVEL, DOUBT, checkpoint)
    curves = read_curves(order.folder)
    (order.folder / PICTURE).write_text(draw_curves(curves, ("speech", "music")))
    card = model_card(checkpoint, order.recipe, recipe, state.step, pack.index, _last_gains(curves))
    (order.folder / CARD).write_text(card)


def _last_gains(curves: pd.DataFrame) -> dict[str, float]:
    """The newest value of every curve but those of the optimiser."""
    names = [name for name in curves.columns if name not in {"step", "loss", "rate"}]
    return {name: float(curves[name].dropna().iloc[-1]) for name in names}


def main() -> None:
    """Parse the arguments and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pack", type=Path, help="folder written by audiodiff.training.packing")
    parser.add_argument("out", type=Path, help="folder of the run; a state found there is continued")
    parser.add_argument("--recipe", choices=RECIPES, default="restore-48k")
    parser.add_argument("--steps", type=int, default=0, help="length of the schedule; 0 is the recipe's own")
    parser.add_argument("--seed", type=int, help="of weights, data and noise; without it the recipe's own")
    parser.add_argument("--weights", type=Path, help="checkpoint to start from, instead of at random")
    parser.add_argument("--stop-after-s", type=float, default=math.inf, help="save and leave after this many seconds")
    cores = (os.cpu_count() or 2) // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    parser.add_argument("--workers", type=int, default=max(1, cores - 1), help="of each process, to make batches")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = vars(parser.parse_args())
    run_training(TrainingOrder(folder=args.pop("out"), **args))


if __name__ == "__main__":
    main()
