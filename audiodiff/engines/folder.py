"""Foreign restorers as engines: any program that reads a folder of WAV files and writes another one.

`docs/howto-foreign-engines.md` shows the engine files it is set up with.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import shlex
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from torch import Tensor

from audiodiff.encode import write_audio
from audiodiff.engines import ENGINE_FILE, Sampling
from audiodiff.engines.command import run_command
from audiodiff.engines.probe import measure_delay, probe
from audiodiff.errors import ConfigError, EngineError, MediaError
from audiodiff.media import open_audio
from audiodiff.waveform import Block, Waveform

SLACK_S = 0.1
"""Difference of length that is put down to a tool's frames and filters."""

_PLACEHOLDER = re.compile(r"\{(in|out|here|device|seed)\}")


class Tool(BaseModel):
    """An engine file: how to call a program, and what it wants."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    command: list[str] = Field(min_length=1)
    """Program and arguments; `{in}` and `{out}` become the two folders, `{here}` that of the engine file, `{device}`
    cpu or cuda, `{seed}` a number below 2^31. It runs in an empty temporary folder."""
    sample_rate: int = Field(ge=8_000, le=192_000)
    """Rate of the files it gets, in hertz; those it writes may have another."""
    version: str = ""
    """Which version of the tool this is: changing it makes a new recipe."""
    files: list[str] = []
    """Files and folders whose content decides the result (scripts, weights), relative to the engine file."""
    encoding: Literal["wav-float32", "wav-24", "wav-16"] = "wav-float32"
    mono: bool = True
    """Whether each channel is a file of its own."""
    level: float = Field(0.1, gt=0.0, le=1.0)
    """RMS it wants its input at."""
    context_s: float = Field(1.0, ge=0.0, le=30.0)
    """What it has to hear before and after a sound to treat it as in one pass."""
    delay: int | Literal["auto"] = "auto"
    """Samples at `sample_rate` by which its output lags; auto measures them."""
    hop: int = Field(0, ge=0, le=65_536)
    """Samples of its frame grid, 0 for 10 ms: all windows begin on it."""
    timeout_s: float = Field(600.0, gt=0.0)
    """The longest a call may take."""
    result: str = "{stem}.wav"
    """Where in the output folder it leaves the result of `{stem}.wav`."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not all(any(mark in part for part in self.command) for mark in ("{in}", "{out}")):
            raise ValueError("`command` must name {in} and {out}")
        if "{stem}" not in self.result:
            raise ValueError("`result` must name {stem}")
        if not self.version and not self.files:
            raise ValueError("give `version` or `files`, so that another version of the tool is another recipe")
        return self


class FolderEngine:
    """Runs a `Tool` once for all windows of a call; see `RestorationEngine` for the contract. Safe under threads."""

    batch = 16
    """Windows a call should bring: a start of the program costs little then, and they take 0.5 GB in stereo."""

    def __init__(self, path: Path, tool: Tool, device: str = "cpu") -> None:
        """Open the tool whose engine file is `path` and try it; raises `EngineError` if it does not work."""
        self.name = path.name.removesuffix(ENGINE_FILE)
        self.tool = tool
        self.sample_rate, self.level = tool.sample_rate, tool.level
        self.hop = tool.hop or -(-tool.sample_rate // 100)
        self._here, self._device = path.parent.resolve(), device
        self.sha256 = _digest(tool, self._here)
        self._delay = self._tried()

    def margin(self, sampling: Sampling) -> int:  # noqa: ARG002  the engine protocol
        """The context, in whole hops."""
        return math.ceil(self.tool.context_s * self.sample_rate / self.hop) * self.hop

    def restore(self, windows: Tensor, starts: list[int], sampling: Sampling) -> Tensor:  # noqa: ARG002
        """Restore (B, C, W) in one run of the program; raises `EngineError` if it fails or its output is not of use.

        The input is lengthened by the delay, so that nothing is lost at the end. What a program leaves out there for
        its frames (`SLACK_S`) stays as it was.
        """
        width = windows.shape[-1]
        samples = windows.detach().cpu().numpy()  # (B, C, W)
        files = samples.reshape(-1, 1, width) if self.tool.mono else samples  # (N, 1 or C, W)
        late, early = max(self._delay, 0), max(-self._delay, 0)
        padded = np.pad(files, ((0, 0), (0, 0), (early, late)))
        restored = files.copy()
        with _named(self.name):
            outs = self._run(padded, sampling.seed)
        for one, out in zip(restored, outs, strict=True):
            part = out[:, late : late + width]
            one[:, : part.shape[1]] = part
        return torch.from_numpy(restored).reshape(windows.shape)

    def _tried(self) -> int:
        """The delay; a tool that does not work fails here and not in the middle of a night."""
        sent = probe(self.sample_rate, self.level)
        with _named(self.name):
            out = self._run(sent[None], seed=0)[0][:, : sent.shape[1]]
            if self.tool.delay != "auto":
                return self.tool.delay
            out = np.pad(out, ((0, 0), (0, sent.shape[1] - out.shape[1])))
            return measure_delay(out, sent, self.sample_rate)

    def _run(self, files: NDArray[np.float32], seed: int) -> list[Block]:
        """Each of (N, C, T) as the program returns it, (C, T') with T' within the slack of T."""
        with TemporaryDirectory(prefix="audiodiff-engine-") as name:
            folder = Path(name).resolve()
            source, target = folder / "in", folder / "out"
            source.mkdir()
            target.mkdir()
            scales = [self._write(source / f"{number:05}.wav", samples) for number, samples in enumerate(files)]
            run_command(self._arguments(source, target, seed), folder, self.tool.timeout_s)
            return [self._read(target, f"{number:05}", files.shape[1:]) / scale for number, scale in enumerate(scales)]

    def _write(self, path: Path, samples: Block) -> np.float32:
        """Write (C, T); returns the factor that kept it within full scale, 1 but for loud sounds in integers."""
        peak = float(np.abs(samples).max(initial=0.0))
        scale = np.float32(0.999 / peak if peak > 0.999 and self.tool.encoding != "wav-float32" else 1.0)
        write_audio(path, Waveform(scale * samples, self.sample_rate), self.tool.encoding)
        return scale

    def _arguments(self, source: Path, target: Path, seed: int) -> list[str]:
        values = {"in": source, "out": target, "here": self._here, "device": self._device, "seed": seed % 2**31}
        return [_PLACEHOLDER.sub(lambda found: str(values[found[1]]), part) for part in self.tool.command]

    def _read(self, target: Path, stem: str, shape: tuple[int, ...]) -> Block:
        """The result of `stem`, at our rate and about as long as `shape` (C, T)."""
        channels, frames = shape
        path = target / self.tool.result.replace("{stem}", stem)
        if not path.is_file():
            there = sorted(str(found.relative_to(target)) for found in target.rglob("*") if found.is_file())
            listed = ", ".join(there[:5]) or "nothing"
            raise EngineError(f"{self._shown} wrote no {path.relative_to(target)}, but {len(there)} files: {listed}")
        waveform = self._sound(path).resample(self.sample_rate)
        if waveform.channels != channels or abs(waveform.frames - frames) > SLACK_S * self.sample_rate:
            raise EngineError(
                f"{self._shown} made {waveform.channels} channels of {waveform.frames} samples "
                f"from {channels} channels of {frames} samples at {self.sample_rate} Hz"
            )
        return waveform.samples

    def _sound(self, path: Path) -> Waveform:
        """A whole file; raises `EngineError` for one that is damaged or holds what is no number."""
        try:
            with open_audio(path) as reader:
                samples = np.concatenate(list(reader), axis=1)
        except MediaError as error:
            raise EngineError(f"{self._shown} wrote what cannot be read: {error}") from error
        if reader.problems:
            raise EngineError(f"{self._shown} wrote damaged sound, {path.name!r}: {', '.join(reader.messages)}")
        return Waveform(samples, reader.info.sample_rate)

    @property
    def _shown(self) -> str:
        return f"`{shlex.join(self.tool.command)}`"


@contextmanager
def _named(engine: str) -> Iterator[None]:
    """Say whose error an `EngineError` is."""
    try:
        yield
    except EngineError as error:
        raise EngineError(f"engine {engine!r}: {error}") from error


def _digest(tool: Tool, here: Path) -> str:
    """SHA-256 over everything that decides the result: the settings, and the content of `files`."""
    content: dict[str, object] = tool.model_dump(exclude={"timeout_s"})
    for name in tool.files:
        path = here / Path(name).expanduser()
        found = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
        for one in found:
            try:
                with one.open("rb") as file:
                    content[f"{name}:{one.relative_to(path)}"] = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                raise ConfigError(f"{name!r} of `files` cannot be read: {error.strerror}") from error
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def load_engine_file(path: Path, device: str = "cpu") -> FolderEngine:
    """The engine of an engine file, tried out.

    Raises `ConfigError` if the file is wrong, `EngineError` if the program does not work.
    """
    try:
        tool = Tool.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigError(f"engine file {str(path)!r} cannot be read from this machine: {error.strerror}") from error
    except ValidationError as error:
        wrong = "; ".join(".".join(map(str, (*one["loc"], ""))) + " " + one["msg"] for one in error.errors())
        raise ConfigError(f"engine file {str(path)!r}: {wrong}") from error
    except ValueError as error:  # not TOML, or not UTF-8
        raise ConfigError(f"engine file {str(path)!r} is no TOML: {error}") from error
    return FolderEngine(path, tool, device)
