"""The training loop: a bridge denoiser on degraded batches, resumable to the exact step."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader

from audiodiff.diffusion.bridge import Bridge
from audiodiff.diffusion.spectrum import Spectrum
from audiodiff.nets.bandsplit import BandSplit
from audiodiff.training.curves import Curves
from audiodiff.training.data import Batch, DegradedBatches
from audiodiff.training.losses import keep_unknown_band, restoration_loss
from audiodiff.training.pack import PACK_RATE_HZ
from audiodiff.training.recipes import Recipe, learning_rate
from audiodiff.training.validation import Case, gains_db

STATE = "state.safetensors"
LOG_EVERY = 100  # steps
SAVE_EVERY_S = 120.0

Tell = Callable[[int, str], None]
"""`tell(step, text)`: how a run says how it goes."""


def print_step(step: int, text: str) -> None:
    """A line on standard output."""
    print(f"step {step:,}: {text}", flush=True)


@dataclass(slots=True)
class State:
    """A run in progress: the network, its moving average, the optimiser and the next step."""

    net: BandSplit
    average: BandSplit
    optimiser: torch.optim.AdamW
    step: int = 0


def train(
    state: State,
    recipe: Recipe,
    batches: DegradedBatches,
    folder: Path,
    cases: list[Case],
    stop_after_s: float = math.inf,
    workers: int = 0,
    tell: Tell = print_step,
) -> State:
    """Run to the recipe's end or `stop_after_s` seconds, saving to `folder` every two minutes and at the end.

    `workers` processes make the batches, 0 this one. A run that is told to stop before its end goes on, to the same
    weights, when it is started again from what it saved.
    """
    started = saved = time.monotonic()
    curves, recent = Curves(folder, state.step), Recent()
    for batch in load_batches(batches, range(state.step, recipe.steps), workers):
        recent.add(train_step(state, recipe, batch))
        elapsed_s = time.monotonic() - started
        if state.step % LOG_EVERY == 0 or state.step == recipe.steps:
            loss, rate = recent.mean(), learning_rate(recipe, state.step)
            curves.add(state.step, loss=loss, rate=rate)
            tell(state.step, f"loss {loss:.4f} after {elapsed_s:.0f} s")
        if state.step % recipe.validate_every == 0 or state.step == recipe.steps:
            gains = gains_db(state.average, Spectrum(), cases)
            curves.add(state.step, **gains)
            tell(state.step, ", ".join(f"{name} {gain:+.2f} dB" for name, gain in gains.items()))
        if time.monotonic() - saved > SAVE_EVERY_S:
            save_state(state, folder)
            saved = time.monotonic()
        if elapsed_s > stop_after_s:
            break
    save_state(state, folder)
    curves.close()
    return state


class Recent:
    """The mean of the losses since it was last asked for, without waiting for the device at every step."""

    def __init__(self) -> None:
        self._losses: list[Tensor] = []

    def add(self, loss: Tensor) -> None:
        """One more loss ()."""
        self._losses.append(loss)

    def mean(self) -> float:
        """The mean; NaN where nothing came since."""
        losses, self._losses = self._losses, []
        return float(torch.stack(losses).mean()) if losses else math.nan


def load_batches(batches: DegradedBatches, steps: range, workers: int) -> DataLoader[Batch]:
    """The batches of these steps in order; processes are spawned, for forks of threaded programs hang."""
    spawn = "spawn" if workers else None
    return DataLoader(batches, batch_size=None, sampler=steps, num_workers=workers, multiprocessing_context=spawn)


def train_step(state: State, recipe: Recipe, batch: Batch) -> Tensor:
    """One step of the optimiser on a batch; returns its loss (). All that is random depends on the step's number."""
    spectrum, bridge, device = Spectrum(), Bridge(), next(state.net.parameters()).device
    for group in state.optimiser.param_groups:
        group["lr"] = learning_rate(recipe, state.step)
    generator = torch.Generator(device).manual_seed(recipe.seed * 1_000_003 + state.step)
    clean, damaged = batch.clean.to(device), batch.damaged.to(device)
    planes, y = spectrum.encode(clean), spectrum.encode(damaged)
    t = _times(len(clean), recipe.end_share, generator)
    mean, deviation = bridge.marginal(planes, y, t)
    x = mean + deviation * torch.randn(planes.shape, generator=generator, device=device)
    with torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bfloat16"):
        estimate: Tensor = state.net(x, y, t)
    known = keep_unknown_band(estimate, planes, batch.bandwidth_hz, PACK_RATE_HZ / 2)
    loss = restoration_loss(spectrum, known, planes, y, clean, damaged)
    state.optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(state.net.parameters(), recipe.clip_norm)
    state.optimiser.step()
    _follow(state.average, state.net, min(recipe.ema, (1 + state.step) / (10 + state.step)))
    state.step += 1
    return loss.detach()


def _times(count: int, end_share: float, generator: torch.Generator) -> Tensor:
    """Times (B,): 1 for a share of the batch, uniform in (0.02, 1) for the rest."""
    draws = torch.rand(2, count, generator=generator, device=generator.device)
    return torch.where(draws[0] < end_share, torch.ones_like(draws[1]), 0.02 + 0.98 * draws[1])


@torch.no_grad()
def _follow(average: nn.Module, net: nn.Module, decay: float) -> None:
    for ours, theirs in zip(average.parameters(), net.parameters(), strict=True):
        ours.lerp_(theirs, 1.0 - decay)


def new_state(recipe: Recipe, device: torch.device, weights: dict[str, Tensor] | None = None) -> State:
    """A run at step 0, initialised from the recipe's seed or from given weights."""
    torch.manual_seed(recipe.seed)
    net, average = BandSplit(recipe.net).to(device), BandSplit(recipe.net).to(device)
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
    partial.rename(folder / STATE)


def load_state(state: State, folder: Path) -> State:
    """Continue the run saved in `folder`; `state` must be of the same recipe."""
    tensors = load_file(folder / STATE)
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
