"""Which device to run on."""

from __future__ import annotations

import torch

from audiodiff.errors import ConfigError


def choose_device(wish: str) -> str:
    """`cpu` or `cuda` for a wish of `auto`, `cpu` or `cuda`; a GPU that is not there raises `ConfigError`."""
    if wish == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wish == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device is cuda, but torch sees no GPU; use cpu or auto")
    return wish
