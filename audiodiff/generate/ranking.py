"""The best of some takes of one prompt, and why."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from audiodiff.generate.judging import REPEATS, Verdict, judge, severity
from audiodiff.generate.measures import TakeMeasures
from audiodiff.generate.records import Prompt

Judge = Callable[[TakeMeasures, Prompt], Verdict]

_CLEAN_DB, _FOUL_DB = -60.0, -20.0  # of hum, buzz and ringing: not heard, and hardly anything else is heard
_NO_SEAM_DB, _SEAM_DB = -6.0, 6.0
_FULL_HZ = 20_000.0
_NO_TEXT = -4.0  # nats a frame: below what another text has
_OTHER, _ALIKE = 0.4, 0.65  # likeness to training clips: that of other recordings, and of copies


@dataclass(frozen=True, slots=True)
class Term:
    """Something that speaks for a take: `value` from 0, bad, to 1, good; NaN does not count."""

    name: str
    weight: float
    value: Callable[[TakeMeasures], float]


def _between(bad: float, good: float, value: float) -> float:
    return min(1.0, max(0.0, (value - bad) / (good - bad))) if not math.isnan(value) else math.nan


def _worst(*values: float) -> float:
    return max((value for value in values if not math.isnan(value)), default=math.nan)


TERMS = (
    Term("match", 1.0, lambda m: m.match),
    Term("CLAP", 1.0, lambda m: _between(0.0, 1.0, m.clap_match)),
    Term("words", 1.0, lambda m: _between(_NO_TEXT, 0.0, m.text_evidence)),
    Term("tempo", 0.5, lambda m: _between(0.1, 0.0, m.tempo_error)),
    Term("seam", 0.5, lambda m: _between(
        _SEAM_DB, _NO_SEAM_DB, _worst(m.seam_change_db, m.seam_click_db, m.seam_gap_db))),
    Term("speech", 0.5, lambda m: _between(1.0, 4.0, m.dnsmos_ovrl)),
    Term("clean", 0.2, lambda m: _between(_FOUL_DB, _CLEAN_DB, _worst(m.hum_db, m.buzz_db, m.ring_db))),
    Term("bandwidth", 0.2, lambda m: _between(0.0, _FULL_HZ, m.bandwidth_hz)),
    Term("new", 0.2, lambda m: _between(_ALIKE, _OTHER, m.memory_likeness)),
)  # fmt: skip
"""What a score is the weighted mean of: that it is what was asked for counts five times as much as how clean it is."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """A take in its place: its number among those given, how it is judged now, its score 0 to 1, and why it is there.

    `measures` have the likeness to the nearest better take.
    """

    index: int
    measures: TakeMeasures
    verdict: Verdict
    score: float
    why: str


def rank(
    takes: Sequence[TakeMeasures], prompt: Prompt, likeness: NDArray[np.float64], judged: Judge = judge
) -> list[Ranked]:
    """Takes of one prompt, the best first: by lane, then by score, then by number.

    `likeness` (N, N) is how alike they sound (`memory.likeness_among`). A take that is too like a better one is judged
    so and goes down; what is like only such a repeat is not.
    """
    verdicts = [judged(measures, prompt) for measures in takes]
    scores = [score(measures) for measures in takes]
    order = sorted(range(len(takes)), key=lambda number: (severity(verdicts[number].lane), -scores[number], number))
    placed: list[Ranked] = []
    kept: list[int] = []
    for number in order:
        measures, why = _beside(takes[number], number, kept, likeness)
        verdict = judged(measures, prompt)
        placed.append(Ranked(number, measures, verdict, scores[number], why))
        if REPEATS not in verdict.reasons:
            kept.append(number)
    return sorted(placed, key=lambda one: severity(one.verdict.lane))


def _beside(
    measures: TakeMeasures, number: int, better: Sequence[int], likeness: NDArray[np.float64]
) -> tuple[TakeMeasures, str]:
    """A take with its likeness to the nearest of the better ones, and what speaks for it in words."""
    told = [f"{term.name} {value:.2f}" for term in TERMS if not math.isnan(value := term.value(measures))]
    if not better:
        return measures, ", ".join(told)
    nearest = max(better, key=lambda other: likeness[number, other])
    told.append(f"{likeness[number, nearest]:.2f} like take {nearest}")
    return replace(measures, sibling_likeness=float(likeness[number, nearest])), ", ".join(told)


def score(measures: TakeMeasures) -> float:
    """The weighted mean of the terms that apply, 0 to 1; 0 where none does."""
    told = [(term.weight, value) for term in TERMS if not math.isnan(value := term.value(measures))]
    return sum(weight * value for weight, value in told) / sum(weight for weight, _ in told) if told else 0.0
