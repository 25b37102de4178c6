"""`Family`: what a generator has to know of one family of diffusers' pipelines; and `Call`, what it is asked for."""

from __future__ import annotations

import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from audiodiff.errors import ConfigError
from audiodiff.generate.records import LONGEST_S, Draw, Prompt, Request
from audiodiff.generators.edits import Sight, fitted
from audiodiff.generators.limits import guidance_of, seconds_of


@dataclass(frozen=True, slots=True)
class Call:
    """Requests that are alike (`Family.alike`) and the steps and guidance they share: one call of a pipeline."""

    requests: Sequence[Request]
    draw: Draw
    frames: int
    """Samples to be drawn at the pipeline's rate; 0 for speech as long as its text."""
    sample_rate: int
    generators: list[torch.Generator]
    """Those of the noise, one a request, so that a take does not depend on its neighbours."""
    sight: Sight | None = None
    """What the pipeline sees of the reference, if there is one."""

    @property
    def prompt(self) -> Prompt:
        """The first prompt: what is not words is the same in all."""
        return self.requests[0].prompt

    @property
    def seconds(self) -> float:
        """The length that a pipeline, which rounds down, makes `frames` of."""
        seconds = self.frames / self.sample_rate
        return seconds if int(seconds * self.sample_rate) == self.frames else math.nextafter(seconds, math.inf)

    @property
    def words(self) -> list[str]:
        """The prompts; music with a tempo says it, as is usual in prompts for music."""
        return [_words(request.prompt) for request in self.requests]

    @property
    def negatives(self) -> list[str] | None:
        """What is not wanted; None where no prompt says so."""
        negatives = [request.prompt.negative for request in self.requests]
        return negatives if any(negatives) else None

    def seen(self, hop: int) -> Tensor:
        """What is seen of the reference (C, T), filled with silence to whole latent frames of `hop` samples."""
        assert self.sight is not None
        samples = self.sight.samples
        return torch.from_numpy(fitted(samples, math.ceil(samples.shape[1] / hop) * hop))

    def stretch_s(self, hop: int) -> tuple[float, float]:
        """From where to where the sight is to be made anew, in all latent frames of `hop` samples that it touches.

        They are the middles of the first frame and of that after the last, for pipelines round down to whole frames.
        """
        assert self.sight is not None
        first, after = self.sight.start // hop, math.ceil(self.sight.stop / hop)
        return (first + 0.5) * hop / self.sample_rate, (after + 0.5) * hop / self.sample_rate


class Family(ABC):
    """Pipelines that are called alike. A subclass says what they can do and calls them."""

    kinds: frozenset[str] = frozenset({"sfx", "music"})
    edits: frozenset[str] = frozenset({"new"})
    mixes: ClassVar[bool] = False
    """Whether different prompts may share a call: their texts are padded to one length and masked. Where texts are
    padded to the longest of the call instead, a take would depend on its neighbours; takes of one prompt never do."""

    def __init__(self, pipeline: Any) -> None:
        """Wrap a pipeline that is loaded."""
        self.pipeline = pipeline

    @property
    def sample_rate(self) -> int:
        """Of what it makes, in hertz."""
        rate: int = self.pipeline.vae.config.sampling_rate
        return rate

    @property
    def longest_s(self) -> float:
        """The most it can draw at once."""
        return LONGEST_S

    def defaults(self) -> Draw:
        """The steps and guidance that the pipeline takes if not told."""
        parameters = inspect.signature(self.pipeline.__call__).parameters
        return Draw(parameters["num_inference_steps"].default, parameters["guidance_scale"].default)

    def resolve(self, request: Request, draw: Draw) -> Draw:
        """The defaults filled in, and the guidance that the prompt's influence makes of it."""
        own = self.defaults()
        return Draw(draw.steps or own.steps, guidance_of(draw.guidance or own.guidance, request.prompt.influence))

    def alike(self, request: Request) -> Hashable:
        """What all requests of a call have in common."""
        prompt = replace(request.prompt, count=1, seed=0, name="", category="", influence=0.5)
        seconds = seconds_of(request)
        if self.mixes and prompt.edit == "new" and seconds:  # a length of 0 is that of the text
            negative = "some" if prompt.negative else ""  # an empty text is not the same as none
            prompt = replace(prompt, prompt="", negative=negative, text="", tempo_bpm=0.0, kind="sfx")
        return prompt, seconds, id(request.reference)

    @abstractmethod
    def draw(self, call: Call) -> Tensor:
        """The takes (B, C, T) or (B, T), at least as long as asked."""


def strength_of(prompt: Prompt) -> float:
    """The strength of a variation, above 0: at 0 there would be nothing to draw."""
    if not 0.0 < prompt.strength <= 1.0:
        raise ConfigError(f"the strength of a variation must be above 0 and at most 1, not {prompt.strength:g}")
    return prompt.strength


def _words(prompt: Prompt) -> str:
    tempo = prompt.kind == "music" and prompt.tempo_bpm > 0.0
    return f"{prompt.prompt}, {prompt.tempo_bpm:g} BPM" if tempo else prompt.prompt
