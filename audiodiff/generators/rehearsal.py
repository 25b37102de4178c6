"""A generator that needs no model: bands of noise, to rehearse a table, its names and its delivery with."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from audiodiff.errors import ConfigError
from audiodiff.generate.records import Draw, Request
from audiodiff.waveform import Waveform

_RATE_HZ = 48_000
_USUAL_S = 2.0


class Rehearsal:
    """`Generator` of coloured noise that dies away, or goes round where it loops; the words change nothing."""

    name = "rehearsal"
    sha256 = hashlib.sha256(b"audiodiff-rehearsal-1").hexdigest()
    license = "CC0-1.0"
    sample_rate = _RATE_HZ
    kinds = frozenset({"sfx", "music", "voice"})
    edits = frozenset({"new", "loop"})
    batch = 16

    def resolve(self, request: Request, draw: Draw) -> Draw:  # noqa: ARG002 - as the protocol has it
        """One step, no guidance: there is nothing to sample."""
        return Draw(1, 1.0)

    def generate(self, requests: Sequence[Request], draw: Draw) -> list[Waveform]:  # noqa: ARG002 - the same
        """A take of one channel for each request; ConfigError for an edit of a reference."""
        return [Waveform(self._sound(request)[None], _RATE_HZ) for request in requests]

    def _sound(self, request: Request) -> NDArray[np.float32]:
        prompt = request.prompt
        if prompt.edit != "new":
            raise ConfigError(f"the generator {self.name} cannot do {prompt.edit}")
        rng = np.random.default_rng(request.seed)
        duration_s = prompt.duration_s or _USUAL_S
        frames = round(duration_s * _RATE_HZ)
        hertz = np.fft.rfftfreq(frames, 1.0 / _RATE_HZ)
        octaves = np.log2(np.maximum(hertz, 1.0) / rng.uniform(500.0, 4_000.0))
        levels = np.exp(-0.5 * np.square(octaves / rng.uniform(0.3, 1.0))) * (hertz > 60.0)
        waves = levels * np.exp(2j * np.pi * rng.random(len(hertz)))
        sound = np.fft.irfft(waves, frames)  # periodic, so that a loop has no seam
        if not prompt.loop:
            time_s = np.arange(frames) / _RATE_HZ
            sound *= np.clip(time_s / 0.01, 0.0, 1.0) * np.exp(-time_s * rng.uniform(5.0, 8.0) / duration_s)
        return np.asarray(0.5 * sound / np.abs(sound).max(), np.float32)


def load(device: str) -> Rehearsal:  # noqa: ARG001 - the same
    """Ready on any device: it computes on the CPU."""
    return Rehearsal()
