"""What a training run saves, to go on from the exact step: networks, optimiser and step in one safetensors file."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

STATE = "state.safetensors"


class Resumable(Protocol):
    """A run in progress: the network, its moving average, the optimiser and the next step."""

    step: int

    @property
    def net(self) -> nn.Module:
        """What is trained."""

    @property
    def average(self) -> nn.Module:
        """What is shipped."""

    @property
    def optimiser(self) -> torch.optim.Optimizer:
        """Of the network."""


def save_state(state: Resumable, folder: Path) -> None:
    """Write network, average and optimiser as one safetensors file, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"net.{k}": v for k, v in state.net.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in state.average.state_dict().items()}
    for index, slot in state.optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{k}": v for k, v in slot.items()}
    partial = folder / "state.partial"
    save_file(tensors, partial, metadata={"step": str(state.step)})
    partial.rename(folder / STATE)


def load_state(state: Resumable, folder: Path) -> None:
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


@torch.no_grad()
def follow(average: nn.Module, net: nn.Module, decay: float) -> None:
    """Move the average's parameters towards the network's."""
    for ours, theirs in zip(average.parameters(), net.parameters(), strict=True):
        ours.lerp_(theirs, 1.0 - decay)


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
