"""Command line: `python -m audiodiff.training.run PACK OUT` trains the 48 kHz restorer, or goes on where it stopped."""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from pathlib import Path

import torch

from audiodiff.engines.checkpoint import load_restorer
from audiodiff.nets.bandsplit import BandSplit, BandSplitConfig
from audiodiff.training.data import DegradedBatches
from audiodiff.training.loop import Recipe, load_state, new_state, train
from audiodiff.training.pack import PACK_RATE_HZ, Pack


def main() -> None:
    """Parse the arguments and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pack", type=Path, help="folder written by audiodiff.training.pack")
    parser.add_argument("out", type=Path, help="folder for the state; a state found there is continued")
    parser.add_argument("--steps", type=int, default=Recipe().steps, help="length of the schedule")
    parser.add_argument("--batch", type=int, default=Recipe().batch, help="excerpts a step")
    parser.add_argument("--weights", type=Path, help="checkpoint to start from, instead of at random")
    parser.add_argument("--stop-after-s", type=float, default=math.inf, help="save and leave after this many seconds")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    recipe = replace(Recipe(), steps=args.steps, batch=args.batch)
    batches = DegradedBatches(Pack(args.pack), recipe.batch, int(recipe.excerpt_s * PACK_RATE_HZ), recipe.seed)
    weights = load_restorer(args.weights).net.state_dict() if args.weights else None
    state = new_state(lambda: BandSplit(BandSplitConfig()), recipe, torch.device(args.device), weights)
    if (args.out / "state.safetensors").exists():
        load_state(state, args.out)
    train(state, recipe, batches, args.out, args.stop_after_s)


if __name__ == "__main__":
    main()
