"""Chains of faults: drawn from a preset, applied in the order recordings suffer them, stored as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Self

import numpy as np
from torch import Tensor

from audiodiff.degrade.base import Fault
from audiodiff.degrade.crackle import Crackle
from audiodiff.degrade.distortion import BandLimit, Clip
from audiodiff.degrade.noise import Hiss, Hum, Noise
from audiodiff.errors import ConfigError

FAMILIES: dict[str, type[Fault]] = {
    "clip": Clip,
    "bandlimit": BandLimit,
    "noise": Noise,
    "hum": Hum,
    "hiss": Hiss,
    "crackle": Crackle,
}
"""Every fault by name, in the order a recording suffers them: microphone and medium, then playback."""

PRESETS: dict[str, dict[str, float]] = {
    "archive": {"clip": 0.2, "bandlimit": 0.35, "noise": 0.5, "hum": 0.2, "hiss": 0.3, "crackle": 0.3},
    "clean": {},
} | {name: {name: 1.0} for name in FAMILIES}
"""The chance of each fault; a fault's own name draws just that fault."""


@dataclass(frozen=True, slots=True)
class Chain:
    """Some faults in order."""

    faults: tuple[Fault, ...]

    @classmethod
    def draw(cls, preset: str, rng: np.random.Generator) -> Self:
        """Draw from a preset of `PRESETS`; an unknown one raises `ConfigError`."""
        if preset not in PRESETS:
            raise ConfigError(f"unknown degradation preset {preset!r}; known: {', '.join(PRESETS)}")
        chances = PRESETS[preset]
        return cls(tuple(f.draw(rng) for name, f in FAMILIES.items() if rng.random() < chances.get(name, 0.0)))

    def apply(self, signal: Tensor, sample_rate: int) -> Tensor:
        """Damage (..., T) samples, one fault after the other."""
        for fault in self.faults:
            signal = fault.apply(signal, sample_rate)
        return signal

    def to_json(self) -> str:
        """The draw as JSON: a list of `{"fault": name, ...parameters}`."""
        names = {family: name for name, family in FAMILIES.items()}
        return json.dumps([{"fault": names[type(f)], **asdict(f)} for f in self.faults])  # type: ignore[call-overload]

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The chain that `to_json` wrote."""
        draws = json.loads(text)
        return cls(tuple(FAMILIES[draw.pop("fault")](**draw) for draw in draws))
