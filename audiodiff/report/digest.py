"""What the report says about all rows of a run, gathered in one pass, in memory that stays small for 100k rows."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from audiodiff.records import Lane, Row, Scores
from audiodiff.report.charts import Histogram
from audiodiff.report.text import visible

LANES = (Lane.REVIEW, Lane.REJECTED, Lane.FAILED, Lane.ACCEPTED)  # what needs a person first
ACCEPTED_LISTED = 5_000
OTHERS_LISTED = 20_000

_MESSAGE_LIMIT = 300


@dataclass(frozen=True, slots=True)
class Measure:
    """One score as the page shows it: the field of `Scores`, its title, unit, decimals, and which way is better."""

    key: str
    title: str
    unit: str
    digits: int
    factor: float = 1.0
    better: int = 0  # 1: higher is better, -1: lower, 0: neither


MEASURES = (
    Measure("lufs", "Loudness", "LUFS", 1),
    Measure("true_peak_db", "True peak", "dBTP", 1),
    Measure("noise_floor_db", "Noise floor", "dBFS", 1, better=-1),
    Measure("steady_noise_db", "Steady noise", "dB", 1, better=-1),
    Measure("clicks_per_s", "Clicks", "/s", 1, better=-1),
    Measure("bandwidth_hz", "Bandwidth", "kHz", 1, factor=1e-3, better=1),
    Measure("clipped_fraction", "Clipped", "%", 2, factor=100.0, better=-1),
    Measure("dnsmos_ovrl", "DNSMOS overall", "", 2, better=1),
)
_CHARTED = ("lufs", "noise_floor_db", "bandwidth_hz", "dnsmos_ovrl")


class Digest:
    """Counts, hours, histograms and the listed rows of a run.

    `source` is cut from the front of the rows' names; `preview_index` tells which items can be played: those are
    listed whatever their number.
    """

    def __init__(self, source: str, preview_index: Mapping[str, int]) -> None:
        self.lanes: Counter[Lane] = Counter()
        self.reasons: Counter[str] = Counter()
        self.duration_s = 0.0
        self._source = source.rstrip("/") + "/"
        self._preview_index = preview_index
        self._listed: dict[Lane, list[list[Any]]] = {lane: [] for lane in LANES}
        self._left_out: Counter[Lane] = Counter()
        self._reason_index: dict[str, int] = {}
        self._values: dict[str, tuple[list[float], list[float]]] = {key: ([], []) for key in _CHARTED}

    def add_all(self, rows: Iterable[Row]) -> Digest:
        """Take every row in; returns itself."""
        for row in rows:
            self._add(row)
        return self

    @property
    def left_out(self) -> tuple[int, int]:
        """How many accepted and how many other rows are not listed."""
        return self._left_out[Lane.ACCEPTED], self._left_out.total() - self._left_out[Lane.ACCEPTED]

    def histograms(self) -> list[Histogram]:
        """One histogram for each charted measure that any item has, before and after."""
        drawn = [measure for measure in MEASURES if measure.key in _CHARTED and self._values[measure.key][0]]
        return [
            Histogram(measure.title, measure.unit, np.array(before), np.array(after), measure.digits)
            for measure in drawn
            for before, after in [self._values[measure.key]]
        ]

    def listing(self, explain: Mapping[str, str]) -> dict[str, Any]:
        """The rows as page.js reads them: tables of words, and short lists that point into them.

        A row is [name, lane, reasons, duration_s, sample_rate, channels, codec, bit_depth, before, after,
        preview, messages], where before and after have one number or null for each measure.
        """
        return {
            "lanes": list(LANES),
            "reasons": [[visible(reason), visible(explain.get(reason, ""))] for reason in self._reason_index],
            "measures": [[m.title, m.unit, m.digits, m.better] for m in MEASURES],
            "rows": [listed for lane in LANES for listed in self._listed[lane]],
        }

    def _add(self, row: Row) -> None:
        self.lanes[row.lane] += 1
        for reason in row.reasons:
            self.reasons[reason] += 1
            self._reason_index.setdefault(reason, len(self._reason_index))
        self.duration_s += _duration_s(row) or 0.0
        self._add_values(row.before, row.after)
        limit = ACCEPTED_LISTED if row.lane is Lane.ACCEPTED else OTHERS_LISTED
        others = sum(len(listed) for lane, listed in self._listed.items() if lane is not Lane.ACCEPTED)
        listed = len(self._listed[Lane.ACCEPTED]) if row.lane is Lane.ACCEPTED else others
        if listed < limit or row.item_id in self._preview_index:
            self._listed[row.lane].append(self._columns(row))
        else:
            self._left_out[row.lane] += 1

    def _add_values(self, before: Scores | None, after: Scores | None) -> None:
        if before is None or after is None:
            return
        for measure in MEASURES:
            pair = (getattr(before, measure.key), getattr(after, measure.key))
            if measure.key in _CHARTED and all(map(math.isfinite, pair)):
                for values, value in zip(self._values[measure.key], pair, strict=True):
                    values.append(value * measure.factor)

    def _columns(self, row: Row) -> list[Any]:
        media = row.media
        duration_s = _duration_s(row)
        return [
            visible(row.source_uri.removeprefix(self._source)),
            LANES.index(row.lane),
            [self._reason_index[reason] for reason in row.reasons],
            None if duration_s is None else round(duration_s, 2),
            media and media.sample_rate,
            media and media.channels,
            media and visible(media.codec),
            media and media.bit_depth,
            _numbers(row.before),
            _numbers(row.after),
            self._preview_index.get(row.item_id, -1),
            [visible(message, _MESSAGE_LIMIT) for message in (*_found(row), *row.messages)],
        ]


def parameters(params: str, shown: Collection[str] = ()) -> list[tuple[str, str]]:
    """A run's parameters as pairs to show: those of a JSON object one by one, less `shown`; anything else as one."""
    try:
        parsed = json.loads(params)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        return [("parameters", params)] if params else []
    return [
        (name, value if isinstance(value, str) else json.dumps(value))
        for name, value in parsed.items()
        if name not in shown
    ]


def _found(row: Row) -> list[str]:
    return [f"found: {', '.join(row.faults)}"] if row.faults else []


def _duration_s(row: Row) -> float | None:
    """Seconds of the written audio, or of the source where none was written; None if not known."""
    if row.media is None:
        return None
    frames = row.media.frames if row.frames is None else row.frames
    return None if frames is None else frames / row.media.sample_rate


def _numbers(scores: Scores | None) -> list[float | None] | None:
    """The measures of one signal, rounded to what is shown and one decimal more, None where they do not apply."""
    if scores is None:
        return None
    values = [(measure, getattr(scores, measure.key) * measure.factor) for measure in MEASURES]
    return [round(value, measure.digits + 1) if math.isfinite(value) else None for measure, value in values]
