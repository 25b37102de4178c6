"""The generator's checkpoint: one safetensors file of half-precision weights and all that is needed to use them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from audiodiff.diffusion.mel import Mel
from audiodiff.errors import EngineError
from audiodiff.nets.meldit import MelDiT, MelDiTConfig

FORMAT = "audiodiff-generator-1"
KEY = "audiodiff"
KINDS = ("sfx", "music", "voice")
"""In the order in which the network counts them, from 1."""

VOICE = "a woman speaking clearly"
"""How the one voice is described in training, and so what the network must be told for it."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How log-mel levels become the network's numbers: less the mean of each band, over the spread of all."""

    mean: tuple[float, ...]
    spread: float

    def scaled(self, levels: Tensor) -> Tensor:
        """(B, bands, N) levels to numbers of about unit variance."""
        return (levels - self._mean(levels)) / self.spread

    def levels(self, scaled: Tensor) -> Tensor:
        """The levels that `scaled` was given."""
        return scaled * self.spread + self._mean(scaled)

    def _mean(self, like: Tensor) -> Tensor:
        return torch.tensor(self.mean, device=like.device, dtype=like.dtype).unsqueeze(1)


@dataclass(frozen=True, slots=True)
class Drawer:
    """A trained generator: the network and the conventions it works under."""

    net: MelDiT
    scale: Scale
    mel: Mel
    sha256: str


def save_generator(net: MelDiT, scale: Scale, mel: Mel, path: Path) -> None:
    """Write the checkpoint; weights are rounded to half precision."""
    header = {"format": FORMAT, "net": asdict(net.config), "scale": asdict(scale), "mel": asdict(mel)}
    weights = {name: tensor.detach().cpu().half().contiguous() for name, tensor in net.state_dict().items()}
    save_file(weights, path, metadata={KEY: json.dumps(header, sort_keys=True)})


def load_drawer(path: Path, device: str = "cpu") -> Drawer:
    """Read a checkpoint; one that is damaged or of another kind raises `EngineError` naming the file."""
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            header = json.loads((file.metadata() or {}).get(KEY, "{}"))
            weights = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118  not a dict
    except (OSError, SafetensorError, ValueError) as error:
        raise EngineError(f"{path} is not a readable checkpoint: {error}") from error
    if header.get("format") != FORMAT:
        raise EngineError(f"{path} is not a checkpoint of the format {FORMAT}")
    net = MelDiT(MelDiTConfig(**header["net"]))
    net.load_state_dict(weights)
    scale = Scale(tuple(header["scale"]["mean"]), header["scale"]["spread"])
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Drawer(net.eval().requires_grad_(requires_grad=False).to(device), scale, Mel(**header["mel"]), digest)
