"""What produces new audio. A generator is opened by name; heavy ones are imported when first asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Protocol

from audiodiff.errors import ConfigError
from audiodiff.generate.records import Draw, Request
from audiodiff.waveform import Waveform


class Generator(Protocol):
    """Makes takes. The same requests with the same draw on the same device give the same samples."""

    name: str
    sha256: str
    """Of the weights."""
    license: str
    """SPDX expression of what it makes, as far as its makers say."""
    sample_rate: int
    kinds: frozenset[str]
    """Which of sfx, music and voice it can make."""
    edits: frozenset[str]
    """Which edits it can do, "new" among them, and "loop" if it can make the end meet the beginning."""
    batch: int
    """Takes that one call should bring."""

    def resolve(self, request: Request, draw: Draw) -> Draw:
        """The steps and guidance that this request is drawn with, its own defaults filled in."""

    def generate(self, requests: Sequence[Request], draw: Draw) -> list[Waveform]:
        """A take for each request, in order; raises ConfigError for a request it cannot serve."""


GENERATORS: dict[str, tuple[str, str]] = {
    "audiodiff": ("audiodiff.generators.own", "load_default"),
    "rehearsal": ("audiodiff.generators.rehearsal", "load"),
}
"""Name to the module and function that load it onto a device."""

_FOLDERS: dict[str, tuple[str, str]] = {
    "diffusers:": ("audiodiff.generators.pipelines", "load"),
    "command:": ("audiodiff.generators.command", "load"),
}
"""What comes before the colon, to the function that loads the rest (`load(rest, device)`)."""

_loaded: dict[tuple[str, str], Generator] = {}
_lock = threading.Lock()


def open_generator(name: str, device: str = "cpu") -> Generator:
    """The generator of that name, loaded once per process and device.

    `diffusers:PATH` is a pipeline of diffusers in a folder or on the hub, `command:FILE.toml` a program of one's own.
    Raises `ConfigError` for an unknown name and `EngineError` for what cannot be loaded.
    """
    with _lock:
        found = _loaded.get((name, device))
        if found is None:
            found = _loaded[name, device] = _load(name, device)
        return found


def _load(name: str, device: str) -> Generator:
    for prefix, (module, function) in _FOLDERS.items():
        if name.startswith(prefix):
            load: Callable[[str, str], Generator] = getattr(import_module(module), function)
            return load(name.removeprefix(prefix), device)
    if name not in GENERATORS:
        known = ", ".join([*GENERATORS, *(f"{prefix}..." for prefix in _FOLDERS)])
        raise ConfigError(f"unknown generator {name!r}; known: {known}")
    module, function = GENERATORS[name]
    load_default: Callable[[str], Generator] = getattr(import_module(module), function)
    return load_default(device)
