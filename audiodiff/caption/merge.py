"""One caption of several: what is heard, by whoever is trusted most, and how it sounds."""

from __future__ import annotations

from collections.abc import Sequence

from audiodiff.curate.records import Caption

NAMING = ("metadata", "audio_llm", "clap", "tagger")
"""Captioners that say what a sound is, the most trusted first: people's words before a model's."""

DESCRIBING = "acoustic"


def merge(captions: Sequence[Caption]) -> Caption | None:
    """What the most trusted captioner says it is, then how it sounds; None of no captions.

    A name is not held against the measurements: both stand, each with its source. The confidence is that of the name,
    or of the description where nobody has a name.
    """
    by_source = {caption.source: caption for caption in captions}
    name = next((by_source[source] for source in NAMING if source in by_source), None)
    description = by_source.get(DESCRIBING)
    told = [caption for caption in (name, description) if caption]
    if not told:
        return None
    text = " ".join(_sentence(caption.text) for caption in told)
    return Caption("+".join(caption.source for caption in told), text, told[0].confidence)


def _sentence(text: str) -> str:
    """Text with a capital and a full stop."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
