"""Engines by name, checkpoints, and windows that agree where they overlap."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from foreign import write_engine

from audiodiff.diffusion.bridge import Bridge
from audiodiff.diffusion.chunking import Chunking, overlap_add
from audiodiff.diffusion.spectrum import Spectrum
from audiodiff.engines import ENGINE_FILE, ENGINES, Sampling, open_engine
from audiodiff.engines.bridge import BridgeEngine, shared_noise
from audiodiff.engines.checkpoint import load_restorer, save_restorer
from audiodiff.errors import ConfigError, EngineError
from audiodiff.nets import NetConfig, new_net
from audiodiff.nets.bandsplit import BandSplitConfig
from audiodiff.nets.unet import UNetConfig
from audiodiff.restore import Treatment, restore_stream
from audiodiff.waveform import Waveform

SMALL: dict[int, tuple[NetConfig, Spectrum]] = {
    48_000: (BandSplitConfig(width=8, hidden=8, dilations=(1, 2)), Spectrum()),
    16_000: (UNetConfig(widths=(4, 6, 8), blocks=1, middle=1, kernel=(5, 3)), Spectrum(n_fft=512, hop=128)),
}
"""By sample rate: a network of each kind."""


@pytest.fixture(scope="module", params=SMALL)
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_checkpoint(request.param, tmp_path_factory.mktemp("weights"))


def small_checkpoint(rate_hz: int, folder: Path) -> Path:
    torch.manual_seed(0)
    config, spectrum = SMALL[rate_hz]
    net = new_net(config)
    for weight in net.head.parameters():
        torch.nn.init.normal_(weight, std=0.01)
    save_restorer(net, spectrum, Bridge(), rate_hz, 0.1, 0.1, folder / "small.safetensors")
    return folder / "small.safetensors"


@pytest.fixture(scope="module")
def engine(checkpoint: Path) -> BridgeEngine:
    return BridgeEngine("small", load_restorer(checkpoint), "cpu")


@pytest.mark.parametrize("name", [*sorted(ENGINES), "a foreign gate.engine.toml"])
def test_every_engine_keeps_the_contract(name: str, tmp_path: Path) -> None:
    foreign = name.endswith(ENGINE_FILE)
    engine = open_engine(str(write_engine(tmp_path / name, "--gate=0.01")) if foreign else name)
    sampling = Sampling()
    assert engine.name == name.removesuffix(ENGINE_FILE)
    assert len(engine.sha256) == 64
    assert engine.margin(sampling) % engine.hop == 0
    x = 0.1 * torch.randn(2, 2, 40 * engine.hop, generator=torch.Generator().manual_seed(0))
    out = engine.restore(x, [0, 40 * engine.hop], sampling)
    assert out.shape == x.shape
    assert out.isfinite().all()
    assert torch.equal(out, engine.restore(x, [0, 40 * engine.hop], sampling))
    assert torch.allclose(out[1:], engine.restore(x[1:], [40 * engine.hop], sampling), atol=1e-6)


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
    for old, new in (("audiodiff-restorer-3", "audiodiff-restorer-2"), ("UNet", "XNet"), ("BandSplit", "BandSplat")):
        other = tmp_path / "other.safetensors"
        other.write_bytes(checkpoint.read_bytes().replace(old.encode(), new.encode()))
        if other.read_bytes() != checkpoint.read_bytes():
            with pytest.raises(EngineError, match=f"{new}'.*{old}"):
                load_restorer(other)


def test_a_batch_too_large_is_halved_and_not_tried_again(checkpoint: Path) -> None:
    engine = BridgeEngine("small", load_restorer(checkpoint), "cpu")
    x = 0.1 * torch.randn(7, 2, 20 * engine.hop, generator=torch.Generator().manual_seed(0))
    starts, sampling, tried = [engine.hop * index for index in range(7)], Sampling(), []
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
    sampling, hop = Sampling(evaluations, seed=7), engine.hop
    x = 0.1 * torch.randn(1, 700 * hop, generator=torch.Generator().manual_seed(1))

    def restored(core: int) -> torch.Tensor:
        chunking = Chunking(core * hop, engine.margin(sampling) + 4 * hop, 8 * hop, 2)
        return torch.cat(list(overlap_add([x], lambda w, s: engine.restore(w, s, sampling), chunking)), dim=-1)

    whole, cut = restored(700), restored(100)
    assert whole.shape == cut.shape == x.shape
    difference_db = 20 * torch.log10((whole - cut).abs().max() / (whole - x).square().mean().sqrt())
    assert difference_db < -60


def test_a_speech_engine_leaves_what_is_above_its_band(tmp_path: Path) -> None:
    engine = BridgeEngine("speech", load_restorer(small_checkpoint(16_000, tmp_path)), "cpu")
    rate, seconds = 48_000, 12  # two windows, which meet at ten seconds
    time = np.arange(seconds * rate) / rate
    voice = 0.1 * np.random.default_rng(0).standard_normal(seconds * rate)
    samples = np.stack([voice, voice + 0.1 * np.sin(2 * np.pi * 12_000 * time)]).astype(np.float32)
    blocks = (samples[:, at : at + 40_001] for at in range(0, samples.shape[1], 40_001))
    pairs = list(restore_stream(blocks, rate, 2, 1.0, engine, Treatment(Sampling())))
    before, after = (np.concatenate(side, axis=1) for side in zip(*pairs, strict=True))
    np.testing.assert_array_equal(before, samples)
    change = np.abs(np.fft.rfft((after - before) * np.hanning(samples.shape[1])))
    assert change[:, 8_200 * seconds :].max() < 1e-3 * change.max()
    assert np.abs(change[:, : 7_000 * seconds]).mean() > 1e-3 * np.abs(np.fft.rfft(samples)).mean()
    low = torch.from_numpy(Waveform(samples, rate).resample(16_000).samples)  # whole hops
    whole = (engine.restore(low[None], [0], Sampling())[0] - low).numpy()
    ours, theirs = (  # below what resampling fades out
        Waveform(signal, signal_rate).resample(12_000).samples[:, 12_000 : 11 * 12_000]  # the ends are mirrored
        for signal, signal_rate in ((after - before, rate), (whole, 16_000))
    )
    assert np.abs(ours - theirs).max() < 1e-2 * theirs.std()
