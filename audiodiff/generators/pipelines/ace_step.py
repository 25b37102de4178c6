"""ACE-Step 1.5 (`AceStepPipeline`): music, sung if the prompt has a text."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from audiodiff.generate.records import Draw, Request
from audiodiff.generators.pipelines.family import Call, Family


class AceStep(Family):
    """Music with lyrics and a tempo; no negative prompts. Its text encoder sees padding, so prompts may not mix."""

    kinds = frozenset({"music"})
    edits = frozenset({"new", "inpaint", "continue"})

    def resolve(self, request: Request, draw: Draw) -> Draw:
        """As for all, but guidance is distilled into turbo checkpoints."""
        resolved = super().resolve(request, draw)
        return Draw(resolved.steps, 1.0) if self.pipeline.is_turbo else resolved

    def draw(self, call: Call) -> Tensor:
        """Takes (B, C, T)."""
        if call.sight is None:
            latents = math.ceil(call.seconds * self.pipeline.latents_per_second)
            return self._takes(call, latents, audio_duration=call.seconds)
        hop = math.prod(self.pipeline.vae.config.downsampling_ratios)
        sound = call.seen(hop)
        start_s, end_s = call.stretch_s(hop)
        stretch = {"repainting_start": start_s, "repainting_end": end_s}
        given = {"task_type": "repaint", "src_audio": sound, "audio_duration": call.seconds}
        return self._takes(call, sound.shape[1] // hop, **given, **stretch)

    def _takes(self, call: Call, latents: int, **more: Any) -> Tensor:
        """Takes (B, C, T) of so many latent frames.

        The noise is drawn here, for the pipeline (0.42) counts its frames with a rounding error, and makes one too many
        of 7, 14, 28 and others at 25 frames a second.
        """
        prompt, size = call.prompt, (latents, self.pipeline.transformer.config.audio_acoustic_hidden_dim)
        noise = torch.stack([torch.randn(size, generator=generator) for generator in call.generators])
        takes: Tensor = self.pipeline(
            prompt=[prompt.prompt] * len(call.requests), lyrics=[prompt.text] * len(call.requests),
            bpm=round(prompt.tempo_bpm) or None, num_inference_steps=call.draw.steps,
            guidance_scale=call.draw.guidance, latents=noise, **more,
        ).audios  # fmt: skip
        return takes
