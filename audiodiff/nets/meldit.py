"""A diffusion transformer over log-mel levels: what flows from noise to a sound, told what it should be.

Source: Peebles and Xie, "Scalable diffusion models with transformers", arXiv:2212.09748, with the shared modulation of
Chen et al., "PixArt-alpha", arXiv:2310.00426 (section 2.3), and rotary positions (Su et al., arXiv:2104.09864).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

_CLOCK = 128
"""Sines and cosines that a time, a duration or a tempo is given as."""


@dataclass(frozen=True, slots=True)
class MelDiTConfig:
    """Sizes: `bands` of a frame, `patch` frames a token, `text` numbers a sentence, `phones` and `kinds` known."""

    bands: int = 128
    patch: int = 2
    width: int = 256
    blocks: int = 8
    heads: int = 4
    hidden: int = 768
    text: int = 384
    phones: int = 48
    kinds: int = 3


@dataclass(frozen=True, slots=True)
class Wish:
    """What sounds should be, for a batch of B of them.

    `text` (B, 384) is a sentence's embedding, zero for none. `kind` (B,) counts from 1, 0 is any. `phones` (B, N) says
    which phone is spoken in each frame, 0 for none. `duration_s` and `tempo_bpm` (B,) are 0 where they are open.
    """

    text: Tensor
    kind: Tensor
    phones: Tensor
    duration_s: Tensor
    tempo_bpm: Tensor

    def nothing(self) -> Wish:
        """The same lengths with nothing wished: what guidance moves away from."""
        return Wish(
            torch.zeros_like(self.text), torch.zeros_like(self.kind), torch.zeros_like(self.phones), self.duration_s,
            torch.zeros_like(self.tempo_bpm),
        )  # fmt: skip

    def inside(self, start: int, frames: int) -> Wish:
        """What is wished of a window."""
        return replace(self, phones=self.phones[:, start : start + frames])

    def repeated(self, count: int) -> Wish:
        """The one wish for a batch."""
        return self._each(lambda tensor: tensor.expand(count, *tensor.shape[1:]))

    def to(self, device: torch.device | str) -> Wish:
        """The same on a device."""
        return self._each(lambda tensor: tensor.to(device))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Wish:
        return Wish(*(change(getattr(self, field.name)) for field in fields(self)))


class MelDiT(nn.Module):
    """`net(x, t, wish) -> velocity`: (B, bands, N), (B,) to (B, bands, N); N is a multiple of `patch`."""

    def __init__(self, config: MelDiTConfig) -> None:
        super().__init__()
        self.config = config
        width, token = config.width, config.bands * config.patch
        self.spell = nn.Embedding(config.phones, 64, padding_idx=0)
        self.speak = nn.Sequential(
            nn.Conv1d(64, 128, 5, padding=2), nn.SiLU(), nn.Conv1d(128, 128, 5, padding=2), nn.SiLU()
        )
        self.enter = nn.Linear(token + 128 * config.patch, width)
        self.near = nn.Conv1d(width, width, 5, padding=2, groups=8)  # what a token's neighbours are, before attention
        self.read = nn.Sequential(nn.Linear(config.text, width), nn.SiLU(), nn.Linear(width, width))
        self.kinds = nn.Embedding(config.kinds + 1, width)
        self.clock = nn.ModuleList(_timer(width) for _ in range(3))  # of time, duration, tempo
        self.modulate = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.blocks))
        self.last = nn.Parameter(torch.zeros(2, width))
        self.leave = nn.Linear(width, token)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, x: Tensor, t: Tensor, wish: Wish) -> Tensor:
        """The velocity (B, bands, N) at x (B, bands, N) and times t (B,)."""
        batch, bands, frames = x.shape
        spoken = self.speak(self.spell(wish.phones).transpose(1, 2))  # (B, 128, N)
        h = self.enter(_patches(torch.cat([x, spoken], dim=1), self.config.patch))  # (B, L, width)
        h = h + functional.silu(self.near(h.transpose(1, 2))).transpose(1, 2)
        told = self._told(t, wish)  # (B, width)
        shifts = self.modulate(told).view(batch, 6, -1)
        turns = _turns(h.shape[1], self.config.width // self.config.heads, x.device)
        for block in self.blocks:
            h = block(h, shifts, turns)
        shift, scale = (self.last + told.unsqueeze(1)).chunk(2, dim=1)  # (B, 1, width) each
        out = self.leave(_normed(h) * (1.0 + scale) + shift)  # (B, L, bands * patch)
        velocity: Tensor = out.view(batch, -1, bands, self.config.patch).transpose(1, 2).reshape(batch, bands, frames)
        return velocity

    def _told(self, t: Tensor, wish: Wish) -> Tensor:
        """Everything that is said of the whole sound, as one vector (B, width)."""
        has_text = wish.text.abs().sum(dim=1, keepdim=True) > 0.0
        times = (1_000.0 * t, 100.0 * (wish.duration_s + 1.0).log(), wish.tempo_bpm)
        clocks = [clock(_waves(value)) for clock, value in zip(self.clock, times, strict=True)]
        text = math.sqrt(self.config.text) * wish.text  # of unit length: its numbers should be of about unit size
        told: Tensor = torch.stack([self.read(text) * has_text, self.kinds(wish.kind), *clocks]).sum(dim=0)
        return told


class _Block(nn.Module):
    """Attention and a small network, each shifted, scaled and gated by what is wished."""

    def __init__(self, config: MelDiTConfig) -> None:
        super().__init__()
        width = config.width
        self.heads = config.heads
        self.table = nn.Parameter(torch.randn(6, width) / math.sqrt(width))
        self.attend = nn.Linear(width, 3 * width)
        self.join = nn.Linear(width, width)
        self.think = nn.Sequential(
            nn.Linear(width, config.hidden), nn.GELU(approximate="tanh"), nn.Linear(config.hidden, width)
        )

    def forward(self, h: Tensor, shifts: Tensor, turns: Tensor) -> Tensor:
        """Tokens (B, L, width) to tokens; `shifts` (B, 6, width), `turns` (2, L, width / heads)."""
        a, b, c, d, e, f = (self.table + shifts).unsqueeze(2).unbind(1)  # (B, 1, width) each
        h = h + c * self._attention(_normed(h) * (1.0 + b) + a, turns)
        changed: Tensor = h + f * self.think(_normed(h) * (1.0 + e) + d)
        return changed

    def _attention(self, h: Tensor, turns: Tensor) -> Tensor:
        batch, length, width = h.shape
        q, k, v = self.attend(h).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # (B, heads, L, depth)
        met = functional.scaled_dot_product_attention(_turned(q, turns), _turned(k, turns), v)
        return self.join(met.transpose(1, 2).reshape(batch, length, width))  # type: ignore[no-any-return]


def _timer(width: int) -> nn.Module:
    return nn.Sequential(nn.Linear(_CLOCK, width), nn.SiLU(), nn.Linear(width, width))


def _patches(x: Tensor, patch: int) -> Tensor:
    """(B, C, N) to tokens (B, N / patch, C * patch)."""
    batch, channels, frames = x.shape
    return x.view(batch, channels, frames // patch, patch).transpose(1, 2).reshape(batch, frames // patch, -1)


def _normed(h: Tensor) -> Tensor:
    return functional.layer_norm(h, h.shape[-1:])


def _waves(value: Tensor) -> Tensor:
    """(B,) to (B, _CLOCK) sines and cosines of periods from 2 pi to 10,000 times that."""
    rates = torch.exp(-math.log(10_000.0) * torch.arange(_CLOCK // 2, device=value.device) / (_CLOCK // 2))
    angles = value.float().unsqueeze(1) * rates
    return torch.cat([angles.cos(), angles.sin()], dim=1)


def _turns(length: int, depth: int, device: torch.device) -> Tensor:
    """Cosines and sines (2, L, depth) by which pairs of features turn with the place in the sequence."""
    rates = torch.exp(-math.log(10_000.0) * torch.arange(0, depth, 2, device=device) / depth)
    angles = torch.arange(length, device=device).unsqueeze(1) * rates  # (L, depth / 2)
    angles = torch.cat([angles, angles], dim=1)
    return torch.stack([angles.cos(), angles.sin()])


def _turned(x: Tensor, turns: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return x * turns[0].to(x.dtype) + torch.cat([-second, first], dim=-1) * turns[1].to(x.dtype)
