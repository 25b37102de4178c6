"""Rules that put a take into a lane, each with a reason, the value found and the limit; and the limits of each kind."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from audiodiff.generate.heard import SAYS_EVERY_WORD, SAYS_TEXT
from audiodiff.generate.measures import TakeMeasures
from audiodiff.generate.memory import MEMORISED
from audiodiff.generate.records import Kind, Prompt
from audiodiff.records import Lane

NAN = math.nan
REPEATS = "repeats_sibling"
"""The reason of a take that is too like a better one of its prompt."""

LOUD_TAIL_DB = -15.0
"""From this level on, against the loudest, an end is one that the sound did not come to by itself."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How good a take must be; NaN asks for nothing, and what could not be measured fails no rule.

    Units are those of `TakeMeasures`. `least_length`, `most_length` are shares of the length that was asked for.
    """

    most_broken: float = 0.0
    most_silent: float = 0.97
    least_lufs: float = -55.0
    most_clipped: float = 1e-3
    most_dc: float = 0.02
    least_correlation: float = -0.9
    most_hum_db: float = -20.0
    most_buzz_db: float = -35.0
    most_ring_db: float = NAN
    most_clicks_per_s: float = NAN
    most_tail_rise_db: float = NAN
    most_head_db: float = NAN
    least_length: float = 0.9
    most_length: float = 1.1
    least_match: float = 0.1
    least_clap_match: float = NAN
    least_text_evidence: float = NAN
    least_weakest_word: float = NAN
    least_dnsmos: float = NAN
    most_tempo_error: float = NAN
    most_seam_change_db: float = 4.0
    most_seam_click_db: float = 6.0
    most_seam_gap_db: float = 8.0
    most_memorised: float = MEMORISED
    most_training_like: float = 0.5
    most_sibling_like: float = MEMORISED


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: `value` of a take against the limit of that name leads to `lane`; `unit` is for the message."""

    reason: str
    lane: Lane
    explain: str
    limit: str
    value: Callable[[TakeMeasures, Prompt], float]
    unit: str = ""

    def broken(self, measures: TakeMeasures, prompt: Prompt, limits: Limits) -> str:
        """The value and the limit in words where the take breaks the rule, else ""."""
        value, limit = self.value(measures, prompt), getattr(limits, self.limit)
        least = self.limit.startswith("least_")
        if math.isnan(value) or math.isnan(limit) or (value >= limit if least else value <= limit):
            return ""
        word = "at least" if least else "at most"
        return f"{self.reason}: {value:.3g}{self.unit}, {word} {limit:.3g}{self.unit} wanted"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The worst lane of the broken rules; `reasons` are their codes, `messages` say the same with figures."""

    lane: Lane
    reasons: tuple[str, ...]
    messages: tuple[str, ...]


def _length(measures: TakeMeasures, prompt: Prompt) -> float:
    return measures.drawn_s / prompt.duration_s if prompt.duration_s > 0 else NAN


def _cut_tail(measures: TakeMeasures, prompt: Prompt) -> float:
    """A loop goes on, and need not end."""
    return measures.tail_rise_db if measures.tail_db > LOUD_TAIL_DB and not prompt.loop else NAN


def _sibling_like(measures: TakeMeasures, prompt: Prompt) -> float:
    """Edits of one reference are alike by intention."""
    return measures.sibling_likeness if prompt.edit == "new" else NAN


RULES = (
    Rule("not_finite", Lane.REJECTED, "Samples that are no numbers.", "most_broken", lambda m, _: m.broken_share),
    Rule("silent", Lane.REJECTED, "Hardly anything but silence.", "most_silent", lambda m, _: m.silent_fraction),
    Rule("too_quiet", Lane.REJECTED, "Too quiet to be turned up.", "least_lufs", lambda m, _: m.lufs, " LUFS"),
    Rule("clipped", Lane.REJECTED, "Peaks are cut off.", "most_clipped", lambda m, _: m.clipped_fraction),
    Rule(
        "memorised",
        Lane.REJECTED,
        "A copy of a training clip and not a new sound.",
        "most_memorised",
        lambda m, _: m.memory_likeness,
    ),
    Rule("dc_offset", Lane.REVIEW, "The waveform is not centred on zero.", "most_dc", lambda m, _: m.dc_offset),
    Rule(
        "antiphase",
        Lane.REVIEW,
        "The channels are in opposite phase and cancel in mono.",
        "least_correlation",
        lambda m, _: m.channel_correlation,
    ),
    Rule("hum", Lane.REVIEW, "A hum at the frequency of the mains.", "most_hum_db", lambda m, _: m.hum_db, " dB"),
    Rule("buzz", Lane.REVIEW, "A buzz at the vocoder's frame rate.", "most_buzz_db", lambda m, _: m.buzz_db, " dB"),
    Rule("ringing", Lane.REVIEW, "A high tone that never stops.", "most_ring_db", lambda m, _: m.ring_db, " dB"),
    Rule("crackle", Lane.REVIEW, "Clicks or crackle.", "most_clicks_per_s", lambda m, _: m.clicks_per_s, "/s"),
    Rule("cut_tail", Lane.REVIEW, "It stops while it is loud.", "most_tail_rise_db", _cut_tail, " dB"),
    Rule("cut_head", Lane.REVIEW, "It starts in the middle.", "most_head_db", lambda m, _: m.head_db, " dB"),
    Rule("too_short", Lane.REVIEW, "Shorter than asked for.", "least_length", _length, " of the length"),
    Rule("too_long", Lane.REVIEW, "Longer than asked for.", "most_length", _length, " of the length"),
    Rule(
        "mismatch",
        Lane.REVIEW,
        "The tagger does not hear what the prompt names.",
        "least_match",
        lambda m, _: m.match,
    ),
    Rule(
        "clap_mismatch",
        Lane.REVIEW,
        "CLAP finds the sound unlike the prompt.",
        "least_clap_match",
        lambda m, _: m.clap_match,
    ),
    Rule(
        "wrong_text",
        Lane.REJECTED,
        "Other words, or none, are heard than were to be said.",
        "least_text_evidence",
        lambda m, _: m.text_evidence,
        " nats",
    ),
    Rule(
        "wrong_word",
        Lane.REVIEW,
        "One of the words is not heard as it should be.",
        "least_weakest_word",
        lambda m, _: m.weakest_word,
        " nats",
    ),
    Rule("poor_speech", Lane.REVIEW, "Predicted to sound poor (DNSMOS).", "least_dnsmos", lambda m, _: m.dnsmos_ovrl),
    Rule(
        "wrong_tempo",
        Lane.REVIEW,
        "Another tempo than asked for, octaves aside.",
        "most_tempo_error",
        lambda m, _: m.tempo_error,
    ),
    Rule(
        "seam_change",
        Lane.REVIEW,
        "Level or colour jumps where the loop begins again.",
        "most_seam_change_db",
        lambda m, _: m.seam_change_db,
        " dB",
    ),
    Rule(
        "seam_click",
        Lane.REVIEW,
        "A click where the loop begins again.",
        "most_seam_click_db",
        lambda m, _: m.seam_click_db,
        " dB",
    ),
    Rule(
        "seam_gap",
        Lane.REVIEW,
        "A hole where the loop begins again.",
        "most_seam_gap_db",
        lambda m, _: m.seam_gap_db,
        " dB",
    ),
    Rule(
        "training_like",
        Lane.REVIEW,
        "More like a training clip than other recordings are.",
        "most_training_like",
        lambda m, _: m.memory_likeness,
    ),
    Rule(REPEATS, Lane.REVIEW, "It repeats a better take of the prompt.", "most_sibling_like", _sibling_like),
)

EXPLANATIONS = {rule.reason: rule.explain for rule in RULES}
"""What each reason of a generated library means."""

PRESETS: dict[Kind, Limits] = {
    # Of 460 effects of the kit 4 % end loud and 15 dB over their quietest: all of them were cut out of longer ones.
    "sfx": Limits(most_tail_rise_db=15.0),
    "music": Limits(most_hum_db=NAN, most_tempo_error=0.06),
    "voice": Limits(
        most_silent=0.8, most_ring_db=-35.0, most_clicks_per_s=3.0, most_tail_rise_db=10.0, most_head_db=-5.0,
        least_length=0.8, most_length=1.25, least_text_evidence=SAYS_TEXT, least_weakest_word=SAYS_EVERY_WORD,
        least_dnsmos=2.4, most_sibling_like=0.95,
    ),
}  # fmt: skip
"""Limits by kind. Of 189 sounds wrapped at a place inside them 2 % break the limits of a seam, cut hard 93 %."""

_SEVERITY = (Lane.ACCEPTED, Lane.REVIEW, Lane.REJECTED, Lane.FAILED)


def judge(measures: TakeMeasures, prompt: Prompt, presets: Mapping[Kind, Limits] = PRESETS) -> Verdict:
    """Hold a take against the limits of its kind; reasons are in the order of `RULES`."""
    limits = presets[prompt.kind]
    found = [(rule, message) for rule in RULES if (message := rule.broken(measures, prompt, limits))]
    lane = max((rule.lane for rule, _ in found), key=severity, default=Lane.ACCEPTED)
    return Verdict(lane, tuple(rule.reason for rule, _ in found), tuple(message for _, message in found))


def severity(lane: Lane) -> int:
    """0 for the best lane."""
    return _SEVERITY.index(lane)
