"""The vocoder: log-mel levels to sound, and the file that holds one."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from audiodiff.diffusion.mel import Mel
from audiodiff.errors import EngineError
from audiodiff.nets.vocoder import FLOOR, VocoderConfig, VocoderNet, phases, sound, spectrum, white

FORMAT = "audiodiff-vocoder-1"
KEY = "audiodiff"
"""The one metadata entry; safetensors writes several in no fixed order."""

ROUNDS = 4
"""How often the spectrum is made consistent and then given the levels asked for, as in Griffin-Lim, but by bands.

What is drawn of noise misses the levels by 1.7 dB; four rounds leave 0.7. On four clips of speech they raise PESQ from
3.58 to 4.08 and ESTOI from 0.957 to 0.987; four more add 0.04 and 0.002.
"""
_FARTHEST = 2.0  # nepers a round

WEIGHTS = Path(__file__).parent.parent / "weights" / "vocoder-48k.safetensors"


@dataclass(frozen=True, slots=True)
class Vocoder:
    """A trained vocoder: the network and the levels it was trained on."""

    net: VocoderNet
    mel: Mel
    sha256: str

    @torch.inference_mode()
    def sound(self, levels: Tensor) -> Tensor:
        """Log-mel levels (B, bands, N) to samples (B, (N - 1) * hop); the same levels always sound the same.

        N is at least 4. Items are done one by one: phases add up over time, and so would what a batch rounds otherwise.
        """
        return torch.cat([self._sound_one(item[None]) for item in levels])

    def _sound_one(self, levels: Tensor) -> Tensor:
        """(1, bands, N) to (1, T)."""
        parts = self.net(levels)
        heard = (levels > FLOOR + 0.01).float().transpose(1, 2) @ self.net.spread  # (1, N, F): the floor is silence
        length = (levels.shape[2] - 1) * self.mel.hop
        generator = torch.Generator().manual_seed(0)
        noise = white(torch.randn(1, length, generator=generator).to(levels.device), self.mel)
        made = parts.tones * phases(self.net, parts) + parts.noise * noise
        for _ in range(ROUNDS):
            made = spectrum(sound(made, self.mel), self.mel)
            made = heard * made * self._missing(levels, made)
        return sound(made, self.mel)

    def _missing(self, levels: Tensor, made: Tensor) -> Tensor:
        """By how much each bin of a spectrum (1, N, F) is to be louder for its bands to have their levels."""
        amplitudes = made.abs() @ self.mel.filters(made.device).T  # (1, N, bands)
        gap = levels.transpose(1, 2) - amplitudes.clamp(min=1e-5).log()
        return (gap.clamp(-_FARTHEST, _FARTHEST) @ self.net.spread).exp()


def save_vocoder(net: VocoderNet, path: Path) -> None:
    """Write a vocoder; weights are rounded to half precision."""
    header = {"format": FORMAT, "net": asdict(net.config), "mel": asdict(net.mel)}
    weights = {name: tensor.detach().cpu().half().contiguous() for name, tensor in net.state_dict().items()}
    save_file(weights, path, metadata={KEY: json.dumps(header, sort_keys=True)})


def load_vocoder(path: Path = WEIGHTS, device: str = "cpu") -> Vocoder:
    """Read a vocoder; a file that is damaged or of another kind raises `EngineError` naming it."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
            weights = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118  not a dict
    except (SafetensorError, OSError) as error:
        raise EngineError(f"vocoder {path} cannot be read: {error}") from error
    header: dict[str, Any] = json.loads(metadata.get(KEY, "{}"))
    if header.get("format") != FORMAT:
        raise EngineError(f"vocoder {path} is of format {header.get('format')!r}, not {FORMAT!r}")
    mel = Mel(**header["mel"])
    net = VocoderNet(VocoderConfig(**header["net"]), mel)
    net.load_state_dict(weights)
    net.eval().requires_grad_(requires_grad=False)
    return Vocoder(net.to(torch.device(device)), mel, hashlib.sha256(path.read_bytes()).hexdigest())
