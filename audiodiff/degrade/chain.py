"""Chains of faults: drawn from a preset, applied in the order recordings suffer them, stored as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Self

import numpy as np
from torch import Tensor

from audiodiff.degrade.base import Damage
from audiodiff.degrade.presets import FAMILIES, PRESETS
from audiodiff.degrade.recorded import Material, MeasuredRoom, RecordedNoise
from audiodiff.errors import ConfigError

STORED: dict[str, type[Damage]] = {**FAMILIES, "recorded_noise": RecordedNoise, "measured_room": MeasuredRoom}
"""What a stored chain may hold: the families, and the faults whose draw needs recordings."""

ROOM_CHANCE, NOISE_CHANCE = 0.3, 0.5
"""Of the faults by recordings, where there are some."""


@dataclass(frozen=True, slots=True)
class Chain:
    """Some faults in order."""

    faults: tuple[Damage, ...]

    @classmethod
    def draw(cls, preset: str, rng: np.random.Generator, material: Material | None = None) -> Self:
        """Draw from a preset of `PRESETS`; an unknown one raises `ConfigError`.

        Where recordings are given, some chains begin in a measured room and with a recorded noise.
        """
        if preset not in PRESETS:
            raise ConfigError(f"unknown degradation preset {preset!r}; known: {', '.join(PRESETS)}")
        faults: list[Damage] = [draw(rng) for chance, draw in PRESETS[preset] if rng.random() < chance]
        if material and material.noises and rng.random() < NOISE_CHANCE:
            faults.insert(0, RecordedNoise.draw(rng, material))
        if material and material.rooms and rng.random() < ROOM_CHANCE:
            faults.insert(0, MeasuredRoom.draw(rng, material))
        return cls(tuple(faults))

    def apply(self, signal: Tensor, sample_rate: int) -> Tensor:
        """Damage (..., T) samples, one fault after the other."""
        for fault in self.faults:
            signal = fault.apply(signal, sample_rate)
        return signal

    def to_json(self) -> str:
        """The draw as JSON: a list of `{"fault": name, ...parameters}`."""
        names = {family: name for name, family in STORED.items()}
        return json.dumps([{"fault": names[type(f)], **asdict(f)} for f in self.faults])  # type: ignore[call-overload]

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The chain that `to_json` wrote."""
        draws = json.loads(text)
        return cls(tuple(STORED[draw.pop("fault")](**_with_tuples(draw)) for draw in draws))


def _with_tuples(draw: dict[str, object]) -> dict[str, object]:
    """JSON has no tuples: lists are made such again."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in draw.items()}
