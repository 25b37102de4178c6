"""What produces audio. An engine is opened by name; heavy ones are imported when first asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

from torch import Tensor

from audiodiff.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a restoration engine is to work: model evaluations, and the seed of its noise."""

    evaluations: int = 1
    seed: int = 0


class RestorationEngine(Protocol):
    """Maps damaged windows to restored ones, window by window; stateless, so windows may come in any order."""

    name: str
    sha256: str
    sample_rate: int
    level: float
    """RMS the engine wants its input at."""
    hop: int
    """Samples that windows, margins and starts are whole multiples of, so that all windows share one frame grid."""

    def margin(self, sampling: Sampling) -> int:
        """Samples of context that a window's inner part needs on both sides."""

    def restore(self, windows: Tensor, starts: list[int], sampling: Sampling) -> Tensor:
        """Restore (B, C, W) samples; window b starts at sample `starts[b]` of its signal."""


ENGINES: dict[str, tuple[str, str]] = {
    "audiodiff-48k": ("audiodiff.engines.bridge", "load_default"),
    "passthrough": ("audiodiff.engines.passthrough", "load"),
}
"""Engine name to the module and function that load it onto a device."""

_loaded: dict[tuple[str, str], RestorationEngine] = {}
_lock = threading.Lock()


def open_engine(name: str, device: str = "cpu") -> RestorationEngine:
    """The engine, loaded once per process and device; an unknown name raises `ConfigError`."""
    if name not in ENGINES:
        raise ConfigError(f"unknown engine {name!r}; known: {', '.join(ENGINES)}")
    module, function = ENGINES[name]
    with _lock:
        if (name, device) not in _loaded:
            load: Callable[[str], RestorationEngine] = getattr(import_module(module), function)
            _loaded[name, device] = load(device)
        return _loaded[name, device]
