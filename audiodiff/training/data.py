"""Damaged and clean excerpts, made on the fly from a pack; excerpt `j` of batch `i` depends on (seed, i, j) alone."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

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
from audiodiff.training.recipes import Recipe

LEVEL = 0.1
"""RMS that the engines bring a recording to before the model; training jitters around it."""

DOUBT = 0.1
"""How far trained networks err (`diffusion.shrink`), by trial on held-back recordings."""

_NOISY_PLACES = frozenset({"camcorder", "telephone", "voip"})
"""Presets whose noise is picked up with the voice, and suffers with it all that follows."""

_ROLL_OFF = (0.92, 0.99)
"""Shares of its band between which soxr's "HQ" fades out: an engine's input comes from it, and so looks the same."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Damaged and clean excerpts (B, T), and up to where the clean one's spectrum is real, (B,) hertz."""

    damaged: Tensor
    clean: Tensor
    bandwidth_hz: Tensor


class DegradedBatches(Dataset[Batch]):
    """Draws batches: speech and music in given shares, varied in speed and tone, damaged in one way or in many.

    `places` are the excerpts of each batch to make, by default all: processes that train together share them out.
    """

    def __init__(self, pack: Pack, recipe: Recipe, places: range | None = None) -> None:
        self.pack, self.recipe = pack, recipe
        self.places = range(recipe.batch) if places is None else places
        train = pack.index[pack.index.split == "train"]
        kinds = [kind for kind in ("speech", "music", "noise") if (train.kind == kind).any()]
        if not {"speech", "music"} & set(kinds):
            raise ConfigError(f"the pack in {pack.folder} has neither speech nor music to train on")
        self.pools = {kind: Pool(train[train.kind == kind], even=kind != "noise") for kind in kinds}

    def __getitem__(self, index: int) -> Batch:
        """The batch of this index; the same whenever it is asked for."""
        pairs = [self._pair(np.random.default_rng((self.recipe.seed, index, place))) for place in self.places]
        damaged, clean, bandwidth = zip(*pairs, strict=True)
        return Batch(torch.stack(damaged), torch.stack(clean), torch.tensor(bandwidth))

    def _pair(self, rng: np.random.Generator) -> tuple[Tensor, Tensor, float]:
        wanted = "speech" if rng.random() < self.recipe.speech_share else "music"
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
        cases = self.recipe.cases
        case = str(rng.choice(list(cases), p=list(cases.values())))
        if case == "recorded noise":
            return self._in_noise(clean, kind, rng)
        before = case in _NOISY_PLACES and rng.random() < 0.5
        damaged = self._in_noise(clean, kind, rng) if before else clean
        damaged = Chain.draw(case, rng).apply(damaged, self.recipe.rate_hz)
        after = case == "archive" and rng.random() < 0.5
        return self._in_noise(damaged, kind, rng) if after else damaged

    def _in_noise(self, signal: Tensor, kind: str, rng: np.random.Generator) -> Tensor:
        """(T,) with recorded noise."""
        noise = torch.from_numpy(self._noise(kind, rng))
        return add_at_snr(signal, noise, float(rng.uniform(-4.0, 20.0)))

    def _noise(self, kind: str, rng: np.random.Generator) -> NDArray[np.float32]:
        """(T,) of recorded noise, of two at once (there are few, their sums are many), of babble, or of a texture."""
        choice = rng.random()
        if choice < 0.25 or "noise" not in self.pools:
            return _texture(self._excerpt(str(rng.choice(list(self.pools))), rng, varied=True)[0], rng)
        if choice < 0.4 and kind == "speech":
            voices = [self._excerpt("speech", rng, varied=True)[0] for _ in range(rng.integers(4, 10))]
            babble = np.zeros(self.recipe.frames, np.float32)
            for voice in voices:
                babble += np.float32(rng.uniform(0.3, 1.0)) * _unit(voice)
            return babble
        noise = self._excerpt("noise", rng, varied=True)[0]
        if choice < 0.7:
            other = self._excerpt("noise", rng, varied=True)[0]
            noise = _unit(noise) + np.float32(rng.uniform(0.2, 1.0)) * _unit(other)
        return noise

    def _excerpt(self, kind: str, rng: np.random.Generator, varied: bool) -> tuple[NDArray[np.float32], float]:
        """(T,) samples, wrapped round where the recording is shorter, and the bandwidth; `varied` in speed and tone."""
        speed = float(np.exp(rng.uniform(-0.3, 0.3))) if varied else 1.0
        whole = self.recipe.frames * PACK_RATE_HZ / self.recipe.rate_hz
        wanted = scipy.fft.next_fast_len(round(whole * speed), real=True) if varied else round(whole)
        start, frames, bandwidth_hz = self.pools[kind].draw(rng)
        offset = int(rng.integers(0, max(1, frames - wanted)))
        samples = self.pack.read(start + offset, min(wanted, frames))
        if len(samples) < wanted:
            samples = np.resize(samples, wanted)
        tone = _tone(rng) if varied else None
        samples = replay(samples, self.recipe.frames, self.recipe.rate_hz, tone)
        return samples, bandwidth_hz * wanted / whole


def _unit(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    level: np.float32 = samples.std() + np.float32(1e-4)
    return samples / level


Tone = NDArray[np.float64]
"""Gains in dB at eight points from 60 Hz to 23 kHz, evenly spaced in octaves: a gentle equaliser."""


def _tone(rng: np.random.Generator) -> Tone:
    return rng.normal(0.0, 3.0, 8)


def replay(samples: NDArray[np.float32], frames: int, rate_hz: int, tone: Tone | None = None) -> NDArray[np.float32]:
    """Samples (T',) of a pack as (frames,) at another rate, and at the speed that makes them last so long.

    With a `tone`, through an equaliser: other voices and rooms. At the pack's rate and speed, without one, they are
    returned as they are.
    """
    if len(samples) == frames and rate_hz == PACK_RATE_HZ and tone is None:
        return samples
    spectrum = scipy.fft.rfft(samples)
    hertz = np.arange(min(len(spectrum), frames // 2 + 1)) * (rate_hz / frames)
    gain = np.ones(len(hertz))
    if tone is not None:
        octaves = np.log2(np.maximum(hertz, 60.0) / 60.0)
        gain = 10.0 ** (np.interp(octaves, np.linspace(0.0, 8.6, 8), tone) / 20.0)
    if rate_hz < PACK_RATE_HZ:
        gain *= np.cos(np.pi / 2 * np.interp(hertz / (rate_hz / 2), _ROLL_OFF, (0.0, 1.0))) ** 2
    played: NDArray[np.float32] = scipy.fft.irfft(spectrum[: len(hertz)] * gain.astype(np.float32), n=frames)
    return played * np.float32(frames / len(samples))


def _texture(samples: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Noise (T,) with the long-term spectrum of the samples, their phases drawn anew: steady, or swelling band by band.

    Rain, wind, traffic and crowds are, to the ear, noises whose bands rise and fall on their own.
    Source: McDermott & Simoncelli, "Sound texture perception via statistics of the auditory periphery", Neuron 71(5).
    """
    spectrum = scipy.fft.rfft(samples)
    spectrum *= np.exp(2j * np.pi * rng.random(len(spectrum))).astype(np.complex64)
    bands = int(rng.choice([1, 3, 6]))
    depth_db = rng.uniform(0.0, 9.0)
    edges = np.unique(np.geomspace(40, len(spectrum), bands + 1).astype(int))
    edges[0] = 0
    texture = np.zeros(len(samples), np.float32)
    for low, high in pairwise(edges):
        band = np.zeros_like(spectrum)
        band[low:high] = spectrum[low:high]
        knots = int(10.0 ** rng.uniform(0.5, 2.0))  # per excerpt: over two seconds, 1.5 to 50 a second
        swell_db = np.interp(np.linspace(0.0, knots, len(samples)), np.arange(knots + 1), rng.normal(0, 1, knots + 1))
        gain = 10.0 ** (depth_db * swell_db / 20.0)
        texture += scipy.fft.irfft(band, n=len(samples)) * gain.astype(np.float32)
    return texture


class Pool:
    """Recordings of a kind, drawn with a chance proportional to their length, or to its root where `even`."""

    def __init__(self, index: pd.DataFrame, even: bool = True) -> None:
        self.start = index["start"].to_numpy()
        self.frames = index["frames"].to_numpy()
        self.bandwidth_hz = index["bandwidth_hz"].to_numpy()
        weight = self.frames.astype(np.float64) ** (0.5 if even else 1.0)
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
