"""`render_report`: one run as one self-contained HTML page that asks the network for nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from itertools import islice
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from audiodiff.records import Lane, Row
from audiodiff.report.digest import LANES, Digest, parameters
from audiodiff.report.preview import Preview
from audiodiff.report.text import script_json, visible

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
    style, script = _asset("page.css"), _asset("player.js") + _asset("page.js")
    return (
        _environment()
        .from_string(_asset("page.html"))
        .render(
            run=summary,
            facts=_facts(summary),
            parameters=parameters(summary.params, shown=_FACTS),
            lanes=_proportions([(lane.value, digest.lanes[lane]) for lane in (Lane.ACCEPTED, *LANES[:3])]),
            stages=_proportions(list(summary.stage_s)),
            items=digest.lanes.total(),
            hours=digest.duration_s / 3600,
            speed=summary.audio_s / summary.wall_s if summary.wall_s > 0 else 0.0,
            histograms=digest.histograms(),
            reasons=[(reason, number, explain.get(reason, "")) for reason, number in digest.reasons.most_common()],
            left_out=digest.left_out,
            listing=_embedded(digest.listing(explain)),
            previews=[_embedded(_payload(previews[item_id])) for item_id in embedded],
            players_left_out=len(previews) - len(embedded),
            policy=_policy(style, script),
            style=_embedded_asset(style),
            script=_embedded_asset(script),
        )
    )


def _environment() -> Environment:
    """Jinja that escapes, and shows invisible characters of, every value that is not our own markup."""
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: visible(value) if type(value) is str else value,
    )
    environment.filters.update(hms=_hms, count=_count)
    return environment


def _asset(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _embedded_asset(text: str) -> Markup:
    """One of our own files, which may not end its tag early."""
    assert "</" not in text
    return Markup(text)  # noqa: S704


def _embedded(value: Any) -> Markup:
    return Markup(script_json(value))  # noqa: S704  (script_json escapes < > &)


def _policy(style: str, script: str) -> str:
    """A content security policy that runs our script and style by their hashes and loads nothing from anywhere."""
    style_hash, script_hash = (
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)
    )
    return (
        f"default-src 'none'; script-src 'sha256-{script_hash}'; style-src 'sha256-{style_hash}'; "
        "img-src data: blob:; media-src data: blob:; base-uri 'none'; form-action 'none'"
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
        ("Started", _when(summary.started_at), summary.started_at),
        ("Took", _hms(summary.wall_s), f"{summary.wall_s:.1f} s"),
        ("Preset", summary.preset, summary.preset),
        ("Engine", summary.engine, summary.engine),
        ("Checkpoint", sha[:12] or "none", sha or "none"),
        ("Recipe", summary.recipe[:12], summary.recipe),
        ("Version", f"audiodiff {summary.version}", summary.version),
        ("Run", summary.run_id, summary.run_id),
    ]


def _proportions(parts: list[tuple[str, float]]) -> list[dict[str, Any]]:
    """Parts with their start and width in percent of the sum, as the bars draw them."""
    total = sum(value for _, value in parts) or 1
    starts = [sum(value for _, value in parts[:place]) for place in range(len(parts))]
    return [
        {"name": name, "value": value, "start": 100 * start / total, "percent": 100 * value / total}
        for (name, value), start in zip(parts, starts, strict=True)
    ]


def _hms(seconds: float) -> str:
    """Seconds in the two largest units that say something: 1 h 02 min, 3 min 05 s, 12.4 s."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60:02d} min"


def _when(iso: str) -> str:
    moment = datetime.fromisoformat(iso)
    return f"{moment.day} {moment:%b %Y, %H:%M} {moment.tzname() or ''}".rstrip()


def _count(number: int) -> str:
    return f"{number:,}"
