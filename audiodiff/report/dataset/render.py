"""`render_dataset_report`: a curated dataset as one self-contained HTML page that asks the network for nothing."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from audiodiff.curate.records import Clip
from audiodiff.report import html
from audiodiff.report.dataset.digest import LANES, MAX_CLUSTERS, Digest
from audiodiff.report.dataset.funnel import STAGES
from audiodiff.report.dataset.player import Player
from audiodiff.report.digest import parameters

PLAYERS_EMBEDDED = 60
"""Of noise a player takes 130 kB of the page, of most sounds half of that: 8 MB at most."""

_REASONS_SHOWN = 40
_RANKS_SHOWN = 8
_WORDS_SHOWN = 30
_CLUSTERS_SHOWN = 40


@dataclass(frozen=True, slots=True)
class DatasetSummary:
    """The facts of a curation that stand above and below its clips.

    `started_at` and `finished_at` are ISO 8601, `policy` is that for licences, `params` JSON. `recordings` are those
    of this run, `audio_s` their seconds, `skipped` those that earlier runs had done. `stage_s` are seconds of work by
    stage (stages overlap).
    """

    run_id: str
    source: str
    destination: str
    started_at: str
    finished_at: str
    preset: str
    policy: str
    recipe: str
    params: str
    version: str
    recordings: int
    skipped: int
    audio_s: float
    wall_s: float
    stage_s: tuple[tuple[str, float], ...]


def render_dataset_report(
    summary: DatasetSummary,
    clips: Iterable[Clip],
    players: Mapping[str, Player],
    explain: Mapping[str, str] | None = None,
) -> str:
    """Return the page; `players` by clip id, `explain` maps reason codes to sentences.

    The first `PLAYERS_EMBEDDED` players are in it. Clips are read once and may be a stream. All text of `summary` and
    `clips` is taken for hostile.
    """
    explain = explain or {}
    embedded = list(islice(players, PLAYERS_EMBEDDED))
    digest = Digest(summary.source, {clip_id: number for number, clip_id in enumerate(embedded)}).add_all(clips)
    style, script = _style(), _script()
    page = html.environment()
    page.filters["hours"] = _hours
    return page.from_string(html.asset("page.html", __package__)).render(
        run=summary,
        explain=explain,
        facts=_facts(summary),
        parameters=parameters(summary.params),
        stages=html.proportions(list(summary.stage_s)),
        players=[html.embedded(_payload(players[clip_id])) for clip_id in embedded],
        policy=html.policy(style, script),
        style=html.embedded_asset(style),
        script=html.embedded_asset(script),
        **_found(digest),
        **_embedded(digest, explain),
    )


def _found(digest: Digest) -> dict[str, Any]:
    """What page.html shows of the clips."""
    steps = [digest.stages.count(stage) for stage in STAGES]
    return {
        "digest": digest,
        "input_s": sum(step.seconds for step in steps),
        "accepted": digest.lanes.count("accepted"),
        "clips": digest.lanes.clips.total(),
        "lanes": [digest.lanes.count(lane.value) for lane in LANES],
        "steps": steps,
        "funnel": html.proportions([(step.name, step.seconds) for step in steps]),
        "reasons": digest.reasons.top(_REASONS_SHOWN),
        "ranks": {title: (tally.top(_RANKS_SHOWN), tally) for title, tally in digest.ranks.items()},
        "words": digest.words.top(_WORDS_SHOWN),
        "clusters": digest.clusters[:_CLUSTERS_SHOWN],
        "most_clusters": MAX_CLUSTERS,
    }


def _embedded(digest: Digest, explain: Mapping[str, str]) -> dict[str, Any]:
    """The data that page.js and map.js read, which the map adds words to: it comes first."""
    points, plane = digest.map() if digest.sample.seen > 1 else ({"points": []}, None)
    return {
        "points": html.embedded(points),
        "drawn": len(points["points"]),
        "explained": plane.explained if plane else 0.0,
        "listing": html.embedded(digest.listing(explain)),
    }


def _style() -> str:
    return html.asset("page.css") + html.asset("page.css", __package__)


def _script() -> str:
    return html.asset("player.js") + html.asset("page.js", __package__) + html.asset("map.js", __package__)


def _payload(player: Player) -> dict[str, Any]:
    """A player as player.js reads it: the same as a preview's, with one signal."""
    return {
        "start_s": player.start_s,
        "duration_s": player.duration_s,
        "sample_rate": player.sample_rate,
        "gain_db": 0.0,
        "opus": [base64.b64encode(player.opus).decode()],
        "png": [base64.b64encode(player.png).decode()],
    }


def _facts(summary: DatasetSummary) -> list[tuple[str, str, str]]:
    """(label, short text, full text) of what is asked about a run first."""
    return [
        ("Started", html.when(summary.started_at), summary.started_at),
        ("Took", html.hms(summary.wall_s), f"{summary.wall_s:.1f} s"),
        ("Preset", summary.preset, summary.preset),
        ("Licence policy", summary.policy, summary.policy),
        ("Run", summary.run_id, summary.run_id),
    ]


def _hours(seconds: float) -> str:
    """Seconds as a column of figures has them: 12.34 h, 5.6 min, 7.8 s."""
    if seconds >= 3600:
        return f"{seconds / 3600:,.2f} h"
    return f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.1f} s"
