"""Batches of damaged and clean excerpts, made on the fly from a pack; batch `i` depends on (seed, i) alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from audiodiff.degrade.base import add_at_snr
from audiodiff.degrade.chain import Chain
from audiodiff.training.pack import PACK_RATE_HZ, Pack

LEVEL = 0.1
"""RMS that the engines bring a recording to before the model; training jitters around it."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Damaged and clean excerpts (B, T), and up to where the clean one's spectrum is real, (B,) hertz."""

    damaged: Tensor
    clean: Tensor
    bandwidth_hz: Tensor


class DegradedBatches:
    """Draws batches: speech and music in given shares, a degradation chain each, recorded noise for some."""

    def __init__(self, pack: Pack, batch: int, frames: int, seed: int, speech_share: float = 0.6) -> None:
        self.pack, self.batch, self.frames, self.seed = pack, batch, frames, seed
        self.speech_share = speech_share
        train = pack.index[pack.index.split == "train"]
        self.pools = {kind: _Pool(train[train.kind == kind]) for kind in ("speech", "music", "noise")}

    def __getitem__(self, index: int) -> Batch:
        """The batch of this index; the same whenever it is asked for."""
        rng = np.random.default_rng((self.seed, index))
        pairs = [self._pair(rng) for _ in range(self.batch)]
        damaged, clean, bandwidth = zip(*pairs, strict=True)
        return Batch(torch.stack(damaged), torch.stack(clean), torch.tensor(bandwidth))

    def _pair(self, rng: np.random.Generator) -> tuple[Tensor, Tensor, float]:
        kind = "speech" if rng.random() < self.speech_share else "music"
        samples, bandwidth_hz = self._excerpt(self.pools[kind], rng)
        clean = torch.from_numpy(samples)
        chain = _draw_chain(rng)
        damaged = chain.apply(clean, PACK_RATE_HZ)
        if chain.faults and rng.random() < 0.4:
            noise = torch.from_numpy(self._excerpt(self.pools["noise"], rng)[0])
            damaged = add_at_snr(damaged, noise, float(rng.uniform(-3.0, 25.0)))
        gain = _gain(damaged, rng)
        return gain * damaged, gain * clean, bandwidth_hz

    def _excerpt(self, pool: _Pool, rng: np.random.Generator) -> tuple[np.ndarray, float]:
        """(T,) samples, wrapped round where the recording is shorter, and its bandwidth."""
        start, frames, bandwidth_hz = pool.draw(rng)
        offset = int(rng.integers(0, max(1, frames - self.frames)))
        samples = self.pack.read(start + offset, min(self.frames, frames))
        if len(samples) < self.frames:
            samples = np.resize(samples, self.frames)
        return samples, bandwidth_hz


class _Pool:
    """Recordings of a kind, drawn with a chance proportional to the root of their length."""

    def __init__(self, index: pd.DataFrame) -> None:
        self.start = index["start"].to_numpy()
        self.frames = index["frames"].to_numpy()
        self.bandwidth_hz = index["bandwidth_hz"].to_numpy()
        weight = np.sqrt(self.frames.astype(np.float64))
        self.edges = np.cumsum(weight / weight.sum())

    def draw(self, rng: np.random.Generator) -> tuple[int, int, float]:
        """(start, frames, bandwidth_hz) of one recording."""
        at = min(int(np.searchsorted(self.edges, rng.random())), len(self.edges) - 1)
        return int(self.start[at]), int(self.frames[at]), float(self.bandwidth_hz[at])


def _gain(damaged: Tensor, rng: np.random.Generator) -> Tensor:
    """The level an engine would give the excerpt, give or take what loud and quiet passages of a file differ by."""
    level_db = rng.triangular(-25.0, 0.0, 8.0)
    gain: Tensor = LEVEL * 10.0 ** (level_db / 20.0) / damaged.square().mean().sqrt().clamp_min(1e-4)
    return gain


def _draw_chain(rng: np.random.Generator) -> Chain:
    """A chain of at least one fault, but for one excerpt in thirty, from which the model learns to leave be."""
    if rng.random() < 1 / 30:
        return Chain(())
    while not (chain := Chain.draw("archive", rng)).faults:
        pass
    return chain
