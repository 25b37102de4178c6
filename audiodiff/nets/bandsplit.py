"""Band-split network: the spectrum cut into bands, each a short vector, mixed over time and over bands in turn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from audiodiff.nets.planes import GAINS, TIME_FEATURES, level_of, restored, time_features

_TIME_WIDTH = 64
_FEATURES = 6  # per bin, real and imaginary parts counted singly
_FLOOR_REACH = 64  # frames either side, 0.7 s: speech pauses more often than that


@dataclass(frozen=True, slots=True)
class BandSplitConfig:
    """Sizes of a `BandSplit`; written into the checkpoint, so weights and shape travel together.

    `bands` are (count, bins of each) from low to high: at 48 kHz and bins of 31 Hz, 125 Hz wide up to 1 kHz,
    250 Hz up to 4 kHz, 500 Hz up to 8 kHz, then 2 and 4 kHz.
    """

    bands: tuple[tuple[int, int], ...] = ((8, 4), (12, 8), (8, 16), (4, 64), (2, 128))
    width: int = 64
    hidden: int = 160
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 32)

    @property
    def bins(self) -> int:
        """Frequencies of one frame."""
        return sum(count * bins for count, bins in self.bands)


class BandSplit(nn.Module):
    """Predicts the clean spectrum as complex gains on the two inputs plus a synthesised remainder.

    What is kept is kept bit by bit by the gains; what was lost (clipped peaks, missing bands) comes from the remainder.
    All norms are over one band of one frame, so the output at a frame depends on `reach` frames either side and on
    nothing else: chunks can be stitched exactly. The head starts at zero, so an untrained network changes nothing.
    Source of the split: Luo & Yu, "Music source separation with band-split RNN", arXiv:2209.15174. In place of its
    recurrent layers stand dilated convolutions over time and a perceptron over bands, as in Tolstikhin et al.,
    "MLP-Mixer", arXiv:2105.01601, which train several times faster on a CPU.
    """

    def __init__(self, config: BandSplitConfig) -> None:
        super().__init__()
        self.config = config
        count = sum(number for number, _ in config.bands)
        self.embed = _PerBand([(number, bins * _FEATURES, config.width) for number, bins in config.bands])
        self.time = nn.Sequential(nn.Linear(TIME_FEATURES, _TIME_WIDTH), nn.SiLU())
        self.blocks = nn.ModuleList(_Block(count, config, dilation) for dilation in config.dilations)
        self.norm = nn.LayerNorm(config.width)
        self.expand = _PerBand([(count, config.width, 2 * config.width)])
        self.head = _PerBand([(number, 2 * config.width, bins * GAINS) for number, bins in config.bands])
        for parameter in self.head.parameters():
            nn.init.zeros_(parameter)

    @property
    def stride(self) -> int:
        """Frames of the grid that the windows of one signal must share: any frame will do."""
        return 1

    @property
    def reach(self) -> int:
        """Frames either side of an output frame that can influence it."""
        return sum(self.config.dilations) + _FLOOR_REACH + 2

    def forward(self, x: Tensor, y: Tensor, t: Tensor) -> Tensor:
        """x_t and y (B, 2, F, N), t (B,) to the clean estimate (B, 2, F, N)."""
        h = torch.cat(self.embed(self._split(_features(x, y))), dim=0)  # (K, B N, W)
        h = h.transpose(0, 1).reshape(y.shape[0], y.shape[3], *h.shape[::2])  # (B, N, K, W)
        time: Tensor = self.time(time_features(t))  # (B, 64)
        for block in self.blocks:
            h = block(h, time)
        h = self.norm(h).flatten(0, 1).transpose(0, 1)  # (K, B N, W)
        (h,) = self.expand([h])
        parts = self.head(torch.split(functional.gelu(h), [number for number, _ in self.config.bands]))
        out = self._join(parts, y).float()  # (B, 6, F, N)
        return restored(out, x, y)

    def _split(self, features: Tensor) -> list[Tensor]:
        """(B, 6, F, N) to one (number, B N, bins * 6) for each width of band."""
        flat = features.permute(0, 3, 2, 1).flatten(0, 1)  # (B N, F, 6)
        groups = torch.split(flat, [number * bins for number, bins in self.config.bands], dim=1)
        shaped = zip(groups, self.config.bands, strict=True)
        return [group.reshape(len(flat), number, -1).transpose(0, 1) for group, (number, _) in shaped]

    def _join(self, parts: list[Tensor], y: Tensor) -> Tensor:
        """One (number, B N, bins * 6) for each width of band to (B, 6, F, N)."""
        batch, frames = y.shape[0], y.shape[3]
        shaped = [part.reshape(part.shape[0], batch, frames, GAINS, -1) for part in parts]
        return torch.cat([part.permute(1, 3, 0, 4, 2).flatten(2, 3) for part in shaped], dim=2)


class _PerBand(nn.Module):
    """A linear layer of its own for each band; bands of equal size share one batched product."""

    def __init__(self, sizes: Sequence[tuple[int, int, int]]) -> None:
        super().__init__()
        self.weights = nn.ParameterList(nn.Parameter(torch.randn(n, i, o) / math.sqrt(i)) for n, i, o in sizes)
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(n, 1, o)) for n, _, o in sizes)

    def forward(self, groups: Sequence[Tensor]) -> list[Tensor]:
        """One (number, M, in) for each size to one (number, M, out)."""
        return [torch.baddbmm(b, g, w) for g, w, b in zip(groups, self.weights, self.biases, strict=True)]


class _Block(nn.Module):
    """Two residual steps: a dilated convolution over time, the same for every band; a perceptron over the bands."""

    def __init__(self, bands: int, config: BandSplitConfig, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.norm = nn.LayerNorm(config.width, elementwise_affine=False)
        self.modulation = nn.Linear(_TIME_WIDTH, 2 * config.width)
        self.band_gain = nn.Parameter(torch.ones(bands, config.width))
        self.band_shift = nn.Parameter(torch.zeros(bands, config.width))
        self.expand = nn.Linear(3 * config.width, config.hidden)
        self.contract = nn.Linear(config.hidden, config.width)
        self.scale = nn.Parameter(torch.full((config.width,), 0.3))
        self.norm_bands = nn.LayerNorm(config.width)
        self.expand_bands = nn.Linear(bands, 2 * bands)
        self.contract_bands = nn.Linear(2 * bands, bands)
        self.scale_bands = nn.Parameter(torch.full((config.width,), 0.3))

    def forward(self, h: Tensor, time: Tensor) -> Tensor:
        """(B, N, K, W), (B, 64) to (B, N, K, W)."""
        gain, shift = self.modulation(time)[:, None, None].chunk(2, dim=3)  # (B, 1, 1, W) each
        z = torch.addcmul(self.band_shift + shift, self.norm(h), self.band_gain + gain)
        z = self.contract(functional.gelu(self.expand(_with_neighbours(z, self.dilation))))
        h = torch.addcmul(h, self.scale, z)
        z = functional.gelu(_over_bands(self.expand_bands, self.norm_bands(h)))
        return torch.addcmul(h, self.scale_bands, _over_bands(self.contract_bands, z))


def _over_bands(layer: nn.Linear, z: Tensor) -> Tensor:
    """The layer along the bands of (B, N, K, W): transposing instead would cost as much as the product."""
    return torch.matmul(layer.weight, z) + layer.bias[:, None]


def _with_neighbours(z: Tensor, distance: int) -> Tensor:
    """(B, N, K, W) to (B, N, K, 3 W): every frame with those `distance` before and after; silence outside."""
    frames = z.shape[1]
    padded = functional.pad(z, (0, 0, 0, 0, distance, distance))
    return torch.cat([padded[:, :frames], z, padded[:, 2 * distance :]], dim=3)


def _features(x: Tensor, y: Tensor) -> Tensor:
    """(B, 2, F, N) twice to (B, 6, F, N): both, the level of y, and how far it stands above its surroundings' floor.

    The last is the idea of minimum statistics (Martin, IEEE TSAP 9(5), 2001): what never falls below a level is
    noise or hum of that level.
    """
    level = level_of(y)
    slow = functional.avg_pool1d(level, 5, stride=1, padding=2, count_include_pad=False)
    floor = -functional.max_pool1d(-slow, 2 * _FLOOR_REACH + 1, stride=1, padding=_FLOOR_REACH)
    return torch.stack([x[:, 0], x[:, 1], y[:, 0], y[:, 1], level, level - floor], dim=1)
