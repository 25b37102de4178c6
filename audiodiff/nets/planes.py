"""What the networks share: how time enters, and how their output becomes a clean spectrum."""

from __future__ import annotations

import math

import torch
from torch import Tensor

TIME_FEATURES = 32
GAINS = 6
"""Planes that a head gives: a complex gain on y, one on x, and a remainder."""


def restored(out: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """The clean estimate (B, 2, F, N) from a head's (B, 6, F, N): what is kept is kept by gains, the rest is new.

    A head of zeros changes nothing.
    """
    return y + complex_product(out[:, 0:2], y) + complex_product(out[:, 2:4], x) + out[:, 4:6]


def complex_product(a: Tensor, b: Tensor) -> Tensor:
    """Product of two complex planes (B, 2, F, N)."""
    real = a[:, 0] * b[:, 0] - a[:, 1] * b[:, 1]
    imag = a[:, 0] * b[:, 1] + a[:, 1] * b[:, 0]
    return torch.stack([real, imag], dim=1)


def level_of(y: Tensor) -> Tensor:
    """(B, 2, F, N) to (B, F, N): log power, of about zero mean and unit variance over what training draws."""
    return ((y.square().sum(dim=1) + 1e-8).log() + 6.0) / 3.0


def time_features(t: Tensor) -> Tensor:
    """(B,) in [0, 1] to sines and cosines (B, 32)."""
    rates = torch.exp(torch.linspace(0.0, math.log(100.0), TIME_FEATURES // 2, device=t.device))
    angles = t[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)
