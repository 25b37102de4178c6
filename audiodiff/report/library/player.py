"""Players of takes: all of a loop, the first seconds of anything else, and its spectrogram."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audiodiff.encode import encode_opus
from audiodiff.report import spectrogram
from audiodiff.waveform import Waveform

MAX_PLAYER_S = 10.0
"""Of a take that is no loop; a loop is heard whole, or there would be no seam to hear."""
OPUS_BIT_RATE = 48_000
LEAD_S = 0.1
"""Of a loop, before its beginning and after its end: more than the 80 ms in which Opus converges (RFC 7845, 4.6)."""

_PEAK = 0.9  # the lossy codec overshoots by some per cent


@dataclass(frozen=True, slots=True)
class TakePlayer:
    """What the page plays and shows of a take: Ogg Opus with `duration_s` of it, and its spectrogram as PNG.

    The Opus has `lead_s` more before and after: of a loop what precedes its beginning and follows its end, so that the
    codec makes no seam of its own. `whole_s` is the take's length, half of `sample_rate` the top of the spectrogram.
    """

    duration_s: float
    whole_s: float
    sample_rate: int
    lead_s: float
    opus: bytes
    png: bytes


def make_take_player(take: Waveform, loop: bool = False) -> TakePlayer:
    """Make the player of a take, turned down where it would clip; of more than two channels the mean is heard.

    Raises `ValueError` if there are no samples.
    """
    if not take.frames:
        raise ValueError("a take without samples has no player")
    rate = take.sample_rate
    frames = take.frames if loop else int(MAX_PLAYER_S * rate)
    excerpt = np.nan_to_num(take.samples[:, :frames], posinf=0.0, neginf=0.0)  # (C, T)
    level_map = spectrogram.level_map_db(excerpt, rate)
    png = spectrogram.to_png(level_map, float(level_map.max()))
    heard = excerpt if len(excerpt) <= 2 else excerpt.mean(axis=0, keepdims=True)
    heard = heard * np.float32(min(1.0, _PEAK / max(float(np.abs(heard).max()), _PEAK)))
    lead = round(LEAD_S * rate) if loop else 0
    around = np.pad(heard, ((0, 0), (lead, lead)), mode="wrap")
    opus = encode_opus(Waveform(around, rate), OPUS_BIT_RATE)
    return TakePlayer(excerpt.shape[1] / rate, take.duration_s, rate, lead / rate, opus, png)
