"""ConvNeXt over time with the frequency bins as channels: little arithmetic per second of audio."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

_TIME_FEATURES, _TIME_WIDTH, _BANDS = 32, 64, 160
_FLOOR_REACH = 90  # frames either side, 0.7 s: speech pauses more often than that


@dataclass(frozen=True, slots=True)
class ConvNeXt1dConfig:
    """Sizes of a `ConvNeXt1d`; written into the checkpoint, so weights and shape travel together."""

    bins: int = 768
    width: int = 384
    hidden: int = 960
    kernel: int = 7
    dilations: tuple[int, ...] = (1, 2, 4, 8, 1, 2)


class ConvNeXt1d(nn.Module):
    """Predicts the clean spectrum as complex gains on the two inputs plus a synthesised remainder.

    The body is narrower than a frame (`width` against 2 * bins values), so it could not pass a spectrum's fine
    structure through. The gains carry that: what is kept is kept bit by bit, what was lost (clipped peaks,
    missing bands) comes from the remainder. Norms are per frame, so the output at a frame depends on
    `reach` frames either side and on nothing else: chunks can be stitched exactly.
    Source of the block: Liu et al., "A ConvNet for the 2020s", arXiv:2201.03545; Siuzdak, "Vocos", 2306.00814.
    """

    def __init__(self, config: ConvNeXt1dConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Conv1d(5 * config.bins, config.width, 1)
        self.embed_bands = nn.Conv1d(2 * _BANDS, config.width, 1)
        self.bands: Tensor
        self.register_buffer("bands", log_bands(config.bins, _BANDS), persistent=False)
        self.time = nn.Sequential(nn.Linear(_TIME_FEATURES, _TIME_WIDTH), nn.SiLU())
        self.blocks = nn.ModuleList(_Block(config, dilation) for dilation in config.dilations)
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, 6 * config.bins)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    @property
    def reach(self) -> int:
        """Frames either side of an output frame that can influence it."""
        return sum(d * (self.config.kernel // 2) for d in self.config.dilations) + _FLOOR_REACH + 2

    def forward(self, x: Tensor, y: Tensor, t: Tensor) -> Tensor:
        """x_t and y (B, 2, F, N), t (B,) to the clean estimate (B, 2, F, N)."""
        batch, _, bins, frames = y.shape
        loudness = (y.square().sum(dim=1) + 1e-8).log()  # (B, F, N)
        features = torch.cat([x.flatten(1, 2), y.flatten(1, 2), 0.1 * loudness], dim=1)  # (B, 5F, N)
        levels = self._levels(y)
        h: Tensor = self.embed(features) + self.embed_bands(levels)  # (B, W, N)
        time: Tensor = self.time(_time_features(t))  # (B, 64)
        for block in self.blocks:
            h = block(h, time)
        out: Tensor = self.head(self.norm(h.transpose(1, 2)))  # (B, N, 6F)
        out = out.view(batch, frames, 3, 2, bins).permute(2, 0, 3, 4, 1)  # (3, B, 2, F, N)
        return y + _complex_product(out[0], y) + _complex_product(out[1], x) + out[2]

    def _levels(self, y: Tensor) -> Tensor:
        """Log band levels of (B, 2, F, N), and how far each stands above the quietest of its surroundings: (B, 2M, N).

        The second is the idea of minimum statistics (Martin, IEEE TSAP 9(5), 2001): what never falls below a level is
        noise or hum of that level.
        """
        power = torch.einsum("mf,bfn->bmn", self.bands, y.square().sum(dim=1))  # (B, M, N)
        smooth = nn.functional.avg_pool1d(power, 5, stride=1, padding=2, count_include_pad=False)
        levels, slow = _standardised(power), _standardised(smooth)
        floor = -nn.functional.max_pool1d(-slow, 2 * _FLOOR_REACH + 1, stride=1, padding=_FLOOR_REACH)
        return torch.cat([levels, levels - floor], dim=1)


class _Block(nn.Module):
    """Depthwise convolution, norm shifted and scaled by the time, two-layer perceptron, residual."""

    def __init__(self, config: ConvNeXt1dConfig, dilation: int) -> None:
        super().__init__()
        padding = dilation * (config.kernel // 2)
        self.depthwise = nn.Conv1d(
            config.width, config.width, config.kernel, padding=padding, dilation=dilation, groups=config.width
        )
        self.norm = nn.LayerNorm(config.width, elementwise_affine=False)
        self.modulation = nn.Linear(_TIME_WIDTH, 2 * config.width)
        self.expand = nn.Linear(config.width, config.hidden)
        self.contract = nn.Linear(config.hidden, config.width)
        self.scale = nn.Parameter(torch.full((config.width,), 0.5))

    def forward(self, h: Tensor, time: Tensor) -> Tensor:
        """(B, W, N), (B, 64) to (B, W, N)."""
        gain, shift = self.modulation(time)[:, None].chunk(2, dim=2)  # (B, 1, W) each
        z: Tensor = self.depthwise(h).transpose(1, 2)  # (B, N, W)
        z = self.norm(z) * (1.0 + gain) + shift
        z = self.contract(nn.functional.gelu(self.expand(z)))
        return h + (self.scale * z).transpose(1, 2)


def _time_features(t: Tensor) -> Tensor:
    """(B,) in [0, 1] to sines and cosines (B, 32)."""
    rates = torch.exp(torch.linspace(0.0, math.log(100.0), _TIME_FEATURES // 2, device=t.device))
    angles = t[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def _complex_product(a: Tensor, b: Tensor) -> Tensor:
    """Product of two complex planes (B, 2, F, N)."""
    real = a[:, 0] * b[:, 0] - a[:, 1] * b[:, 1]
    imag = a[:, 0] * b[:, 1] + a[:, 1] * b[:, 0]
    return torch.stack([real, imag], dim=1)


def log_bands(bins: int, bands: int, corner_bin: float = 16.0) -> Tensor:
    """(M, F) weights of triangular bands, linear below `corner_bin` and logarithmic above; rows sum to 1.

    Low frequencies are few among the bins and most of what is heard: here they are as many as the high ones.
    """
    position = torch.arange(bins, dtype=torch.float32)
    warped = torch.where(position < corner_bin, position, corner_bin * (1.0 + (position / corner_bin).log()))
    centres = torch.linspace(0.0, float(warped[-1]), bands)
    spacing = (centres[1] - centres[0]).clamp_min(1.0)
    weights = (1.0 - (warped[None] - centres[:, None]).abs() / spacing).clamp_min(0.0)
    return weights / weights.sum(dim=1, keepdim=True).clamp_min(1e-6)


def _standardised(power: Tensor) -> Tensor:
    """Log power with about zero mean and unit variance over what training draws."""
    return ((power + 1e-8).log() + 6.0) / 3.0
