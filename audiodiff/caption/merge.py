"""`merge`: one caption of several, of what is heard and then of how it sounds."""

from __future__ import annotations

import re
from collections.abc import Sequence

from audiodiff.curate.records import Caption

NAMING = ("metadata", "audio_llm", "tagger", "clap")
"""Captioners that say what a sound is, at the same confidence the most trusted first: people before models, and of
these the calibrated tagger before CLAP, whose probabilities are only of one label against others."""

DESCRIBING = "acoustic"

_SURE = 0.5
"""A name less sure than this, such as that of a folder, gives way to the surest other name."""

_SENTENCES = re.compile(r"(?<=[.!?])\s+(?=[^\W\d_a-z])")
_SPEAKING = re.compile(r"^someone speaking(?: for [\d.]+ seconds?)?,?\s*", re.IGNORECASE)  # as `acoustic` has it
_VOICE = re.compile(
    r"\b(?:voices?|speech|speak\w*|talk\w*|says?|saying|sing\w*|narrat\w*|conversation)\b", re.IGNORECASE
)


def merge(captions: Sequence[Caption]) -> Caption | None:
    """What the most trusted captioner says it is, then how it sounds; None of no captions.

    Only one captioner names the sound, so names never contradict each other: the first of `NAMING` that is sure, else
    the surest. The description follows unless the name has two sentences, and is left out where it repeats the name.
    Where it hears someone speaking and the name has no voice, one of them is wrong: the name stands alone. Where both
    have one, it adds only how the voice sounds. The confidence is the name's, or the description's without a name.
    """
    name = _name(captions)
    description = next((caption for caption in captions if caption.source == DESCRIBING), None)
    if name is None or description is None:
        only = name or description
        return Caption(only.source, _two(only.text), only.confidence) if only else None
    said = _two(name.text)
    whole = said if len(_SENTENCES.split(said)) > 1 else _joined(said, description.text)
    source = name.source if whole == said else f"{name.source}+{DESCRIBING}"
    return Caption(source, whole, name.confidence)


def _name(captions: Sequence[Caption]) -> Caption | None:
    by_source = {caption.source: caption for caption in captions}
    names = [by_source[source] for source in NAMING if source in by_source]
    sure = [caption for caption in names if caption.confidence >= _SURE]
    return sure[0] if sure else max(names, key=lambda caption: caption.confidence, default=None)


def _joined(name: str, description: str) -> str:
    """The name with what of the description can stand beside it."""
    heard, named = "someone speaking" in description.lower(), bool(_VOICE.search(name))
    if heard and named:  # what is left is how the voice sounds
        how = _SPEAKING.sub("", description).rstrip(".")
        return _sentence(f"{name.rstrip('.')}, {how}") if how else name
    if heard or description.strip(" .").lower() in name.lower():
        return name
    return f"{name} {_sentence(description)}"


def _two(text: str) -> str:
    """The first two sentences."""
    return " ".join(_sentence(part) for part in _SENTENCES.split(text.strip())[:2])


def _sentence(text: str) -> str:
    """Text with a capital and a full stop."""
    text = text.strip().rstrip(" ,;:.")
    return text[:1].upper() + text[1:] + ("" if text.endswith(("!", "?")) else ".")
