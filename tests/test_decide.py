"""Decisions over all clips: leaks, copies, splits; what is there already stays."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
from pile import take

from audiodiff.curate.decide import Candidate, Decision, decide
from audiodiff.curate.evaluation import Reserved
from audiodiff.curate.fingerprint import fingerprint
from audiodiff.curate.rules import PRESETS, Rules
from audiodiff.curate.splits import Shares
from audiodiff.records import Lane

RULES = PRESETS["sfx"]


@cache
def printed(seed: int, first: int = 0, last: int = 144_000) -> bytes:
    return fingerprint(take(seed)[:, first:last], 48_000)


def candidate(name: str, seed: int, rank: float = 0.0, lane: Lane = Lane.ACCEPTED, **more: str) -> Candidate:
    better = (float(lane is not Lane.ACCEPTED), rank, 0.0, 0.0, 0.0, 0.0, name, 0)
    return Candidate(
        name, f"item-{name}", "shard-00000", lane, f"pcm-{name}", "", better, printed(seed), cluster=name, **more
    )


def outcome(decision: Decision) -> tuple[str, str]:
    return decision.reason, decision.duplicate_of


def test_the_best_of_copies_is_kept_whatever_the_order() -> None:
    copies = [candidate("a", 1, rank=2.0), candidate("b", 1, rank=1.0), candidate("c", 1, rank=3.0), candidate("d", 2)]
    for order in (copies, copies[::-1]):
        found = decide(order, [], RULES)
        assert {name: outcome(found[name]) for name in "abcd"} == {
            "a": ("duplicate", "b"), "b": ("", ""), "c": ("duplicate", "b"), "d": ("", ""),
        }  # fmt: skip
        assert {found[name].cluster for name in "abc"} == {"b"}
        assert found["d"].cluster == ""


def test_an_accepted_clip_is_better_than_one_in_review() -> None:
    found = decide([candidate("a", 1, lane=Lane.REVIEW), candidate("b", 1, rank=9.0)], [], RULES)
    assert outcome(found["a"]) == ("duplicate", "b")


def test_likeness_does_not_travel_along_a_chain() -> None:
    whole, left, right = printed(5), printed(5, 0, 80_000), printed(5, 60_000, 144_000)
    names = [
        replace(candidate("left", 5, rank=0.0), print=left),
        replace(candidate("right", 5, rank=1.0), print=right),
        replace(candidate("whole", 5, rank=2.0), print=whole),
    ]
    found = decide(names, [], RULES)
    assert outcome(found["left"]) == outcome(found["right"]) == ("", "")
    assert found["whole"].reason == "duplicate"


def test_what_is_in_the_dataset_stays() -> None:
    known = [candidate("old", 1, rank=5.0, split="test")]
    found = decide([candidate("new", 1), candidate("other", 2)], known, RULES)
    assert outcome(found["new"]) == ("duplicate", "old")
    assert "old" not in found
    assert found["other"].lane is None


def test_the_same_samples_are_found_without_a_fingerprint() -> None:
    short = [replace(candidate(name, 1), print=b"", pcm="same") for name in ("a", "b")]
    found = decide(short, [], RULES)
    assert (outcome(found["a"]), outcome(found["b"])) == (("", ""), ("duplicate_file", "a"))
    found = decide(short[1:], short[:1], RULES)
    assert outcome(found["b"]) == ("duplicate_file", "a")


def test_leaks_are_out_before_copies_are_looked_for() -> None:
    reserved = [Reserved("evaluation/x.wav", "other", printed(1)), Reserved("evaluation/y.wav", "pcm-z", b"")]
    new = [candidate("a", 1), candidate("b", 1), replace(candidate("z", 3), pcm="pcm-z:0:100")]
    found = decide(new, [], RULES, reserved)
    assert [found[name].reason for name in "abz"] == ["leaked"] * 3
    assert [found[name].near for name in "abz"] == ["evaluation/x.wav", "evaluation/x.wav", "evaluation/y.wav"]
    assert all(found[name].split == "" for name in "abz")


def test_copies_tie_their_recordings_into_one_split() -> None:
    rules = Rules(shares=Shares(0.5, 0.25, 0.25), alike=RULES.alike)
    rng = np.random.default_rng(0)
    seeds = [int(seed) for seed in rng.integers(0, 6, 12)]
    new: list[Candidate] = []
    for number, seed in enumerate(seeds):  # each recording has a sound that others have too, and one of its own
        for part, print_ in (("x", printed(seed)), ("y", b"")):
            one = candidate(f"{number}{part}", seed)
            new.append(replace(one, item_id=f"item-{number}", print=print_, pcm=f"pcm-{number}{part}"))
    found = decide(new, [], rules)
    for seed in set(seeds):
        family = [number for number, own in enumerate(seeds) if own == seed]
        assert len({found[f"{number}y"].split for number in family}) == 1
