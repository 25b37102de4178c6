"""Rules say what they found and what they want; changes in TOML reach them and nothing else."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from audiodiff.curate.records import Facts
from audiodiff.curate.rules import EXPLANATIONS, PRESETS, RULES, Limits, Measured, broken, rules_for
from audiodiff.errors import ConfigError
from audiodiff.metrics.meter import Meter

UNKNOWN = Meter(48_000, 1, dnsmos=False).scores()
GOOD = Measured(
    3.0,
    48_000,
    0.0,
    math.nan,
    replace(
        UNKNOWN, lufs=-20.0, true_peak_db=-1.0, clipped_fraction=0.0, silent_fraction=0.1, bandwidth_hz=20_000.0,
        channel_correlation=0.5, steady_noise_db=-80.0, background_db=-60.0, clicks_per_s=0.1, dnsmos_ovrl=3.2,
    ),
    Facts(language="en"),
)  # fmt: skip
STRICT = Limits(1.0, 14_000.0, 0.7, 1e-3, 0.9, 0.02, -0.9, -62.0, -48.0, 1.5, -40.0, 2.5, ("en", "de"))


def scored(**figures: float) -> Measured:
    return replace(GOOD, scores=replace(GOOD.scores, **figures))


BREAKS = {
    "too_short": replace(GOOD, duration_s=0.5),
    "silent": scored(silent_fraction=0.99),
    "too_quiet": scored(lufs=-55.0),
    "clipped": scored(clipped_fraction=0.01),
    "dc_offset": replace(GOOD, dc_offset=-0.1),
    "antiphase": scored(channel_correlation=-0.99),
    "resampled": replace(GOOD, cutoff_hz=8_000.0),
    "narrow_band": scored(bandwidth_hz=7_000.0),
    "noisy": scored(steady_noise_db=-40.0),
    "background": scored(background_db=-30.0),
    "crackle": scored(clicks_per_s=9.0),
    "poor_speech": scored(dnsmos_ovrl=1.5),
    "language": replace(GOOD, facts=Facts(language="FR")),
}


def test_a_good_clip_breaks_nothing() -> None:
    assert broken(GOOD, STRICT) == []


@pytest.mark.parametrize("reason", BREAKS)
def test_each_rule_names_value_and_limit(reason: str) -> None:
    ((found, message),) = broken(BREAKS[reason], STRICT)
    assert found == reason
    assert message.startswith(f"{reason}: ")
    assert "wanted" in message
    assert EXPLANATIONS[reason]


def test_every_rule_is_tried_here() -> None:
    assert {rule.reason for rule in RULES} | {"language"} == set(BREAKS)


def test_what_cannot_be_measured_breaks_nothing() -> None:
    nothing = Measured(math.nan, 48_000, math.nan, math.nan, UNKNOWN, Facts())
    assert broken(nothing, STRICT) == []
    assert broken(BREAKS["clipped"], replace(STRICT, most_clipped=math.nan)) == []


def test_changes_reach_their_place() -> None:
    rules = rules_for("sfx", 'alike = 0.8\n[limits]\nleast_dnsmos = 3\nlanguages = ["en"]\n[segment]\nby = "energy"\n')
    assert (rules.alike, rules.limits.least_dnsmos, rules.limits.languages) == (0.8, 3.0, ("en",))
    assert rules.segment == replace(PRESETS["sfx"].segment, by="energy")
    assert rules.shares == PRESETS["sfx"].shares
    assert rules_for("music") == PRESETS["music"]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ("limits = 3", r"rules\.limits must be of the kind"),
        ("[limits]\nmost_cliped = 1.0", r"rules\.limits\.most_cliped is unknown; known: .*most_clipped"),
        ("[limits]\nmost_clipped = 'much'", r"rules\.limits\.most_clipped must be of the kind"),
        ("[limits]\nlanguages = [1]", r"rules\.limits\.languages must be of the kind"),
        ("dnsmos = 1", r"rules\.dnsmos must be of the kind"),
        ("twin = 'gramophone'", r"rules\.twin 'gramophone' is unknown; known: .*shellac78"),
        ("[shares]\ntrain = 2.0", "must add up to 1"),
        ("[segment]\nby = 'luck'", "segmentation by 'luck' is unknown"),
        ("= 3", "no TOML"),
    ],
)
def test_wrong_changes_are_refused(changes: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        rules_for("sfx", changes)
