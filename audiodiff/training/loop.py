"""The training loop: a bridge denoiser on degraded batches, resumable to the exact step."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from audiodiff.diffusion.bridge import Bridge, Denoiser
from audiodiff.nets import Net, new_net
from audiodiff.training.curves import Curves
from audiodiff.training.data import Batch, DegradedBatches
from audiodiff.training.losses import keep_unknown_band, restoration_loss
from audiodiff.training.recipes import Recipe, learning_rate
from audiodiff.training.state import follow, save_state
from audiodiff.training.team import ALONE, Team
from audiodiff.training.validation import Case, gains_db

LOG_EVERY = 100  # steps
SAVE_EVERY_S = 120.0

Tell = Callable[[int, str], None]
"""`tell(step, text)`: how a run says how it goes."""


def print_step(step: int, text: str) -> None:
    """A line on standard output."""
    print(f"step {step:,}: {text}", flush=True)


@dataclass(slots=True)
class State:
    """A run in progress: the network, its moving average, the optimiser and the next step.

    `denoise` is how the network is called in training: itself, or joined to those of other processes, or compiled.
    """

    net: Net
    average: Net
    optimiser: torch.optim.AdamW
    denoise: Denoiser
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
    team: Team = ALONE,
) -> State:
    """Run to the recipe's end or `stop_after_s` seconds, saving to `folder` every two minutes and at the end.

    `workers` processes make the batches, 0 this one. A run that is told to stop before its end goes on, to the same
    weights, when it is started again from what it saved. Of a team the leader alone writes, validates and tells.
    """
    started = time.monotonic()
    log = _Log(folder, recipe, cases, tell, state.step) if team.leads else None
    losses: list[Tensor] = []  # of the steps since the last line: to read one, the device must be waited for
    for batch in load_batches(batches, range(state.step, recipe.steps), workers):
        losses.append(train_step(state, recipe, batch, team))
        elapsed_s = time.monotonic() - started
        if state.step % LOG_EVERY == 0 or state.step == recipe.steps:
            loss = team.mean(torch.stack(losses).mean())
            losses = []
            if log:
                log.loss(state.step, loss, elapsed_s)
        if log:
            log.step(state)
        if team.told(elapsed_s > stop_after_s):
            break
    if log:
        log.close(state)
    return state


class _Log:
    """What is written and told as a run goes: curves, validation, and the state to go on from."""

    def __init__(self, folder: Path, recipe: Recipe, cases: list[Case], tell: Tell, step: int) -> None:
        self.folder, self.recipe, self.cases, self.tell = folder, recipe, cases, tell
        self.curves, self.saved = Curves(folder, step), time.monotonic()

    def loss(self, step: int, loss: float, elapsed_s: float) -> None:
        """The mean loss since the last call."""
        self.curves.add(step, loss=loss, rate=learning_rate(self.recipe, step))
        self.tell(step, f"loss {loss:.4f} after {elapsed_s:.0f} s")

    def step(self, state: State) -> None:
        """Validate and save where it is time."""
        if state.step % self.recipe.validate_every == 0 or state.step == self.recipe.steps:
            gains = gains_db(state.average, self.recipe.spectrum, self.cases)
            self.curves.add(state.step, **gains)
            self.tell(state.step, ", ".join(f"{name} {gain:+.2f} dB" for name, gain in gains.items()))
        if time.monotonic() - self.saved > SAVE_EVERY_S:
            save_state(state, self.folder)
            self.saved = time.monotonic()

    def close(self, state: State) -> None:
        """Save for the last time."""
        save_state(state, self.folder)
        self.curves.close()


def load_batches(batches: DegradedBatches, steps: range, workers: int) -> DataLoader[Batch]:
    """The batches of these steps in order; processes are spawned, for forks of threaded programs hang."""
    spawn = "spawn" if workers else None
    return DataLoader(batches, batch_size=None, sampler=steps, num_workers=workers, multiprocessing_context=spawn)


def train_step(state: State, recipe: Recipe, batch: Batch, team: Team = ALONE) -> Tensor:
    """One step of the optimiser on this process's share of a batch; returns its loss ().

    All that is random depends on the step's number, and on the place in the whole batch.
    """
    spectrum, bridge, device = recipe.spectrum, Bridge(), next(state.net.parameters()).device
    for group in state.optimiser.param_groups:
        group["lr"] = learning_rate(recipe, state.step)
    generator = torch.Generator(device).manual_seed(recipe.seed * 1_000_003 + state.step)
    clean, damaged = batch.clean.to(device), batch.damaged.to(device)
    planes, y = spectrum.encode(clean), spectrum.encode(damaged)
    ours = slice(team.rank * len(clean), (team.rank + 1) * len(clean))
    t = _times(team.size * len(clean), recipe.end_share, generator)[ours]
    noise = torch.randn(team.size * len(clean), *planes.shape[1:], generator=generator, device=device)[ours]
    mean, deviation = bridge.marginal(planes, y, t)
    x = mean + deviation * noise
    with torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bfloat16"):
        estimate = state.denoise(x, y, t)
    known = keep_unknown_band(estimate, planes, batch.bandwidth_hz, recipe.rate_hz / 2)
    loss = restoration_loss(spectrum, known, planes, y, clean, damaged)
    state.optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(state.net.parameters(), recipe.clip_norm)
    state.optimiser.step()
    follow(state.average, state.net, min(recipe.ema, (1 + state.step) / (10 + state.step)))
    state.step += 1
    return loss.detach()


def _times(count: int, end_share: float, generator: torch.Generator) -> Tensor:
    """Times (B,): 1 for a share of the batch, uniform in (0.02, 1) for the rest."""
    draws = torch.rand(2, count, generator=generator, device=generator.device)
    return torch.where(draws[0] < end_share, torch.ones_like(draws[1]), 0.02 + 0.98 * draws[1])


def new_state(
    recipe: Recipe, device: torch.device, weights: dict[str, Tensor] | None = None, team: Team = ALONE
) -> State:
    """A run at step 0, initialised from the recipe's seed or from given weights."""
    torch.manual_seed(recipe.seed)
    net, average = new_net(recipe.net).to(device), new_net(recipe.net).to(device)
    if weights:
        net.load_state_dict(weights)
    average.load_state_dict(net.state_dict())
    average.requires_grad_(requires_grad=False)
    optimiser = torch.optim.AdamW(net.parameters(), lr=recipe.peak_rate, betas=(0.9, 0.98), weight_decay=0.01)
    denoise: Denoiser = team.joined(net)
    if recipe.compile and device.type == "cuda":
        denoise = torch.compile(denoise)
    return State(net, average, optimiser, denoise)
