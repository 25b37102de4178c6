"""The contract of the networks: what is far is not heard, chunks agree, and untrained they change nothing."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from audiodiff.nets import NETS, Net, NetConfig, new_net
from audiodiff.nets.bandsplit import BandSplitConfig
from audiodiff.nets.unet import UNet, UNetConfig
from audiodiff.training.recipes import RECIPES

SMALL: dict[str, NetConfig] = {
    "BandSplit": BandSplitConfig(bands=((8, 4), (2, 16)), width=8, hidden=8, dilations=(1, 2)),
    "UNet": UNetConfig(bins=64, widths=(4, 6, 8), blocks=1, middle=1, kernel=(5, 3)),
}
BINS = 64


def normal(*shape: int, seed: int = 0) -> Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(params=sorted(NETS))
def net(request: pytest.FixtureRequest) -> Net:
    """A small network of each kind, whose head says something."""
    torch.manual_seed(0)
    net = new_net(SMALL[request.param])
    for weight in net.head.parameters():
        nn.init.normal_(weight, std=0.05)
    return net.eval()


@torch.inference_mode()
def estimate(net: Net, y: Tensor) -> Tensor:
    return net(y, y, torch.ones(len(y)))


@pytest.mark.parametrize("name", sorted(NETS))
def test_new_network_returns_its_input(name: str) -> None:
    y = normal(2, 2, BINS, 21)
    torch.testing.assert_close(estimate(new_net(SMALL[name]), y), y)


@pytest.mark.parametrize("config", [recipe.net for recipe in RECIPES.values()], ids=list(RECIPES))
def test_every_recipe_fits_fifteen_mebibytes_in_half_precision(config: NetConfig) -> None:
    assert 2 * sum(p.numel() for p in new_net(config).parameters()) <= 15 * 2**20


def test_nothing_beyond_the_reach_matters(net: Net) -> None:
    middle = net.reach + 2 * net.stride
    y = normal(1, 2, BINS, 2 * middle + 1)
    whole = estimate(net, y)
    farthest = 0
    for at in range(middle, middle + net.stride):  # a coarse cell reaches farther from its one end than from its other
        changed = y.clone()
        changed[..., at] += 1.0
        difference = (estimate(net, changed) - whole).abs().amax(dim=(0, 1, 2))
        distances = (difference.nonzero().flatten() - at).abs()
        assert difference[at] > 0
        farthest = max(farthest, int(distances.max()))
    assert farthest <= net.reach
    assert farthest > net.reach // 2  # or margins would be wasted


def test_chunks_on_the_common_grid_agree_with_the_whole(net: Net) -> None:
    margin = -(-net.reach // net.stride) * net.stride
    y = normal(1, 2, BINS, 4 * margin + 3)
    start, stop = net.stride, y.shape[3] - 1
    chunk = estimate(net, y[..., start:stop])
    inner = estimate(net, y)[..., start + margin : stop - margin]
    torch.testing.assert_close(chunk[..., margin:-margin], inner, atol=1e-6, rtol=1e-5)


def test_time_is_heard(net: Net) -> None:
    y = normal(1, 2, BINS, 20)
    with torch.inference_mode():
        assert (net(y, y, torch.tensor([0.2])) - net(y, y, torch.tensor([1.0]))).abs().max() > 1e-5


def test_half_precision_comes_close_and_every_weight_learns(net: Net) -> None:
    y, t = normal(2, 2, BINS, 20), torch.ones(2)
    with torch.autocast("cpu", torch.bfloat16):
        half = net(y, y, t)
    assert half.dtype == torch.float32
    change = estimate(net, y) - y
    assert (half - y - change).norm() < 0.05 * change.norm()
    half.square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


def test_convolutions_are_told_the_pitch() -> None:
    torch.manual_seed(0)
    net = UNet(UNetConfig(bins=64, widths=(4, 6), blocks=1, middle=1))
    nn.init.normal_(net.head.weight, std=0.05)
    tone = torch.zeros(1, 2, 64, 9)
    tone[:, :, 20] = 0.1
    higher = tone.roll(20, dims=2)
    torch.testing.assert_close(estimate(net, tone)[:, :, 14:27], estimate(net, higher)[:, :, 34:47])
    nn.init.normal_(net.stem.place)
    assert (estimate(net, tone)[:, :, 14:27] - estimate(net, higher)[:, :, 34:47]).abs().max() > 1e-3
