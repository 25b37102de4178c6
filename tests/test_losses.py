"""Losses and the learning rate."""

from __future__ import annotations

import pytest
import torch
from test_training import EITHER

from audiodiff.training.losses import CLEAN_ENOUGH, free_lost_phase, keep_unknown_band, relative_error, restoration_loss
from audiodiff.training.recipes import Recipe, learning_rate


def test_nothing_is_learnt_above_the_known_band() -> None:
    estimate, clean = torch.zeros(1, 2, 11, 3), torch.ones(1, 2, 11, 3)
    kept = keep_unknown_band(estimate, clean, torch.tensor([500.0]), 1_000.0)
    assert (kept[:, :, :6] == 0).all()
    assert (kept[:, :, 6:] == 1).all()


@EITHER
def test_losses_are_finite_on_silence(recipe: Recipe) -> None:
    silence = torch.zeros(1, 4_096, requires_grad=True)
    planes = recipe.spectrum.encode(silence)
    nothing = torch.zeros(1, 4_096)
    restoration_loss(recipe.spectrum, planes, *[torch.zeros_like(planes)] * 2, nothing, nothing).backward()
    assert silence.grad is not None
    assert silence.grad.isfinite().all()


def test_a_lost_band_counts_by_its_magnitudes_alone() -> None:
    clean, y = torch.randn(2, 2, 64, 20, generator=torch.Generator().manual_seed(0)), torch.zeros(2, 2, 64, 20)
    y[:, :, :40] = clean[:, :, :40]  # the upper bins were cut off
    turned = torch.stack([-clean[:, 1], clean[:, 0]], dim=1)  # by a quarter
    target = free_lost_phase(turned, clean, y)
    torch.testing.assert_close(target[:, :, 43:], turned[:, :, 43:])  # where nothing is left, any phase is right
    torch.testing.assert_close(target[:, :, :37], clean[:, :, :37])  # where the signal is, only its own
    silent = free_lost_phase(torch.zeros_like(clean), clean, y)
    assert torch.isfinite(silent).all()


@pytest.mark.parametrize("level", [0.001, 1.0])
def test_a_relative_error_is_one_for_silence_whatever_the_level(level: float) -> None:
    clean = level * torch.ones(2, 100)
    assert relative_error(0.0 * clean, clean, 0.0 * clean, 1e-9).tolist() == pytest.approx([1.0, 1.0], abs=0.01)
    assert relative_error(0.7 * clean, clean, 0.0 * clean, 1e-9).tolist() == pytest.approx([0.3, 0.3], abs=0.01)
    assert float(relative_error(clean, clean, clean, 1e-9).max()) == pytest.approx(CLEAN_ENOUGH**0.5)


def test_learning_rate_warms_up_stays_and_ends_low() -> None:
    recipe = Recipe(steps=100, warmup=10, decay_share=0.4)
    assert learning_rate(recipe, 0) == pytest.approx(recipe.peak_rate / 10)
    assert [learning_rate(recipe, step) for step in (9, 30, 60)] == [recipe.peak_rate] * 3
    assert learning_rate(recipe, 80) == pytest.approx((recipe.peak_rate + recipe.last_rate) / 2)
    assert learning_rate(recipe, 100) == pytest.approx(recipe.last_rate)
