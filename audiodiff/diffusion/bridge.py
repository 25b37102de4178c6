"""A Schroedinger bridge from the damaged to the clean signal, and its sampler.

Source: Jukic et al., "Schroedinger bridge for generative speech enhancement", arXiv:2407.16074: the
variance-exploding schedule of table 1, the marginal of eq. 9-11 and the first-order sampler of eq. 14.
Time runs from t = 0 (clean) to t = 1 (damaged). A denoiser predicts the clean signal: `model(x, y, t) -> x0`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Denoiser = Callable[[Tensor, Tensor, Tensor], Tensor]
"""`model(x_t, y, t) -> x0`: (B, ...), (B, ...), (B,) to (B, ...)."""

NoiseSource = Callable[[int], Tensor]
"""`noise(step) -> (B, ...)`, standard normal; the caller decides how it is seeded and shared."""


@dataclass(frozen=True, slots=True)
class Bridge:
    """The variance-exploding bridge: `sigma2(t) = c (k**(2t) - 1) / (2 ln k)`.

    `spread` is the standard deviation of noise that blurs the damaged end: what a model builds lost bands from, which
    at a single evaluation it would otherwise have to invent from nothing.
    """

    k: float = 2.6
    c: float = 0.4
    spread: float = 0.05

    def variance(self, t: Tensor) -> Tensor:
        """Accumulated variance sigma2 at time t in [0, 1]."""
        return self.c * (self.k ** (2.0 * t) - 1.0) / (2.0 * math.log(self.k))

    def marginal(self, x0: Tensor, y: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (B, ...) and standard deviation (B, 1, ...) of x_t between x0 and y at times t (B,)."""
        s2 = _like(self.variance(t), x0)
        s2_end = self.variance(torch.ones_like(s2))
        mean = ((s2_end - s2) * x0 + s2 * y) / s2_end
        return mean, (s2 * (s2_end - s2) / s2_end + (s2 / s2_end * self.spread) ** 2).sqrt()

    def sample(self, model: Denoiser, y: Tensor, evaluations: int, noise: NoiseSource) -> Tensor:
        """Walk from the damaged y (B, ...) to an estimate of the clean signal in `evaluations` model calls.

        One evaluation predicts at t = 1, from y and its blur alone; `noise(0)` is the blur, `noise(n)` comes after the
        nth evaluation.
        """
        if evaluations < 1:
            raise ValueError(f"evaluations is {evaluations}; it must be 1 or more")
        times = torch.linspace(1.0, 0.0, evaluations + 1, device=y.device)
        x = y + self.spread * noise(0)
        for step in range(1, evaluations):
            x0 = model(x, y, times[step - 1].expand(y.shape[0]))
            s2_next = self.variance(times[step])
            ratio = s2_next / self.variance(times[step - 1])
            x = ratio * x + (1.0 - ratio) * x0 + (s2_next * (1.0 - ratio)).sqrt() * noise(step)
        return model(x, y, times[evaluations - 1].expand(y.shape[0]))


def _like(value: Tensor, x: Tensor) -> Tensor:
    """(B,) reshaped to broadcast over x (B, ...)."""
    return value.view(-1, *[1] * (x.ndim - 1))
