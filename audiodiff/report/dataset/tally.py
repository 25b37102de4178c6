"""Counts of what may have any number of names, and distributions in fixed bins: memory that stays small."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

from audiodiff.curate.records import Clip
from audiodiff.records import Lane
from audiodiff.report.charts import BASE, HEIGHT, TOP, WIDTH, axis, steps, x_of

MAX_NAMES = 20_000
"""A tally counts no more names than these; those that come later are counted together."""

_BARS = 24


@dataclass(frozen=True, slots=True)
class Count:
    """One name of a tally: its clips, how many of them are accepted, and their seconds."""

    name: str
    clips: int
    accepted: int
    seconds: float


class Tally:
    """Clips and seconds by name, the accepted apart from the others."""

    def __init__(self) -> None:
        self.clips: Counter[str] = Counter()
        self.nameless = 0
        self.further = 0
        self._accepted: Counter[str] = Counter()
        self._seconds: defaultdict[str, float] = defaultdict(float)

    def add(self, name: str, clip: Clip) -> None:
        """Count a clip under a name; "" stands for not known."""
        if not name:
            self.nameless += 1
        elif name not in self.clips and len(self.clips) >= MAX_NAMES:
            self.further += 1
        else:
            self.clips[name] += 1
            self._accepted[name] += clip.lane is Lane.ACCEPTED
            self._seconds[name] += clip.source_duration_s

    def top(self, most: int | None = None) -> list[Count]:
        """The names with most clips."""
        return [self.count(name) for name, _ in self.clips.most_common(most)]

    def count(self, name: str) -> Count:
        """What is known of one name."""
        return Count(name, self.clips[name], self._accepted[name], self._seconds.get(name, 0.0))


@dataclass(frozen=True, slots=True)
class Scale:
    """A measure of clips: its title, unit, how to get it (NaN: it has none), and fine bins from `low` to `high`."""

    title: str
    unit: str
    measure: Callable[[Clip], float]
    low: float
    high: float
    step: float
    digits: int = 1


class Spread:
    """How a measure is spread over the accepted clips and over the others, in the fine bins of its scale."""

    def __init__(self, scale: Scale) -> None:
        self.scale = scale
        bins = -(-round((scale.high - scale.low) / scale.step) // _BARS) * _BARS  # whole bars, however many make one
        self.counts = np.zeros((2, bins), np.int64)  # (others, accepted)

    def add(self, clip: Clip) -> None:
        """Count a clip; one beyond the scale goes to its end."""
        value = self.scale.measure(clip)
        if np.isfinite(value):
            place = int((value - self.scale.low) / self.scale.step)
            self.counts[int(clip.lane is Lane.ACCEPTED), min(max(place, 0), self.counts.shape[1] - 1)] += 1

    @property
    def caption(self) -> str:
        """The medians in words."""
        unit = f" {self.scale.unit}" if self.scale.unit else ""
        return ", ".join(
            f"{name}: median {self._quantile(counts, 0.5):.{self.scale.digits}f}{unit}".replace("-", "\N{MINUS SIGN}")
            for name, counts in (("accepted", self.counts[1]), ("not", self.counts[0]))
            if counts.any()
        )

    def svg(self) -> Markup:
        """The others as a filled shape, the accepted as an outlined one, each as tall as its share of its own."""
        first, group = self._window()
        bars = self.counts[:, first : first + group * _BARS].reshape(2, _BARS, group).sum(axis=2)
        bars[:, 0] += self.counts[:, :first].sum(axis=1)
        bars[:, -1] += self.counts[:, first + group * _BARS :].sum(axis=1)
        shares = bars / np.maximum(bars.sum(axis=1, keepdims=True), 1)  # (2, _BARS)
        low = self.scale.low + first * self.scale.step
        high = low + _BARS * group * self.scale.step
        shapes = [
            f'<path class="hist-{name}" d="{steps(share / shares.max())}"/>'
            f'<line class="hist-{name}-median" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{BASE}"/>'
            for name, share, counts in zip(("before", "after"), shares, self.counts, strict=True)
            if counts.any()
            for x in [x_of(self._quantile(counts, 0.5), low, high)]
        ]
        label = escape(f"{self.scale.title}, {self.caption}")
        body = "".join(shapes) + axis(low, high)
        # Every value in the markup is a number formatted above, except the label, which is escaped.
        return Markup(f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{body}</svg>')  # noqa: S704

    def _window(self) -> tuple[int, int]:
        """The first fine bin to draw and how many make a bar: the central 98 % of all, and never less than _BARS."""
        total = np.cumsum(self.counts.sum(axis=0))
        first, last = (int(np.searchsorted(total, share * total[-1])) for share in (0.01, 0.99))
        group = -(-(last - first + 1) // _BARS)
        spare = group * _BARS - (last - first + 1)
        return min(max(first - spare // 2, 0), self.counts.shape[1] - group * _BARS), group

    def _quantile(self, counts: np.ndarray[tuple[int], np.dtype[np.int64]], share: float) -> float:
        total = np.cumsum(counts)
        place = int(np.searchsorted(total, share * total[-1]))
        return self.scale.low + (place + 0.5) * self.scale.step
