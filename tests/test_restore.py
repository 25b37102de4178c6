"""Restoring a stream of blocks: sample for sample, at any rate and length, without seams."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from restoring import PASSTHROUGH, music

from audiodiff.diffusion.chunking import Chunking, overlap_add
from audiodiff.engines import RestorationEngine, Sampling
from audiodiff.engines.bridge import BridgeEngine
from audiodiff.restore import Treatment, restore_stream
from audiodiff.waveform import Block


def blocks_of(samples: Block, size: int = 30_011) -> Iterator[Block]:
    return (samples[:, at : at + size] for at in range(0, samples.shape[1], size))


def streamed(samples: Block, rate: int, engine: RestorationEngine, how: Treatment) -> tuple[Block, Block]:
    """Before and after of a whole signal."""
    pairs = list(restore_stream(blocks_of(samples), rate, len(samples), 0.37, engine, how))
    assert all(before.shape == after.shape for before, after in pairs)
    before, after = (np.concatenate(side, axis=1) for side in zip(*pairs, strict=True))
    return before, after


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000, 96_000])
def test_passthrough_returns_the_input_bit_by_bit(rate: int, channels: int) -> None:
    samples = music(9.3, rate, channels)[:, :-3]
    before, after = streamed(samples, rate, PASSTHROUGH, Treatment(Sampling()))
    np.testing.assert_array_equal(before, samples)
    np.testing.assert_array_equal(after, samples)


@pytest.mark.parametrize("frames", [1, 7, 383, 24_001])
@pytest.mark.parametrize("rate", [8_000, 44_100])
def test_any_length_keeps_every_sample(model: BridgeEngine, rate: int, frames: int) -> None:
    samples = music(4.0, rate)[:, :frames]
    before, after = streamed(samples, rate, model, Treatment(Sampling()))
    np.testing.assert_array_equal(before, samples)
    assert np.isfinite(after).all()


def test_strength_scales_the_change(model: BridgeEngine) -> None:
    samples = music(3.0, 44_100, 2)
    changes = {}
    for strength in (0.0, 0.5, 1.0):
        before, after = streamed(samples, 44_100, model, Treatment(Sampling(), strength))
        changes[strength] = after - before
    assert not changes[0.0].any()
    assert np.abs(changes[1.0]).max() > 1e-3
    np.testing.assert_allclose(changes[0.5], 0.5 * changes[1.0], atol=1e-6)


def test_content_above_the_model_survives(model: BridgeEngine) -> None:
    rate = 96_000
    time = np.arange(2 * rate) / rate
    ultrasound = (0.1 * np.sin(2 * np.pi * 30_000 * time)).astype(np.float32)[None]
    before, after = streamed(music(2.0, rate) + ultrasound, rate, model, Treatment(Sampling()))
    window = np.hanning(before.shape[1])
    spectra = [np.abs(np.fft.rfft(side[0] * window)) for side in (before, after - before)]
    above = slice(26_000 * 2, None)  # bins of half a hertz
    assert spectra[1][above].max() < 1e-3 * spectra[0][above].max()
    assert spectra[1].max() > 1e-2 * spectra[0].max()  # below, the model did change something


@pytest.mark.parametrize("evaluations", [1, 2])
def test_no_seam_is_louder_than_60_db_below(model: BridgeEngine, evaluations: int) -> None:
    samples, sampling = music(25.0, 48_000), Sampling(evaluations, seed=3)
    before, after = streamed(samples, 48_000, model, Treatment(sampling))
    chunking = Chunking(samples.shape[1] // 384 * 384 + 384, model.margin(sampling) + 1536, 3072)
    one_pass = overlap_add(
        [torch.from_numpy(samples)], lambda w, at: model.restore(0.37 * w, at, sampling) / 0.37, chunking
    )
    whole = torch.cat(list(one_pass), dim=1).numpy()
    change = np.sqrt(np.square(whole - before).mean())
    assert change > 0.01 * np.sqrt(np.square(before).mean())
    assert 20 * np.log10(np.abs(after - whole).max() / change) < -60.0
