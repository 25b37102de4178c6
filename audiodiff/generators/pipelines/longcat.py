"""LongCat-AudioDiT (`LongCatAudioDiTPipeline`): speech."""

from __future__ import annotations

import math

from torch import Tensor

from audiodiff.generators.pipelines.family import Call, Family


class LongCat(Family):
    """Says the text; the prompt, which would describe the voice, is not heard."""

    kinds = frozenset({"voice"})
    mixes = True

    @property
    def sample_rate(self) -> int:
        """Of what it makes, in hertz."""
        rate: int = self.pipeline.sample_rate
        return rate

    @property
    def longest_s(self) -> float:
        """The whole latent frames within the 30 s at which the pipeline cuts."""
        hop: int = self.pipeline.vae_scale_factor
        return int(self.pipeline.max_wav_duration * self.sample_rate // hop) * hop / self.sample_rate

    def draw(self, call: Call) -> Tensor:
        """Takes (B, 1, T)."""
        hop = self.pipeline.vae_scale_factor
        latents = math.ceil(call.frames / hop) + 0.5  # the pipeline rounds down
        takes: Tensor = self.pipeline(
            prompt=[request.prompt.text or request.prompt.prompt for request in call.requests],
            negative_prompt=call.negatives, num_inference_steps=call.draw.steps, guidance_scale=call.draw.guidance,
            audio_duration_s=latents * hop / self.sample_rate if call.frames else None,
            generator=call.generators, output_type="pt",
        ).audios  # fmt: skip
        return takes
