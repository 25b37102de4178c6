"""A two-dimensional U-Net over the planes of a spectrum, of ConvNeXt blocks."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from audiodiff.nets.planes import GAINS, TIME_FEATURES, level_of, restored, time_features

_TIME_WIDTH = 128
_FEATURES = 5  # per bin: two complex inputs and the level of y


@dataclass(frozen=True, slots=True)
class UNetConfig:
    """Sizes of a `UNet`; written into the checkpoint, so weights and shape travel together.

    `kernel` is (bins, frames) of the depthwise convolutions; each level but the first halves both axes. `blocks` stand
    on either side of every level, `middle` at the bottom.
    """

    bins: int = 256
    widths: tuple[int, ...] = (24, 48, 96, 160, 256)
    blocks: int = 2
    middle: int = 6
    kernel: tuple[int, int] = (7, 5)


class UNet(nn.Module):
    """Predicts the clean spectrum as complex gains on the two inputs plus a synthesised remainder, as `BandSplit` does.

    Norms are over the channels of one bin of one frame, so the output at a frame depends on `reach` frames either side
    and on nothing else. Chunks can be stitched exactly where they begin on multiples of `stride` frames. The head
    starts at zero, so an untrained network changes nothing.
    Source of the blocks: Liu et al., "A ConvNet for the 2020s", arXiv:2201.03545. Convolutions know no pitch, hence a
    learnt `place` for each bin at every level.
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        *upper, bottom = config.widths
        pairs = list(pairwise(config.widths))
        self.time = nn.Sequential(nn.Linear(TIME_FEATURES, _TIME_WIDTH), nn.SiLU())
        self.stem = _Placed(nn.Conv2d(_FEATURES, upper[0], 1), config.bins)
        self.encoders = nn.ModuleList(_Level(width, config.blocks, config.kernel) for width in upper)
        self.downs = nn.ModuleList(
            _Placed(nn.Conv2d(fine, coarse, 2, stride=2), config.bins >> level)
            for level, (fine, coarse) in enumerate(pairs, start=1)
        )
        self.middle = _Level(bottom, config.middle, config.kernel)
        self.ups = nn.ModuleList(nn.ConvTranspose2d(coarse, fine, 2, stride=2) for fine, coarse in reversed(pairs))
        self.merges = nn.ModuleList(nn.Conv2d(2 * width, width, 1) for width in reversed(upper))
        self.decoders = nn.ModuleList(_Level(width, config.blocks, config.kernel) for width in reversed(upper))
        self.norm = nn.LayerNorm(upper[0])
        self.head = nn.Linear(upper[0], GAINS)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    @property
    def stride(self) -> int:
        """Frames of one cell at the bottom: the grid that the windows of one signal must share."""
        return 1 << (len(self.config.widths) - 1)

    @property
    def reach(self) -> int:
        """Frames either side of an output frame that can influence it: the kernels of all levels, and one cell."""
        sides = self.config.kernel[1] // 2
        levels = 2 * self.config.blocks * sides * (self.stride - 1)  # 1 + 2 + 4 + ... frames a cell
        return levels + self.config.middle * sides * self.stride + self.stride - 1

    def forward(self, x: Tensor, y: Tensor, t: Tensor) -> Tensor:
        """x_t and y (B, 2, F, N), t (B,) to the clean estimate (B, 2, F, N)."""
        frames = y.shape[3]
        h = torch.cat([x, y, level_of(y)[:, None]], dim=1)  # (B, 5, F, N)
        h = functional.pad(h, (0, -frames % self.stride)).contiguous(memory_format=torch.channels_last)
        time: Tensor = self.time(time_features(t))  # (B, 128)
        h = self.stem(h)
        kept: list[Tensor] = []
        for encoder, down in zip(self.encoders, self.downs, strict=True):
            kept.append(encoder(h, time))
            h = down(kept[-1])  # (B, W', F / 2, N / 2)
        h = self.middle(h, time)
        for up, merge, decoder in zip(self.ups, self.merges, self.decoders, strict=True):
            h = decoder(merge(torch.cat([up(h), kept.pop()], dim=1)), time)
        out = self.head(self.norm(h.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)  # (B, 6, F, N)
        return restored(out[..., :frames].float(), x, y)


class _Placed(nn.Module):
    """A convolution that adds to every bin what is its own: `place`."""

    def __init__(self, convolution: nn.Conv2d, bins: int) -> None:
        super().__init__()
        self.convolution = convolution
        self.place = nn.Parameter(torch.zeros(convolution.out_channels, bins, 1))

    def forward(self, h: Tensor) -> Tensor:
        """(B, V, F, N) to (B, W, F, N), or half as many bins and frames."""
        placed: Tensor = self.convolution(h) + self.place
        return placed


class _Level(nn.Module):
    """Blocks of one width, one after the other."""

    def __init__(self, width: int, blocks: int, kernel: tuple[int, int]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(_Block(width, kernel) for _ in range(blocks))

    def forward(self, h: Tensor, time: Tensor) -> Tensor:
        """(B, W, F, N), (B, 128) to (B, W, F, N)."""
        for block in self.blocks:
            h = block(h, time)
        return h


class _Block(nn.Module):
    """A residual step: a depthwise convolution over bins and frames, then a perceptron over channels."""

    def __init__(self, width: int, kernel: tuple[int, int]) -> None:
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2)
        self.spread = nn.Conv2d(width, width, kernel, padding=padding, groups=width)
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation = nn.Linear(_TIME_WIDTH, 2 * width)
        self.expand = nn.Linear(width, 4 * width)
        self.contract = nn.Linear(4 * width, width)
        self.scale = nn.Parameter(torch.full((width,), 0.3))

    def forward(self, h: Tensor, time: Tensor) -> Tensor:
        """(B, W, F, N), (B, 128) to (B, W, F, N)."""
        gain, shift = self.modulation(time)[:, None, None].chunk(2, dim=3)  # (B, 1, 1, W) each
        z = self.norm(self.spread(h).permute(0, 2, 3, 1))  # (B, F, N, W)
        z = torch.addcmul(shift, z, 1.0 + gain)
        z = self.contract(functional.gelu(self.expand(z)))
        return torch.addcmul(h, self.scale[:, None, None], z.permute(0, 3, 1, 2))
