"""Small SVG histograms, before against after, drawn without a plotting library and coloured by page.css."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

WIDTH, HEIGHT = 300, 132  # user units; the page scales the picture
_LEFT, _RIGHT, TOP, BASE = 8, 8, 10, 108
_BINS = 24


@dataclass(frozen=True, slots=True)
class Histogram:
    """One measure over all items: `before` and `after` are (N,) values of the same items, all finite."""

    title: str
    unit: str
    before: NDArray[np.float64]
    after: NDArray[np.float64]
    digits: int = 1

    @property
    def caption(self) -> str:
        """The medians in words, for the figure's caption and for screen readers."""
        before, after = (f"{np.median(values):.{self.digits}f}" for values in (self.before, self.after))
        unit = f" {self.unit}" if self.unit else ""
        return f"median {before} → {after}{unit}".replace("-", "\N{MINUS SIGN}")

    def svg(self) -> Markup:
        """The picture: `before` as a filled shape, `after` as an outlined one, medians as strokes at the base."""
        low, high = self._range()
        edges = np.linspace(low, high, _BINS + 1)
        counts = [np.histogram(np.clip(values, low, high), edges)[0] for values in (self.before, self.after)]
        tallest = max(1, *(int(count.max()) for count in counts))
        label = escape(f"{self.title}, before and after: {self.caption}, {len(self.before)} items")
        shapes = [
            f'<path class="hist-{name}" d="{steps(count / tallest)}"/>'
            f'<line class="hist-{name}-median" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{BASE}"/>'
            for name, count, values in zip(("before", "after"), counts, (self.before, self.after), strict=True)
            for x in [x_of(float(np.median(values)), low, high)]
        ]
        body = "".join(shapes) + axis(low, high)
        # Every value in the markup is a number formatted above, except the label, which is escaped.
        return Markup(f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{body}</svg>')  # noqa: S704

    def _range(self) -> tuple[float, float]:
        """The central 98 % of all values, so that one broken file does not flatten the picture."""
        low, high = np.percentile(np.concatenate([self.before, self.after]), [1, 99])
        margin = max(0.04 * (high - low), 10.0**-self.digits)
        return float(low - margin), float(high + margin)


def x_of(value: float, low: float, high: float) -> float:
    """Where a value of an axis from `low` to `high` lies, in units of the picture; values beyond lie at its ends."""
    unit = min(max((value - low) / (high - low), 0.0), 1.0)
    return _LEFT + unit * (WIDTH - _LEFT - _RIGHT)


def steps(heights: NDArray[np.float64]) -> str:
    """The outline of (BINS,) bars of height 0 to 1 as a path from base to base."""
    x = np.linspace(_LEFT, WIDTH - _RIGHT, len(heights) + 1)
    y = BASE - heights * (BASE - TOP)
    bars = "".join(f"V{y_i:.1f}H{x_i:.1f}" for x_i, y_i in zip(x[1:], y, strict=True))
    return f"M{_LEFT} {BASE}{bars}V{BASE}"


def axis(low: float, high: float) -> str:
    """The base line and four to eight round labels under it."""
    step = _nice_step((high - low) / 5)
    ticks = np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step
    decimals = max(0, -int(np.floor(np.log10(step))))
    texts = [f"{tick:.{decimals}f}".replace("-", "\N{MINUS SIGN}") for tick in ticks + 0.0]  # + 0.0 turns -0 into 0
    labels = "".join(
        f'<text x="{x_of(tick, low, high):.1f}" y="{BASE + 16}" text-anchor="middle">{text}</text>'
        for tick, text in zip(ticks, texts, strict=True)
    )
    return f'<line class="hist-axis" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{BASE}" y2="{BASE}"/>{labels}'


def _nice_step(rough: float) -> float:
    """The smallest of 1, 2, 5, 10 times a power of ten that is not below `rough`."""
    power = 10.0 ** np.floor(np.log10(rough))
    return float(next(power * factor for factor in (1.0, 2.0, 5.0, 10.0) if power * factor >= rough * 0.999))
