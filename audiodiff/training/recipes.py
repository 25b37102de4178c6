"""Recipes: all that decides a training run besides its data, by name, so that anyone can train a checkpoint again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from audiodiff.errors import ConfigError
from audiodiff.nets.bandsplit import BandSplitConfig


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that decides a training run besides its data.

    `end_share` is the share of samples at t = 1, `decay_share` that of the steps in which the learning rate falls.
    """

    steps: int = 8_200
    batch: int = 4
    excerpt_s: float = 2.0
    peak_rate: float = 1.5e-3
    last_rate: float = 1e-5
    warmup: int = 100
    decay_share: float = 0.7
    ema: float = 0.999
    clip_norm: float = 1.0
    end_share: float = 0.85
    precision: Literal["bfloat16", "float32"] = "bfloat16"
    validate_every: int = 1_000
    seed: int = 0
    net: BandSplitConfig = field(default_factory=BandSplitConfig)


RECIPES: dict[str, Recipe] = {
    "restore-48k": Recipe(),
    "restore-48k-gpu": Recipe(steps=100_000, batch=32, excerpt_s=4.0, ema=0.9998, warmup=500, validate_every=2_000),
}
"""The recipe of the shipped checkpoint (two CPU cores, 90 minutes), and the one for a GPU."""


def recipe_named(name: str) -> Recipe:
    """A recipe of `RECIPES`; an unknown name raises `ConfigError`."""
    if name not in RECIPES:
        raise ConfigError(f"unknown training recipe {name!r}; known: {', '.join(RECIPES)}")
    return RECIPES[name]


def learning_rate(recipe: Recipe, step: int) -> float:
    """Linear warm-up, constant, then linear down to `last_rate`.

    The constant part does not depend on `steps`, so a run may be lengthened or cut short until its decay begins.
    Source: Haegele et al., "Scaling laws and compute-optimal training beyond fixed training durations", 2405.18392.
    """
    left = (recipe.steps - step) / max(1.0, recipe.decay_share * recipe.steps)
    decayed = recipe.last_rate + (recipe.peak_rate - recipe.last_rate) * min(1.0, max(0.0, left))
    return min(decayed, recipe.peak_rate * (step + 1) / recipe.warmup)
