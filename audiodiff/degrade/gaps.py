"""What is missing: tape drop-outs and lost packets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from audiodiff.degrade.base import draw_seed


@dataclass(frozen=True, slots=True)
class Dropouts:
    """Moments at which the tape leaves the head: the level dips by up to `depth_db`, with soft edges."""

    per_minute: float
    depth_db: float
    longest_ms: float
    seed: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        """From a dip a minute to a tape that sheds; from a flicker to all but silence."""
        return cls(
            per_minute=float(10 ** rng.uniform(0.5, 2.2)),
            depth_db=float(rng.uniform(6.0, 60.0)),
            longest_ms=float(rng.uniform(20.0, 400.0)),
            seed=draw_seed(rng),
        )

    def apply(self, signal: Tensor, sample_rate: int) -> Tensor:
        """Dip (..., T)."""
        rng, length = np.random.default_rng(self.seed), signal.shape[-1]
        count = max(1, int(rng.poisson(self.per_minute * length / sample_rate / 60.0)))
        loss_db = np.zeros(length, np.float32)
        for start, share, depth in zip(rng.integers(0, length, count), *rng.uniform(0.1, 1.0, (2, count)), strict=True):
            width = max(2, int(share * self.longest_ms * 1e-3 * sample_rate))
            dip = depth * self.depth_db * np.sin(np.pi * (np.arange(width) + 0.5) / width) ** 0.5
            reach = loss_db[start : start + width]
            np.maximum(reach, dip[: len(reach)], out=reach)
        gain = torch.from_numpy(10.0 ** (-loss_db / 20.0)).to(signal)
        return signal * gain


@dataclass(frozen=True, slots=True)
class PacketLoss:
    """Lost packets of a call, in bursts; each is replaced by silence or by a fading repeat of the last one heard.

    The two-state model of Gilbert, "Capacity of a burst-noise channel", Bell System Technical Journal 39, 1960.
    """

    loss: float
    mean_burst: float
    packet_ms: float
    repeats: bool
    seed: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        """1 to 25 % of the packets, one to five in a row."""
        return cls(
            loss=float(10 ** rng.uniform(-2.0, -0.6)),
            mean_burst=float(rng.uniform(1.0, 5.0)),
            packet_ms=float(rng.choice([10.0, 20.0, 40.0, 60.0])),
            repeats=bool(rng.random() < 0.5),
            seed=draw_seed(rng),
        )

    def apply(self, signal: Tensor, sample_rate: int) -> Tensor:
        """Lose packets of (..., T)."""
        length, size = signal.shape[-1], max(1, int(self.packet_ms * 1e-3 * sample_rate))
        out = signal.clone()
        for packet, lost in enumerate(self._lost(-(-length // size))):
            if lost:
                part = out[..., packet * size : (packet + 1) * size]
                last = out[..., max(0, packet - 1) * size : packet * size][..., : part.shape[-1]]
                whole = self.repeats and last.shape[-1] == part.shape[-1]
                part.copy_(0.5 * last if whole else torch.zeros_like(part))
        return out

    def _lost(self, packets: int) -> list[bool]:
        rng = np.random.default_rng(self.seed)
        leave = 1.0 / self.mean_burst
        enter = leave * self.loss / (1.0 - self.loss)
        lost, state = [], False
        for chance in rng.random(packets):
            state = chance >= leave if state else chance < enter
            lost.append(bool(state))
        return lost
