"""Our own restoration engine: a trained bridge denoiser run over windows."""

from __future__ import annotations

import sys
from importlib import resources
from pathlib import Path

import torch
from torch import Tensor

from audiodiff.diffusion.shrink import shrink_change
from audiodiff.engines import Sampling
from audiodiff.engines.checkpoint import Restorer, load_restorer

DEFAULT_WEIGHTS = "restore-48k.safetensors"


class BridgeEngine:
    """Runs a `Restorer`; see `RestorationEngine` for the contract."""

    def __init__(self, name: str, restorer: Restorer, device: str) -> None:
        self.name = name
        self.sha256 = restorer.sha256
        self.sample_rate = restorer.sample_rate
        self.level = restorer.level
        self.hop = restorer.spectrum.hop * restorer.net.stride
        self.restorer = restorer
        self.device = torch.device(device)
        self.batch = 8 if self.device.type == "cuda" else 1  # a CPU gains nothing by more
        self.largest_batch = sys.maxsize

    def margin(self, sampling: Sampling) -> int:
        """Reach of the network times the evaluations, plus the STFT window, in whole hops of the engine."""
        spectrum = self.restorer.spectrum
        frames = self.restorer.net.reach * sampling.evaluations + 2 * -(-spectrum.n_fft // spectrum.hop)
        return -(-frames // self.restorer.net.stride) * self.hop

    def restore(self, windows: Tensor, starts: list[int], sampling: Sampling) -> Tensor:
        """Restore (B, C, W) samples; W and `starts` are whole hops.

        Where memory does not suffice the batch is halved, and no larger one is tried again.
        """
        parts: list[Tensor] = []
        done = 0
        while done < len(windows):
            size = min(self.largest_batch, len(windows) - done)
            try:
                parts.append(self._restore(windows[done : done + size], starts[done : done + size], sampling))
            except torch.OutOfMemoryError:
                if size == 1:
                    raise
                self.largest_batch = size // 2
                continue
            done += size
        return torch.cat(parts)

    @torch.inference_mode()
    def _restore(self, windows: Tensor, starts: list[int], sampling: Sampling) -> Tensor:
        """Restore (B, C, W) in one go."""
        batch, channels, length = windows.shape
        spectrum = self.restorer.spectrum
        y = spectrum.encode(windows.to(self.device).reshape(batch * channels, length))  # (B C, 2, F, N)
        first = [start // spectrum.hop for start in starts for _ in range(channels)]
        channel = [index for _ in starts for index in range(channels)]

        def noise(step: int) -> Tensor:
            planes = [
                shared_noise((sampling.seed, step, c), f, y.shape[3], spectrum.bins)
                for f, c in zip(first, channel, strict=True)
            ]
            return torch.stack(planes).to(y)

        x0 = self.restorer.bridge.sample(self.restorer.net, y, sampling.evaluations, noise)
        x0 = shrink_change(x0, y, self.restorer.doubt)
        return spectrum.decode(x0, length).reshape(batch, channels, length).cpu()


_NOISE_FRAMES = 64


def shared_noise(key: tuple[int, ...], first: int, frames: int, bins: int) -> Tensor:
    """Normal noise (2, F, N) for frames `first` onwards that depends on each frame's position alone.

    Windows that overlap thus see the same noise there, and a file is restored alike however it is cut.
    """
    begin, end = first // _NOISE_FRAMES, -(-(first + frames) // _NOISE_FRAMES)
    parts = [_noise_part(key, part, bins) for part in range(begin, end)]
    offset = first - begin * _NOISE_FRAMES
    return torch.cat(parts, dim=2)[:, :, offset : offset + frames]


def _noise_part(key: tuple[int, ...], part: int, bins: int) -> Tensor:
    seed = 0
    for value in (*key, part):
        seed = (seed * 1_000_003 + value + 1) % 2**63
    return torch.randn(2, bins, _NOISE_FRAMES, generator=torch.Generator().manual_seed(seed))


def load_default(device: str) -> BridgeEngine:
    """The checkpoint shipped with the package."""
    with resources.as_file(resources.files("audiodiff") / "weights" / DEFAULT_WEIGHTS) as path:
        return BridgeEngine("audiodiff-48k", load_restorer(Path(path), device), device)
