"""Spectrum, bridge and chunking."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from audiodiff.diffusion.bridge import Bridge
from audiodiff.diffusion.chunking import Chunking, overlap_add
from audiodiff.diffusion.shrink import shrink_change
from audiodiff.diffusion.spectrum import Spectrum


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def no_noise(step: int) -> Tensor:
    raise AssertionError(f"noise was asked for at step {step}")


@pytest.mark.parametrize("length", [5_000, 48_000])
def test_spectrum_round_trip(length: int) -> None:
    spectrum, x = Spectrum(), 0.1 * normal(2, length)
    x = torch.fft.irfft(torch.fft.rfft(x)[:, : -max(10, length // 30)], n=x.shape[1])  # the Nyquist bin is left out
    planes = spectrum.encode(x)
    assert planes.shape == (2, 2, spectrum.bins, x.shape[1] // spectrum.hop + 1)
    error, inner = spectrum.decode(planes, length) - x, slice(spectrum.n_fft, -spectrum.n_fft)
    assert float(error[:, inner].abs().max()) < 1e-4  # the ends are mirrored, which makes some of that bin
    assert float(error.square().mean() / x.square().mean()) < 1e-4


def test_spectrum_compresses_magnitudes_by_its_exponent() -> None:
    spectrum, x = Spectrum(), 0.1 * normal(1, 9_600)
    ratio = spectrum.encode(10 * x).norm() / spectrum.encode(x).norm()
    assert float(ratio) == pytest.approx(10**spectrum.exponent, rel=1e-3)


def test_bridge_ends_at_both_signals() -> None:
    bridge, x0, y = Bridge(), normal(2, 3, 4), normal(2, 3, 4, seed=1)
    mean, deviation = bridge.marginal(x0, y, torch.tensor([0.0, 1.0]))
    torch.testing.assert_close(mean[0], x0[0])
    torch.testing.assert_close(mean[1], y[1])
    torch.testing.assert_close(deviation.flatten(), torch.tensor([0.0, bridge.spread]))


def test_bridge_variance_is_that_of_the_paper() -> None:
    t = torch.tensor(0.5, dtype=torch.float64)
    assert float(Bridge(k=2.6, c=0.4).variance(t)) == pytest.approx(0.4 * (2.6 - 1) / (2 * math.log(2.6)))


def test_one_evaluation_starts_at_the_damaged_signal_and_its_blur() -> None:
    bridge, y, seen = Bridge(spread=0.1), normal(2, 8), []

    def model(x: Tensor, condition: Tensor, t: Tensor) -> Tensor:
        seen.append((x, t))
        return condition * 0.5

    out = bridge.sample(model, y, 1, lambda step: normal(2, 8, seed=7 + step))
    torch.testing.assert_close(out, 0.5 * y)
    assert len(seen) == 1
    torch.testing.assert_close(seen[0][0], y + 0.1 * normal(2, 8, seed=7))
    assert (seen[0][1] == 1).all()


@pytest.mark.parametrize("evaluations", [1, 2, 4, 8])
def test_an_oracle_leads_home(evaluations: int) -> None:
    x0, y = normal(2, 8), normal(2, 8, seed=1)
    out = Bridge().sample(lambda x, y, t: x0, y, evaluations, lambda step: normal(2, 8, seed=step))
    torch.testing.assert_close(out, x0)


def test_sampler_passes_through_the_bridge_marginal() -> None:
    bridge, x0, y, at_half = Bridge(), torch.zeros(40_000, 1), torch.ones(40_000, 1), []

    def model(x: Tensor, y: Tensor, t: Tensor) -> Tensor:
        at_half.append(x)
        return x0

    bridge.sample(model, y, 2, lambda step: normal(40_000, 1, seed=5 + step))
    mean, deviation = bridge.marginal(x0[:1], y[:1], torch.tensor([0.5]))
    assert float(at_half[1].mean()) == pytest.approx(float(mean), abs=0.01)
    assert float(at_half[1].std()) == pytest.approx(float(deviation), rel=0.02)


def test_no_evaluations_is_an_error() -> None:
    with pytest.raises(ValueError, match="evaluations is 0"):
        Bridge().sample(lambda x, y, t: x, normal(1, 1), 0, no_noise)


def test_small_changes_are_doubted_and_large_ones_believed() -> None:
    damaged, change = 0.1 * normal(1, 2, 8, 5), 0.1 * normal(1, 2, 8, 5, seed=1)
    torch.testing.assert_close(shrink_change(damaged + change, damaged, 0.0), damaged + change)
    small = shrink_change(damaged + 1e-4 * change, damaged, 0.2) - damaged
    assert small.norm() < 0.01 * (1e-4 * change).norm()
    silenced = shrink_change(0.0 * damaged, damaged, 0.2)
    torch.testing.assert_close(silenced, damaged * (1 - 1 / 1.04), atol=1e-5, rtol=1e-3)
    torch.testing.assert_close(shrink_change(change, 0.0 * damaged, 0.2), change)
    assert torch.equal(shrink_change(damaged, damaged, 0.2), damaged)


CHUNKINGS = [Chunking(100, 20, 16, 3), Chunking(64, 32, 7, 1), Chunking(50, 10, 20, 2)]


@pytest.mark.parametrize("chunking", CHUNKINGS, ids=str)
@pytest.mark.parametrize("block", [1, 7, 64, 5_000])
@pytest.mark.parametrize(
    "length", [1, 5, 49, 50, 99, 100, 101, 104, 109, 119, 120, 121, 140, 141, 237, 300, 301, 1_003]
)
def test_windows_show_the_signal_and_add_up_to_it(chunking: Chunking, block: int, length: int) -> None:
    x = normal(2, length)

    def process(windows: Tensor, starts: list[int]) -> Tensor:
        for window, start in zip(windows, starts, strict=True):
            low, high = max(0, start), min(length, start + chunking.window)
            assert torch.equal(window[:, low - start : high - start], x[:, low:high])
        return 2 * windows

    out = torch.cat(list(overlap_add(x.split(block, dim=-1), process, chunking)), dim=-1)
    torch.testing.assert_close(out, 2 * x)


def test_an_empty_stream_gives_nothing() -> None:
    assert list(overlap_add([], lambda windows, starts: windows, CHUNKINGS[0])) == []


@pytest.mark.parametrize("fade", [0, 41, 101])
def test_a_fade_the_margin_cannot_hold_is_refused(fade: int) -> None:
    with pytest.raises(ValueError, match="fade"):
        Chunking(100, 20, fade)
