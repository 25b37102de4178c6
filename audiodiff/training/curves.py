"""What a run came to as it went: one JSON line a point, TensorBoard events where it is installed, and a picture."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd

CURVES = "curves.jsonl"


class Curves:
    """Appends points to `curves.jsonl` in a run's folder; what was written after the step resumed from is dropped."""

    def __init__(self, folder: Path, step: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / CURVES
        kept = [line for line in _lines(self.path) if json.loads(line)["step"] <= step]
        self.path.write_text("".join(f"{line}\n" for line in kept))
        self._events: Any = None
        if find_spec("tensorboard"):
            from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415  the extra `train`

            self._events = SummaryWriter(str(folder / "events"), purge_step=step + 1)

    def add(self, step: int, **values: float) -> None:
        """A point: names and values at a step."""
        with self.path.open("a") as file:
            file.write(json.dumps({"step": step} | {name: round(value, 5) for name, value in values.items()}) + "\n")
        if self._events:
            for name, value in values.items():
                self._events.add_scalar(name.replace(", ", "/"), value, step)

    def close(self) -> None:
        """Write out what TensorBoard holds."""
        if self._events:
            self._events.close()


def read_curves(folder: Path) -> pd.DataFrame:
    """All points of a run, one row each, a column for each name that was ever given."""
    return pd.DataFrame([json.loads(line) for line in _lines(folder / CURVES)])


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


_WIDTH, _HEIGHT, _LEFT, _BASE = 640, 240, 48, 210


def draw_curves(curves: pd.DataFrame, names: tuple[str, ...]) -> str:
    """An SVG with a line for each of the named columns over the steps; values share one scale."""
    known = [(name, curves[["step", name]].dropna()) for name in names if name in curves]
    known = [(name, points) for name, points in known if len(points)]
    values = [float(value) for name, points in known for value in points[name]]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    last = float(curves["step"].max()) if len(curves) else 1.0
    colours = ("#4269d0", "#c2571a", "#3c8a5a", "#8a4fc0")

    def place(step: float, value: float) -> str:
        x = _LEFT + (_WIDTH - _LEFT - 10) * step / max(last, 1.0)
        return f"{x:.1f},{_BASE - (_BASE - 24) * (value - low) / max(high - low, 1e-9):.1f}"

    parts = [f'<line x1="{_LEFT}" x2="{_WIDTH}" y1="{_BASE}" y2="{_BASE}" stroke="#888"/>']
    for number, (name, points) in enumerate(known):
        line = " ".join(place(step, value) for step, value in points.itertuples(index=False))
        colour = colours[number % len(colours)]
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        parts.append(f'<text x="{_LEFT + 150 * number}" y="14" fill="{colour}">{name}</text>')
    parts += [f'<text x="2" y="{y}">{value:.2f}</text>' for y, value in ((28, high), (_BASE, low))]
    parts.append(f'<text x="{_WIDTH - 90}" y="{_BASE + 18}">{last:,.0f} steps</text>')
    style = 'font-family="sans-serif" font-size="12"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" {style}>{"".join(parts)}</svg>\n'
