"""Engines by name, checkpoints, and windows that agree where they overlap."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from audiodiff.diffusion.bridge import Bridge
from audiodiff.diffusion.chunking import Chunking, overlap_add
from audiodiff.diffusion.spectrum import Spectrum
from audiodiff.engines import ENGINES, Sampling, open_engine
from audiodiff.engines.bridge import BridgeEngine, shared_noise
from audiodiff.engines.checkpoint import load_restorer, save_restorer
from audiodiff.errors import ConfigError, EngineError
from audiodiff.nets.bandsplit import BandSplit, BandSplitConfig

HOP = Spectrum().hop


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    net = BandSplit(BandSplitConfig(width=8, hidden=8, dilations=(1, 2)))
    for weight in net.head.weights:
        torch.nn.init.normal_(weight, std=0.01)
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_restorer(net, Spectrum(), Bridge(), 48_000, 0.1, 0.1, path)
    return path


@pytest.fixture(scope="module")
def engine(checkpoint: Path) -> BridgeEngine:
    return BridgeEngine("small", load_restorer(checkpoint), "cpu")


@pytest.mark.parametrize("name", sorted(ENGINES))
def test_every_engine_keeps_the_contract(name: str) -> None:
    engine = open_engine(name)
    sampling = Sampling()
    assert engine.name == name
    assert len(engine.sha256) == 64
    assert engine.margin(sampling) % HOP == 0 or name == "passthrough"
    x = 0.1 * torch.randn(2, 2, 40 * HOP, generator=torch.Generator().manual_seed(0))
    out = engine.restore(x, [0, 40 * HOP], sampling)
    assert out.shape == x.shape
    assert out.isfinite().all()
    assert torch.equal(out, engine.restore(x, [0, 40 * HOP], sampling))


def test_unknown_engine_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="known: audiodiff-48k, passthrough"):
        open_engine("rx")


def test_an_engine_is_loaded_once_for_all_threads() -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len({id(engine) for engine in pool.map(open_engine, ["audiodiff-48k"] * 16)}) == 1


def test_checkpoint_round_trip_is_exact_to_half_precision(checkpoint: Path, tmp_path: Path) -> None:
    first = load_restorer(checkpoint)
    again = tmp_path / "again.safetensors"
    save_restorer(first.net, first.spectrum, first.bridge, first.sample_rate, first.level, first.doubt, again)
    assert again.read_bytes() == checkpoint.read_bytes()


def test_damaged_and_foreign_checkpoints_are_named(checkpoint: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(EngineError, match=r"cut\.safetensors"):
        load_restorer(cut)
    with pytest.raises(EngineError, match="cannot be read"):
        load_restorer(tmp_path / "missing.safetensors")


def test_a_batch_too_large_is_halved_and_not_tried_again(checkpoint: Path) -> None:
    engine = BridgeEngine("small", load_restorer(checkpoint), "cpu")
    x = 0.1 * torch.randn(7, 2, 20 * HOP, generator=torch.Generator().manual_seed(0))
    starts, sampling, tried = [HOP * index for index in range(7)], Sampling(), []
    whole = engine.restore(x, starts, sampling)
    forward = engine.restorer.net.forward

    def small_memory(given: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
        tried.append(len(given))
        if len(given) > 2 * 2:
            raise torch.OutOfMemoryError("out of memory")
        return forward(given, *rest)

    engine.restorer.net.forward = small_memory
    torch.testing.assert_close(engine.restore(x, starts, sampling), whole)
    assert tried == [14, 6, 2, 2, 2, 2, 2, 2, 2]
    assert engine.largest_batch == 1
    engine.restorer.net.forward = lambda *given: small_memory(torch.zeros(99), *given)
    with pytest.raises(torch.OutOfMemoryError):
        engine.restore(x, starts, sampling)


def test_noise_depends_on_position_alone() -> None:
    whole = shared_noise((1, 2, 3), 0, 300, 8)
    torch.testing.assert_close(shared_noise((1, 2, 3), 117, 100, 8), whole[:, :, 117:217])
    torch.testing.assert_close(shared_noise((1, 2, 3), -5, 10, 8)[:, :, 5:], whole[:, :, :5])
    assert not torch.equal(shared_noise((2, 2, 3), 0, 300, 8), whole)
    assert abs(float(whole.std()) - 1.0) < 0.05


@pytest.mark.parametrize("evaluations", [1, 3])
def test_no_seam_between_chunks(engine: BridgeEngine, evaluations: int) -> None:
    sampling = Sampling(evaluations, seed=7)
    x = 0.1 * torch.randn(1, 700 * HOP, generator=torch.Generator().manual_seed(1))

    def restored(core: int) -> torch.Tensor:
        chunking = Chunking(core * HOP, engine.margin(sampling) + 4 * HOP, 8 * HOP, 2)
        return torch.cat(list(overlap_add([x], lambda w, s: engine.restore(w, s, sampling), chunking)), dim=-1)

    whole, cut = restored(700), restored(100)
    assert whole.shape == cut.shape == x.shape
    difference_db = 20 * torch.log10((whole - cut).abs().max() / (whole - x).square().mean().sqrt())
    assert difference_db < -60
