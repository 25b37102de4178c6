"""Players: the first seconds of a clip, small enough that a page can hold dozens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audiodiff.encode import encode_opus
from audiodiff.report import spectrogram
from audiodiff.waveform import Waveform

MAX_PLAYER_S = 6.0
OPUS_BIT_RATE = 48_000

_PEAK = 0.9  # the lossy codec overshoots by some per cent


@dataclass(frozen=True, slots=True)
class Player:
    """What the report plays and shows of a clip: Ogg Opus, mono, and its spectrogram as PNG.

    `start_s` is where in its recording the excerpt begins, half of `sample_rate` the top of the spectrogram.
    """

    start_s: float
    duration_s: float
    sample_rate: int
    opus: bytes
    png: bytes


def make_player(sound: Waveform, start_s: float = 0.0) -> Player:
    """Make the player of a clip from its first 6 s, turned down where it would clip.

    Raises `ValueError` if there are no samples.
    """
    if not sound.frames:
        raise ValueError("a clip without samples has no player")
    excerpt = np.nan_to_num(sound.samples[:, : int(MAX_PLAYER_S * sound.sample_rate)], posinf=0.0, neginf=0.0)
    level_map = spectrogram.level_map_db(excerpt, sound.sample_rate)
    mono = excerpt.mean(axis=0, keepdims=True)  # (1, T)
    playable = mono * np.float32(min(1.0, _PEAK / max(float(np.abs(mono).max()), _PEAK)))
    opus = encode_opus(Waveform(playable, sound.sample_rate), OPUS_BIT_RATE)
    png = spectrogram.to_png(level_map, float(level_map.max()))
    return Player(start_s, excerpt.shape[1] / sound.sample_rate, sound.sample_rate, opus, png)
