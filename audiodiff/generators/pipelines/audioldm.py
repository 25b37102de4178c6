"""AudioLDM 2, and the deprecated AudioLDM and MusicLDM: a mel spectrogram is drawn, and a vocoder makes it sound."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from audiodiff.errors import ConfigError
from audiodiff.generators.pipelines.family import Call, Family


class AudioLDM(Family):
    """The first AudioLDM: mono, one text encoder."""

    mixes = True

    @property
    def sample_rate(self) -> int:
        """Of the vocoder, in hertz."""
        rate: int = self.pipeline.vocoder.config.sampling_rate
        return rate

    def draw(self, call: Call) -> Tensor:
        """Takes (B, T)."""
        hop = math.prod(self.pipeline.vocoder.config.upsample_rates)
        columns = math.ceil(call.frames / hop) + 0.5  # of the spectrogram, which the pipeline rounds down
        seconds = columns * hop / call.sample_rate
        takes: Tensor = self.pipeline(
            **self._texts(call), audio_length_in_s=seconds, num_inference_steps=call.draw.steps,
            guidance_scale=call.draw.guidance, generator=call.generators, output_type="pt",
        ).audios  # fmt: skip
        return takes

    def _texts(self, call: Call) -> dict[str, Any]:
        return {"prompt": call.words, "negative_prompt": call.negatives}


class MusicLDM(AudioLDM):
    """AudioLDM trained on music. Its own way of encoding texts breaks with transformers 5, so that is done here."""

    kinds = frozenset({"music"})

    def _texts(self, call: Call) -> dict[str, Any]:
        negatives = call.negatives or [""] * len(call.requests)
        return {"prompt_embeds": self._embedded(call.words), "negative_prompt_embeds": self._embedded(negatives)}

    def _embedded(self, texts: list[str]) -> Tensor:
        """Embeddings (B, D)."""
        tokenizer, encoder = self.pipeline.tokenizer, self.pipeline.text_encoder
        longest = {"padding": "max_length", "max_length": tokenizer.model_max_length, "truncation": True}
        tokens = tokenizer(texts, return_tensors="pt", **longest).to(self.pipeline.device)
        embedded: Tensor = encoder.get_text_features(tokens.input_ids, tokens.attention_mask).pooler_output
        return embedded


class AudioLDM2(AudioLDM):
    """AudioLDM 2: a language model continues the texts, from behind their padding, so prompts may not mix."""

    mixes = False

    def __init__(self, pipeline: Any) -> None:
        """Wrap a pipeline; raises `ConfigError` for a checkpoint that speaks."""
        if type(pipeline.text_encoder_2).__name__ == "VitsModel":
            raise ConfigError("AudioLDM 2 checkpoints for speech are not supported: they want phonemes, not text")
        super().__init__(pipeline)
