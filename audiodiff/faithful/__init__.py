"""Faithfulness: whether a restoration still says, sings and plays what the recording does.

- `words`, `envelope`: what is said
- `pitch`, `tuning`: how high, of a voice and of music
- `onsets`: when notes begin
- `match`: the same rate and noise for both
"""

from __future__ import annotations

import math

from audiodiff.faithful.match import mono, under_same_noise
from audiodiff.faithful.onsets import onset_margin
from audiodiff.faithful.pitch import pitch_moved
from audiodiff.faithful.tuning import tuning_moved
from audiodiff.faithful.words import word_agreement
from audiodiff.records import Faithfulness
from audiodiff.waveform import Waveform

SHORTEST_S, LONGEST_S = 1.0, 60.0


def compare(before: Waveform, after: Waveform, speech: bool) -> Faithfulness:
    """Compare an excerpt with its restoration, sample by sample in time, of equal rates and lengths, 1 to 60 s.

    Any number of channels, 8 to 192 kHz. Below a second, and where either is silent, all is NaN. Raises `ValueError`
    for excerpts that do not match.
    """
    if (before.sample_rate, before.frames) != (after.sample_rate, after.frames):
        raise ValueError(f"excerpts differ in rate or length: {before.samples.shape} and {after.samples.shape}")
    if before.duration_s > LONGEST_S:
        raise ValueError(f"an excerpt of {before.duration_s:.0f} s is too long to compare; at most {LONGEST_S:g} s")
    if before.duration_s < SHORTEST_S or not before.samples.any() or not after.samples.any():
        return Faithfulness(math.nan, math.nan, math.nan)
    first, second = mono(before), mono(after)
    alike = under_same_noise(first, second)
    if speech:
        return Faithfulness(word_agreement(first, second), pitch_moved(*alike), math.nan)
    return Faithfulness(math.nan, tuning_moved(*alike), onset_margin(*alike))
