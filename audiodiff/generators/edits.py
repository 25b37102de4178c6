"""What a generator of others sees of a reference, and how what it drew is put back into it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audiodiff.generate.records import Request
from audiodiff.generators.job import Splice
from audiodiff.generators.limits import seconds_of
from audiodiff.waveform import Block, Waveform


@dataclass(frozen=True, slots=True)
class Sight:
    """What is seen of a reference (C, T): for a variation as long as the take, else with a stretch to be made anew.

    `offset` is where in the reference the sight begins, in samples.
    """

    samples: Block
    start: int = 0
    stop: int = 0
    offset: int = 0

    def joined(self, drawn: Block, whole: Block) -> Block:
        """The reference `whole` (C, T) with the stretch replaced by that of `drawn`, all else as it was."""
        start, stop = self.offset + self.start, self.offset + self.stop
        pairs = zip(whole, drawn, strict=True)
        return np.stack([Splice(own, start, stop, self.offset).joined(new) for own, new in pairs])


def sight(request: Request, whole: Block, sample_rate: int, context_s: float) -> Sight:
    """What is to be seen of a reference `whole` (C, T): of one to be continued at most the last `context_s`."""
    prompt = request.prompt
    frames = round(seconds_of(request) * sample_rate)
    if prompt.edit == "variation":
        return Sight(fitted(whole, frames))
    if prompt.edit == "inpaint":
        start, stop = (round(at * sample_rate) for at in (prompt.start_s, prompt.end_s))
        return Sight(whole, start, min(stop, whole.shape[1]))
    offset = max(0, whole.shape[1] - int(context_s * sample_rate))
    end = whole.shape[1] - offset
    return Sight(fitted(whole[:, offset:], end + frames), end, end + frames, offset)


def fitted(samples: Block, frames: int) -> Block:
    """(C, T) cut or filled with silence to (C, frames)."""
    return np.pad(samples[:, :frames], ((0, 0), (0, max(0, frames - samples.shape[1]))))


def with_channels(sound: Waveform, sample_rate: int, channels: int) -> Block:
    """A sound (C, T) at another rate and with another number of channels, all its mean where the numbers differ."""
    resampled = sound.resample(sample_rate)
    if resampled.channels == channels:
        return resampled.samples
    return np.repeat(resampled.mono().samples, channels, axis=0)
