"""What the tests of restoring share: a chord, an engine that does one thing, and one of random weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from audiodiff.diffusion.bridge import Bridge
from audiodiff.diffusion.spectrum import Spectrum
from audiodiff.engines import Sampling, open_engine
from audiodiff.engines.bridge import BridgeEngine
from audiodiff.engines.checkpoint import load_restorer, save_restorer
from audiodiff.engines.passthrough import Passthrough
from audiodiff.nets.bandsplit import BandSplit, BandSplitConfig
from audiodiff.waveform import Block

PASSTHROUGH = open_engine("passthrough")


@dataclass
class Changing(Passthrough):
    """An engine that does one thing to its windows, for outcomes a good engine does not have."""

    factor: float = 1.0
    offset: float = 0.0

    name = "changing"

    def restore(self, windows: Tensor, starts: list[int], sampling: Sampling) -> Tensor:
        return self.factor * windows + self.offset


def music(seconds: float, rate: int, channels: int = 1) -> Block:
    """A chord with vibrato and a little noise, (C, T), other in each channel."""
    time = np.arange(round(seconds * rate)) / rate
    rng = np.random.default_rng(0)
    parts = []
    for channel in range(channels):
        wobble = 2.0 * np.sin(2 * np.pi * (3.0 + channel) * time)
        chord = sum(np.sin(2 * np.pi * f * time + wobble) for f in (220.0, 277.2, 329.6, 1318.5))
        parts.append(0.05 * np.asarray(chord) + 0.002 * rng.standard_normal(len(time)))
    return np.asarray(parts, np.float32)


def random_model(folder: Path) -> BridgeEngine:
    """A network of random weights that audibly changes what it is given."""
    torch.manual_seed(0)
    net = BandSplit(BandSplitConfig(width=8, hidden=8, dilations=(1, 2)))
    for weight in net.head.weights:
        torch.nn.init.normal_(weight, std=0.2)
    path = folder / "random.safetensors"
    save_restorer(net, Spectrum(), Bridge(), 48_000, 0.1, 0.1, path)
    return BridgeEngine("random", load_restorer(path), "cpu")
