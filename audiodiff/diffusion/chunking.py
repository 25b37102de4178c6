"""Long signals through fixed-length windows: a stream of blocks in, the processed stream out, bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

Process = Callable[[Tensor, list[int]], Tensor]
"""`process(windows, starts) -> windows`: (B, C, W) and the position of each in the signal, in samples."""


@dataclass(frozen=True, slots=True)
class Chunking:
    """How windows lie: every `core` samples one begins, with `margin` more of context on both sides.

    The window is W = core + 2 * margin long. Neighbours are cross-faded over the `fade` samples around each
    border. With a margin that covers the model's reach plus half the fade, both agree there, so that the result is
    that of one pass over the whole signal.
    """

    core: int
    margin: int
    fade: int
    batch: int = 4

    def __post_init__(self) -> None:
        """Refuse a fade that needs more context than the margin has."""
        if not 0 < self.fade <= 2 * self.margin or self.fade > self.core:
            raise ValueError(f"fade {self.fade} must be within twice the margin {self.margin} and core {self.core}")

    @property
    def window(self) -> int:
        """Samples the model sees at once."""
        return self.core + 2 * self.margin


def overlap_add(blocks: Iterable[Tensor], process: Process, chunking: Chunking) -> Iterator[Tensor]:
    """Stream (C, T) blocks through `process`; yields (C, T') blocks with as many samples in total as came in.

    The ends are extended by mirroring, so the model never meets a sudden silence that is not in the recording.
    """
    stitch = _Stitcher(chunking)
    pending: list[tuple[Tensor, int, int]] = []  # window (C, W), start, samples of its core that exist
    for entry in _windows(blocks, chunking):
        pending.append(entry)
        if len(pending) == chunking.batch:
            yield from _run(pending, process, stitch)
            pending = []
    if pending:
        yield from _run(pending, process, stitch)
    yield from stitch.finish()


def _run(pending: list[tuple[Tensor, int, int]], process: Process, stitch: _Stitcher) -> Iterator[Tensor]:
    windows, starts, kept = zip(*pending, strict=True)
    for window, count in zip(process(torch.stack(windows), list(starts)), kept, strict=True):
        yield stitch.add(window, count)


def _windows(blocks: Iterable[Tensor], chunking: Chunking) -> Iterator[tuple[Tensor, int, int]]:
    """(window (C, W), its start, how many of its core's samples exist) in order; starts may be negative."""
    held: Tensor | None = None  # samples from `origin` on
    origin = -chunking.margin
    for block in _gathered(blocks, chunking.core):
        held = block if held is None else torch.cat([held, block], dim=-1)
        if origin < 0 and held.shape[-1] > chunking.window:  # enough to mirror the beginning
            held = torch.cat([held[:, : chunking.margin].flip(-1), held], dim=-1)
            origin = 0
        while origin >= 0 and held.shape[-1] > chunking.window:
            yield held[:, : chunking.window], origin - chunking.margin, chunking.core
            held = held[:, chunking.core :]
            origin += chunking.core
    if held is None or held.shape[-1] == 0:
        return
    yield from _last_windows(held, origin, chunking)


def _gathered(blocks: Iterable[Tensor], least: int) -> Iterator[Tensor]:
    """The same samples in blocks of `least` or more; joining a decoder's one by one copies a window for each."""
    held: list[Tensor] = []
    count = 0
    for block in blocks:
        held.append(block)
        count += block.shape[-1]
        if count >= least:
            yield torch.cat(held, dim=-1)
            held, count = [], 0
    if held:
        yield torch.cat(held, dim=-1)


def _last_windows(held: Tensor, origin: int, chunking: Chunking) -> Iterator[tuple[Tensor, int, int]]:
    """What is left at the end, mirrored to whole windows; `origin` < 0 says its beginning is the signal's."""
    if origin < 0:
        held = _mirror(held, chunking.margin, 0)
        origin = 0
    remaining = held.shape[-1] - chunking.margin
    held = _mirror(held, 0, chunking.window)
    while remaining > 0:
        yield held[:, : chunking.window], origin - chunking.margin, min(chunking.core, remaining)
        held = held[:, chunking.core :]
        origin += chunking.core
        remaining -= chunking.core


def _mirror(signal: Tensor, before: int, after: int) -> Tensor:
    """Extend (C, T) by reflection, repeated as often as a short signal needs."""
    length = signal.shape[-1]
    period = torch.cat([torch.arange(length), torch.arange(length).flip(0)])
    index = torch.arange(-before, length + after) % (2 * length)
    return signal[:, period[index]]


class _Stitcher:
    """Cross-fades consecutive windows; what overlaps the next one is held back until it comes."""

    def __init__(self, chunking: Chunking) -> None:
        self.chunking = chunking
        self.ramp = (torch.arange(chunking.fade) + 0.5) / chunking.fade
        self.tail: Tensor | None = None

    def add(self, window: Tensor, count: int) -> Tensor:
        """One processed window (C, W) of whose core `count` samples exist; returns what is final (C, T)."""
        margin, half = self.chunking.margin, self.chunking.fade // 2
        other = self.chunking.fade - half
        last = count < self.chunking.core
        begin = margin - half if self.tail is not None else margin
        end = margin + count + (0 if last else other)
        out = window[:, begin:end].clone()
        if self.tail is not None:
            width = min(self.tail.shape[-1], out.shape[-1])
            ramp = self.ramp[:width].to(out)
            out[:, :width] = ramp * out[:, :width] + (1.0 - ramp) * self.tail[:, :width]
        self.tail = None
        if last:
            return out
        held = self.chunking.fade
        self.tail = out[:, -held:].clone()
        return out[:, :-held]

    def finish(self) -> Iterator[Tensor]:
        """The first half of a tail that no further window came to meet."""
        if self.tail is not None:
            yield self.tail[:, : self.chunking.fade // 2]
