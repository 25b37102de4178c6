"""Damage by real recordings: noises, voices in the background, measured rooms. Their files are named in the draw."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Self

import numpy as np
import torch
import torchaudio.functional
from torch import Tensor

from audiodiff.degrade.base import add_at_snr, draw_seed, rms
from audiodiff.degrade.room import convolve


@dataclass(frozen=True, slots=True)
class Material:
    """Recordings to draw from: noises, voices to sum up to babble, impulse responses of rooms."""

    noises: tuple[Path, ...] = ()
    voices: tuple[Path, ...] = ()
    rooms: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class RecordedNoise:
    """One or more recordings at once, looped where they are short: a street, or with many voices a cafe (babble)."""

    paths: tuple[str, ...]
    snr_db: float
    seed: int

    @classmethod
    def draw(cls, rng: np.random.Generator, material: Material) -> Self:
        """One or two noises or, in one draw of five where there are voices, four to nine of those; -5 to 25 dB."""
        babble = len(material.voices) > 0 and rng.random() < 0.2
        pool, count = (material.voices, rng.integers(4, 10)) if babble else (material.noises, rng.integers(1, 3))
        paths = tuple(str(pool[index]) for index in rng.integers(len(pool), size=int(count)))
        return cls(paths, float(rng.uniform(-5.0, 25.0)), draw_seed(rng))

    def apply(self, signal: Tensor, sample_rate: int) -> Tensor:
        """Add them at `snr_db` to (..., T), each starting at a random place and at a level of its own."""
        rng = np.random.default_rng(self.seed)
        total = torch.zeros(signal.shape[-1])
        for path in self.paths:
            noise = _load(path, sample_rate)
            start = int(rng.integers(len(noise)))
            index = (torch.arange(signal.shape[-1]) + start) % len(noise)
            part = noise[index]
            total += float(rng.uniform(0.3, 1.0)) * part / rms(part).clamp_min(1e-6)
        return add_at_snr(signal, total, self.snr_db)


@dataclass(frozen=True, slots=True)
class MeasuredRoom:
    """The impulse response of a real room; the direct sound keeps its time and level."""

    path: str

    @classmethod
    def draw(cls, rng: np.random.Generator, material: Material) -> Self:
        """Any of the rooms."""
        return cls(str(material.rooms[int(rng.integers(len(material.rooms)))]))

    def apply(self, signal: Tensor, sample_rate: int) -> Tensor:
        """Reverberate (..., T)."""
        response = _load(self.path, sample_rate)
        direct = int(response.abs().argmax())
        return convolve(signal, response[direct:] / response[direct])


@lru_cache(maxsize=64)
def _load(path: str, sample_rate: int) -> Tensor:
    """A recording (T,), mono, at the rate asked for; raises `MediaError` naming the file."""
    from audiodiff.media import read_audio  # noqa: PLC0415  a machine that only trains may lack the decoders

    mono = read_audio(Path(path)).mono()
    samples: Tensor = torchaudio.functional.resample(torch.from_numpy(mono.samples[0]), mono.sample_rate, sample_rate)
    return samples
