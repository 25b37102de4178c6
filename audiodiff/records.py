"""The things audiodiff talks about, one frozen dataclass each, in the order the data meets them.

StoredObject   what a listing of the source yields
StoredFile     an object that a row stands for
Item           one input, named and fingerprinted
Shard          some items: the unit of work and of commit
MediaInfo      what a decoder found in a file
Scores         what the metrics measured on one signal
Faithfulness   how much of what was said and played a restoration has kept
Row            what became of one item: a ledger row, and a metadata row if it has audio
Receipt        what a shard reports back: counts and seconds, never audio
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum


class Lane(StrEnum):
    """Where an item ends; every input ends in exactly one."""

    ACCEPTED = "accepted"
    REVIEW = "review"
    REJECTED = "rejected"
    FAILED = "failed"

    @property
    def folder(self) -> str | None:
        """The destination folder that holds this lane's audio; failed items have none."""
        return _FOLDERS[self]


_FOLDERS: dict[Lane, str | None] = {
    Lane.ACCEPTED: "library",
    Lane.REVIEW: "review",
    Lane.REJECTED: "rejected",
    Lane.FAILED: None,
}


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object of a store: its name relative to the root, bytes, and a cheap change mark."""

    name: str
    size: int
    fingerprint: str


@dataclass(frozen=True, slots=True)
class StoredFile:
    """An object of a destination: its name there, and the checksum its bytes must have."""

    name: str
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Item:
    """One input of a run. `name` is relative to the source root; `preview` asks for report players."""

    item_id: str
    name: str
    size: int
    fingerprint: str
    preview: bool = False

    @classmethod
    def of(cls, found: StoredObject, uri: str) -> Item:
        """The item for a listed object; the id depends on its address alone, so a re-run finds it again."""
        item_id = hashlib.sha256(uri.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        return cls(item_id, found.name, found.size, found.fingerprint)


@dataclass(frozen=True, slots=True)
class Shard:
    """The unit of work and of commit. `name` is `shard-00000`; `run_id` is the run that planned it."""

    name: str
    run_id: str
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What a decoder found. `frames` is what the container declares (None: it does not say)."""

    container: str
    codec: str
    sample_rate: int
    channels: int
    bit_depth: int
    frames: int | None
    tags: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Scores:
    """Reference-free measurements of one signal; NaN where a metric does not apply.

    Units are in the names: LUFS (BS.1770-4 integrated), dBTP, fractions of samples or frames,
    hertz, dBFS, dB relative to loud passages (`metrics.defects`), clicks a second, and DNSMOS P.835 opinion scores
    from 1 to 5.
    """

    lufs: float
    true_peak_db: float
    clipped_fraction: float
    silent_fraction: float
    bandwidth_hz: float
    noise_floor_db: float
    channel_correlation: float
    steady_noise_db: float
    background_db: float
    clicks_per_s: float
    dnsmos_sig: float
    dnsmos_bak: float
    dnsmos_ovrl: float


@dataclass(frozen=True, slots=True)
class Faithfulness:
    """How much a restoration agrees with its recording; NaN where a measure does not apply or cannot tell.

    `words` (speech): the share of what was said that is still heard, 0 to 1. `pitch`: the share of voiced or tonal
    frames that moved by more than 50 cents. `onsets` (music): by how much better onsets coincide when they should than
    40 to 150 ms apart, -2 to 1. How they are measured: `audiodiff.faithful`.
    """

    words: float
    pitch: float
    onsets: float


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one input: a ledger row and, if `file_name` is set, a metadata row too.

    The fields are those every audiodiff output carries (docs/architecture.md). `after` describes the written
    audio, `before` the source; both are None for failed items. `faults` are those found in the source.
    """

    item_id: str
    source_uri: str
    source_fingerprint: str
    source_sha256: str
    lane: Lane
    reasons: tuple[str, ...]
    engine: str
    engine_sha256: str
    recipe: str
    seed: int
    params: str
    run_id: str
    created_at: str
    shard: str
    file_name: str | None = None
    sha256: str | None = None
    removed_sha256: str | None = None
    media: MediaInfo | None = None
    bit_depth: int | None = None
    frames: int | None = None
    before: Scores | None = None
    after: Scores | None = None
    faithful: Faithfulness | None = None
    license: str | None = None
    attribution: str | None = None
    messages: tuple[str, ...] = field(default=())
    faults: tuple[str, ...] = field(default=())

    @property
    def key(self) -> str:
        """What no other row of a ledger has."""
        return self.item_id

    @property
    def files(self) -> tuple[StoredFile, ...]:
        """The audio, and what was removed from it."""
        found = ((self.audio_path, self.sha256), (self.removed_path, self.removed_sha256))
        return tuple(StoredFile(name, sha256) for name, sha256 in found if name)

    @property
    def audio_path(self) -> str | None:
        """The audio's name relative to the destination, None where no audio was written."""
        if self.file_name is None:
            return None
        return f"{self.lane.folder}/{self.shard}/{self.file_name}"

    @property
    def removed_path(self) -> str | None:
        """The name of what was removed from the recording, None where that was not written."""
        return f"removed/{self.shard}/{self.file_name}" if self.removed_sha256 else None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a shard task returns: counts by lane, seconds by stage; small on purpose."""

    shard: str
    lanes: tuple[tuple[str, int], ...]
    audio_s: float
    wall_s: float
    stage_s: tuple[tuple[str, float], ...]
    ledger_uri: str
