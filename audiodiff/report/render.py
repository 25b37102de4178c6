"""`render_report`: one run as one self-contained HTML page that asks the network for nothing."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from audiodiff.records import Lane, Row
from audiodiff.report import html
from audiodiff.report.digest import LANES, Digest, parameters
from audiodiff.report.preview import Preview

_FACTS = {"preset", "engine", "engine_sha256", "version"}  # parameters that stand among the facts already

PREVIEWS_EMBEDDED = 120  # at half a megabyte each, a page that still opens in seconds


@dataclass(frozen=True, slots=True)
class RunSummary:
    """The facts of a run that stand above its items.

    `started_at` and `finished_at` are ISO 8601, `params` is JSON, `audio_s` the seconds of audio that went
    through, `stage_s` the seconds of work by stage (stages overlap), `planned` the items of this run and
    `skipped` those that earlier runs had done.
    """

    run_id: str
    source: str
    destination: str
    started_at: str
    finished_at: str
    preset: str
    engine: str
    engine_sha256: str
    recipe: str
    params: str
    version: str
    audio_s: float
    wall_s: float
    stage_s: tuple[tuple[str, float], ...]
    planned: int
    skipped: int


def render_report(
    summary: RunSummary,
    rows: Iterable[Row],
    previews: Mapping[str, Preview],
    explain: Mapping[str, str] | None = None,
) -> str:
    """Return the page; `previews` by item id, `explain` maps reason codes to sentences.

    The first `PREVIEWS_EMBEDDED` previews become players, the page says how many more there are. Rows are read
    once and may be a stream. All text of `summary` and `rows` is taken for hostile.
    """
    explain = explain or {}
    embedded = list(islice(previews, PREVIEWS_EMBEDDED))
    index = {item_id: number for number, item_id in enumerate(embedded)}
    digest = Digest(summary.source, index).add_all(rows)
    style, script = html.asset("page.css"), html.asset("player.js") + html.asset("page.js")
    return (
        html.environment()
        .from_string(html.asset("page.html"))
        .render(
            run=summary,
            facts=_facts(summary),
            parameters=parameters(summary.params, shown=_FACTS),
            lanes=html.proportions([(lane.value, digest.lanes[lane]) for lane in (Lane.ACCEPTED, *LANES[:3])]),
            stages=html.proportions(list(summary.stage_s)),
            items=digest.lanes.total(),
            hours=digest.duration_s / 3600,
            speed=summary.audio_s / summary.wall_s if summary.wall_s > 0 else 0.0,
            histograms=digest.histograms(),
            reasons=[(reason, number, explain.get(reason, "")) for reason, number in digest.reasons.most_common()],
            left_out=digest.left_out,
            listing=html.embedded(digest.listing(explain)),
            previews=[html.embedded(_payload(previews[item_id])) for item_id in embedded],
            players_left_out=len(previews) - len(embedded),
            policy=html.policy(style, script),
            style=html.embedded_asset(style),
            script=html.embedded_asset(script),
        )
    )


def _payload(preview: Preview) -> dict[str, Any]:
    """A preview as page.js reads it; its binary parts as base64, in the order before, after, removed."""
    opus = (preview.before_opus, preview.after_opus, preview.removed_opus)
    png = (preview.before_png, preview.after_png, preview.removed_png)
    return {
        "start_s": preview.start_s,
        "duration_s": preview.duration_s,
        "sample_rate": preview.sample_rate,
        "gain_db": round(preview.gain_db, 2),
        "opus": [base64.b64encode(data).decode() for data in opus],
        "png": [base64.b64encode(data).decode() for data in png],
    }


def _facts(summary: RunSummary) -> list[tuple[str, str, str]]:
    """(label, short text, full text) of what an archivist asks about a run; evaluations are among the parameters."""
    sha = summary.engine_sha256
    return [
        ("Started", html.when(summary.started_at), summary.started_at),
        ("Took", html.hms(summary.wall_s), f"{summary.wall_s:.1f} s"),
        ("Preset", summary.preset, summary.preset),
        ("Engine", summary.engine, summary.engine),
        ("Checkpoint", sha[:12] or "none", sha or "none"),
        ("Recipe", summary.recipe[:12], summary.recipe),
        ("Version", f"audiodiff {summary.version}", summary.version),
        ("Run", summary.run_id, summary.run_id),
    ]
