"""Recipes: all that decides a training run besides its data, by name, so that anyone can train a checkpoint again."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from audiodiff.diffusion.spectrum import Spectrum
from audiodiff.errors import ConfigError
from audiodiff.nets import NetConfig
from audiodiff.nets.bandsplit import BandSplitConfig
from audiodiff.nets.unet import UNetConfig

GENERAL = {
    "recorded noise": 0.4, "archive": 0.25, "bandlimit": 0.12, "clean": 0.03,
    "noise": 0.04, "hum": 0.04, "hiss": 0.04, "crackle": 0.04, "clip": 0.04,
}  # fmt: skip
"""What befalls an excerpt, and how often. A lost band is learnt slowly, and needs to be seen often."""

LOST_BANDS = GENERAL | {"recorded noise": 0.32, "archive": 0.15, "bandlimit": 0.3, "hum": 0.03, "clip": 0.05}
"""For a last stage: nothing else of a checkpoint learns as slowly as to fill a band that is gone."""

SPEECH = {
    "recorded noise": 0.32, "archive": 0.12, "room": 0.1, "camcorder": 0.1, "voip": 0.08, "telephone": 0.06,
    "bandlimit": 0.06, "clean": 0.03, "noise": 0.03, "hum": 0.02, "hiss": 0.02, "crackle": 0.03, "clip": 0.03,
}  # fmt: skip
"""The same for voices, which are also called, filmed and recorded in rooms."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that decides a training run besides its data.

    `batch` is that of all processes together. `end_share` is the share of samples at t = 1, `decay_share` that of the
    steps in which the learning rate falls. `cases` are presets of `degrade`, and "recorded noise", with the chance of
    each. `compile` is heeded on a GPU only: on two CPU cores it made steps slower.
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
    compile: bool = False
    seed: int = 0
    rate_hz: int = 48_000
    speech_share: float = 0.65
    cases: dict[str, float] = field(default_factory=GENERAL.copy)
    spectrum: Spectrum = field(default_factory=Spectrum)
    net: NetConfig = field(default_factory=BandSplitConfig)

    @property
    def frames(self) -> int:
        """Samples of an excerpt."""
        return int(self.excerpt_s * self.rate_hz)


_SPEECH_16K = Recipe(
    peak_rate=1e-3,
    rate_hz=16_000,
    speech_share=1.0,
    cases=SPEECH,
    spectrum=Spectrum(n_fft=512, hop=128),
    net=UNetConfig(),
)
_SMALL_UNET = UNetConfig(widths=(8, 16, 24, 32), blocks=1, middle=2)


RECIPES: dict[str, Recipe] = {
    "restore-48k": Recipe(),
    "restore-48k-on": Recipe(steps=6_500, peak_rate=1.2e-3, decay_share=0.85, seed=1),
    "restore-48k-last": Recipe(steps=5_000, peak_rate=1e-3, decay_share=0.9, seed=2, cases=LOST_BANDS.copy()),
    "restore-48k-gpu": Recipe(steps=100_000, batch=32, excerpt_s=4.0, ema=0.9998, warmup=500, validate_every=2_000),
    "speech-16k": replace(_SPEECH_16K, steps=2_000, excerpt_s=1.0, warmup=50, precision="float32", net=_SMALL_UNET),
    "speech-16k-gpu": replace(
        _SPEECH_16K, steps=40_000, batch=32, excerpt_s=4.0, ema=0.9995, warmup=500, validate_every=2_000, compile=True
    ),
}
"""The shipped checkpoint is `restore-48k` (two CPU cores, 90 minutes), `restore-48k-on` from its weights (as long
again), and the mean (`training.average`) of those and of `restore-48k-last` from them (an hour). Those that end in
`-gpu` are for a GPU; `speech-16k` is one of them in small, to try things out.
"""


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
