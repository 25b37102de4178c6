"""Which faults a recording has, by what was measured of it; one without any is left as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from audiodiff.gates import CLIPPED_MORE
from audiodiff.records import MediaInfo, Scores

STEADY_DB = -62.0  # clean recordings lie below -68, with hiss at 35 dB above -56
BACKGROUND_DB = -48.0  # clean speech -45 to -57; hum, hiss and street noise at 15 dB -22 to -42
CLICKS_PER_S = 1.5  # clean recordings up to 1.1 (lips and teeth), crackle 1.4 to 23
NARROW_HZ, NARROW = 16_000.0, 0.6  # less than this share of what the rate allows, and of what ears miss, is a lost band
UNHEARD_DB = -30.0  # a change so far below the programme, without any fault to explain it, is the network's own error


@dataclass(frozen=True, slots=True)
class Sign:
    """One sign of damage: the fault's name in the ledger, and whether a recording shows it."""

    fault: str
    shows: Callable[[Scores, MediaInfo], bool]


def _narrow(scores: Scores, media: MediaInfo) -> bool:
    return scores.bandwidth_hz < NARROW * min(NARROW_HZ, media.sample_rate / 2)


SIGNS: tuple[Sign, ...] = (
    Sign("noise", lambda s, _: s.steady_noise_db > STEADY_DB),
    Sign("crackle", lambda s, _: s.clicks_per_s > CLICKS_PER_S),
    Sign("clipping", lambda s, _: s.clipped_fraction > CLIPPED_MORE),
    Sign("lost band", _narrow),
)


def find_faults(scores: Scores, media: MediaInfo) -> tuple[str, ...]:
    """The faults that a recording shows beyond doubt, in the order of `SIGNS`."""
    return tuple(sign.fault for sign in SIGNS if sign.shows(scores, media))


def is_clean(scores: Scores, faults: tuple[str, ...]) -> bool:
    """Whether a recording shows that it has no fault: none is found, and its background falls quiet again and again.

    Music that never pauses cannot show it (nor can a second of speech), and is not called clean.
    """
    return not faults and scores.background_db < BACKGROUND_DB
