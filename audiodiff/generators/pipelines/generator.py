"""`PipelineGenerator`: a pipeline of diffusers behind the protocol of generators."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Sequence

import numpy as np
import torch

from audiodiff.errors import ConfigError, EngineError
from audiodiff.generate.records import Draw, Request
from audiodiff.generators.edits import sight, with_channels
from audiodiff.generators.limits import refuse, seconds_of
from audiodiff.generators.pipelines.family import Call, Family
from audiodiff.waveform import Block, Waveform

CONTEXT_S = 30.0
"""How much of a reference a continuation hears at most: more costs, and no pipeline says that it helps."""


class PipelineGenerator:
    """Draws takes with a pipeline, those that are alike in one call; see `Generator` for the contract. Thread-safe.

    A take is the same, but for rounding, whatever it is drawn together with.
    """

    batch = 4
    """Takes in one run of the network; autoencoders that can decode them one by one."""

    def __init__(self, name: str, family: Family, sha256: str, license: str) -> None:  # noqa: A002  the protocol
        """Wrap a loaded pipeline."""
        self.name, self.sha256, self.license = name, sha256, license
        self.sample_rate, self.kinds, self.edits = family.sample_rate, family.kinds, family.edits
        self._family = family
        self._lock = threading.Lock()  # a pipeline keeps the steps of its run

    def resolve(self, request: Request, draw: Draw) -> Draw:
        """The pipeline's own defaults filled in, and the guidance that the prompt's influence makes of it."""
        return self._family.resolve(request, draw)

    def generate(self, requests: Sequence[Request], draw: Draw) -> list[Waveform]:
        """A take for each request, in order; raises `ConfigError` for one that the pipeline cannot serve."""
        alike: dict[tuple[Hashable, Draw], list[int]] = {}
        for index, request in enumerate(requests):
            refuse(self, request)
            self._refuse_longer(request)
            drawn = self.resolve(request, draw)
            alike.setdefault((self._family.alike(request), drawn), []).append(index)
        takes: dict[int, Waveform] = {}
        for (_, drawn), indices in alike.items():
            for start in range(0, len(indices), self.batch):
                part = indices[start : start + self.batch]
                takes |= zip(part, self._draw([requests[index] for index in part], drawn), strict=True)
        return [takes[index] for index in range(len(requests))]

    def _refuse_longer(self, request: Request) -> None:
        seconds, longest_s = seconds_of(request), self._family.longest_s
        if seconds > longest_s:
            raise ConfigError(f"{self.name} makes at most {longest_s:.5g} s, and {seconds:g} s are asked for")

    def _draw(self, requests: Sequence[Request], drawn: Draw) -> list[Waveform]:
        """Takes of requests that are alike."""
        first, rate = requests[0], self.sample_rate
        frames = round(seconds_of(first) * rate)
        generators = [torch.Generator().manual_seed(request.seed) for request in requests]
        if first.prompt.edit == "new" or first.reference is None:
            takes = self._run(Call(requests, drawn, frames, rate, generators))
            return [Waveform(take[:, : frames or None], rate) for take in takes]
        whole = with_channels(first.reference, rate, self._family.pipeline.vae.config.audio_channels)
        context_s = min(CONTEXT_S, self._family.longest_s - seconds_of(first))
        seen = sight(first, whole, rate, context_s)
        takes = self._run(Call(requests, drawn, seen.samples.shape[1], rate, generators, seen))
        if first.prompt.edit == "variation":
            return [Waveform(take[:, :frames], rate) for take in takes]
        return [Waveform(seen.joined(take, whole), rate) for take in takes]

    def _run(self, call: Call) -> list[Block]:
        """What the pipeline draws for each request (C, T), at least as long as asked."""
        with self._lock, torch.random.fork_rng(), torch.inference_mode():
            torch.manual_seed(0)  # some encode their reference with a draw from here
            try:
                takes = self._family.draw(call).float().cpu()  # (B, C, T) or (B, T)
            except ValueError as error:  # what pipelines raise for arguments
                raise ConfigError(f"{self.name}: {error}") from error
        if not takes.isfinite().all():
            raise EngineError(f"{self.name} made samples that are no numbers")
        assert takes.shape[-1] >= call.frames, f"{self.name} made {takes.shape[-1]} samples of {call.frames}"
        return [np.atleast_2d(take.numpy()) for take in takes]
