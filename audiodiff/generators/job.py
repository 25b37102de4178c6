"""What our generator is to draw for a prompt, and how what it drew becomes a take of the exact length."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample
from torch import Tensor

from audiodiff.nets.meldit import Wish

_JOIN = 480
"""Samples of a cross-fade between a recording and what was drawn, 10 ms."""

Samples = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Splice:
    """A recording (T,) whose samples `start` to `stop` are replaced; what was drawn begins at its sample `offset`."""

    sound: Samples
    start: int
    stop: int
    offset: int = 0

    def joined(self, drawn: Samples) -> Samples:
        """The recording with the stretch replaced, cross-faded within the stretch; all else is as it was."""
        length = max(len(self.sound), self.stop)
        own = np.pad(self.sound, (0, length - len(self.sound)))
        new = np.pad(drawn, (self.offset, max(0, length - self.offset - len(drawn))))[:length]
        place = np.arange(length)
        rise = np.clip((place - self.start) / _JOIN, 0.0, 1.0) if self.start else np.ones(length)
        fall = np.clip((self.stop - place) / _JOIN, 0.0, 1.0) if self.stop < length else np.ones(length)
        share = np.where((place >= self.start) & (place < self.stop), np.minimum(rise, fall), 0.0)
        return np.asarray((1.0 - share) * own + share * new, np.float32)


@dataclass(frozen=True, slots=True)
class Job:
    """How takes are drawn: what is wished and what guidance moves away from, frames, and the samples wanted of them.

    The sampler begins at `first_time` from `data` (B, bands, N) mixed with noise, and keeps it where `mask` is 1.
    """

    wish: Wish
    unwished: Wish
    frames: int
    samples: int
    loop: bool = False
    first_time: float = 0.0
    data: Tensor | None = None
    mask: Tensor | None = None
    splice: Splice | None = None

    def finished(self, sound: Samples) -> Samples:
        """The take (T,) at its exact length; a loop is resampled to it, by a few cents, as the periodic sound it is."""
        if self.splice:
            return self.splice.joined(sound)
        if self.loop and len(sound) != self.samples:
            return np.asarray(resample(sound, self.samples), np.float32)
        return sound[: self.samples]
