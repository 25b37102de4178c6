"""`render_library_report`: a generated library as one self-contained HTML page that asks the network for nothing."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from audiodiff.generate.records import Take
from audiodiff.records import Lane
from audiodiff.report import html
from audiodiff.report.digest import parameters
from audiodiff.report.library.digest import LANES, Digest
from audiodiff.report.library.player import TakePlayer

PLAYERS_EMBEDDED = 150
PLAYERS_BYTES = 18_000_000
"""Of the page. 150 players of noise, 10 s each, take 17 MB; long loops may take more, and fewer of them fit."""


@dataclass(frozen=True, slots=True)
class LibrarySummary:
    """The facts of a generation that stand above and below its takes.

    `table` is the address of the prompts, `license` that of what the generator makes. `started_at` and `finished_at`
    are ISO 8601, `params` is JSON. `prompts` are those of this run, `skipped` those that earlier runs had done.
    `audio_s` are the seconds drawn, `stage_s` seconds of work by stage (stages overlap).
    """

    run_id: str
    table: str
    destination: str
    generator: str
    generator_sha256: str
    license: str
    recipe: str
    params: str
    version: str
    started_at: str
    finished_at: str
    wall_s: float
    audio_s: float
    stage_s: tuple[tuple[str, float], ...]
    prompts: int
    skipped: int


def render_library_report(
    summary: LibrarySummary,
    takes: Iterable[Take],
    players: Mapping[str, TakePlayer],
    explain: Mapping[str, str] | None = None,
) -> str:
    """Return the page; `players` by take id, the most wanted first; `explain` maps reason codes to sentences.

    As many players are in it as fit. Takes are read once and may be a stream. The page's links lead from
    `runs/<run id>/report.html` to the files. All text of `summary` and `takes` is taken for hostile.
    """
    explain = explain or {}
    embedded = dict(_fitting(players))
    digest = Digest({take_id: number for number, take_id in enumerate(embedded)}).add_all(takes)
    total = digest.tally.total
    style = html.asset("page.css") + html.asset("library.css", __package__)
    script = html.asset("player.js") + html.asset("sound.js", __package__) + html.asset("library.js", __package__)
    return (
        html.environment()
        .from_string(html.asset("library.html", __package__))
        .render(
            run=summary,
            facts=_facts(summary),
            parameters=parameters(summary.params),
            digest=digest,
            total=total,
            kinds=digest.tally.kinds,
            lanes=html.proportions([(lane.value, digest.tally.lanes[lane]) for lane in (*LANES, Lane.FAILED)]),
            reasons=[
                (reason, number, explain.get(reason, "")) for reason, number in digest.tally.reasons.most_common()
            ],
            stages=html.proportions(list(summary.stage_s)),
            listing=html.embedded(digest.listing(explain)),
            players=[html.embedded(payload) for payload in embedded.values()],
            policy=html.policy(style, script),
            style=html.embedded_asset(style),
            script=html.embedded_asset(script),
        )
    )


def _fitting(players: Mapping[str, TakePlayer]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Players as sound.js reads them, up to the first that the page has no room for."""
    room = PLAYERS_BYTES
    for take_id, player in islice(players.items(), PLAYERS_EMBEDDED):
        payload = _payload(player)
        room -= sum(map(len, payload["opus"] + payload["png"]))
        if room < 0:
            return
        yield take_id, payload


def _payload(player: TakePlayer) -> dict[str, Any]:
    return {
        "duration_s": player.duration_s,
        "whole_s": player.whole_s,
        "sample_rate": player.sample_rate,
        "lead_s": player.lead_s,
        "opus": [base64.b64encode(player.opus).decode()],
        "png": [base64.b64encode(player.png).decode()],
    }


def _facts(summary: LibrarySummary) -> list[tuple[str, str, str]]:
    """(label, short text, full text) of what is asked about a run first."""
    sha = summary.generator_sha256
    return [
        ("Started", html.when(summary.started_at), summary.started_at),
        ("Took", html.hms(summary.wall_s), f"{summary.wall_s:.1f} s"),
        ("Engine", summary.generator, summary.generator),
        ("Weights", sha[:12] or "none", sha or "none"),
        ("Licence of the takes", summary.license or "not known", summary.license or "not known"),
        ("Run", summary.run_id, summary.run_id),
    ]
