"""`AcousticCaptioner`: what was measured of a clip, in a sentence that says nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from audiodiff.caption import Heard
from audiodiff.curate.acoustics import level_course
from audiodiff.curate.records import Caption

_NOTES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_SURE = 0.6  # what is nearer to a limit is not said
_SINGLE = 2.5  # onsets: attack and decay are those of one sound, of a knock and its rattle at most
_STRAIGHT = 3.0  # times the spread around it: less is no fade but a sound that comes and goes
_EVENT_S = 4.0  # the attack of a peak within something longer is not that of the whole
_RECORDING_S = 10.0  # one does not speak of a sound of half a minute


@dataclass(frozen=True, slots=True)
class Word:
    """A word that holds where `low <= measure < high`.

    `slack` is the distance from a limit at which three in four would agree: in octaves where `octaves`, else in the
    measure's unit.
    """

    facet: str
    text: str
    measure: str
    low: float
    high: float
    slack: float
    octaves: bool = False

    def certainty(self, value: float) -> float:
        """From 0.5 at a limit to 1 far from it, 0 where the word does not hold or the value is NaN."""
        if not self.low <= value < self.high:
            return 0.0
        limits = [limit for limit in (self.low, self.high) if 0 < abs(limit) < math.inf]
        distances = [abs(math.log2(value / limit)) if self.octaves else abs(value - limit) for limit in limits]
        return 1.0 - 0.5 * math.exp2(-min(distances, default=math.inf) / self.slack)


# Limits read off the kit's 460 effects, 21 pieces of music and 13 noises where no source is given: of 78 files read
# one by one, rain, helicopters and noises have a spread of 0.4 to 1.8 dB; a sling and a distant helicopter lie below
# 600 Hz, speech and music between 570 Hz and 1.7 kHz, rain, hiss and crackle above 2.5 kHz; held notes and cries lie
# below 0.15 in flatness, rain and waves above 0.9.
WORDS = (
    Word("length", "very short", "duration_s", 0.0, 0.4, 0.2, octaves=True),
    Word("length", "short", "duration_s", 0.4, 2.0, 0.2, octaves=True),
    Word("motion", "steady", "level_spread_db", 0.0, 2.5, 0.7),
    Word("motion", "swelling", "level_change_db", 12.0, math.inf, 4.0),
    Word("motion", "fading", "level_change_db", -math.inf, -12.0, 4.0),
    Word("colour", "dark", "brightness_hz", 1.0, 600.0, 0.5, octaves=True),
    Word("colour", "bright", "brightness_hz", 2_500.0, math.inf, 0.5, octaves=True),
    Word("texture", "tonal", "flatness", 0.0, 0.15, 0.04),
    Word("texture", "noise-like", "flatness", 0.6, math.inf, 0.12),
    # Impulsive below some 20 ms, after Peeters 2004, A large set of audio features, section 2.1 (log attack time).
    Word("attack", "a sharp attack", "attack_s", 0.0, 0.02, 0.5, octaves=True),
    Word("attack", "a soft attack", "attack_s", 0.08, 0.5, 0.4, octaves=True),
    Word("attack", "a slow attack", "attack_s", 0.5, math.inf, 0.4, octaves=True),
    Word("kind", "percussive", "decay_s", 0.0, 1.0, 0.3, octaves=True),
    Word("decay", "dying away quickly", "decay_s", 0.0, 0.3, 0.5, octaves=True),
    Word("decay", "dying away over about {seconds}", "decay_s", 0.5, math.inf, 0.4, octaves=True),
    Word("tempo", "at about {value:.0f} beats per minute", "tempo_bpm", 50.0, 200.0, 0.2, octaves=True),
    Word("onsets", "about {value:.0f} onsets per second", "onsets_per_s", 1.5, math.inf, 0.3, octaves=True),
    Word("pitched", "a pitch around {note}", "pitched_share", 0.6, math.inf, 0.1),
    Word("pitched", "a pitch around {note} in parts", "pitched_share", 0.35, 0.6, 0.05),
    Word("pitched", "no clear pitch", "pitched_share", 0.0, 0.06, 0.02),
    # ITU-T G.712: a telephone channel ends at 3.4 kHz.
    Word("band", "limited to a telephone-like band", "bandwidth_hz", 2_500.0, 4_300.0, 0.05, octaves=True),
    Word("width", "in wide stereo", "channel_correlation", -0.3, 0.3, 0.1),
    Word("width", "with channels in opposite phase", "channel_correlation", -1.0, -0.5, 0.1),
    Word("speech", "someone speaking", "speech_share", 0.3, math.inf, 0.1),
    Word("pauses", "with pauses", "speech_share", 0.3, 0.8, 0.1),
)
"""Every word and its limits; one of each facet is said at most."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A part of a sentence, the measure it rests on, its value, and the chance that a listener agrees.

    A pitch rests on `pitched_share`; the note in its text is that of `pitch_hz`.
    """

    facet: str
    text: str
    measure: str
    value: float
    certainty: float


class AcousticCaptioner:
    """Says how a clip sounds, not what it is.

    `confidence` is that of the least certain word said: 0.6 to 1, growing with the distance from its limit. It is the
    chance that the words fit, and says nothing of how much they tell.
    """

    name = "acoustic"
    sha256 = ""

    def caption(self, clips: Sequence[Heard]) -> list[Caption | None]:
        """A sentence for each clip, None where nothing but its length can be told."""
        return [self._caption(claims(heard)) for heard in clips]

    def _caption(self, said: tuple[Claim, ...]) -> Caption | None:
        certainties = [claim.certainty for claim in said if claim.measure != "duration_s"]
        return Caption(self.name, sentence(said), round(min(certainties), 3)) if certainties else None


def claims(heard: Heard) -> tuple[Claim, ...]:
    """All that is said of a clip, each resting on a measure that is not NaN; nothing of silence."""
    values = _measures(heard)
    if math.isnan(values["brightness_hz"]):
        return ()
    found = {claim.facet: claim for claim in _told(values)}
    duration_s = heard.sound.duration_s
    if "length" not in found:
        found["duration"] = Claim("duration", f"of {_seconds(duration_s)}", "duration_s", duration_s, 1.0)
    return tuple(claim for claim in found.values() if claim.facet not in _unfit(found, values))


def _told(values: dict[str, float]) -> Iterator[Claim]:
    """What is certain enough to be said."""
    for word in WORDS:
        value = values[word.measure]
        certainty = word.certainty(value)
        if certainty >= _SURE and ("{note}" not in word.text or not math.isnan(values["pitch_hz"])):
            text = word.text.format(value=value, seconds=_seconds(value), note=_note(values))
            yield Claim(word.facet, text, word.measure, value, certainty)


def _measures(heard: Heard) -> dict[str, float]:
    """Every measure by name: acoustics, scores, length, and the course of the level."""
    trend_db, around_db = level_course(heard.sound)
    course = {
        "duration_s": heard.sound.duration_s,
        "level_change_db": trend_db if abs(trend_db) > _STRAIGHT * around_db else math.nan,
        "level_spread_db": math.hypot(trend_db / math.sqrt(12.0), around_db),  # of the line, and around it
    }
    return asdict(heard.acoustics) | asdict(heard.scores) | course


def _unfit(found: dict[str, Claim], values: dict[str, float]) -> set[str]:
    """The facets that are not said beside those found."""
    text = {facet: claim.text for facet, claim in found.items()}
    duration_s = values["duration_s"]
    one = values["onsets_per_s"] * duration_s <= _SINGLE and duration_s <= _RECORDING_S
    slow = values["decay_s"] > duration_s  # the clip is the decay
    rules = (
        (not one, {"attack", "decay", "kind"}),
        (duration_s > _EVENT_S, {"attack", "kind"}),
        (text.get("attack") != "a sharp attack" or text.get("motion") in {"steady", "swelling"}, {"kind"}),
        (text.get("motion") == "fading" and "decay" in text and one, {"decay"} if slow else {"motion"}),
        ("tempo" in text or duration_s < 1.0, {"onsets"}),
        (text.get("texture") == "noise-like" and values["pitched_share"] > 0.35, {"texture"}),
        # A chord has no single pitch, yet nobody would say that it has no pitch.
        (text.get("pitched") == "no clear pitch" and not values["flatness"] > 0.4, {"pitched"}),
        ("speech" in text, {"length", "motion", "colour", "texture", "kind", "attack", "decay", "tempo", "onsets"}),
    )
    return set().union(*(facets for holds, facets in rules if holds))


def sentence(said: Sequence[Claim]) -> str:
    """The claims as one English sentence."""
    text = {claim.facet: claim.text for claim in said}
    if "speech" in text:
        head = text["speech"] + (" for " + text["duration"].removeprefix("of ") if "duration" in text else "")
    else:
        head = _head(text, {claim.measure: claim.value for claim in said}.get("duration_s", 0.0))
    features = [text[facet] for facet in ("attack", "pitched", "onsets") if facet in text]
    parts = [head, text.get("tempo", ""), "with " + " and ".join(features) if features else ""]
    tail = [text[facet] for facet in ("pauses", "decay", "band", "width") if facet in text]
    whole = ", ".join([" ".join(part for part in parts if part), *tail])
    return whole[0].upper() + whole[1:] + "."


def _head(text: dict[str, str], duration_s: float) -> str:
    rhythmic = {"rhythm": "rhythmic"} if "tempo" in text else {}
    facets = ("length", "motion", "rhythm", "colour", "texture")
    adjectives = ", ".join(word for facet in facets if (word := (text | rhythmic).get(facet)))
    noun = "recording" if duration_s >= _RECORDING_S else "sound"
    return " ".join(part for part in ("a", adjectives, text.get("kind"), noun, text.get("duration")) if part)


def _seconds(seconds: float) -> str:
    figure = f"{seconds:.0f}" if seconds >= 10 else f"{seconds:.1f}".removesuffix(".0")
    return f"{figure} second{'s' if figure != '1' else ''}"


def _note(values: dict[str, float]) -> str:
    """The nearest note and the pitch itself, such as A3 (220 Hz)."""
    hertz = values["pitch_hz"]
    if math.isnan(hertz):
        return ""
    number = round(69 + 12 * math.log2(hertz / 440.0))
    return f"{_NOTES[number % 12]}{number // 12 - 1} ({hertz:.0f} Hz)"
