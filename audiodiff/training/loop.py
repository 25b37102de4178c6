"""The training loop: a bridge denoiser on degraded batches, resumable to the exact step."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from audiodiff.diffusion.bridge import Bridge
from audiodiff.diffusion.spectrum import Spectrum
from audiodiff.training.data import Batch, DegradedBatches
from audiodiff.training.losses import keep_unknown_band, restoration_loss
from audiodiff.training.pack import PACK_RATE_HZ


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that decides a training run besides its data.

    `end_share` is the share of samples at t = 1, `decay_share` that of the steps in which the learning rate falls.
    """

    steps: int = 10_000
    batch: int = 4
    excerpt_s: float = 2.0
    peak_rate: float = 1.5e-3
    last_rate: float = 1e-5
    warmup: int = 100
    decay_share: float = 0.4
    ema: float = 0.999
    clip_norm: float = 1.0
    end_share: float = 0.75
    precision: Literal["bfloat16", "float32"] = "bfloat16"
    seed: int = 0


@dataclass(slots=True)
class State:
    """A run in progress: the network, its moving average, the optimiser and the next step."""

    net: nn.Module
    average: nn.Module
    optimiser: torch.optim.AdamW
    step: int = 0


def train(
    state: State,
    recipe: Recipe,
    batches: DegradedBatches,
    folder: Path,
    stop_after_s: float = math.inf,
    log: Callable[[str], None] = print,
) -> State:
    """Run to the recipe's end or `stop_after_s` seconds, saving to `folder` every two minutes."""
    started = saved = time.monotonic()
    mean_loss = 0.0
    with ThreadPoolExecutor(1) as ahead:
        coming = ahead.submit(batches.__getitem__, state.step)
        while state.step < recipe.steps and time.monotonic() - started < stop_after_s:
            batch = coming.result()
            coming = ahead.submit(batches.__getitem__, state.step + 1)
            loss = train_step(state, recipe, batch)
            mean_loss += (loss - mean_loss) / min(state.step, 100)
            if state.step % 100 == 0:
                elapsed = time.monotonic() - started
                log(json.dumps({"step": state.step, "loss": round(mean_loss, 5), "elapsed_s": round(elapsed, 1)}))
            if time.monotonic() - saved > 120.0:
                save_state(state, folder)
                saved = time.monotonic()
    save_state(state, folder)
    return state


def learning_rate(recipe: Recipe, step: int) -> float:
    """Linear warm-up, constant, then linear down to `last_rate`.

    The constant part does not depend on `steps`, so a run may be lengthened or cut short until its decay begins.
    Source: Haegele et al., "Scaling laws and compute-optimal training beyond fixed training durations", 2405.18392.
    """
    left = (recipe.steps - step) / max(1.0, recipe.decay_share * recipe.steps)
    decayed = recipe.last_rate + (recipe.peak_rate - recipe.last_rate) * min(1.0, max(0.0, left))
    return min(decayed, recipe.peak_rate * (step + 1) / recipe.warmup)


def train_step(state: State, recipe: Recipe, batch: Batch) -> float:
    """One step of the optimiser on a batch; returns its loss. All that is random depends on the step's number."""
    spectrum, bridge, device = Spectrum(), Bridge(), next(state.net.parameters()).device
    for group in state.optimiser.param_groups:
        group["lr"] = learning_rate(recipe, state.step)
    generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + state.step)
    clean, damaged = batch.clean.to(device), batch.damaged.to(device)
    planes, y = spectrum.encode(clean), spectrum.encode(damaged)
    t = _times(len(clean), recipe.end_share, generator).to(device)
    mean, deviation = bridge.marginal(planes, y, t)
    x = mean + deviation * torch.randn(planes.shape, generator=generator).to(device)
    with torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bfloat16"):
        estimate: Tensor = state.net(x, y, t)
    known = keep_unknown_band(estimate, planes, batch.bandwidth_hz, PACK_RATE_HZ / 2)
    loss = restoration_loss(spectrum, known, planes, clean, damaged)
    state.optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(state.net.parameters(), recipe.clip_norm)
    state.optimiser.step()
    _follow(state.average, state.net, min(recipe.ema, (1 + state.step) / (10 + state.step)))
    state.step += 1
    return float(loss.detach())


def _times(count: int, end_share: float, generator: torch.Generator) -> Tensor:
    """Times (B,): 1 for a share of the batch, uniform in (0.02, 1) for the rest."""
    t = 0.02 + 0.98 * torch.rand(count, generator=generator)
    return torch.where(torch.rand(count, generator=generator) < end_share, torch.ones(count), t)


@torch.no_grad()
def _follow(average: nn.Module, net: nn.Module, decay: float) -> None:
    for ours, theirs in zip(average.parameters(), net.parameters(), strict=True):
        ours.lerp_(theirs, 1.0 - decay)


def new_state(
    make: Callable[[], nn.Module], recipe: Recipe, device: torch.device, weights: dict[str, Tensor] | None = None
) -> State:
    """A run at step 0, initialised from the recipe's seed or from given weights."""
    torch.manual_seed(recipe.seed)
    net, average = make().to(device), make().to(device)
    if weights:
        net.load_state_dict(weights)
    average.load_state_dict(net.state_dict())
    average.requires_grad_(requires_grad=False)
    optimiser = torch.optim.AdamW(net.parameters(), lr=recipe.peak_rate, betas=(0.9, 0.98), weight_decay=0.01)
    return State(net, average, optimiser)


def save_state(state: State, folder: Path) -> None:
    """Write network, average and optimiser as one safetensors file, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"net.{k}": v for k, v in state.net.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in state.average.state_dict().items()}
    for index, slot in state.optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{k}": v for k, v in slot.items()}
    partial = folder / "state.partial"
    save_file(tensors, partial, metadata={"step": str(state.step)})
    partial.rename(folder / "state.safetensors")


def load_state(state: State, folder: Path) -> State:
    """Continue the run saved in `folder`; `state` must be of the same recipe."""
    tensors = load_file(folder / "state.safetensors")
    state.net.load_state_dict(_part(tensors, "net."))
    state.average.load_state_dict(_part(tensors, "average."))
    slots: dict[int, dict[str, Tensor]] = {}
    for key, value in _part(tensors, "optimiser.").items():
        index, name = key.split(".", 1)
        slots.setdefault(int(index), {})[name] = value
    groups = state.optimiser.state_dict()["param_groups"]
    state.optimiser.load_state_dict({"state": slots, "param_groups": groups})
    state.step = int(slots[0]["step"])
    return state


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
