"""The network of the vocoder: what log-mel levels say of tones and noise, and how to make a spectrum of that.

A convolutional network that sees steady levels answers steadily, but the phases of a steady tone advance from frame to
frame. So this one does not say phases. It says how phases change, along time and along frequency, and `phases` adds
the changes up. What no level can tell, it leaves to noise: how loud noise is in each bin, it says as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import solve_banded
from torch import Tensor, nn

from audiodiff.diffusion.mel import Mel

FLOOR = -11.513
"""The log of Mel's floor: silence is 0 to the network, as is what lies beyond the ends."""
_SPAN = 4.0
_TETHER = 1e-5
"""Weight of the frame before where the network trusts nothing: keeps the system solvable."""


@dataclass(frozen=True, slots=True)
class VocoderConfig:
    """Sizes: channels of the trunk and in a block, blocks; bins with turns of their own, bins that share one above."""

    width: int = 256
    hidden: int = 768
    blocks: int = 6
    fine: int = 513
    group: int = 4
    near: int = 16


@dataclass(frozen=True, slots=True)
class Parts:
    """What the network says of each bin and frame.

    `tones` and `noise` (B, N, F) are amplitudes, on the scale of Mel. `step` is the mean turn from the frame before,
    beyond that of the bin's own frequency, `rise` the mean turn from the bin below: (2, B, N, turns), real and
    imaginary part of a vector inside the unit circle, the longer the surer. Phases count from the middle of a frame.
    """

    tones: Tensor
    noise: Tensor
    step: Tensor
    rise: Tensor


class VocoderNet(nn.Module):
    """ConvNeXt blocks over frames and a head (after Vocos, arXiv:2306.00814, section 3), and `_Near`, added to it."""

    spread: Tensor

    def __init__(self, config: VocoderConfig, mel: Mel) -> None:
        super().__init__()
        self.config, self.mel = config, mel
        self.bins = mel.n_fft // 2 + 1
        self.groups = (self.bins - config.fine) // config.group
        turns = config.fine + self.groups
        self.enter = nn.Conv1d(mel.bands, config.width, 7, padding=3)
        self.norm = nn.LayerNorm(config.width)
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.blocks))
        self.leave = nn.LayerNorm(config.width)
        self.near = _Near(config.near, self.bins_of_turns(config.group // 2), mel)
        self._sizes = (self.bins, mel.bands, 4 * turns)
        self.head = nn.Linear(config.width, sum(self._sizes))
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)
        self.register_buffer("spread", _spread(mel), persistent=False)

    def forward(self, levels: Tensor) -> Parts:
        """Log-mel levels (B, bands, N) to the parts of the spectrum."""
        x = self.norm(self.enter((levels - FLOOR) / _SPAN).transpose(1, 2))  # (B, N, C)
        for block in self.blocks:
            x = block(x)
        tones, noise, turns = self.head(self.leave(x)).float().split(self._sizes, dim=2)
        near = self.near(levels).float()  # (5, B, N, turns)
        turns = near[1:] + turns.unflatten(2, (4, -1)).permute(2, 0, 1, 3)
        heard = levels.transpose(1, 2)
        base = heard @ self.spread  # (B, N, F)
        tones = base + (tones + self.to_bins(near[0])).clamp(max=3.0)
        noise = (heard + noise.clamp(max=3.0)) @ self.spread
        return Parts(tones.exp(), noise.exp(), _inside(turns[:2]), _inside(turns[2:]))

    def bins_of_turns(self, member: int) -> Tensor:
        """Which bin each turn is that of (turns,); of the bins that share one, `member`."""
        fine, group = self.config.fine, self.config.group
        return torch.cat([torch.arange(fine), fine + member + group * torch.arange(self.groups)])

    def to_bins(self, x: Tensor) -> Tensor:
        """(..., turns) to (..., F)."""
        fine, shared = x[..., : self.config.fine], x[..., self.config.fine :]
        return torch.cat([fine, shared.repeat_interleave(self.config.group, dim=-1)], dim=-1)


def _inside(vectors: Tensor) -> Tensor:
    """Any vectors (2, ...) to ones of the same direction inside the unit circle."""
    return vectors * (1.0 + vectors.square().sum(dim=0)).rsqrt()


class _Near(nn.Module):
    """A small network for each turn, that sees five bands in three frames: where in them tones and clicks lie."""

    bands: Tensor

    def __init__(self, width: int, bins: Tensor, mel: Mel) -> None:
        super().__init__()
        nearest = _spread(mel)[:, bins].argmax(dim=0).clamp(2, mel.bands - 3)  # (turns,)
        self.register_buffer("bands", (nearest[:, None] + torch.arange(-2, 3)).flatten(), persistent=False)
        self.widen = nn.Parameter(torch.randn(len(bins), 15, width) / 15**0.5)
        self.shift = nn.Parameter(torch.zeros(len(bins), 1, width))
        self.narrow = nn.Parameter(torch.zeros(len(bins), width, 5))

    def forward(self, levels: Tensor) -> Tensor:
        """Levels (B, bands, N) to (5, B, N, turns)."""
        batch, _, frames = levels.shape
        padded = nn.functional.pad(levels, (1, 1), mode="replicate")
        x = torch.stack([padded[:, :, shift : shift + frames] for shift in range(3)])  # (3, B, bands, N)
        x = x.permute(2, 0, 1, 3).flatten(2)[self.bands].reshape(len(self.widen), 15, batch * frames)
        x = (x - x.mean(dim=1, keepdim=True)).transpose(1, 2)
        x = nn.functional.gelu(torch.baddbmm(self.shift, x, self.widen)) @ self.narrow  # (turns, B * N, 5)
        return x.reshape(-1, batch, frames, 5).permute(3, 1, 2, 0)


class _Block(nn.Module):
    """Depthwise convolution over seven frames, then two layers on each frame."""

    def __init__(self, config: VocoderConfig) -> None:
        super().__init__()
        self.taps = nn.Parameter(torch.randn(7, config.width) / 7**0.5)
        self.norm = nn.LayerNorm(config.width)
        self.widen = nn.Linear(config.width, config.hidden)
        self.narrow = nn.Linear(config.hidden, config.width)
        self.scale = nn.Parameter(torch.full((config.width,), 1.0 / config.blocks))

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, C) to the same."""
        frames = x.shape[1]
        padded = nn.functional.pad(x, (0, 0, 3, 3))
        y = padded[:, :frames] * self.taps[0]
        for tap in range(1, 7):  # half the time of a depthwise Conv1d on a CPU, and a third with bfloat16
            y = y + padded[:, tap : tap + frames] * self.taps[tap]
        y = self.narrow(nn.functional.gelu(self.widen(self.norm(y))))
        total: Tensor = x + self.scale * y
        return total


def spectrum(samples: Tensor, mel: Mel) -> Tensor:
    """(B, T) to complex (B, N, F), on the scale of Mel, with phases that count from the middle of a frame."""
    window = torch.hann_window(mel.n_fft, device=samples.device)
    transform = torch.stft(samples, mel.n_fft, mel.hop, window=window, return_complex=True).transpose(1, 2)
    transform[:, :, 1::2] *= -1.0
    return transform * (2.0 / float(window.sum()))


def sound(transform: Tensor, mel: Mel) -> Tensor:
    """What `spectrum` is made of: complex (B, N, F) to (B, (N - 1) * hop)."""
    window = torch.hann_window(mel.n_fft, device=transform.device)
    sign = torch.ones(transform.shape[2], device=transform.device)
    sign[1::2] = -1.0
    raw = (transform * (sign * float(window.sum()) / 2.0)).transpose(1, 2)
    return torch.istft(raw, mel.n_fft, mel.hop, window=window)


def white(samples: Tensor, mel: Mel) -> Tensor:
    """The spectrum of white noise (B, T) of unit power, scaled so that its bins (B, N, F) have unit power too."""
    window = torch.hann_window(mel.n_fft, device=samples.device)
    return spectrum(samples, mel) * float(window.sum() / 2.0 / window.square().sum().sqrt())


def own_turn(mel: Mel, device: torch.device) -> Tensor:
    """By how much the frequency of each bin turns within a hop: complex (F,)."""
    angle = 2.0 * torch.pi * mel.hop / mel.n_fft * torch.arange(mel.n_fft // 2 + 1, device=device)
    return torch.polar(torch.ones_like(angle), angle)


@torch.no_grad()
def phases(net: VocoderNet, parts: Parts) -> Tensor:
    """Add the turns up: complex (B, N, F) on the unit circle.

    Frame by frame, the phases that agree best with the frame before and with the bins below: weighted least squares,
    a tridiagonal system, as in Masuyama et al., "Phase reconstruction based on recurrent phase unwrapping with deep
    neural networks", arXiv:2002.05832. What is loud and sure weighs more. Runs on the CPU.
    """
    tones = parts.tones.cpu().double().numpy()
    (along, trust_along), (up, trust_up) = (_sure(net.to_bins(turn)) for turn in (parts.step, parts.rise))
    own = own_turn(net.mel, torch.device("cpu")).numpy()
    result = np.empty(tones.shape, np.complex64)
    before, loud_before = np.broadcast_to(own.conj(), tones[:, 0].shape), np.zeros_like(tones[:, 0])
    for n in range(tones.shape[1]):
        loud = tones[:, n] + 1e-7
        time = loud * (trust_along[:, n] * loud_before + _TETHER * loud)  # (B, F)
        height = trust_up[:, n] * loud * np.roll(loud, 1, axis=1)
        height[:, 0] = 0.0  # nothing lies below, nor do the items of a batch touch
        pull = height * up[:, n]
        middle = time + height + np.roll(height, -1, axis=1)
        system = np.stack([-pull.conj(), middle, -np.roll(pull, -1, axis=1)]).reshape(3, -1)
        wish = time * (along[:, n] * own) * before
        before = solve_banded((1, 1), system, wish.reshape(-1), check_finite=False).reshape(wish.shape)
        before /= np.maximum(np.abs(before), 1e-30)
        result[:, n], loud_before = before, loud
    return torch.from_numpy(result).to(parts.tones.device)


def _sure(turn: Tensor) -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
    """Vectors (2, ...) to directions on the unit circle, and the weight of each: the inverse of how much it strays."""
    real, imaginary = turn.cpu().numpy()
    real = real + np.float32(1e-9)  # no turn at all is still a direction
    length = np.hypot(real, imaginary)
    certain = np.minimum(length, np.float32(0.999)) ** 2
    return (real + 1j * imaginary) / length, certain / (1.0 - certain)


def _spread(mel: Mel) -> Tensor:
    """(bands, F) weights that sum to one over bands: levels of bands to levels of bins, in between them straight."""
    bank = mel.filters(torch.device("cpu"))
    bank = bank / bank.amax(dim=1, keepdim=True)
    peaks = bank.argmax(dim=1)
    bank[0, : peaks[0]] = 1.0  # beyond the outermost bands theirs hold
    bank[-1, peaks[-1] :] = 1.0
    return bank / bank.sum(dim=0).clamp(min=1e-8)
