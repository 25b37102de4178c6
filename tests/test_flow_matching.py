"""Flow matching: its samplers on flows that are known, and the network that learns one."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from audiodiff.diffusion.flow import Kept, draw_times, euler, guided, midpoint, mixed, rolling, steps_from, windowed
from audiodiff.diffusion.mel import Mel
from audiodiff.nets.meldit import MelDiT, MelDiTConfig, Wish

SMALL = MelDiTConfig(bands=8, width=32, blocks=2, heads=2, hidden=64, text=16)


def towards(data: Tensor) -> object:
    """The velocity of a flow that ends at `data` wherever it began."""
    return lambda x, t: (data - x) / (1.0 - t)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def wish(batch: int, frames: int) -> Wish:
    kind, phones = torch.ones(batch, dtype=torch.long), torch.ones(batch, frames, dtype=torch.long)
    return Wish(noise(batch, SMALL.text, seed=3), kind, phones, torch.full((batch,), 2.0), torch.full((batch,), 120.0))


@pytest.mark.parametrize("sampler", [euler, midpoint])
@pytest.mark.parametrize("steps", [1, 3, 16])
def test_a_straight_flow_is_followed_exactly_in_any_number_of_steps(sampler, steps: int) -> None:
    data = noise(2, 8, 10, seed=1)
    assert torch.allclose(sampler(towards(data), noise(2, 8, 10), steps_from(0.0, steps)), data, atol=1e-5)


def test_midpoint_errs_by_the_square_of_the_step() -> None:
    """dx/dt = x, so that x(1) = e x(0)."""
    start = torch.ones(1, 1, 1)
    errors = [
        [abs(float(sampler(lambda x, t: x, start, steps_from(0.0, n))) - math.e) for n in (4, 8)]
        for sampler in (euler, midpoint)
    ]
    assert errors[0][0] / errors[0][1] == pytest.approx(2.0, rel=0.15)
    assert errors[1][0] / errors[1][1] == pytest.approx(4.0, rel=0.15)


@pytest.mark.parametrize("sampler", [euler, midpoint])
def test_what_is_kept_ends_where_it_should_and_the_rest_follows_the_flow(sampler) -> None:
    data, kept = noise(1, 8, 10, seed=1), noise(1, 8, 10, seed=2)
    mask = torch.zeros(1, 1, 10)
    mask[..., :4] = 1.0
    made = sampler(towards(data), noise(1, 8, 10), steps_from(0.0, 8), Kept(kept, mask))
    assert torch.allclose(made[..., :4], kept[..., :4], atol=1e-5)
    assert torch.allclose(made[..., 4:], data[..., 4:], atol=1e-5)


def test_guidance_moves_beyond_the_wish() -> None:
    at = torch.zeros(1, 1, 1)
    wished, free = (lambda x, t: x + 2.0), (lambda x, t: x + 1.0)
    assert [float(guided(wished, free, g)(at, 0.0)) for g in (0.0, 1.0, 3.0)] == [1.0, 2.0, 4.0]


def test_windows_agree_with_the_whole_where_the_velocity_is_local() -> None:
    x = noise(1, 4, 100)
    starts: list[int] = []

    def part(inside: Tensor, t: float, start: int) -> Tensor:
        starts.append(start)
        return inside * t

    assert torch.allclose(windowed(part, 40, 20)(x, 0.5), 0.5 * x, atol=1e-6)
    assert starts == [0, 20, 40, 60]
    starts.clear()
    windowed(part, 40, 20)(x[..., :40], 0.5)
    assert starts == [0]


def test_a_rolled_velocity_sees_the_sound_turned_and_turns_it_back() -> None:
    x = torch.arange(10.0).view(1, 1, 10)
    seen: list[Tensor] = []

    def velocity(turned: Tensor, t: float) -> Tensor:
        seen.append(turned)
        return turned

    assert torch.equal(rolling(velocity, {0.0: 3})(x, 0.0), x)
    assert float(seen[0][0, 0, 3]) == 0.0


def test_times_lie_between_noise_and_data_and_most_in_the_middle() -> None:
    times = draw_times(4_000, torch.Generator().manual_seed(0))
    assert 0.0 < float(times.min()) < float(times.max()) < 1.0
    assert float(((times > 0.25) & (times < 0.75)).float().mean()) > 0.6


def test_the_network_begins_at_zero_and_learns_a_sound() -> None:
    """After some steps on one sound the flow leads to it from any noise."""
    torch.manual_seed(0)
    net, data = MelDiT(SMALL), noise(1, 8, 12, seed=1).repeat(8, 1, 1)
    asked = wish(8, 12)
    with torch.no_grad():
        assert float(net(noise(8, 8, 12), torch.rand(8), asked).abs().max()) == 0.0
    optimiser = torch.optim.AdamW(net.parameters(), 2e-3)
    generator = torch.Generator().manual_seed(0)
    for _ in range(220):
        start, t = torch.randn(8, 8, 12, generator=generator), draw_times(8, generator)
        loss = (net(mixed(start, data, t), t, asked) - (data - start)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    one = wish(1, 12)
    with torch.no_grad():
        made = euler(lambda x, t: net(x, torch.full((1,), t), one), noise(1, 8, 12, seed=9), steps_from(0.0, 16))
    assert float((made - data[:1]).square().mean()) < 0.1 * float(data[:1].square().mean())


def test_what_is_wished_changes_what_is_drawn() -> None:
    torch.manual_seed(0)
    net, x, t = MelDiT(SMALL), noise(1, 8, 12), torch.tensor([0.4])
    for parameter in (net.leave.weight, net.last):
        torch.nn.init.normal_(parameter, std=0.1)
    with torch.no_grad():
        plain = net(x, t, wish(1, 12))
        free = net(x, t, wish(1, 12).nothing())
    assert float((plain - free).abs().max()) > 1e-3
    assert torch.equal(wish(1, 12).inside(4, 6).phones, torch.ones(1, 6, dtype=torch.long))


def test_a_sine_has_the_level_of_its_amplitude_in_its_band() -> None:
    mel = Mel()
    t = torch.arange(mel.rate_hz) / mel.rate_hz
    levels = mel.levels(0.5 * torch.sin(2 * math.pi * 1_007.8125 * t).unsqueeze(0))  # the middle of a bin
    assert levels.shape == (1, mel.bands, mel.rate_hz // mel.hop + 1)
    level = levels[0].exp().max()
    assert 0.1 < float(level) < 0.5  # a band is some bins wide: the sine fills one, and half of each neighbour
    assert float(mel.levels(torch.zeros(1, 4_800)).max()) == pytest.approx(math.log(1e-5), abs=1e-4)
