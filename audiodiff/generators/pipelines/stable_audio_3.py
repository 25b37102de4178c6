"""Stable Audio 3: its three pipelines share their parts, so a folder of any of them does all."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from torch import Tensor

from audiodiff.generate.records import Draw, Request
from audiodiff.generators.pipelines.family import Call, Family, strength_of

_DISTILLED = Draw(steps=8, guidance=1.0)
_BASE = Draw(steps=100, guidance=7.0)
"""Steps as of the pipelines, guidance as of docs/workflows/inference.md in Stability AI's stable-audio-3."""


class StableAudio3(Family):
    """New takes, variations, inpainting and continuation; the last three without guidance and negative prompts."""

    mixes = True

    def __init__(self, pipeline: Any) -> None:
        """Wrap a pipeline, and make its siblings of its parts."""
        super().__init__(pipeline)
        diffusers, parts = import_module("diffusers"), pipeline.components  # an extra
        self._new = diffusers.StableAudio3Pipeline(**parts)
        self._vary = diffusers.StableAudio3AudioToAudioPipeline(**parts)
        self._inpaint = diffusers.StableAudio3InpaintPipeline(**parts)
        for sibling in (self._new, self._vary, self._inpaint):
            sibling.set_progress_bar_config(disable=True)
        hears_masks = pipeline.transformer.config.local_add_cond_dim == pipeline.vae.config.latent_dim + 1
        self.edits = frozenset({"new", "variation"} | ({"inpaint", "continue"} if hears_masks else set()))

    @property
    def longest_s(self) -> float:
        """The longest duration it knows: 384 s for the medium model."""
        longest: float = self.pipeline.duration_embedder.config.max_val
        return longest

    def defaults(self) -> Draw:
        """Those of a distilled or a base checkpoint; the scheduler tells which it is."""
        return _DISTILLED if self.pipeline.scheduler.config.stochastic_sampling else _BASE

    def resolve(self, request: Request, draw: Draw) -> Draw:
        """As for all, but edits are drawn without guidance: their pipelines have none."""
        resolved = super().resolve(request, draw)
        return resolved if request.prompt.edit == "new" else Draw(resolved.steps, 1.0)

    def draw(self, call: Call) -> Tensor:
        """Takes (B, C, T)."""
        if call.sight is None:
            guided = {"guidance_scale": call.draw.guidance, "negative_prompt": call.negatives}
            return self._takes(self._new, call, **guided)
        hop: int = self.pipeline.vae.downsampling_ratio
        sound = call.seen(hop)[None]  # (1, C, T), for all takes
        if call.prompt.edit == "variation":
            return self._takes(self._vary, call, audio=sound, init_noise_level=strength_of(call.prompt))
        start_s, end_s = call.stretch_s(hop)
        return self._takes(self._inpaint, call, audio=sound, mask_start_seconds=start_s, mask_end_seconds=end_s)

    def _takes(self, pipeline: Any, call: Call, **more: Any) -> Tensor:
        takes: Tensor = pipeline(
            prompt=call.words, duration=call.seconds, generator=call.generators,
            num_inference_steps=call.draw.steps, **more,
        ).audios  # fmt: skip
        return takes
