"""The things curation talks about, in the order the data meets them.

Facts        what is known of a recording without listening: manifests, sidecars, tags, names
Segment      a stretch of a recording, to be a clip or known to be none
Acoustics    what is measured of a clip to describe it
Tag          a class of sound, and how sure a classifier is of it
Caption      a sentence about a clip, and who says so
Clip         a stretch of a recording and all that became of it: a row of ledger and metadata
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

from audiodiff.records import Lane, Scores, StoredFile

NAN = math.nan


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a recording without listening to it; what is not known is empty.

    `license` is as it was given, not yet SPDX. `labels` are classes somebody gave it. `collection` is the dataset,
    album or package it came with. `others` are all further entries, kept as they were: (name, value).
    """

    license: str = ""
    attribution: str = ""
    title: str = ""
    caption: str = ""
    transcript: str = ""
    language: str = ""
    speaker: str = ""
    collection: str = ""
    labels: tuple[str, ...] = ()
    others: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Segment:
    """Frames `start` to `start + frames` of a recording. `reason` is empty for a clip, else why it is none."""

    start: int
    frames: int
    reason: str = ""

    @property
    def stop(self) -> int:
        """The first frame after it."""
        return self.start + self.frames


@dataclass(frozen=True, slots=True)
class Acoustics:
    """What is measured of a clip to describe it; NaN where a measure does not apply.

    `loudness_range_lu`: EBU Tech 3342. `brightness_hz`: median A-weighted spectral centroid of its loud frames.
    `flatness`: 0 a tone, 1 noise, in bands of 200 Hz, so that pink noise is noise. `pitch_hz`: median of the frames
    with a pitch, `pitched_share` theirs. `tempo_bpm` where there is a beat. `attack_s`: from a tenth to nine tenths of
    the peak. `decay_s`: time that the sound takes to die away by 60 dB where it stops, which reverberation sets a floor
    to. `speech_share`: of frames with a voice.
    """

    loudness_range_lu: float = NAN
    brightness_hz: float = NAN
    flatness: float = NAN
    pitch_hz: float = NAN
    pitched_share: float = NAN
    tempo_bpm: float = NAN
    onsets_per_s: float = NAN
    attack_s: float = NAN
    decay_s: float = NAN
    speech_share: float = NAN


@dataclass(frozen=True, slots=True)
class Tag:
    """A class of sound, and the calibrated probability that it is heard."""

    label: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Caption:
    """A sentence about a clip; `source` is the captioner, or several joined by "+"."""

    source: str
    text: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Clip:
    """A stretch of a recording and all that became of it: a ledger row, and a metadata row if it has audio.

    The rows of a recording cover it from end to end; a recording that cannot be read has one row without frames.
    `item_id` is the recording's. `source_*` describe the recording, `start` and `source_frames` (at its own rate) say
    which stretch it is. `reasons` are codes, `messages` the same in words, with the value and the limit.
    `duplicate_of` and `near` (an evaluation recording) name the other clip, `cluster` is that of all alike. A degraded
    twin has the clip's id in `twin_of` and its draw as JSON in `degradation`.
    """

    clip_id: str
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
    start: int = 0
    source_frames: int = 0
    source_rate: int = 0
    source_channels: int = 0
    source_pcm_sha256: str = ""
    source_container: str = ""
    source_codec: str = ""
    source_bit_depth: int = 0
    source_tags: tuple[tuple[str, str], ...] = ()
    dc_offset: float = NAN
    scores: Scores | None = None
    license: str = ""
    attribution: str = ""
    facts: Facts = Facts()
    cluster: str = ""
    duplicate_of: str = ""
    near: str = ""
    split: str = ""
    file_name: str | None = None
    sha256: str | None = None
    sample_rate: int = 0
    channels: int = 0
    bit_depth: int = 0
    frames: int = 0
    duration_s: float = NAN
    acoustics: Acoustics | None = None
    tags: tuple[Tag, ...] = ()
    caption: str = ""
    caption_confidence: float = NAN
    captions: tuple[Caption, ...] = ()
    embedding: tuple[float, ...] = ()
    twin_of: str = ""
    degradation: str = ""

    @property
    def source_duration_s(self) -> float:
        """Seconds of the recording that this row stands for."""
        return self.source_frames / self.source_rate if self.source_rate else 0.0

    @property
    def key(self) -> str:
        """What no other row of a ledger has."""
        return self.clip_id

    @property
    def files(self) -> tuple[StoredFile, ...]:
        """The audio."""
        return (StoredFile(self.audio_path, self.sha256),) if self.audio_path else ()

    @property
    def audio_path(self) -> str | None:
        """The audio's name relative to the destination, None where there is none."""
        if self.file_name is None:
            return None
        folder = "degraded" if self.twin_of else self.lane.folder
        return f"{folder}/{self.shard}/{self.file_name}"


def clip_id(item_id: str, segment: Segment) -> str:
    """The id of a stretch of a recording: the same whenever the recording is cut alike."""
    return hashlib.sha256(f"{item_id}:{segment.start}:{segment.frames}".encode()).hexdigest()[:16]
