"""`MetadataCaptioner`: what people said of a recording, in its facts or by the names of its file and folder."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from audiodiff.caption import Heard
from audiodiff.caption.names import LANGUAGES, folder_words, telling, words_of
from audiodiff.curate.records import Caption, Facts

GIVEN, LABELLED, TITLED, NAMED, FOLDER = 0.95, 0.85, 0.6, 0.5, 0.35
"""Confidence in a caption somebody wrote, in labels (or that it is speech), in a title or comment, in the words of a
file name, and in those of its folder. An order of trust and not measured: who writes a caption has listened, who
names a file or folder may have meant the project, the place or the mood."""

_DESCRIPTIONS = ("description", "bextdescription", "ixmlnote", "note", "notes", "fxname", "comment", "comments", "icmt")
"""Other entries that may describe a sound, the most telling first; spaces, dashes and case do not matter."""

_TECHNICAL = re.compile(
    r"://|www\.|\S@\S|\w=|copyright|\(c\)|©|licen[cs]e|all rights|"
    r"\b(?:encoded|converted|ripped|created|generated|processed|exported) (?:by|with|in|from|using)|"
    r"\b(?:lavf|lame ?\d|exact audio copy|audacity|id3)",
    re.IGNORECASE,
)
"""What programs and lawyers write into comments."""

_SPEECH = frozenset({"speech", "spoken", "voice"})


class MetadataCaptioner:
    """Passes on what was said of a clip: a caption, else labels, title, names; None where they are numbers and codes.

    What is spoken is no caption: a recording with a transcript is "a voice speaking", with its language,
    whatever its labels and names are, for those are of the words.
    """

    name = "metadata"
    sha256 = ""

    def caption(self, clips: Sequence[Heard]) -> list[Caption | None]:
        """A caption for each clip, None where nobody said anything."""
        return [self._caption(heard.facts, heard.name) for heard in clips]

    def _caption(self, facts: Facts, name: str) -> Caption | None:
        for text, confidence in _said(facts, name):
            if text:
                return Caption(self.name, text, confidence)
        return None


def _said(facts: Facts, name: str) -> Iterator[tuple[str, float]]:
    """All that is said, "" where nothing is, the most trusted first."""
    yield _plain(facts.caption) if telling(facts.caption) else "", GIVEN
    yield speaking(facts), LABELLED
    yield ", ".join(label.replace("_", " ") for label in facts.labels if telling(label)), LABELLED
    yield from ((_title(text), TITLED) for text in (facts.title, *_descriptions(facts)))
    if not facts.speaker:  # then the names are of words and speakers
        yield words_of(name), NAMED
        yield folder_words(name), FOLDER


def speaking(facts: Facts) -> str:
    """Such as "a voice speaking German" where the facts say that it is speech, else nothing."""
    kinds = {value.lower() for key, value in facts.others if key.lower() in {"kind", "type"}}
    if not facts.transcript and not kinds & _SPEECH:
        return ""
    code = re.split(r"[-_]", facts.language.lower())[0]
    language = LANGUAGES.get(code, facts.language if len(code) > 3 else "")  # a name is said as it is, a code is not
    return "a voice speaking" + (f" {language}" if language else "")  # no name: that is a person's, and no sound


def _descriptions(facts: Facts) -> list[str]:
    entries = {re.sub(r"[\W_]", "", key.lower()): value for key, value in reversed(facts.others)}
    return [entries[key] for key in _DESCRIPTIONS if key in entries]


def _title(text: str) -> str:
    """A title or comment as it is if it is words, only its words if it is written like a file name."""
    if _TECHNICAL.search(text) or not telling(text):
        return ""
    return _plain(text) if " " in text.strip() else words_of(text.replace("/", " "))


def _plain(text: str) -> str:
    return " ".join(text.split())
