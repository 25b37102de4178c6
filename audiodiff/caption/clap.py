"""`ClapCaptioner`: which of some phrases a CLAP model finds nearest to a sound."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor

from audiodiff.caption import Heard
from audiodiff.curate.records import Caption
from audiodiff.errors import ConfigError
from audiodiff.waveform import Waveform

LABELS = (
    "a dog barking", "a cat meowing", "a rooster crowing", "a hen clucking", "a cow mooing", "a pig grunting",
    "a sheep bleating", "a horse neighing", "horse hooves on a road", "a frog croaking", "crickets chirping",
    "a bee or fly buzzing", "a songbird singing", "a crow cawing", "an owl hooting", "seagulls calling",
    "a wolf howling", "a lion roaring", "rain falling", "thunder rumbling", "wind blowing", "sea waves breaking",
    "a stream flowing", "water dripping", "water pouring into a glass", "a splash in water", "a toilet flushing",
    "a fire crackling", "footsteps on a hard floor", "footsteps on gravel", "leaves rustling", "paper rustling",
    "cloth rustling", "a zipper being pulled", "a door closing", "a door creaking", "a knock on a door",
    "keys jingling", "coins clinking", "glass breaking", "dishes clattering", "something of wood being hit",
    "something of metal being hit", "something being scraped over a floor", "a clock ticking", "an alarm clock ringing",
    "a telephone ringing", "a church bell ringing", "a doorbell ringing", "a siren wailing", "a car horn honking",
    "a car driving past", "a car engine idling", "a motorcycle engine", "a truck engine", "a train passing",
    "an aeroplane flying over", "a helicopter flying", "a boat engine", "a bicycle being ridden",
    "a chainsaw running", "a lawn mower running", "a vacuum cleaner running", "an electric drill running",
    "a hand saw sawing wood", "a hammer hitting nails", "a washing machine running", "a fan humming",
    "electricity buzzing", "radio static", "keyboard typing", "a mouse clicking", "a camera shutter", "a gunshot",
    "an explosion", "fireworks", "a sword being drawn", "a whoosh", "an electronic beep", "a synthesizer sound",
    "a person speaking", "a crowd talking", "children playing", "a person whispering", "a person shouting",
    "a person screaming", "a person laughing", "a baby crying", "a person coughing", "a person sneezing",
    "a person snoring", "a person breathing", "a person singing", "a choir singing", "hands clapping",
    "a crowd cheering", "a piano playing", "an acoustic guitar playing", "an electric guitar playing",
    "a violin playing", "a flute playing", "a trumpet playing", "drums playing", "an organ playing",
    "an orchestra playing", "electronic dance music", "white noise", "the hum of a quiet room",
    "the noise of street traffic",
)  # fmt: skip
"""What can be heard, as it is asked and said."""

TEMPLATE = "This is a sound of {}."
"""The prompt of LAION's models (Wu et al. 2023, Large-scale contrastive language-audio pretraining)."""

_THRESHOLD = 0.3
"""Some thirty times chance; to be set by ear for the model in use, for none comes with audiodiff to measure it on."""

_WEIGHTS = "model.safetensors"
_SHORTEST_S = 1.0  # what is left of a long clip after its last whole window counts from here on
_SILENCE = 1e-4  # of full scale: the model finds something in silence too
_BATCH = 16


class ClapCaptioner:
    """Says the likeliest of `labels`, or nothing where its probability is below `threshold`.

    `folder` holds a transformers CLAP model with its processor; only `model.safetensors` is read, and nothing is
    fetched. The probability is over the labels, at the model's own logit scale, and the mean over the windows of a long
    clip: it says which label fits best, not whether any does. Raises ConfigError where transformers or a file is
    missing.
    """

    name = "clap"

    def __init__(
        self, folder: Path, labels: Sequence[str] = LABELS, template: str = TEMPLATE, threshold: float = _THRESHOLD,
        device: str = "cpu",
    ) -> None:  # fmt: skip
        weights = folder / _WEIGHTS
        if not weights.is_file():
            raise ConfigError(f"clap needs a folder with {_WEIGHTS} and the processor's files; {str(folder)!r} is none")
        self.labels, self.threshold = tuple(labels), threshold
        self._model, self._processor = _load(folder, device)
        with weights.open("rb") as file:
            self.sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        self._texts = self._embed_texts([template.format(label) for label in labels])

    def caption(self, clips: Sequence[Heard]) -> list[Caption | None]:
        """The likeliest label of each clip, None below the threshold and for silence."""
        return [self._say(row) for row in self.probabilities([heard.sound for heard in clips])]

    def probabilities(self, sounds: Sequence[Waveform]) -> list[Tensor]:
        """Of each label (L,), for each sound; NaN for a silent one."""
        windows = [list(self._windows(sound)) for sound in sounds]
        flat = [window for those in windows for window in those]
        batches = [flat[start : start + _BATCH] for start in range(0, len(flat), _BATCH)]
        found = torch.cat([torch.empty(0, len(self.labels)), *map(self._classify, batches)])  # (W, L)
        return [part.mean(dim=0) for part in found.split_with_sizes([len(those) for those in windows])]

    def _say(self, probabilities: Tensor) -> Caption | None:
        confidence, index = probabilities.max(dim=0)
        if not confidence >= self.threshold:  # NaN is no caption either
            return None
        return Caption(self.name, self.labels[int(index)], round(float(confidence), 3))

    def _windows(self, sound: Waveform) -> Iterator[np.ndarray[Any, Any]]:
        """Mono (T,) at the model's rate, in pieces that it takes whole: of longer ones it would hear a random part."""
        extractor = self._processor.feature_extractor
        rate, longest = extractor.sampling_rate, extractor.nb_max_samples
        samples = sound.mono().resample(rate).samples[0]
        for start in range(0, len(samples), longest):
            piece = samples[start : start + longest]
            if (start == 0 or len(piece) >= _SHORTEST_S * rate) and np.abs(piece).max() > _SILENCE:
                yield piece

    def _classify(self, windows: Sequence[np.ndarray[Any, Any]]) -> Tensor:
        """Probabilities (W, L) of windows (T,)."""
        extractor = self._processor.feature_extractor
        features = extractor(list(windows), sampling_rate=extractor.sampling_rate, return_tensors="pt")
        none_longer = torch.zeros(len(windows), 1, dtype=torch.bool)  # the extractor draws one at random to be so
        device = self._model.device
        with torch.inference_mode():
            heard = self._model.get_audio_features(
                input_features=features["input_features"].float().to(device), is_longer=none_longer.to(device)
            ).pooler_output  # (W, D), of unit norm
            logits = self._model.logit_scale_a.exp() * heard @ self._texts.T
            probabilities: Tensor = logits.softmax(dim=-1).cpu()
        return probabilities

    def _embed_texts(self, texts: list[str]) -> Tensor:
        """Unit vectors (L, D)."""
        tokens = self._processor.tokenizer(texts, padding=True, return_tensors="pt").to(self._model.device)
        with torch.inference_mode():
            embedded: Tensor = self._model.get_text_features(
                input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
            ).pooler_output
        return embedded


@functools.cache
def load_clap(folder: str) -> ClapCaptioner:
    """The model of a folder, on a GPU where there is one; read once per process."""
    return ClapCaptioner(Path(folder), device="cuda" if torch.cuda.is_available() else "cpu")


def _load(folder: Path, device: str) -> tuple[Any, Any]:
    try:
        from transformers import ClapModel, ClapProcessor  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ConfigError("the clap captioner needs transformers: pip install 'audiodiff[clap]'") from error
    try:
        model: Any = ClapModel.from_pretrained(folder, use_safetensors=True, local_files_only=True, dtype=torch.float32)
        processor: Any = ClapProcessor.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, SafetensorError) as error:
        raise ConfigError(f"{str(folder)!r} holds no CLAP model that can be read: {error}") from error
    return model.eval().to(device), processor
