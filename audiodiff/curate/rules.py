"""Rules that keep clips or put them out, each with a reason, the value found and the limit; and the presets of them."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from audiodiff.curate.duplicates import THRESHOLD
from audiodiff.curate.records import Facts
from audiodiff.curate.segment import SegmentRule
from audiodiff.curate.splits import Shares
from audiodiff.degrade.presets import PRESETS as DEGRADATIONS
from audiodiff.errors import ConfigError
from audiodiff.records import Scores

Preset = Literal["sfx", "music", "speech", "restoration"]


@dataclass(frozen=True, slots=True)
class Measured:
    """What rules know of a clip. `cutoff_hz` is NaN where its spectrum ends nowhere (`metrics.cutoff`)."""

    duration_s: float
    sample_rate: int
    dc_offset: float
    cutoff_hz: float
    scores: Scores
    facts: Facts


@dataclass(frozen=True, slots=True)
class Limits:
    """How good a clip must be; NaN asks for nothing, and a figure that could not be measured fails no rule.

    `cutoff_share` is the least share of half its sample rate that a spectrum with an edge must reach: 0.7 puts out what
    was 32 kHz or less before it was 48, and MP3 of 128 kbit/s at 48 kHz. `background_db` and `steady_noise_db` are
    relative to loud passages (`metrics.defects`). `languages` are those allowed, where a clip says which it is in.
    """

    least_duration_s: float = math.nan
    least_bandwidth_hz: float = math.nan
    cutoff_share: float = 0.7
    most_clipped: float = 1e-3
    most_silent: float = 0.95
    most_dc: float = 0.02
    least_correlation: float = -0.9
    most_steady_noise_db: float = math.nan
    most_background_db: float = math.nan
    most_clicks_per_s: float = math.nan
    least_lufs: float = -60.0
    least_dnsmos: float = math.nan
    languages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: `value` of a clip against the limit of that name; `unit` is for the message."""

    reason: str
    explain: str
    limit: str
    value: Callable[[Measured], float]
    unit: str = ""

    def broken(self, measured: Measured, limits: Limits) -> str:
        """The value and the limit in words where the clip breaks the rule, else ""."""
        value, limit = self.value(measured), getattr(limits, self.limit)
        least = not self.limit.startswith("most_")
        if math.isnan(value) or math.isnan(limit) or (value >= limit if least else value <= limit):
            return ""
        word = "at least" if least else "at most"
        return f"{self.reason}: {value:.4g}{self.unit}, {word} {limit:.4g}{self.unit} wanted"


RULES = (
    Rule("too_short", "Shorter than a clip may be.", "least_duration_s", lambda m: m.duration_s, " s"),
    Rule("silent", "Hardly anything but silence.", "most_silent", lambda m: m.scores.silent_fraction),
    Rule("too_quiet", "So quiet that little but noise is left.", "least_lufs", lambda m: m.scores.lufs, " LUFS"),
    Rule("clipped", "Peaks are cut off.", "most_clipped", lambda m: m.scores.clipped_fraction),
    Rule("dc_offset", "The waveform is not centred on zero.", "most_dc", lambda m: abs(m.dc_offset)),
    Rule(
        "antiphase",
        "The channels are in opposite phase and cancel in mono.",
        "least_correlation",
        lambda m: m.scores.channel_correlation,
    ),
    Rule(
        "resampled",
        "The spectrum ends far below what the sample rate promises: resampled up, or once an MP3.",
        "cutoff_share",
        lambda m: m.cutoff_hz / (m.sample_rate / 2),
    ),
    Rule("narrow_band", "High frequencies are missing.", "least_bandwidth_hz", lambda m: m.scores.bandwidth_hz, " Hz"),
    Rule("noisy", "Steady noise.", "most_steady_noise_db", lambda m: m.scores.steady_noise_db, " dB"),
    Rule("background", "It never falls quiet.", "most_background_db", lambda m: m.scores.background_db, " dB"),
    Rule("crackle", "Clicks or crackle.", "most_clicks_per_s", lambda m: m.scores.clicks_per_s, "/s"),
    Rule("poor_speech", "Predicted to sound poor (DNSMOS).", "least_dnsmos", lambda m: m.scores.dnsmos_ovrl),
)

LANGUAGE = "language"

EXPLANATIONS = {rule.reason: rule.explain for rule in RULES} | {
    LANGUAGE: "In another language than those that are wanted.",
    "silence": "A stretch without sound.",
    "no_voice": "A stretch without a voice.",
    "rest": "What is left over by clips of a fixed length.",
    "leaked": "The same sound is in a set that is kept for evaluation.",
    "duplicate_file": "The same samples are in the dataset already.",
    "duplicate": "Another copy of this sound is in the dataset: re-encoded, trimmed or changed in level.",
    "split_conflict": "It belongs to recordings of two different splits and would tie them together.",
    "licence_forbidden": "The licence does not allow what the policy asks for.",
    "licence_unknown": "The licence is not known; a person has to find out.",
    "attribution_missing": "The licence wants the author named, and nobody is.",
}
"""What each reason of a curated dataset means."""


@dataclass(frozen=True, slots=True)
class Rules:
    """All that decides over clips besides their licence. `dnsmos`: speech is measured by DNSMOS, which takes time.

    `alike` is from which similarity on two clips count as copies (`duplicates.find_alike`), `twin` the preset of
    `degrade` that degraded twins are made by.
    """

    segment: SegmentRule = field(default_factory=SegmentRule)
    limits: Limits = field(default_factory=Limits)
    shares: Shares = field(default_factory=Shares)
    dnsmos: bool = False
    alike: float = THRESHOLD
    twin: str = "archive"


PRESETS: dict[Preset, Rules] = {
    "sfx": Rules(SegmentRule("whole", 0.2, 30.0), Limits(least_duration_s=0.2)),
    "music": Rules(SegmentRule("whole", 2.0, 60.0), Limits(least_duration_s=2.0, least_bandwidth_hz=10_000.0)),
    "speech": Rules(
        SegmentRule("voice", 0.5, 20.0, pause_s=0.6),
        Limits(least_duration_s=0.5, least_bandwidth_hz=6_000.0, least_dnsmos=2.4, most_clicks_per_s=3.0),
        dnsmos=True,
    ),
    "restoration": Rules(
        SegmentRule("whole", 0.5, 150.0),
        Limits(least_duration_s=0.5, cutoff_share=math.nan, most_background_db=-30.0, most_clipped=1e-2),
    ),
}
"""`restoration` takes narrow recordings as well: training knows up to where each one's spectrum is real."""


def broken(measured: Measured, limits: Limits) -> list[tuple[str, str]]:
    """(reason, message) of each rule that a clip breaks, in the order of `RULES`."""
    found = [(rule.reason, message) for rule in RULES if (message := rule.broken(measured, limits))]
    language = measured.facts.language
    if language and limits.languages and language.lower() not in limits.languages:
        found.append((LANGUAGE, f"{LANGUAGE}: {language}, one of {', '.join(limits.languages)} wanted"))
    return found


def rules_for(preset: Preset, changes: str = "") -> Rules:
    """A preset's rules, with changes in TOML: keys of `Rules`, and tables `[segment]`, `[limits]`, `[shares]`.

    Raises ConfigError for anything that is not there or has the wrong type.
    """
    try:
        given = tomllib.loads(changes)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"the rules are no TOML: {error}") from error
    rules: Rules = _changed(PRESETS[preset], given, "rules")
    if rules.twin not in DEGRADATIONS:
        raise ConfigError(f"rules.twin {rules.twin!r} is unknown; known: {', '.join(sorted(DEGRADATIONS))}")
    return rules


def _changed(part: Any, given: dict[str, Any], where: str) -> Any:
    """A dataclass with the given fields replaced, parts within parts."""
    names = {one.name for one in fields(part)}
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name not in names:
            raise ConfigError(f"{where}.{name} is unknown; known: {', '.join(sorted(names))}")
        old = getattr(part, name)
        if isinstance(value, dict):
            values[name] = _changed(old, value, f"{where}.{name}")
        elif isinstance(old, float) and type(value) in {int, float}:
            values[name] = float(value)
        elif isinstance(old, tuple) and isinstance(value, list) and all(isinstance(one, str) for one in value):
            values[name] = tuple(value)
        elif type(value) is type(old):
            values[name] = value
        else:
            raise ConfigError(f"{where}.{name} must be of the kind of {old!r}, not {value!r}")
    return replace(part, **values)
