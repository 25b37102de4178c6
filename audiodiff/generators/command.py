"""Foreign generators: any program that reads a folder with requests and writes a folder of sounds.

`docs/howto-generators.md` shows the generator files it is set up with.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from audiodiff.encode import write_audio
from audiodiff.engines.command import run_command
from audiodiff.errors import ConfigError, EngineError, MediaError
from audiodiff.generate.records import LONGEST_S, Draw, Request
from audiodiff.generators.edits import Sight, sight, with_channels
from audiodiff.generators.limits import guidance_of, refuse, seconds_of
from audiodiff.media import open_audio
from audiodiff.waveform import Waveform

SLACK_S = 0.1
"""What may lack of a take's length: a program's last frame."""

REQUESTS = "requests.jsonl"
"""The file in the input folder that lists what is wanted, one take a line."""

_PLACEHOLDER = re.compile(r"\{(in|out|here|device)\}")


class Program(BaseModel):
    """A generator file: how to call a program, and what it can make."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    command: list[str] = Field(min_length=1)
    """Program and arguments; `{in}` and `{out}` become the two folders, `{here}` that of the generator file,
    `{device}` cpu or cuda. It runs in an empty temporary folder."""
    sample_rate: int = Field(ge=8_000, le=192_000)
    """Rate that its takes are brought to and that it gets references at, in hertz."""
    kinds: list[Literal["sfx", "music", "voice"]] = Field(min_length=1)
    edits: list[Literal["new", "variation", "inpaint", "continue", "loop"]] = ["new"]
    """What it can do: see `Generator`."""
    name: str = ""
    """What it is called in the library; empty for the file's own name."""
    license: str = ""
    """SPDX expression of what it makes."""
    version: str = ""
    """Which version of the program this is: changing it makes a new recipe."""
    files: list[str] = []
    """Files and folders whose content decides the result (scripts, weights), relative to the generator file."""
    steps: int = Field(0, ge=0)
    guidance: float = Field(0.0, ge=0.0)
    """Those that it is told where nobody asks for others; 0 leaves them to the program."""
    longest_s: float = Field(LONGEST_S, gt=0.0)
    """The longest take it can make."""
    batch: int = Field(16, ge=1)
    """Takes that a call should bring."""
    timeout_s: float = Field(600.0, gt=0.0)
    """The longest a call may take."""
    result: str = "{id}.wav"
    """Where in the output folder it leaves a take; any format that we decode."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not all(any(mark in part for part in self.command) for mark in ("{in}", "{out}")):
            raise ValueError("`command` must name {in} and {out}")
        if "{id}" not in self.result:
            raise ValueError("`result` must name {id}")
        if not self.version and not self.files:
            raise ValueError("give `version` or `files`, so that another version of the program is another recipe")
        return self


@dataclass(frozen=True, slots=True)
class _Order:
    """A take that the program is to make: its id, how long, and what is seen of its reference."""

    id: str
    request: Request
    seconds: float
    seen: Sight | None = None

    @property
    def reference(self) -> str:
        """The name of the reference's file, empty where there is none."""
        return f"{self.id}.reference.wav" if self.seen else ""


class CommandGenerator:
    """Runs a `Program` once for all requests of a call; see `Generator` for the contract. Safe under threads."""

    def __init__(self, path: Path, program: Program, device: str = "cpu") -> None:
        """Wrap the program whose generator file is `path`; it runs when first asked for takes."""
        self.name = program.name or path.name.removesuffix(".toml")
        self.license, self.sample_rate, self.batch = program.license, program.sample_rate, program.batch
        self.kinds, self.edits = frozenset[str](program.kinds), frozenset[str](program.edits)
        self.program = program
        self._here, self._device = path.parent.resolve(), device
        self.sha256 = _digest(program, self._here)

    def resolve(self, request: Request, draw: Draw) -> Draw:
        """The defaults of the generator file filled in, 0 where it has none, and the influence of the prompt."""
        guidance = draw.guidance or self.program.guidance
        return Draw(draw.steps or self.program.steps, guidance_of(guidance, request.prompt.influence))

    def generate(self, requests: Sequence[Request], draw: Draw) -> list[Waveform]:
        """A take for each request, in order.

        Raises `ConfigError` for a request that the program is not said to serve, `EngineError` if it fails or its
        output is not of use.
        """
        for request in requests:
            refuse(self, request)
            if seconds_of(request) > self.program.longest_s:
                raise ConfigError(f"{self.name} makes at most {self.program.longest_s:g} s")
        if not requests:
            return []
        orders = [self._order(f"{number:05}", request) for number, request in enumerate(requests)]
        with TemporaryDirectory(prefix="audiodiff-generator-") as name:
            folder = Path(name).resolve()
            source, target = folder / "in", folder / "out"
            source.mkdir()
            target.mkdir()
            self._write(source, orders, draw)
            try:
                run_command(self._arguments(source, target), folder, self.program.timeout_s)
                return [self._finished(self._read(target, order), order) for order in orders]
            except EngineError as error:
                raise EngineError(f"generator {self.name!r}: {error}") from error

    def _order(self, id_: str, request: Request) -> _Order:
        seconds, rate = seconds_of(request), self.sample_rate
        if request.prompt.edit == "new" or request.reference is None:
            return _Order(id_, request, seconds)
        whole = request.reference.resample(rate).samples
        seen = sight(request, whole, rate, self.program.longest_s - seconds)
        return _Order(id_, request, seen.samples.shape[1] / rate, seen)

    def _write(self, source: Path, orders: Sequence[_Order], draw: Draw) -> None:
        """The list of what is wanted, and what is seen of references beside it."""
        lines = []
        for order in orders:
            if order.seen:
                write_audio(source / order.reference, Waveform(order.seen.samples, self.sample_rate), "wav-float32")
            lines.append(json.dumps(self._row(order, self.resolve(order.request, draw))))
        (source / REQUESTS).write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _row(self, order: _Order, draw: Draw) -> dict[str, object]:
        prompt, seen = order.request.prompt, order.seen
        start, stop = (seen.start, seen.stop) if seen else (0, 0)
        return {
            "id": order.id, "prompt": prompt.prompt, "negative": prompt.negative, "kind": prompt.kind,
            "text": prompt.text, "duration_s": order.seconds, "seed": order.request.seed % 2**31, "steps": draw.steps,
            "guidance": draw.guidance, "influence": prompt.influence, "tempo_bpm": prompt.tempo_bpm,
            "loop": prompt.loop, "edit": prompt.edit, "reference": order.reference, "strength": prompt.strength,
            "start_s": start / self.sample_rate, "end_s": stop / self.sample_rate,
        }  # fmt: skip

    def _arguments(self, source: Path, target: Path) -> list[str]:
        values = {"in": source, "out": target, "here": self._here, "device": self._device}
        return [_PLACEHOLDER.sub(lambda found: str(values[found[1]]), part) for part in self.program.command]

    def _read(self, target: Path, order: _Order) -> Waveform:
        """What the program drew, at our rate."""
        path = target / self.program.result.replace("{id}", order.id)
        if not path.is_file():
            there = sorted(str(found.relative_to(target)) for found in target.rglob("*") if found.is_file())
            listed = ", ".join(there[:5]) or "nothing"
            raise EngineError(f"{self._shown} wrote no {path.relative_to(target)}, but {len(there)} files: {listed}")
        drawn = self._sound(path).resample(self.sample_rate)
        if drawn.duration_s < order.seconds - SLACK_S:
            raise EngineError(f"{self._shown} wrote {drawn.duration_s:.3g} s of {order.seconds:.3g} s to {path.name!r}")
        return drawn

    def _finished(self, drawn: Waveform, order: _Order) -> Waveform:
        """The take: cut to its length, or put into its reference."""
        rate, reference = self.sample_rate, order.request.reference
        if order.seen and reference and order.request.prompt.edit != "variation":
            whole = with_channels(reference, rate, drawn.channels)
            return Waveform(order.seen.joined(drawn.samples, whole), rate)
        return Waveform(drawn.samples[:, : round(order.seconds * rate) or None], rate)

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
        return f"`{shlex.join(self.program.command)}`"


def _digest(program: Program, here: Path) -> str:
    """SHA-256 over everything that decides the result: the settings, and the content of `files`."""
    content: dict[str, object] = program.model_dump(exclude={"name", "license", "batch", "timeout_s"})
    for name in program.files:
        path = here / Path(name).expanduser()
        found = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
        for one in found:
            try:
                with one.open("rb") as file:
                    content[f"{name}:{one.relative_to(path)}"] = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                raise ConfigError(f"{name!r} of `files` cannot be read: {error.strerror}") from error
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def load(rest: str, device: str = "cpu") -> CommandGenerator:
    """The generator of a generator file; raises `ConfigError` if the file is wrong."""
    path = Path(rest).expanduser()
    try:
        program = Program.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigError(f"generator file {rest!r} cannot be read from this machine: {error.strerror}") from error
    except ValidationError as error:
        wrong = "; ".join(".".join(map(str, (*one["loc"], ""))) + " " + one["msg"] for one in error.errors())
        raise ConfigError(f"generator file {rest!r}: {wrong}") from error
    except ValueError as error:  # not TOML, or not UTF-8
        raise ConfigError(f"generator file {rest!r} is no TOML: {error}") from error
    return CommandGenerator(path, program, device)
