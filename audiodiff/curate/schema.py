"""The books of `curate_dataset`: `Clip` as rows."""

from __future__ import annotations

from audiodiff.curate.records import Acoustics, Clip, Facts
from audiodiff.records import Scores
from audiodiff.rows import books_of

CLIPS = books_of(
    Clip,
    parts={"scores": Scores, "facts": Facts, "acoustics": Acoustics},
    renamed={f"facts.{name}": f"given_{name}" for name in ("license", "attribution", "caption")},
)
"""`given_license` is what was given, `license` the SPDX expression."""

CLIP_SCHEMA = CLIPS.schema
