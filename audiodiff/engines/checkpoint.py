"""Checkpoints: one safetensors file that holds half-precision weights and all that is needed to use them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from audiodiff.diffusion.bridge import Bridge
from audiodiff.diffusion.spectrum import Spectrum
from audiodiff.errors import EngineError
from audiodiff.nets import NETS, Net

FORMAT = "audiodiff-restorer-3"
KEY = "audiodiff"
"""The one metadata entry; safetensors writes several in no fixed order."""


@dataclass(frozen=True, slots=True)
class Restorer:
    """A trained restorer: the network and the conventions it works under.

    `level` is the RMS it wants its input at, `doubt` how far it errs (`diffusion.shrink`).
    """

    net: Net
    spectrum: Spectrum
    bridge: Bridge
    sample_rate: int
    level: float
    doubt: float
    sha256: str


def save_restorer(
    net: Net, spectrum: Spectrum, bridge: Bridge, sample_rate: int, level: float, doubt: float, path: Path
) -> None:
    """Write the checkpoint; weights are rounded to half precision."""
    header = {
        "format": FORMAT,
        "network": type(net).__name__,
        "net": asdict(net.config),
        "spectrum": asdict(spectrum),
        "bridge": asdict(bridge),
        "sample_rate": sample_rate,
        "level": level,
        "doubt": doubt,
    }
    weights = {name: tensor.detach().cpu().half().contiguous() for name, tensor in net.state_dict().items()}
    save_file(weights, path, metadata={KEY: json.dumps(header, sort_keys=True)})


def load_restorer(path: Path, device: str = "cpu") -> Restorer:
    """Read a checkpoint; one that is damaged, of another kind or network, raises `EngineError` naming the file."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
            weights = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118  not a dict
    except (SafetensorError, OSError) as error:
        raise EngineError(f"checkpoint {path} cannot be read: {error}") from error
    header: dict[str, Any] = json.loads(metadata.get(KEY, "{}"))
    if header.get("format") != FORMAT:
        raise EngineError(f"checkpoint {path} is of format {header.get('format')!r}, not {FORMAT!r}")
    if header["network"] not in NETS:
        raise EngineError(f"checkpoint {path} is of network {header['network']!r}; known: {', '.join(NETS)}")
    config, network = NETS[header["network"]]
    net = network(config(**{name: _with_tuples(value) for name, value in header["net"].items()}))
    net.load_state_dict(weights)
    net.eval().requires_grad_(requires_grad=False)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Restorer(
        net.to(torch.device(device)),
        Spectrum(**header["spectrum"]),
        Bridge(**header["bridge"]),
        header["sample_rate"],
        header["level"],
        header["doubt"],
        digest,
    )


def _with_tuples(value: Any) -> Any:
    """JSON has no tuples: lists are made such again, to the innermost."""
    return tuple(map(_with_tuples, value)) if isinstance(value, list) else value
