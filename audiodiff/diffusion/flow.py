"""Flow matching: straight paths from noise to data, and the samplers that follow a learnt velocity along them.

Source: Lipman et al., "Flow matching for generative modeling", arXiv:2210.02747 (section 4.1, optimal transport
paths), with times drawn as in Esser et al., "Scaling rectified flow transformers", arXiv:2403.03206 (section 3.1). Time
runs from t = 0 (noise) to t = 1 (data): x_t = (1 - t) noise + t data, and `velocity(x, t)` predicts data - noise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

Velocity = Callable[[Tensor, float], Tensor]
"""`velocity(x, t) -> dx/dt`: (B, F, N) at one time to (B, F, N)."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What an edit leaves as it was: `data` (B, F, N) where `mask` (B, 1, N) is 1."""

    data: Tensor
    mask: Tensor


def draw_times(count: int, generator: torch.Generator) -> Tensor:
    """Times (B,) for training: logit-normal, so that most lie where the velocity is hardest to tell."""
    return torch.randn(count, generator=generator, device=generator.device).sigmoid()


def mixed(noise: Tensor, data: Tensor, t: Tensor) -> Tensor:
    """The points x_t (B, F, N) of the paths at times t (B,)."""
    t = t.view(-1, 1, 1)
    return (1.0 - t) * noise + t * data


def steps_from(start: float, steps: int) -> list[float]:
    """`steps + 1` times from `start` to 1, evenly spaced."""
    return torch.linspace(start, 1.0, steps + 1, dtype=torch.float64).tolist()


def euler(velocity: Velocity, x: Tensor, times: Sequence[float], kept: Kept | None = None) -> Tensor:
    """Follow the velocity from x (B, F, N) at the first time to the last; one evaluation a step.

    What is `kept` moves straight towards its data instead, so that the rest is drawn to fit it.
    """
    for now, then in pairwise(times):
        x = x + (then - now) * _held(velocity(x, now), x, now, kept)
    return x


def midpoint(velocity: Velocity, x: Tensor, times: Sequence[float], kept: Kept | None = None) -> Tensor:
    """The same with the velocity half a step ahead: two evaluations a step, and a smaller error."""
    for now, then in pairwise(times):
        half = 0.5 * (now + then)
        ahead = x + (half - now) * _held(velocity(x, now), x, now, kept)
        x = x + (then - now) * _held(velocity(ahead, half), x, now, kept)
    return x


def _held(velocity: Tensor, x: Tensor, now: float, kept: Kept | None) -> Tensor:
    if kept is None:
        return velocity
    straight = (kept.data - x) / (1.0 - now)
    return kept.mask * straight + (1.0 - kept.mask) * velocity


def guided(wished: Velocity, free: Velocity, guidance: float) -> Velocity:
    """Classifier-free guidance: `free` is the velocity with nothing wished; 1 follows the wish alone.

    Source: Ho and Salimans, "Classifier-free diffusion guidance", arXiv:2207.12598, eq. 6 (w + 1 is `guidance`).
    """

    def velocity(x: Tensor, t: float) -> Tensor:
        base = free(x, t)
        return base + guidance * (wished(x, t) - base)

    return wished if guidance == 1.0 else velocity


def rolling(velocity: Velocity, shifts: dict[float, int]) -> Velocity:
    """A velocity for sounds without an end: at each time the sound is turned by another number of frames.

    The place where end and beginning meet lies elsewhere at every step, so that none of it is left in the end.
    """

    def turned(x: Tensor, t: float) -> Tensor:
        shift = shifts[t]
        return velocity(x.roll(shift, dims=-1), t).roll(-shift, dims=-1)

    return turned


def windowed(part: Callable[[Tensor, float, int], Tensor], frames: int, hop: int) -> Velocity:
    """A velocity for sounds longer than the network's window: means of windows that overlap, weighted to their middle.

    `part(x, t, start)` is the velocity of the frames from `start` on. Source: Bar-Tal et al., "MultiDiffusion",
    arXiv:2302.08113, eq. 3.
    """

    def joined(x: Tensor, t: float) -> Tensor:
        length = x.shape[-1]
        if length <= frames:
            return part(x, t, 0)
        ramp = torch.hann_window(frames + 2, periodic=False, device=x.device)[1:-1].clamp(min=1e-3)
        total, weight = torch.zeros_like(x), torch.zeros(length, device=x.device)
        for start in [*range(0, length - frames, hop), length - frames]:
            inside = slice(start, start + frames)
            total[..., inside] += ramp * part(x[..., inside], t, start)
            weight[inside] += ramp
        return total / weight

    return joined
