"""The last words of a generation: its contact sheet, then its summary, which marks it finished."""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from audiodiff import layout
from audiodiff.generate.records import Take
from audiodiff.generate.schema import TAKES
from audiodiff.ledger import all_rows
from audiodiff.media import read_audio
from audiodiff.plan import Plan
from audiodiff.records import Lane
from audiodiff.report.library.player import TakePlayer, make_take_player
from audiodiff.report.library.render import PLAYERS_EMBEDDED, LibrarySummary, render_library_report
from audiodiff.report.library.tally import Tally
from audiodiff.storage import Store


@dataclass(frozen=True, slots=True)
class LibraryTally:
    """A run in numbers, rows by lane and by reason, and where its report lies."""

    prompts: int
    asked: int
    drawn: int
    delivered: int
    shortfall: int
    failed: int
    delivered_s: float
    lanes: tuple[tuple[str, int], ...]
    reasons: tuple[tuple[str, int], ...]
    report_uri: str


def write_library_report(
    destination: Store, plan: Plan, summary: LibrarySummary, explain: Callable[[str], str]
) -> LibraryTally:
    """Write `report.html` and then `summary.json` of a reconciled run; `explain` gives the sentence for a reason."""
    shards = [shard.name for shard in plan.shards]
    tally = Tally()
    heard: list[Take] = []
    for take in all_rows(destination, shards, TAKES):
        tally.add(take)
        if take.audio_path:
            heard.append(take)
    players = make_players(destination, choose_heard(heard, PLAYERS_EMBEDDED))
    explained = {reason: explain(reason) for reason in tally.reasons}
    page = render_library_report(summary, all_rows(destination, shards, TAKES), players, explained)
    name = layout.run(plan.run_id, "report.html")
    destination.write_bytes(name, page.encode())
    found = _found(tally, destination.object_uri(name))
    closing = json.dumps(asdict(summary) | asdict(found), indent=1)
    destination.write_bytes(layout.run(plan.run_id, "summary.json"), closing.encode())
    return found


def choose_heard(takes: Sequence[Take], most: int) -> list[Take]:
    """The takes to be heard on the page: all in review, then the best of each prompt, drawn by lot if they are many.

    Every first part of them is spread over the prompts as well.
    """
    review = [take for take in takes if take.lane is Lane.REVIEW]
    others = [take for take in takes if take.lane is not Lane.REVIEW]
    random.Random(0).shuffle(others)
    others.sort(key=lambda take: (take.lane is not Lane.ACCEPTED, take.rank))
    return [*review, *others][:most]


def make_players(destination: Store, takes: Sequence[Take]) -> dict[str, TakePlayer]:
    """Players by take id, made of the delivered files."""
    players: dict[str, TakePlayer] = {}
    with tempfile.TemporaryDirectory(prefix="audiodiff-") as scratch:
        for take in takes:
            assert take.audio_path is not None
            assert take.prompt is not None
            path = destination.local_path(take.audio_path)
            if path is None:
                path = Path(scratch, "take")
                destination.fetch(take.audio_path, path)
            players[take.take_id] = make_take_player(read_audio(path), take.prompt.loop)
    return players


def _found(tally: Tally, report_uri: str) -> LibraryTally:
    total = tally.total
    return LibraryTally(
        prompts=total.prompts,
        asked=total.asked,
        drawn=total.drawn,
        delivered=total.delivered,
        shortfall=total.shortfall,
        failed=total.failed,
        delivered_s=total.seconds,
        lanes=tuple((lane.value, tally.lanes[lane]) for lane in Lane),
        reasons=tuple(tally.reasons.most_common()),
        report_uri=report_uri,
    )
