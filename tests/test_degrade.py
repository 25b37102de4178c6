"""Every family of faults keeps one contract; each does the damage it names."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from audiodiff.degrade.base import rms
from audiodiff.degrade.chain import FAMILIES, PRESETS, Chain
from audiodiff.degrade.crackle import Crackle
from audiodiff.degrade.distortion import BandLimit, Clip
from audiodiff.degrade.noise import Hiss, Hum, Noise
from audiodiff.errors import ConfigError

RATE = 16_000
SIGNAL = 0.1 * torch.randn(2, RATE, generator=torch.Generator().manual_seed(0))


def power_db(x: torch.Tensor, low_hz: float, high_hz: float) -> float:
    spectrum = torch.fft.rfft(x.double()).abs().square()
    hertz = torch.fft.rfftfreq(x.shape[-1], 1 / RATE)
    return float(10 * torch.log10(spectrum[..., (hertz >= low_hz) & (hertz < high_hz)].mean()))


@pytest.mark.parametrize("family", FAMILIES)
def test_contract(family: str) -> None:
    draws = [FAMILIES[family].draw(np.random.default_rng(4)) for _ in range(2)]
    assert draws[0] == draws[1]
    before = SIGNAL.clone()
    once, twice = (draw.apply(SIGNAL, RATE) for draw in draws)
    assert torch.equal(once, twice)
    assert torch.equal(SIGNAL, before)
    assert once.shape == SIGNAL.shape
    assert once.dtype == torch.float32
    assert not torch.equal(once, SIGNAL)
    for odd in (SIGNAL[0, :1], SIGNAL[0, :777], torch.zeros(500)):
        out = draws[0].apply(odd, RATE)
        assert out.shape == odd.shape
        assert out.isfinite().all()


@pytest.mark.parametrize("preset", PRESETS)
def test_a_stored_chain_makes_the_same_file_again(preset: str) -> None:
    for seed in range(5):
        chain = Chain.draw(preset, np.random.default_rng(seed))
        again = Chain.from_json(chain.to_json())
        assert again == chain
        assert torch.equal(again.apply(SIGNAL, RATE), chain.apply(SIGNAL, RATE))


def test_unknown_preset_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="known: archive, clean"):
        Chain.draw("wax", np.random.default_rng(0))


@pytest.mark.parametrize("snr_db", [-5.0, 10.0, 30.0])
@pytest.mark.parametrize("kind", ["noise", "hiss", "hum"])
def test_added_noise_has_the_ratio_asked_for(kind: str, snr_db: float) -> None:
    fault = {
        "noise": Noise(snr_db, -3.0, 500.0, 6.0, 2.0, 1),
        "hiss": Hiss(snr_db, 5_000.0, 2.0, 1),
        "hum": Hum(snr_db, 50.0, 10, 1.0, 1),
    }[kind]
    added = fault.apply(SIGNAL, RATE) - SIGNAL
    assert float(20 * torch.log10(rms(SIGNAL) / rms(added)).mean()) == pytest.approx(snr_db, abs=0.1)


def test_hum_lies_on_the_mains_harmonics() -> None:
    added = Hum(0.0, 50.0, 5, 0.5, 3).apply(SIGNAL, RATE) - SIGNAL
    for harmonic in range(1, 6):
        assert (
            power_db(added, 50 * harmonic - 2, 50 * harmonic + 2)
            > power_db(added, 50 * harmonic + 20, 50 * harmonic + 30) + 40
        )


def test_hiss_rises_to_its_peak() -> None:
    added = Hiss(10.0, 5_000.0, 3.0, 2).apply(SIGNAL, RATE) - SIGNAL
    assert power_db(added, 4_500, 5_500) > power_db(added, 300, 500) + 6


@pytest.mark.parametrize("soft", [False, True])
def test_clipping_limits_at_its_level(soft: bool) -> None:
    out = Clip(3.0, soft).apply(SIGNAL, RATE)
    limit = rms(SIGNAL) * 10 ** (3 / 20)
    assert (out.abs() <= limit + 1e-6).all()
    assert soft or torch.equal(out[SIGNAL.abs() < limit], SIGNAL[SIGNAL.abs() < limit])


def test_band_limit_cuts_top_and_bottom() -> None:
    out = BandLimit(3_000.0, 300.0, 500.0, -80.0).apply(SIGNAL, RATE)
    passed = power_db(SIGNAL, 500, 2_500)
    assert power_db(out, 500, 2_500) == pytest.approx(passed, abs=0.2)
    assert power_db(out, 5_000, 8_000) < passed - 60
    assert power_db(out, 20, 80) < passed - 40


def test_crackle_is_sparse_and_as_frequent_as_asked() -> None:
    added = Crackle(20.0, 20.0, 1.0, 0.2, 5).apply(SIGNAL.repeat(1, 10), RATE) - SIGNAL.repeat(1, 10)
    active = added[0].abs() > 1e-3
    starts = (active[1:] & ~active[:-1]).sum()
    assert active.float().mean() < 0.05
    assert 100 < int(starts) < 2_000
