"""Foreign restorers as engines: any program that reads a folder of WAV files and writes another one.

`docs/howto-foreign-engines.md` shows the engine files it is set up with.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from audiodiff.encode import write_audio
from audiodiff.engines import ENGINE_FILE, Sampling
from audiodiff.engines.command import run_command
from audiodiff.engines.probe import measure_delay, probe
from audiodiff.engines.program import Program, read_program
from audiodiff.errors import EngineError
from audiodiff.waveform import Block, Waveform

SLACK_S = 0.1
"""Difference of length that is put down to a tool's frames and filters."""


class Tool(Program):
    """An engine file: how to call a restorer, and what it wants. `{seed}` in its command is a number below 2^31.

    `sample_rate` is that of the files it gets, in hertz; those it writes may have another.
    """

    mark = "{stem}"

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
    result: str = "{stem}.wav"
    """Where in the output folder it leaves the result of `{stem}.wav`."""


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
        self.sha256 = tool.digest(self._here)
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
        return self.tool.arguments(values)

    def _read(self, target: Path, stem: str, shape: tuple[int, ...]) -> Block:
        """The result of `stem`, at our rate and about as long as `shape` (C, T)."""
        channels, frames = shape
        waveform = self.tool.result_of(stem, target)
        if waveform.channels != channels or abs(waveform.frames - frames) > SLACK_S * self.sample_rate:
            raise EngineError(
                f"{self.tool.shown} made {waveform.channels} channels of {waveform.frames} samples "
                f"from {channels} channels of {frames} samples at {self.sample_rate} Hz"
            )
        return waveform.samples


@contextmanager
def _named(engine: str) -> Iterator[None]:
    """Say whose error an `EngineError` is."""
    try:
        yield
    except EngineError as error:
        raise EngineError(f"engine {engine!r}: {error}") from error


def load_engine_file(path: Path, device: str = "cpu") -> FolderEngine:
    """The engine of an engine file, tried out.

    Raises `ConfigError` if the file is wrong, `EngineError` if the program does not work.
    """
    return FolderEngine(path, read_program(Tool, path, "engine file"), device)
