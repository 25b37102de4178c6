"""What the report says about all clips of a run, gathered in one pass, in memory that stays small for 100k clips."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from audiodiff.curate.records import Clip
from audiodiff.records import Lane
from audiodiff.report.dataset.funnel import stage_of
from audiodiff.report.dataset.map import MAX_POINTS, Plane, Sample, project
from audiodiff.report.dataset.tally import Scale, Spread, Tally
from audiodiff.report.dataset.words import words_of
from audiodiff.report.text import visible

LANES = (Lane.ACCEPTED, Lane.REVIEW, Lane.REJECTED, Lane.FAILED)
LISTED = {Lane.ACCEPTED: 4_000, Lane.REVIEW: 1_500, Lane.REJECTED: 2_000, Lane.FAILED: 500}
"""Rows in the list by lane. At up to 500 bytes each they take 4 MB of the page at most."""

_OF_EACH_REASON = 20  # listed whatever the number of rows, so that no reason leads to an empty list
MAX_CLUSTERS = 2_000
_COPIES_NAMED = 12
_EXAMPLES = 3
_CAPTION_EXAMPLES = 7
_TEXT_LIMIT = 160
_NAME_LIMIT = 120


def kind_of(clip: Clip) -> str:
    """What a clip sounds like: the surest tag, or the first label it came with."""
    return clip.tags[0].label if clip.tags else next(iter(clip.facts.labels), "")


def _score(name: str, factor: float = 1.0) -> Callable[[Clip], float]:
    return lambda clip: factor * getattr(clip.scores, name) if clip.scores else math.nan


SCALES = (
    Scale("Duration", "s", lambda clip: clip.source_duration_s or math.nan, 0.0, 600.0, 0.05),
    Scale("Bandwidth", "kHz", _score("bandwidth_hz", 1e-3), 0.0, 48.0, 0.05),
    Scale("Loudness", "LUFS", _score("lufs"), -80.0, 10.0, 0.1),
    Scale("Noise floor", "dBFS", _score("noise_floor_db"), -140.0, 0.0, 0.2),
)
RANKED: dict[str, Callable[[Clip], str]] = {
    "Sample rates": lambda clip: f"{clip.source_rate / 1000:g} kHz" if clip.source_rate else "",
    "Kinds of sound": kind_of,
    "Licences": lambda clip: clip.license,
    "Languages": lambda clip: clip.facts.language,
    "Speakers": lambda clip: clip.facts.speaker,
    "Collections": lambda clip: clip.facts.collection,
}


@dataclass(frozen=True, slots=True)
class Example:
    """A row named as an example: its name, and the value and limit in words or the caption."""

    name: str
    text: str
    kind: str = ""


@dataclass(slots=True)
class Cluster:
    """Clips alike: the one kept (its id, its name where this run has it), how many copies, and the first of them."""

    kept_id: str
    kept: str = ""
    copies: int = 0
    seconds: float = 0.0
    named: list[Example] = field(default_factory=list)


class Digest:
    """Counts, hours, distributions and the listed clips of a run; degraded twins are only counted.

    `source` is cut from the front of the clips' names; `players` tells which clips can be played: those are listed
    and on the map whatever their number.
    """

    def __init__(self, source: str, players: Mapping[str, int]) -> None:
        self.stages, self.lanes, self.splits, self.reasons, self.words = (Tally() for _ in range(5))
        self.twins, self.twins_s, self.captioned = 0, 0.0, 0
        self.examples: dict[str, list[Example]] = {}
        self.captions: list[Example] = []
        self.sample = Sample(MAX_POINTS - len(players))
        self.left_out: Counter[Lane] = Counter()
        self._source, self._players = source.rstrip("/") + "/", players
        self._spreads = [Spread(scale) for scale in SCALES]
        self._ranks = {title: Tally() for title in RANKED}
        self._clusters: dict[str, Cluster] = {}
        self._kept: dict[str, str] = {}
        self._listed: dict[Lane, list[list[Any]]] = {lane: [] for lane in LANES}
        self._codes: dict[str, dict[str, int]] = {name: {} for name in ("reasons", "licences", "splits", "kinds")}

    def add_all(self, clips: Iterable[Clip]) -> Digest:
        """Take every clip in; returns itself."""
        for clip in clips:
            if clip.twin_of:
                self.twins += 1
                self.twins_s += 0.0 if math.isnan(clip.duration_s) else clip.duration_s
            else:
                self._add(clip)
        return self

    @property
    def spreads(self) -> list[Spread]:
        """One distribution for each measure that any clip has."""
        return [spread for spread in self._spreads if spread.counts.any()]

    @property
    def ranks(self) -> dict[str, Tally]:
        """The tallies of which anything is known."""
        return {title: tally for title, tally in self._ranks.items() if tally.clips}

    @property
    def clusters(self) -> list[Cluster]:
        """Duplicates by the clip that was kept, those with most copies first."""
        for cluster in self._clusters.values():
            cluster.kept = self._kept.get(cluster.kept_id, "")
        return sorted(self._clusters.values(), key=lambda cluster: -cluster.copies)

    def listing(self, explain: Mapping[str, str]) -> dict[str, Any]:
        """The clips as page.js reads them: tables of words, and short lists that point into them.

        A row is [name, caption, seconds, lane, reasons, messages, licence, split, kind, player].
        """
        words = {name: [visible(word) for word in index] for name, index in self._codes.items()}
        meanings = [visible(explain.get(reason, "")) for reason in self._codes["reasons"]]
        rows = [row for lane in LANES for row in self._listed[lane]]
        return words | {"lanes": list(LANES), "meanings": meanings, "rows": rows}

    def map(self) -> tuple[dict[str, Any], Plane]:
        """The map as map.js reads it: points [x, y, name, caption, lane, kind, split, player]; call it once."""
        clips = self.sample.clips
        plane = project(np.array([clip.embedding for clip in clips], np.float64))
        points = [
            [
                round(float(x), 3),
                round(float(y), 3),
                self._name(clip),
                visible(clip.caption, _TEXT_LIMIT),
                LANES.index(clip.lane),
                self._code("kinds", kind_of(clip)),
                self._code("splits", clip.split),
                self._players.get(clip.clip_id, -1),
            ]
            for clip, (x, y) in zip(clips, plane.points, strict=True)
        ]
        return {"points": points}, plane

    def _add(self, clip: Clip) -> None:
        self.stages.add(stage_of(clip), clip)
        self.lanes.add(clip.lane.value, clip)
        for spread in self._spreads:
            spread.add(clip)
        for title, name_of in RANKED.items():
            self._ranks[title].add(name_of(clip), clip)
        for place, reason in enumerate(clip.reasons):
            self._add_reason(clip, reason, clip.messages[place] if place < len(clip.messages) else "")
        if clip.lane is Lane.ACCEPTED:
            self._add_accepted(clip)
        self._add_cluster(clip)
        self.sample.add(clip, clip.clip_id in self._players)
        self._list(clip)

    def _add_reason(self, clip: Clip, reason: str, message: str) -> None:
        self.reasons.add(reason, clip)
        examples = self.examples.setdefault(reason, []) if reason in self.reasons.clips else []
        if len(examples) < _EXAMPLES:
            examples.append(Example(self._name(clip), message))

    def _add_accepted(self, clip: Clip) -> None:
        self.splits.add(clip.split, clip)
        self.captioned += bool(clip.caption)
        for word in words_of(clip.caption):
            self.words.add(word, clip)
        kind = kind_of(clip)
        if clip.caption and len(self.captions) < _CAPTION_EXAMPLES and kind not in {e.kind for e in self.captions}:
            self.captions.append(Example(self._name(clip), clip.caption, kind))

    def _add_cluster(self, clip: Clip) -> None:
        if not clip.duplicate_of:
            if clip.cluster and len(self._kept) < 10 * MAX_CLUSTERS:
                self._kept[clip.clip_id] = self._name(clip)
        elif clip.duplicate_of in self._clusters or len(self._clusters) < MAX_CLUSTERS:
            cluster = self._clusters.setdefault(clip.duplicate_of, Cluster(clip.duplicate_of))
            cluster.copies += 1
            cluster.seconds += clip.source_duration_s
            if len(cluster.named) < _COPIES_NAMED:
                cluster.named.append(Example(self._name(clip), next(iter(clip.messages), "")))

    def _list(self, clip: Clip) -> None:
        listed = self._listed[clip.lane]
        wanted = clip.clip_id in self._players or any(self.reasons.clips[r] <= _OF_EACH_REASON for r in clip.reasons)
        if len(listed) >= LISTED[clip.lane] and not wanted:
            self.left_out[clip.lane] += 1
            return
        listed.append(
            [
                self._name(clip),
                visible(clip.caption, _TEXT_LIMIT),
                round(clip.source_duration_s, 2),
                LANES.index(clip.lane),
                [self._code("reasons", reason) for reason in clip.reasons],
                [visible(message, _TEXT_LIMIT) for message in clip.messages],
                self._code("licences", clip.license),
                self._code("splits", clip.split),
                self._code("kinds", kind_of(clip)),
                self._players.get(clip.clip_id, -1),
            ]
        )

    def _code(self, table: str, word: str) -> int:
        """The place of a word in one of the listing's tables."""
        index = self._codes[table]
        return index.setdefault(word, len(index))

    def _name(self, clip: Clip) -> str:
        """A clip's name: its recording's within the source, and where it begins if it is not the whole of it."""
        name = visible(clip.source_uri.removeprefix(self._source), _NAME_LIMIT)
        return f"{name} @ {clip.start / clip.source_rate:.1f} s" if clip.start and clip.source_rate else name
