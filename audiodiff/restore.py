"""Restore one recording as a stream: at its own rate, with its own channels, sample for sample."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from audiodiff.diffusion.chunking import Chunking, overlap_add
from audiodiff.engines import RestorationEngine, Sampling
from audiodiff.waveform import Block, BlockQueue, StreamResampler

_CORE_S, _FADE_HOPS = 10.0, 6  # the fade is 64 ms at 48 kHz and hops of 512


@dataclass(frozen=True, slots=True)
class Treatment:
    """How to restore: sampling, how much of the change to apply (0 to 1), and windows per model call."""

    sampling: Sampling
    strength: float = 1.0
    batch: int = 1


def restore_stream(
    blocks: Iterable[Block],
    sample_rate: int,
    channels: int,
    gain: float,
    engine: RestorationEngine,
    how: Treatment,
    frames: int | None = None,
) -> Iterator[tuple[Block, Block]]:
    """Yield (before, after) blocks (C, T) that line up, as many samples in total as came in.

    The model works at its own rate and level (`gain` brings the recording there). What it *changed* is brought
    back to the recording's rate and added to the recording: content above the model's band survives, a model that
    changes nothing returns the input bit by bit, and before minus after is exactly what was removed.
    `frames`, if known, spares short recordings a window of full length.
    """
    held = BlockQueue(channels)
    down = StreamResampler(channels, sample_rate, engine.sample_rate)
    up = StreamResampler(channels, engine.sample_rate, sample_rate)

    def at_model_rate() -> Iterator[Tensor]:
        for block in blocks:
            held.push(block)
            yield torch.from_numpy(down.push(block))
        yield torch.from_numpy(down.flush())

    def changes(windows: Tensor, starts: list[int]) -> Tensor:
        levelled = windows * gain
        return (engine.restore(levelled, starts, how.sampling) - levelled) / gain

    hop, core_s = engine.hop, _CORE_S if frames is None else min(_CORE_S, frames / sample_rate)
    core = max(_FADE_HOPS, int(core_s * engine.sample_rate / hop) + 1)
    margin = engine.margin(how.sampling) + _FADE_HOPS * hop // 2
    chunking = Chunking(core * hop, margin, _FADE_HOPS * hop, how.batch)
    for change in overlap_add(at_model_rate(), changes, chunking):
        yield from _applied(held, up.push(change.numpy()), how.strength)
    yield from _applied(held, up.flush(), how.strength)
    for before in held.rest():  # resampling may leave the change a sample short of the recording
        yield before, before


def _applied(held: BlockQueue, change: Block, strength: float) -> Iterator[tuple[Block, Block]]:
    before = held.pull(change.shape[1])
    if before.shape[1]:
        yield before, before + np.float32(strength) * change[:, : before.shape[1]]
