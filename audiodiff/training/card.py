"""The model card of a run: what it was trained on, how, and what it gained on held-back recordings."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

import audiodiff
from audiodiff.nets import new_net
from audiodiff.training.pack import PACK_RATE_HZ
from audiodiff.training.recipes import Recipe


def model_card(
    checkpoint: Path, name: str, recipe: Recipe, step: int, index: pd.DataFrame, gains_db: dict[str, float]
) -> str:
    """Markdown for a checkpoint; `index` is the pack's, `gains_db` the last validation's."""
    net = new_net(recipe.net)
    parameters = sum(p.numel() for p in net.parameters())
    state = "finished" if step >= recipe.steps else f"**unfinished**: {step:,} of {recipe.steps:,} steps"
    digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    hours = step * recipe.batch * recipe.excerpt_s / 3600.0
    lines = [
        f"# Model card: {name}, {datetime.now(UTC):%Y-%m-%d}",
        "",
        "| | |",
        "|---|---|",
        f"| file | `{checkpoint.name}`, half precision, sha256 `{digest}` |",
        f"| network | `{type(net).__name__}`, {parameters / 1e6:.2f} M parameters, {recipe.rate_hz / 1000:g} kHz |",
        f"| training | {state}; {hours:.1f} hours of audio seen; audiodiff {audiodiff.__version__} |",
        "| licence | that of the code; what it was trained on is listed below |",
        "",
        "## Gain on held-back recordings, SI-SDR in dB, one evaluation",
        "",
        *([f"- {case}: {gain:+.2f}" for case, gain in gains_db.items()] or ["Not measured."]),
        "",
        "## Data",
        "",
        "| kind | split | licence | recordings | minutes |",
        "|---|---|---|---:|---:|",
        *_data_rows(index),
        "",
        "Attribution per recording is in the pack's `index.parquet`.",
        "",
        "## Recipe",
        "",
        f"`python -m audiodiff.training.run PACK OUT --recipe {name} --steps {recipe.steps} --seed {recipe.seed}`",
        "",
        "```json",
        json.dumps(asdict(recipe), indent=1),
        "```",
        "",
    ]
    return "\n".join(lines)


def _data_rows(index: pd.DataFrame) -> list[str]:
    rows = []
    for (kind, split, licence), part in index.groupby(["kind", "split", "license"]):
        minutes = part.frames.sum() / PACK_RATE_HZ / 60.0
        rows.append(f"| {kind} | {split} | {licence} | {len(part):,} | {minutes:.1f} |")
    return rows
