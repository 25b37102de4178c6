"""Several processes that train one network together, one for each GPU, as `torchrun` starts them.

Every process makes its share of each batch; gradients are averaged over all. So a run comes to the same weights,
to within rounding, however many processes share it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from audiodiff.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Team:
    """The place of a process among those that train together; by default it is alone."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the one process that writes, validates and tells."""
        return self.rank == 0

    def places(self, batch: int) -> range:
        """The excerpts of a batch that this process makes; one that cannot be shared evenly raises `ConfigError`."""
        if batch % self.size:
            raise ConfigError(f"a batch of {batch} cannot be shared out evenly among {self.size} processes")
        share = batch // self.size
        return range(self.rank * share, (self.rank + 1) * share)

    def joined(self, net: nn.Module) -> nn.Module:
        """The network such that its gradients are the mean over all processes."""
        if self.size == 1:
            return net
        device = next(net.parameters()).device
        return DistributedDataParallel(net, device_ids=[device] if device.type == "cuda" else None)

    def mean(self, value: Tensor) -> float:
        """The mean over all processes of a value () of each."""
        value = value.detach().cpu().clone()
        if self.size > 1:
            dist.all_reduce(value)
        return float(value) / self.size

    def told(self, decision: bool) -> bool:
        """What the leader decided: clocks differ, and all must stop at the same step."""
        if self.size == 1:
            return decision
        answer = torch.tensor(int(decision))
        dist.broadcast(answer, src=0)
        return bool(answer)

    def wait(self) -> None:
        """Until all are here."""
        self.mean(torch.zeros(()))


ALONE = Team()


@contextmanager
def assembled(device: str) -> Iterator[Team]:
    """The processes that `torchrun` started, each with a device of its own; one alone where it did not.

    Those that are joined up already, as Ray Train does it, stay so.
    """
    if dist.is_initialized():
        yield Team(dist.get_rank(), dist.get_world_size())
        return
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE
        return
    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("cpu:gloo,cuda:nccl" if device == "cuda" else "gloo")
    try:
        yield Team(dist.get_rank(), size)
    finally:
        dist.destroy_process_group()
