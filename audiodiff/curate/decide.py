"""Between the passes: what can only be said of all clips together - copies, leaks into evaluation sets, splits.

What is in the dataset already stays as it is; new clips are held against it. Of copies within a run the best is kept.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from audiodiff import layout
from audiodiff.curate.duplicates import find_alike, find_alike_within
from audiodiff.curate.evaluation import Reserved
from audiodiff.curate.examine import Examined, read_examined, read_prints
from audiodiff.curate.records import Clip
from audiodiff.curate.rules import Rules
from audiodiff.curate.schema import CLIPS
from audiodiff.curate.splits import CONFLICT, splits
from audiodiff.ledger import committed_shards
from audiodiff.plan import Plan
from audiodiff.records import Lane
from audiodiff.storage import Store

KEPT = (Lane.ACCEPTED, Lane.REVIEW)

Quality = tuple[float, float, float, float, float, float, str, int]


@dataclass(frozen=True, slots=True)
class Candidate:
    """Of a clip, what decides over its fate among the others; `better` sorts copies, the best first."""

    clip_id: str
    item_id: str
    shard: str
    lane: Lane
    pcm: str
    speaker: str
    better: Quality
    print: bytes
    split: str = ""
    cluster: str = ""

    @classmethod
    def of(cls, clip: Clip, print_: bytes) -> Candidate:
        """The candidate for a row."""
        return cls(
            clip.clip_id,
            clip.item_id,
            clip.shard,
            clip.lane,
            f"{clip.source_pcm_sha256}:{clip.start}:{clip.source_frames}",
            clip.facts.speaker,
            _quality(clip),
            print_,
            clip.split,
            clip.cluster or clip.clip_id,
        )


def _quality(clip: Clip) -> Quality:
    """Sorts copies, the best first.

    Accepted before review, then whole before clipped, wide before narrow, long before short, fine before coarse or
    lossy, loud before soft; then by address.
    """
    scores = clip.scores
    assert scores is not None
    wide = 0.0 if math.isnan(scores.bandwidth_hz) else scores.bandwidth_hz / 2_000
    return (
        float(clip.lane is not Lane.ACCEPTED),
        round(scores.clipped_fraction, 4),
        -float(round(wide)),
        -round(clip.source_duration_s, 1),
        -float(clip.source_bit_depth),
        0.0 if math.isnan(scores.lufs) else -float(round(scores.lufs)),
        clip.source_uri,
        clip.start,
    )


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a clip because of others; `lane` None leaves it where its own figures put it."""

    lane: Lane | None = None
    reason: str = ""
    message: str = ""
    cluster: str = ""
    duplicate_of: str = ""
    near: str = ""
    split: str = ""

    def applied(self, clip: Clip) -> Clip:
        """The row after the decision."""
        reasons, messages = clip.reasons, clip.messages
        if self.reason:
            reasons, messages = (*reasons, self.reason), (*messages, self.message)
        return replace(
            clip,
            lane=self.lane or clip.lane,
            reasons=reasons,
            messages=messages,
            cluster=self.cluster,
            duplicate_of=self.duplicate_of,
            near=self.near,
            split=self.split,
        )


def decide_run(destination: Store, plan: Plan, rules: Rules, reserved: Sequence[Reserved] = ()) -> None:
    """Decide over the clips of a run's shards and write their rows; what a killed run had decided stands."""
    before = _decided(destination, plan.run_id)
    todo = [shard.name for shard in plan.shards if shard.name not in before]
    if not todo:
        return
    new = [one for shard in todo for one in _candidates(read_examined(destination, shard))]
    decisions = decide(new, list(_known(destination, plan, before)), rules, reserved)
    for shard in todo:
        clips = [row.clip for row in read_examined(destination, shard)]
        rows = [decisions.get(clip.clip_id, Decision()).applied(clip) for clip in clips]
        destination.write_bytes(layout.decided(plan.run_id, shard), CLIPS.encode(rows))
    note = json.dumps(sorted([*before, *todo]), indent=1)
    destination.write_bytes(layout.run(plan.run_id, "decided.json"), note.encode())


def decide(
    new: Sequence[Candidate], known: Sequence[Candidate], rules: Rules, reserved: Sequence[Reserved] = ()
) -> dict[str, Decision]:
    """Decisions by clip id: leaks first, then copies of what is known, then copies among the new, then splits."""
    decisions = _leaks(new, rules.alike, reserved)
    clean = [one for one in new if one.clip_id not in decisions]
    decisions |= _copies_of_known(clean, known, rules.alike)
    fresh = [one for one in clean if one.clip_id not in decisions]
    decisions |= _copies_among(fresh, rules.alike)
    return decisions | _with_splits(clean, known, decisions, rules)


def _decided(destination: Store, run_id: str) -> list[str]:
    name = layout.run(run_id, "decided.json")
    return list(json.loads(destination.read_bytes(name))) if destination.exists(name) else []


def _candidates(examined: Sequence[Examined]) -> list[Candidate]:
    return [Candidate.of(row.clip, row.print) for row in examined if row.clip.lane in KEPT]


def _known(destination: Store, plan: Plan, decided: Sequence[str]) -> Iterator[Candidate]:
    """The clips kept by earlier runs, and by this one before it was interrupted.

    Those whose recording this run examines again are left out: their rows will be replaced.
    """
    again = {item.item_id for shard in plan.shards if shard.name not in decided for item in shard.items}
    mine = {shard.name for shard in plan.shards}
    tables = {shard: layout.ledger(shard) for shard in committed_shards(destination) if shard not in mine}
    tables |= {shard: layout.decided(plan.run_id, shard) for shard in decided}
    for shard, table in tables.items():
        prints = read_prints(destination, shard)
        for clip in CLIPS.decode(destination.read_bytes(table)):
            if clip.lane in KEPT and clip.item_id not in again and not clip.twin_of:
                yield Candidate.of(clip, prints[clip.clip_id])


def _leaks(new: Sequence[Candidate], alike: float, reserved: Sequence[Reserved]) -> dict[str, Decision]:
    """Clips that sound like a recording kept for evaluation."""
    pcm = {one.pcm_sha256: one.uri for one in reserved}
    found: dict[str, Decision] = {}
    for clip in new:
        if uri := pcm.get(clip.pcm.partition(":")[0]):
            found[clip.clip_id] = _leak(uri, 1.0)
    for match in find_alike([one.print for one in new], [one.print for one in reserved], alike):
        found.setdefault(new[match.query].clip_id, _leak(reserved[match.reference].uri, match.similarity))
    return found


def _leak(uri: str, similarity: float) -> Decision:
    return Decision(Lane.REJECTED, "leaked", f"leaked: alike by {similarity:.2f} to {uri}", near=uri)


def _copies_of_known(new: Sequence[Candidate], known: Sequence[Candidate], alike: float) -> dict[str, Decision]:
    """New clips that are in the dataset already."""
    pcm = {one.pcm: one for one in known}
    found = {one.clip_id: _same(pcm[one.pcm]) for one in new if one.pcm in pcm}
    for match in find_alike([one.print for one in new], [one.print for one in known], alike):
        found.setdefault(new[match.query].clip_id, _copy(known[match.reference], match.similarity))
    return found


def _copies_among(new: Sequence[Candidate], alike: float) -> dict[str, Decision]:
    """Of clips that are copies of each other the best is kept; all others name it.

    The best come first, and only copies of a clip that is kept are put out: likeness does not travel along a chain.
    """
    order = sorted(new, key=lambda one: one.better)
    partners: dict[int, list[tuple[int, float]]] = {}
    for match in find_alike_within([one.print for one in order], alike):
        partners.setdefault(match.query, []).append((match.reference, match.similarity))
        partners.setdefault(match.reference, []).append((match.query, match.similarity))
    found: dict[str, Decision] = {}
    first: dict[str, Candidate] = {}
    clusters: dict[str, Decision] = {}
    for place, clip in enumerate(order):
        same = first.setdefault(clip.pcm, clip)
        alike_to = [(order[other], likeness) for other, likeness in partners.get(place, []) if other < place]
        kept = [(other, likeness) for other, likeness in alike_to if other.clip_id not in found]
        if same is not clip and same.clip_id not in found:
            found[clip.clip_id] = _same(same)
        elif kept:
            best, likeness = max(kept, key=lambda pair: pair[1])
            found[clip.clip_id] = _copy(best, likeness)
        else:
            continue
        cluster = found[clip.clip_id].cluster
        clusters[cluster] = Decision(cluster=cluster)
    return clusters | found


def _same(kept: Candidate) -> Decision:
    message = f"duplicate_file: the same samples as {kept.clip_id}"
    return Decision(Lane.REJECTED, "duplicate_file", message, kept.cluster, kept.clip_id)


def _copy(kept: Candidate, similarity: float) -> Decision:
    message = f"duplicate: alike by {similarity:.2f} to {kept.clip_id}"
    return Decision(Lane.REJECTED, "duplicate", message, kept.cluster, kept.clip_id)


def _with_splits(
    new: Sequence[Candidate], known: Sequence[Candidate], decisions: Mapping[str, Decision], rules: Rules
) -> dict[str, Decision]:
    """The decisions on all clips that did not leak, with their splits; copies tie their recordings together, too."""
    clusters = {one.clip_id: decisions.get(one.clip_id, Decision()).cluster or one.cluster for one in new}
    clusters |= {one.clip_id: one.cluster for one in known}
    members = [(one.clip_id, _ties(one, clusters[one.clip_id])) for one in (*known, *new)]
    found = splits(members, rules.shares, {one.clip_id: one.split for one in known})
    result: dict[str, Decision] = {}
    for one in new:
        decision, split = decisions.get(one.clip_id, Decision()), found[one.clip_id]
        if split == CONFLICT and decision.lane is None:
            text = "split_conflict: tied to recordings of several splits"
            decision = replace(decision, lane=Lane.REVIEW, reason="split_conflict", message=text)
        out = decision.lane is Lane.REJECTED
        result[one.clip_id] = replace(decision, split="" if out else split)
    return result


def _ties(one: Candidate, cluster: str) -> list[str]:
    """What must not be torn apart by a split: recording, speaker, copies."""
    speaker = [f"speaker:{one.speaker.casefold()}"] if one.speaker else []
    return [f"recording:{one.item_id}", f"cluster:{cluster}", *speaker]
