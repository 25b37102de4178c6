"""Stable Audio Open and its fine-tunes (`StableAudioPipeline`)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from audiodiff.generators.pipelines.family import Call, Family, strength_of


class StableAudio(Family):
    """Draws all of its longest length whatever is asked, and cuts it. A variation starts from a noisy reference."""

    edits = frozenset({"new", "variation"})
    mixes = True

    @property
    def longest_s(self) -> float:
        """The window it was trained on: 47.6 s for Stable Audio Open 1.0."""
        vae = self.pipeline.vae
        seconds: float = self.pipeline.transformer.config.sample_size * vae.hop_length / vae.config.sampling_rate
        return seconds

    def draw(self, call: Call) -> Tensor:
        """Takes (B, C, T)."""
        if call.sight is None:
            return self._takes(call, None)
        whole = self.pipeline.scheduler
        try:
            self.pipeline.scheduler = _from_the_middle(whole, strength_of(call.prompt))
            latents = self._noisy(call) / self.pipeline.scheduler.init_noise_sigma  # the pipeline multiplies by it
            return self._takes(call, latents)
        finally:
            self.pipeline.scheduler = whole

    def _takes(self, call: Call, latents: Tensor | None) -> Tensor:
        takes: Tensor = self.pipeline(
            prompt=call.words, negative_prompt=call.negatives, audio_end_in_s=call.seconds, latents=latents,
            num_inference_steps=call.draw.steps, guidance_scale=call.draw.guidance, generator=call.generators,
        ).audios  # fmt: skip
        return takes

    def _noisy(self, call: Call) -> Tensor:
        """Latents (B, D, N) of the reference under noise of the level that drawing begins with.

        The pipeline's own `initial_audio_waveforms` are added to the noise of an empty start, which drowns them.
        """
        vae, size = self.pipeline.vae, self.pipeline.transformer.config.sample_size
        sound = call.seen(size * vae.hop_length)[None]  # (1, C, T), for all takes
        clean = vae.encode(sound.to(vae.device, vae.dtype)).latent_dist.mode()  # (1, D, N)
        noise = [torch.randn(clean.shape[1:], generator=generator) for generator in call.generators]
        sigma: float = self.pipeline.scheduler.config.sigma_max
        noisy: Tensor = clean + sigma * torch.stack(noise).to(clean.device, clean.dtype)
        return noisy


def _from_the_middle(scheduler: Any, strength: float) -> Any:
    """A scheduler that begins where `strength` of the logarithmic noise levels is left (SDEdit, 2108.01073)."""
    lowest, highest = scheduler.config.sigma_min, scheduler.config.sigma_max
    sigma = math.exp(math.log(lowest) + strength * (math.log(highest) - math.log(lowest)))
    return type(scheduler).from_config(scheduler.config, sigma_max=sigma)
