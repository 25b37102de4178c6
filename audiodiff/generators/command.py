"""Foreign generators: any program that reads a folder with requests and writes a folder of sounds.

`docs/howto-generators.md` shows the generator files it is set up with.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from pydantic import Field

from audiodiff.encode import write_audio
from audiodiff.engines.command import run_command
from audiodiff.engines.program import Program, read_program
from audiodiff.errors import ConfigError, EngineError
from audiodiff.generate.records import LONGEST_S, Draw, Request
from audiodiff.generators.edits import Sight, sight, with_channels
from audiodiff.generators.limits import guidance_of, refuse, seconds_of
from audiodiff.waveform import Waveform

SLACK_S = 0.1
"""What may lack of a take's length: a program's last frame."""

REQUESTS = "requests.jsonl"
"""The file in the input folder that lists what is wanted, one take a line."""


class Maker(Program):
    """A generator file: how to call a program, and what it can make.

    `sample_rate` is the rate that its takes are brought to and that it gets references at, in hertz.
    """

    mark = "{id}"
    incidental = frozenset({"name", "license", "batch", "timeout_s"})

    kinds: list[Literal["sfx", "music", "voice"]] = Field(min_length=1)
    edits: list[Literal["new", "variation", "inpaint", "continue", "loop"]] = Field(["new"])
    """What it can do: see `Generator`."""
    name: str = ""
    """What it is called in the library; empty for the file's own name."""
    license: str = ""
    """SPDX expression of what it makes."""
    steps: int = Field(0, ge=0)
    guidance: float = Field(0.0, ge=0.0)
    """Those that it is told where nobody asks for others; 0 leaves them to the program."""
    longest_s: float = Field(LONGEST_S, gt=0.0)
    """The longest take it can make."""
    batch: int = Field(16, ge=1)
    """Takes that a call should bring."""
    result: str = "{id}.wav"
    """Where in the output folder it leaves a take; any format that we decode."""


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
    """Runs a `Maker` once for all requests of a call; see `Generator` for the contract. Safe under threads."""

    def __init__(self, path: Path, program: Maker, device: str = "cpu") -> None:
        """Wrap the program whose generator file is `path`; it runs when first asked for takes."""
        self.name = program.name or path.name.removesuffix(".toml")
        self.license, self.sample_rate, self.batch = program.license, program.sample_rate, program.batch
        self.kinds, self.edits = frozenset[str](program.kinds), frozenset[str](program.edits)
        self.program = program
        self._here, self._device = path.parent.resolve(), device
        self.sha256 = program.digest(self._here)

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
        return self.program.arguments(values)

    def _read(self, target: Path, order: _Order) -> Waveform:
        """What the program drew, at our rate."""
        drawn = self.program.result_of(order.id, target)
        if drawn.duration_s < order.seconds - SLACK_S:
            lengths = f"{drawn.duration_s:.3g} s of {order.seconds:.3g} s"
            raise EngineError(f"{self.program.shown} wrote {lengths} to {self.program.result_name(order.id)!r}")
        return drawn

    def _finished(self, drawn: Waveform, order: _Order) -> Waveform:
        """The take: cut to its length, or put into its reference."""
        rate, reference = self.sample_rate, order.request.reference
        if order.seen and reference and order.request.prompt.edit != "variation":
            whole = with_channels(reference, rate, drawn.channels)
            return Waveform(order.seen.joined(drawn.samples, whole), rate)
        return Waveform(drawn.samples[:, : round(order.seconds * rate) or None], rate)


def load(rest: str, device: str = "cpu") -> CommandGenerator:
    """The generator of a generator file; raises `ConfigError` if the file is wrong."""
    path = Path(rest).expanduser()
    return CommandGenerator(path, read_program(Maker, path, "generator file"), device)
