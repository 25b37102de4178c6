"""The last words of a run: its report, then its summary, which marks it finished."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from audiodiff import layout
from audiodiff.books import RESTORATIONS
from audiodiff.gates import explain
from audiodiff.ledger import all_rows
from audiodiff.plan import Plan
from audiodiff.records import Lane
from audiodiff.report.digest import Digest
from audiodiff.report.preview import Preview, previews_from_parquet
from audiodiff.report.render import PREVIEWS_EMBEDDED, RunSummary, render_report
from audiodiff.storage import Store


@dataclass(frozen=True, slots=True)
class Tally:
    """A run in numbers: items by lane and by reason, and where its report lies."""

    lanes: tuple[tuple[str, int], ...]
    reasons: tuple[tuple[str, int], ...]
    report_uri: str


def write_report(destination: Store, plan: Plan, summary: RunSummary, most_previews: int = PREVIEWS_EMBEDDED) -> Tally:
    """Write `report.html` and then `summary.json` of a reconciled run."""
    shards = [shard.name for shard in plan.shards]
    previews = read_previews(destination, plan.run_id, most_previews)
    reasons = Digest(summary.source, {}).add_all(all_rows(destination, shards, RESTORATIONS))
    explained = {reason: explain(reason) for reason in reasons.reasons}
    page = render_report(summary, all_rows(destination, shards, RESTORATIONS), previews, explained)
    name = layout.run(plan.run_id, "report.html")
    destination.write_bytes(name, page.encode())
    lanes = tuple((lane.value, reasons.lanes[lane]) for lane in Lane)
    tally = Tally(lanes, tuple(reasons.reasons.most_common()), destination.object_uri(name))
    closing = json.dumps(asdict(summary) | asdict(tally), indent=1)
    destination.write_bytes(layout.run(plan.run_id, "summary.json"), closing.encode())
    return tally


def read_previews(destination: Store, run_id: str, most: int) -> dict[str, Preview]:
    """The first `most` previews of a run by item id."""
    previews: dict[str, Preview] = {}
    for found in destination.list(layout.run(run_id, "previews/")):
        for preview in previews_from_parquet(destination.read_bytes(found.name)):
            if len(previews) == most:
                return previews
            previews[preview.item_id] = preview
    return previews
