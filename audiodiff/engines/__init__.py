"""What produces audio. An engine is opened by name; heavy ones are imported when first asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol

from torch import Tensor

from audiodiff.errors import ConfigError, EngineError


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
    batch: int
    """Windows that one call should bring."""

    def margin(self, sampling: Sampling) -> int:
        """Samples of context that a window's inner part needs on both sides."""

    def restore(self, windows: Tensor, starts: list[int], sampling: Sampling) -> Tensor:
        """Restore (B, C, W) samples; window b starts at sample `starts[b]` of its signal."""


ENGINES: dict[str, tuple[str, str]] = {
    "audiodiff-48k": ("audiodiff.engines.bridge", "load_default"),
    "passthrough": ("audiodiff.engines.passthrough", "load"),
}
"""Engine name to the module and function that load it onto a device."""

ENGINE_FILE = ".engine.toml"
"""How the path of a file ends that describes a program to restore with (`engines.folder`)."""

PLUGINS = "audiodiff.engines"
"""Entry points by which installed packages offer engines: functions `load(device) -> RestorationEngine`."""

Load = Callable[[str], RestorationEngine]

_loaded: dict[tuple[str, str], RestorationEngine] = {}
_lock = threading.Lock()


def open_engine(name: str, device: str = "cpu") -> RestorationEngine:
    """The engine of that name, or of an engine file, loaded once per process and device.

    Raises `ConfigError` for an unknown name and a wrong engine file, `EngineError` for what cannot be loaded.
    """
    with _lock:
        if (name, device) not in _loaded:
            _loaded[name, device] = _loader(name)(device)
        return _loaded[name, device]


def _loader(name: str) -> Load:
    """What loads an engine onto a device."""
    if name.endswith(ENGINE_FILE):
        load_file: Callable[[Path, str], RestorationEngine]
        load_file = import_module("audiodiff.engines.folder").load_engine_file
        return partial(load_file, Path(name))
    if name in ENGINES:
        module, function = ENGINES[name]
        load: Load = getattr(import_module(module), function)
        return load
    return _plugin(name)


def _plugin(name: str) -> Load:
    """What an installed package registered under the name."""
    plugins = {point.name: point for point in entry_points(group=PLUGINS)}
    if name not in plugins:
        known = ", ".join((*ENGINES, *sorted(plugins)))
        raise ConfigError(f"unknown engine {name!r}; known: {known}, and the path of any *{ENGINE_FILE}")
    try:
        load: Load = plugins[name].load()
    except Exception as error:  # a stranger's import may fail in any way
        raise EngineError(f"engine {name!r} ({plugins[name].value}) cannot be loaded: {error}") from error
    return load
