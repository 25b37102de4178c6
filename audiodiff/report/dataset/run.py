"""The last words of a curation: its report, then its summary, which marks it finished."""

from __future__ import annotations

import json
import tempfile
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path

from audiodiff import layout
from audiodiff.curate.records import Clip
from audiodiff.curate.rules import EXPLANATIONS
from audiodiff.curate.schema import CLIPS
from audiodiff.gates import explain
from audiodiff.ledger import all_rows
from audiodiff.media import read_audio
from audiodiff.plan import Plan
from audiodiff.records import Lane
from audiodiff.report.dataset.player import Player, make_player
from audiodiff.report.dataset.render import PLAYERS_EMBEDDED, DatasetSummary, render_dataset_report
from audiodiff.storage import Store


@dataclass(frozen=True, slots=True)
class DatasetTally:
    """A run in numbers: (lane, clips, seconds of the sources), (reason, clips), and where its report lies."""

    lanes: tuple[tuple[str, int, float], ...]
    reasons: tuple[tuple[str, int], ...]
    twins: int
    report_uri: str


def write_dataset_report(destination: Store, plan: Plan, summary: DatasetSummary) -> DatasetTally:
    """Write `report.html` and then `summary.json` of a reconciled run."""
    shards = [shard.name for shard in plan.shards]
    clips, seconds, reasons, twins = Counter[Lane](), defaultdict[Lane, float](float), Counter[str](), 0
    heard: list[Clip] = []
    for row in all_rows(destination, shards, CLIPS):
        if row.twin_of:
            twins += 1
            continue
        clips[row.lane] += 1
        seconds[row.lane] += row.source_duration_s
        reasons.update(row.reasons)
        if row.audio_path:
            heard.append(row)
    explained = {reason: EXPLANATIONS.get(reason) or explain(reason) for reason in reasons}
    players = _players(destination, heard)
    page = render_dataset_report(summary, all_rows(destination, shards, CLIPS), players, explained)
    name = layout.run(plan.run_id, "report.html")
    destination.write_bytes(name, page.encode())
    lanes = tuple((lane.value, clips[lane], seconds[lane]) for lane in Lane)
    tally = DatasetTally(lanes, tuple(reasons.most_common()), twins, destination.object_uri(name))
    closing = json.dumps(asdict(summary) | asdict(tally), indent=1)
    destination.write_bytes(layout.run(plan.run_id, "summary.json"), closing.encode())
    return tally


def _players(destination: Store, rows: list[Clip]) -> dict[str, Player]:
    """Players of clips evenly spread over those with audio."""
    step = max(1.0, len(rows) / PLAYERS_EMBEDDED)
    chosen = [rows[int(place * step)] for place in range(min(PLAYERS_EMBEDDED, len(rows)))]
    players: dict[str, Player] = {}
    with tempfile.TemporaryDirectory(prefix="audiodiff-") as scratch:
        for row in chosen:
            assert row.audio_path is not None
            path = destination.local_path(row.audio_path)
            if path is None:
                path = Path(scratch, "clip.flac")
                destination.fetch(row.audio_path, path)
            players[row.clip_id] = make_player(read_audio(path), row.start / max(row.source_rate, 1))
    return players
