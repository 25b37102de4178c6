"""The things generation talks about, in the order the data meets them.

Prompt    one row of a prompt table, checked
Draw      how an engine is to work: steps and guidance
Request   one take that an engine is asked for
Take      what became of one take: a row of ledger and metadata
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Literal

from audiodiff.generate.measures import TakeMeasures
from audiodiff.records import Lane, StoredFile
from audiodiff.waveform import Waveform

NAN = math.nan

Kind = Literal["sfx", "music", "voice"]
Edit = Literal["new", "variation", "inpaint", "continue"]
"""What is made of a reference: nothing, something like it, a stretch of it anew, or what comes after it."""

LONGEST_S = 60.0
"""Of one take."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One row of a prompt table, checked.

    `count` takes are wanted. `duration_s` 0 leaves the length to the engine: a voice takes as long as its text.
    `category` is a UCS CatID, or empty for the one its words suggest. `text` is what a voice says. `reference` is the
    address of a recording that `edit` works on; `strength` is how much of it a variation changes, from 0 to 1, and
    `start_s` to `end_s` the stretch to inpaint. `influence` is how closely the prompt is followed, from 0 to 1.
    `tempo_bpm` 0 leaves the tempo open. `name` is the file's, or empty for one made of the prompt.
    """

    prompt: str
    kind: Kind = "sfx"
    count: int = 1
    duration_s: float = 0.0
    negative: str = ""
    seed: int = 0
    loop: bool = False
    category: str = ""
    text: str = ""
    reference: str = ""
    edit: Edit = "new"
    strength: float = 0.5
    start_s: float = 0.0
    end_s: float = 0.0
    influence: float = 0.5
    tempo_bpm: float = 0.0
    name: str = ""


@dataclass(frozen=True, slots=True)
class Draw:
    """How an engine is to work; 0 is its own default. `guidance` is that of a prompt of influence 0.5."""

    steps: int = 0
    guidance: float = 0.0


@dataclass(frozen=True, slots=True)
class Request:
    """One take: a prompt, the take's number from 0, the seed of its noise, and the prompt's reference as sound."""

    prompt: Prompt
    take: int
    seed: int
    reference: Waveform | None = None


@dataclass(frozen=True, slots=True)
class Take:
    """What became of one take: a ledger row, and a metadata row if it has audio.

    A prompt that could not be used has one row, of take 0 and without audio. `item_id` is the prompt's, `row` its line
    in the table. `reasons` are codes, `messages` the same in words. `rank` is the take's place among those of its
    prompt, 1 the best; `score` is what they were ranked by. `steps` and `guidance` are those it was drawn with, so the
    row has all that is needed to draw it again. `measures` are of the take as it was drawn, `delivered_*` of its file.
    """

    take_id: str
    item_id: str
    source_uri: str
    source_fingerprint: str
    source_sha256: str
    lane: Lane
    reasons: tuple[str, ...]
    messages: tuple[str, ...]
    engine: str
    engine_sha256: str
    recipe: str
    seed: int
    params: str
    run_id: str
    created_at: str
    shard: str
    row: int
    take: int
    prompt: Prompt | None = None
    steps: int = 0
    guidance: float = NAN
    rank: int = 0
    score: float = NAN
    file_name: str | None = None
    sha256: str | None = None
    sample_rate: int = 0
    channels: int = 0
    bit_depth: int = 0
    frames: int = 0
    duration_s: float = NAN
    delivered_lufs: float = NAN
    delivered_true_peak_db: float = NAN
    measures: TakeMeasures | None = None
    category_id: str = ""
    license: str = ""
    attribution: str = ""
    synthetic: bool = True

    @property
    def key(self) -> str:
        """What no other row of a ledger has."""
        return self.take_id

    @property
    def files(self) -> tuple[StoredFile, ...]:
        """The audio."""
        return (StoredFile(self.audio_path, self.sha256),) if self.audio_path else ()

    @property
    def audio_path(self) -> str | None:
        """The audio's name relative to the destination, None where there is none."""
        if self.file_name is None:
            return None
        return f"{self.lane.folder}/{self.shard}/{self.file_name}"


def take_id(item_id: str, take: int) -> str:
    """The id of a take: the same whenever its prompt is the same."""
    return hashlib.sha256(f"{item_id}:{take}".encode()).hexdigest()[:16]


def take_seed(item_id: str, seed: int, take: int) -> int:
    """The seed of a take's noise (63 bits), from its prompt's id, the seed in the table and its number."""
    return int(hashlib.sha256(f"{item_id}:{seed}:{take}".encode()).hexdigest()[:15], 16)
