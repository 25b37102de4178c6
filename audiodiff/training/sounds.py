"""Labelled sounds for the tagger: which recordings there are, in which fold, and their levels in mel bands."""

from __future__ import annotations

import csv
import itertools
import math
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.torch import load_file, save_file
from torch import Tensor

from audiodiff.caption.tagger import OTHER, log_mel
from audiodiff.media import open_audio
from audiodiff.training.packing import HELD_OUT, HELD_OUT_ENDINGS
from audiodiff.waveform import Waveform

FOLDS = 3
ESC, TEST = "github:karoldvl/ESC-10", 4
"""Fold 4 is only ever evaluated, and so is what HELD_OUT names; fold 5 is not touched."""

SPEEDS = (1.0, 0.85, 1.18)
_SKIP_S, _LONGEST_S = 20.0, 30.0
_PER_SPEAKER, _PER_PACKAGE = 12, 60
_NOISES = {"rain": "rain", "waves": "sea waves", "fireplace": "fire crackling"}
_AMBIGUOUS = ("fire", "flame", "burn", "clock", "wolf", "water", "guitar", "choir", "fanfare", "horn", "person", "man")
"""Words of labels that lie too near a class to be called other: neither one nor the other is learnt from them."""


@dataclass(frozen=True, slots=True)
class Sound:
    """A labelled recording: folds 1 to 3 are trained on, fold 4 is evaluated; `source` is the collection."""

    path: Path
    label: str
    fold: int
    source: str


def kit_sounds(manifest: Path, packages: Sequence[str] = ()) -> Iterator[Sound]:
    """The labelled sounds of a manifest.csv; music of `packages`, which are given whole, is left out."""
    spoken: Counter[str] = Counter()
    with manifest.open(newline="") as file:
        for row in csv.DictReader(file):
            path, source, speaker = manifest.parent / row["path"], row["source"], row["speaker"]
            label = _label(row)
            spoken[speaker] += label == "speech"
            too_many = label == "speech" and spoken[speaker] > _PER_SPEAKER
            if label and not too_many and source.removeprefix("apt:") not in packages:
                held_out = bool({path.stem, source, speaker} & HELD_OUT)
                fold = TEST if held_out else _fold(speaker if label == "speech" else path.stem)
                if source == ESC:
                    fold = int(Path(row["original_file"]).name[0])
                if fold <= TEST and path.stem != "storm":  # rain and thunder, so neither rain nor other
                    yield Sound(path, label, fold, source)


def package_sounds(given: str) -> Iterator[Sound]:
    """Up to 60 recordings, evenly spread, below the folder of `LABEL:DIR`."""
    label, folder = given.split(":", 1)
    root = Path(folder)
    files = [path for path in sorted(root.rglob("*")) if path.suffix in {".ogg", ".opus", ".flac", ".wav"}]
    usable = [path for path in files if path.stem not in HELD_OUT and not path.stem.endswith(HELD_OUT_ENDINGS)]
    for path in usable[:: max(1, math.ceil(len(usable) / _PER_PACKAGE))]:
        yield Sound(path, label, _fold(path.parent.name if label == "speech" else path.stem), root.name)


def _label(row: dict[str, str]) -> str:
    """The class of a row of the manifest, empty if it has none that is learnt."""
    kind, label = row["kind"], row["label"].lower()
    if kind in {"speech", "music"}:
        return "" if row["path"].endswith((".g722", ".gsm")) else kind
    if kind == "noise":
        return _NOISES.get(Path(row["path"]).stem, OTHER)
    if kind != "sfx" or row["source"] == ESC:
        return label if kind == "sfx" else ""
    return "" if any(word in label for word in _AMBIGUOUS) else OTHER


def _fold(name: str) -> int:
    return zlib.crc32(name.encode()) % FOLDS + 1


def read_features(sounds: Sequence[Sound], cache: Path) -> list[list[Tensor]]:
    """For each sound its levels (F, N) at each speed, kept in a file of `cache`."""
    path = cache / "features.safetensors"
    if not path.exists():
        found = {f"{i}/{k}": levels for i, sound in enumerate(sounds) for k, levels in enumerate(_levels(sound))}
        save_file(found, path)
    stored = load_file(path)
    return [[stored[f"{i}/{k}"] for k in range(len(SPEEDS))] for i in range(len(sounds))]


def _levels(sound: Sound) -> list[Tensor]:
    with open_audio(sound.path) as reader:
        rate = reader.info.sample_rate
        most_s = _LONGEST_S + _SKIP_S
        blocks = list(itertools.takewhile(lambda _: reader.frames <= (most_s + 1.0) * rate, reader))
    samples = np.concatenate(blocks, axis=1)
    start = int(_SKIP_S * rate) if samples.shape[1] > most_s * rate else 0  # a track's beginning is untypical
    samples = samples[:, start : start + int(_LONGEST_S * rate)]
    return [log_mel(Waveform(samples, round(rate * speed))).contiguous() for speed in SPEEDS]
