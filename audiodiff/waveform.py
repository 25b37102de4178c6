"""`Waveform`, samples in memory, and `StreamResampler`, which changes the rate of a stream of blocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

Block = NDArray[np.float32]
"""Samples (C, T), full scale 1."""


@dataclass(frozen=True, slots=True)
class Waveform:
    """Samples (C, T), float32 with full scale 1, and their rate in hertz."""

    samples: Block
    sample_rate: int

    @property
    def channels(self) -> int:
        """How many channels."""
        return len(self.samples)

    @property
    def frames(self) -> int:
        """Samples of one channel."""
        frames: int = self.samples.shape[1]
        return frames

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.frames / self.sample_rate

    def mono(self) -> Waveform:
        """The mean of the channels."""
        return Waveform(self.samples.mean(axis=0, keepdims=True), self.sample_rate)

    def resample(self, sample_rate: int) -> Waveform:
        """The same sound at another rate, round(frames * ratio) long."""
        resampler = StreamResampler(self.channels, self.sample_rate, sample_rate)
        parts = [resampler.push(self.samples), resampler.flush()]
        return Waveform(np.concatenate(parts, axis=1), sample_rate)


class StreamResampler:
    """Resamples (C, T) blocks as they come, time-aligned, by soxr's high quality recipe.

    What `push` and `flush` return adds up to round(frames in * ratio) frames. Equal rates pass blocks through.
    """

    def __init__(self, channels: int, in_rate: int, out_rate: int) -> None:
        self.in_rate, self.out_rate, self.channels = in_rate, out_rate, channels
        self._taken = self._given = 0
        same = in_rate == out_rate
        self._stream = None if same else soxr.ResampleStream(in_rate, out_rate, channels, "float32", "HQ")

    def push(self, block: Block) -> Block:
        """Take a block (C, T), return what is ready (C, T')."""
        if self._stream is None:
            return block
        self._taken += block.shape[1]
        out: Block = self._stream.resample_chunk(np.ascontiguousarray(block.T)).T
        self._given += out.shape[1]
        return out

    def flush(self) -> Block:
        """What remains at the end of the stream (C, T')."""
        if self._stream is None:
            return np.zeros((self.channels, 0), np.float32)
        out: Block = self._stream.resample_chunk(np.zeros((0, self.channels), np.float32), last=True).T
        missing = round(self._taken * self.out_rate / self.in_rate) - self._given
        padding = max(0, missing - out.shape[1])
        return np.pad(out, ((0, 0), (0, padding)))[:, : max(0, missing)]


class BlockQueue:
    """Samples in the order they came, to be taken out in blocks of other lengths."""

    def __init__(self, channels: int) -> None:
        self.blocks: list[Block] = []
        self.empty = np.zeros((channels, 0), np.float32)

    @property
    def frames(self) -> int:
        """How many samples are waiting."""
        return sum(block.shape[1] for block in self.blocks)

    def push(self, block: Block) -> None:
        """Append (C, T)."""
        self.blocks.append(block)

    def pull(self, count: int) -> Block:
        """The next `count` samples, fewer at the end."""
        taken: list[Block] = []
        while count > 0 and self.blocks:
            block = self.blocks[0]
            taken.append(block[:, :count])
            if block.shape[1] > count:
                self.blocks[0] = block[:, count:]
            else:
                self.blocks.pop(0)
            count -= taken[-1].shape[1]
        return np.concatenate([self.empty, *taken], axis=1)

    def rest(self) -> Iterator[Block]:
        """All that is left."""
        yield from self.blocks
