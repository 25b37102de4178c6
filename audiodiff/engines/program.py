"""What all foreign programs share: a TOML file that says how to call one, and a folder in which it left its results."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Self, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from audiodiff.errors import ConfigError, EngineError, MediaError
from audiodiff.media import open_audio
from audiodiff.waveform import Waveform


class Program(BaseModel):
    """How to call a program that reads a folder and writes another one. A subclass says what it wants and makes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mark: ClassVar[str]
    """What stands in `result` for the name of what it belongs to."""
    incidental: ClassVar[frozenset[str]] = frozenset({"timeout_s"})
    """Settings that do not decide the result."""

    command: list[str] = Field(min_length=1)
    """Program and arguments; `{in}` and `{out}` become the two folders, `{here}` that of the file, `{device}` cpu or
    cuda. It runs in an empty temporary folder."""
    sample_rate: int = Field(ge=8_000, le=192_000)
    version: str = ""
    """Which version of the program this is: changing it makes a new recipe."""
    files: list[str] = []
    """Files and folders whose content decides the result (scripts, weights), relative to the file."""
    timeout_s: float = Field(600.0, gt=0.0)
    """The longest a call may take."""
    result: str
    """Where in the output folder it leaves a result."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not all(any(mark in part for part in self.command) for mark in ("{in}", "{out}")):
            raise ValueError("`command` must name {in} and {out}")
        if self.mark not in self.result:
            raise ValueError(f"`result` must name {self.mark}")
        if not self.version and not self.files:
            raise ValueError("give `version` or `files`, so that another version of the program is another recipe")
        return self

    @property
    def shown(self) -> str:
        """The command as one would type it."""
        return f"`{shlex.join(self.command)}`"

    def arguments(self, values: Mapping[str, object]) -> list[str]:
        """The command with a value for each name in braces; other braces stay."""
        names = re.compile(r"\{(" + "|".join(values) + r")\}")
        return [names.sub(lambda found: str(values[found[1]]), part) for part in self.command]

    def digest(self, here: Path) -> str:
        """SHA-256 over everything that decides the result: the settings, and the content of `files`."""
        content: dict[str, object] = self.model_dump(exclude=set(self.incidental))
        for name in self.files:
            path = here / Path(name).expanduser()
            found = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
            for one in found:
                try:
                    with one.open("rb") as file:
                        content[f"{name}:{one.relative_to(path)}"] = hashlib.file_digest(file, "sha256").hexdigest()
                except OSError as error:
                    raise ConfigError(f"{name!r} of `files` cannot be read: {error.strerror}") from error
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def result_name(self, name: str) -> str:
        """Where in the output folder the result of `name` lies."""
        return self.result.replace(self.mark, name)

    def result_of(self, name: str, target: Path) -> Waveform:
        """The sound that it left for `name` in the folder `target`, at `sample_rate`.

        Raises `EngineError` for one that is missing, damaged, or holds what is no number.
        """
        path = target / self.result_name(name)
        if not path.is_file():
            there = sorted(str(found.relative_to(target)) for found in target.rglob("*") if found.is_file())
            listed = ", ".join(there[:5]) or "nothing"
            raise EngineError(f"{self.shown} wrote no {path.relative_to(target)}, but {len(there)} files: {listed}")
        try:
            with open_audio(path) as reader:
                samples = np.concatenate(list(reader), axis=1)
        except MediaError as error:
            raise EngineError(f"{self.shown} wrote what cannot be read: {error}") from error
        if reader.problems:
            raise EngineError(f"{self.shown} wrote damaged sound, {path.name!r}: {', '.join(reader.messages)}")
        return Waveform(samples, reader.info.sample_rate).resample(self.sample_rate)


P = TypeVar("P", bound=Program)


def read_program(kind: type[P], path: Path, what: str) -> P:
    """The settings in a TOML file, which messages call `what` ("engine file"); `ConfigError` if it is wrong."""
    try:
        return kind.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigError(f"{what} {str(path)!r} cannot be read from this machine: {error.strerror}") from error
    except ValidationError as error:
        wrong = "; ".join(".".join(map(str, (*one["loc"], ""))) + " " + one["msg"] for one in error.errors())
        raise ConfigError(f"{what} {str(path)!r}: {wrong}") from error
    except ValueError as error:  # not TOML, or not UTF-8
        raise ConfigError(f"{what} {str(path)!r} is no TOML: {error}") from error
