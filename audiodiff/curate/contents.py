"""What a curated destination holds, counted shard by shard for its card."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from audiodiff import layout, schema
from audiodiff.curate.schema import CLIP_SCHEMA
from audiodiff.errors import ObjectMissing
from audiodiff.records import Lane
from audiodiff.storage import Store

_LEDGER = ("lane", "reasons", "source_frames", "source_rate", "twin_of")
_LIBRARY = ("duration_s", "license", "attribution", "split", "language", "caption", "transcript", "sample_rate")


@dataclass(frozen=True, slots=True)
class About:
    """What only its maker knows of a data set.

    `preset`, `recipe` and `policy` (for licences) are the run's, `version` is that of the audiodiff that made it,
    `created_at` is ISO 8601.
    """

    name: str
    description: str
    preset: str
    recipe: str
    version: str
    created_at: str
    policy: str


@dataclass(slots=True)
class Contents:
    """Counts of clips and seconds: of all lanes by `lanes` and `reasons`, of the accepted clips by all others.

    `attributions` are by (SPDX expression, attribution). `sizes` are bytes by folder, `twins` the degraded clips.
    Memory grows with the number of different attributions and with nothing else.
    """

    lanes: Counter[str] = field(default_factory=Counter)
    lane_s: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    reasons: Counter[str] = field(default_factory=Counter)
    splits: Counter[str] = field(default_factory=Counter)
    split_s: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    licences: Counter[str] = field(default_factory=Counter)
    licence_s: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    attributions: Counter[tuple[str, str]] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)
    rates_hz: Counter[int] = field(default_factory=Counter)
    sizes: Counter[str] = field(default_factory=Counter)
    clips: int = 0
    seconds: float = 0.0
    captions: int = 0
    transcripts: int = 0
    twins: int = 0

    @classmethod
    def of(cls, destination: Store, shards: Sequence[str]) -> Contents:
        """Count the shards of a destination."""
        contents = cls()
        for shard in sorted(shards):
            for row in _rows(destination, layout.ledger(shard), _LEDGER):
                contents._count_ledger(row)
            for row in _rows(destination, layout.table("library", shard), _LIBRARY):
                contents._count_clip(row)
            contents.twins += len(list(_rows(destination, layout.table("degraded", shard), ("clip_id",))))
            for folder in ("library", "degraded"):
                contents.sizes[folder] += sum(stored.size for stored in destination.list(f"{folder}/{shard}/"))
        return contents

    def _count_ledger(self, row: dict[str, Any]) -> None:
        if row["twin_of"]:
            return
        self.lanes[row["lane"]] += 1
        self.lane_s[row["lane"]] += row["source_frames"] / row["source_rate"] if row["source_rate"] else 0.0
        self.reasons.update(row["reasons"] if row["lane"] != Lane.ACCEPTED else ())

    def _count_clip(self, row: dict[str, Any]) -> None:
        self.clips += 1
        self.seconds += row["duration_s"]
        self.splits[row["split"]] += 1
        self.split_s[row["split"]] += row["duration_s"]
        self.licences[row["license"]] += 1
        self.licence_s[row["license"]] += row["duration_s"]
        self.attributions[row["license"], row["attribution"]] += 1
        self.languages.update([row["language"]] if row["language"] else ())
        self.rates_hz[row["sample_rate"]] += 1
        self.captions += bool(row["caption"])
        self.transcripts += bool(row["transcript"])


def _rows(destination: Store, name: str, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Some columns of a table, no rows where a lane of a shard is empty."""
    try:
        data = destination.read_bytes(name)
    except ObjectMissing:
        return
    yield from schema.read_table(data, CLIP_SCHEMA, columns).to_pylist()
