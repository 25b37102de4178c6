"""Captioners: each says what it knows of a clip, and nothing it neither measured nor was told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from audiodiff.curate.records import Acoustics, Caption, Facts, Tag
from audiodiff.records import Scores
from audiodiff.waveform import Waveform


@dataclass(frozen=True, slots=True)
class Heard:
    """A clip as captioners get it: its sound, the name of its recording within the source, and all that is known."""

    name: str
    sound: Waveform
    facts: Facts
    scores: Scores
    acoustics: Acoustics
    tags: tuple[Tag, ...] = ()


class Captioner(Protocol):
    """Describes clips. `name` is the caption's source, `sha256` that of the weights behind it, "" without any."""

    name: str
    sha256: str

    def caption(self, clips: Sequence[Heard]) -> list[Caption | None]:
        """A caption for each clip, None where there is nothing to say."""
        ...
