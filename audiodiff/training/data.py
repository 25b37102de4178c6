"""Batches of damaged and clean excerpts, made on the fly from a pack; batch `i` depends on (seed, i) alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.fft
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from audiodiff.degrade.base import add_at_snr
from audiodiff.degrade.chain import Chain
from audiodiff.errors import ConfigError
from audiodiff.training.pack import PACK_RATE_HZ, Pack

LEVEL = 0.1
"""RMS that the engines bring a recording to before the model; training jitters around it."""

DOUBT = 0.2
"""How far trained networks err (`diffusion.shrink`), by trial on held-back recordings."""

_ALONE = ("clip", "bandlimit", "noise", "hum", "hiss", "crackle")
_CASES = {"clean": 0.03, "archive": 0.27, "recorded noise": 0.48} | dict.fromkeys(_ALONE, 0.22 / len(_ALONE))


@dataclass(frozen=True, slots=True)
class Batch:
    """Damaged and clean excerpts (B, T), and up to where the clean one's spectrum is real, (B,) hertz."""

    damaged: Tensor
    clean: Tensor
    bandwidth_hz: Tensor


class DegradedBatches(Dataset[Batch]):
    """Draws batches: speech and music in given shares, varied in speed and tone, damaged in one way or in many."""

    def __init__(self, pack: Pack, batch: int, frames: int, seed: int, speech_share: float = 0.65) -> None:
        self.pack, self.batch, self.frames, self.seed = pack, batch, frames, seed
        self.speech_share = speech_share
        train = pack.index[pack.index.split == "train"]
        kinds = [kind for kind in ("speech", "music", "noise") if (train.kind == kind).any()]
        if not {"speech", "music"} & set(kinds):
            raise ConfigError(f"the pack in {pack.folder} has neither speech nor music to train on")
        self.pools = {kind: Pool(train[train.kind == kind]) for kind in kinds}

    def __getitem__(self, index: int) -> Batch:
        """The batch of this index; the same whenever it is asked for."""
        rng = np.random.default_rng((self.seed, index))
        pairs = [self._pair(rng) for _ in range(self.batch)]
        damaged, clean, bandwidth = zip(*pairs, strict=True)
        return Batch(torch.stack(damaged), torch.stack(clean), torch.tensor(bandwidth))

    def _pair(self, rng: np.random.Generator) -> tuple[Tensor, Tensor, float]:
        wanted = "speech" if rng.random() < self.speech_share else "music"
        kind = wanted if wanted in self.pools else next(iter(self.pools))
        samples, bandwidth_hz = self._excerpt(kind, rng, varied=rng.random() < 0.7)
        clean = torch.from_numpy(samples)
        damaged = self._damaged(clean, kind, rng)
        gain = _gain(damaged, rng)
        return gain * damaged, gain * clean, bandwidth_hz

    def _damaged(self, clean: Tensor, kind: str, rng: np.random.Generator) -> Tensor:
        """(T,) with one fault alone or with many at once; one in thirty is left as it is, to teach leaving be.

        Faint faults are learnt from excerpts that have no louder ones.
        """
        case = str(rng.choice(list(_CASES), p=list(_CASES.values())))
        damaged = clean if case == "recorded noise" else Chain.draw(case, rng).apply(clean, PACK_RATE_HZ)
        if case == "recorded noise" or (case == "archive" and rng.random() < 0.5):
            noise = torch.from_numpy(self._noise(kind, rng))
            damaged = add_at_snr(damaged, noise, float(rng.uniform(-4.0, 20.0)))
        return damaged

    def _noise(self, kind: str, rng: np.random.Generator) -> NDArray[np.float32]:
        """(T,) of recorded noise, of two at once (there are few, their sums are many), of babble, or of a texture."""
        choice = rng.random()
        if choice < 0.15 or "noise" not in self.pools:
            return _texture(self._excerpt(str(rng.choice(list(self.pools))), rng, varied=True)[0], rng)
        if choice < 0.3 and kind == "speech":
            voices = [self._excerpt("speech", rng, varied=True)[0] for _ in range(rng.integers(4, 10))]
            babble = np.zeros(self.frames, np.float32)
            for voice in voices:
                babble += np.float32(rng.uniform(0.3, 1.0)) * _unit(voice)
            return babble
        noise = self._excerpt("noise", rng, varied=True)[0]
        if choice < 0.6:
            other = self._excerpt("noise", rng, varied=True)[0]
            noise = _unit(noise) + np.float32(rng.uniform(0.2, 1.0)) * _unit(other)
        return noise

    def _excerpt(self, kind: str, rng: np.random.Generator, varied: bool) -> tuple[NDArray[np.float32], float]:
        """(T,) samples, wrapped round where the recording is shorter, and the bandwidth; `varied` in speed and tone."""
        speed = float(np.exp(rng.uniform(-0.3, 0.3))) if varied else 1.0
        wanted = scipy.fft.next_fast_len(round(self.frames * speed), real=True) if varied else self.frames
        start, frames, bandwidth_hz = self.pools[kind].draw(rng)
        offset = int(rng.integers(0, max(1, frames - wanted)))
        samples = self.pack.read(start + offset, min(wanted, frames))
        if len(samples) < wanted:
            samples = np.resize(samples, wanted)
        if varied:
            samples = _vary(samples, self.frames, rng)
        return samples, bandwidth_hz * wanted / self.frames


def _unit(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    level: np.float32 = samples.std() + np.float32(1e-4)
    return samples / level


def _vary(samples: NDArray[np.float32], frames: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """(T',) played at another speed, to last `frames`, through a random gentle equaliser: other voices and rooms."""
    spectrum = scipy.fft.rfft(samples)
    kept = min(len(spectrum), frames // 2 + 1)
    knots_db = rng.normal(0.0, 3.0, 8)
    octaves = np.log2(np.maximum(np.arange(kept) * (PACK_RATE_HZ / frames), 60.0) / 60.0)
    gain = 10.0 ** (np.interp(octaves, np.linspace(0.0, 8.6, 8), knots_db) / 20.0)
    varied: NDArray[np.float32] = scipy.fft.irfft(spectrum[:kept] * gain.astype(np.float32), n=frames)
    return varied * np.float32(frames / len(samples))


def _texture(samples: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Steady noise (T,) with the long-term spectrum of the samples: their phases are drawn anew."""
    spectrum = scipy.fft.rfft(samples)
    turns = np.exp(2j * np.pi * rng.random(len(spectrum))).astype(np.complex64)
    texture: NDArray[np.float32] = scipy.fft.irfft(spectrum * turns, n=len(samples))
    return texture


class Pool:
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
