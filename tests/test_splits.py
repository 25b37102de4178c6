"""Splits: what belongs together stays together, and stays where it is as data is added."""

from __future__ import annotations

import pytest

from audiodiff.curate.splits import CONFLICT, Shares, split_of, splits
from audiodiff.errors import ConfigError

SHARES = Shares(0.8, 0.1, 0.1)


def members(count: int) -> list[tuple[str, list[str]]]:
    """Clips of `count` recordings, two of each, every tenth pair of recordings by one speaker."""
    return [
        (f"clip-{number}-{part}", [f"recording:{number}", f"speaker:{number // 10}"])
        for number in range(count)
        for part in range(2)
    ]


def test_no_recording_or_speaker_is_in_two_splits() -> None:
    found = splits(members(2_000), SHARES)
    for key in ("recording", "speaker"):
        seen: dict[str, set[str]] = {}
        for name, keys in members(2_000):
            for one in keys:
                if one.startswith(key):
                    seen.setdefault(one, set()).add(found[name])
        assert all(len(where) == 1 for where in seen.values())
    assert set(found.values()) == {"train", "validation", "test"}


def test_shares_are_met() -> None:
    counts = [split_of(f"group-{number}", SHARES) for number in range(10_000)]
    for split, share in (("train", 0.8), ("validation", 0.1), ("test", 0.1)):
        assert counts.count(split) / 10_000 == pytest.approx(share, abs=0.015)


def test_what_was_placed_stays_though_a_new_recording_ties_groups_together() -> None:
    before = splits(members(500), SHARES)
    tie = ("new", ["recording:new", *(f"speaker:{number}" for number in range(50))])
    after = splits([*members(500), tie], SHARES, before)
    assert {name: after[name] for name in before} == before
    assert after["new"] == CONFLICT


def test_a_new_member_follows_its_group() -> None:
    before = {"a": "test"}
    given = [("a", ["speaker:x"]), ("b", ["speaker:x", "cluster:c"]), ("c", ["cluster:c"])]
    assert splits(given, SHARES, before) == {"a": "test", "b": "test", "c": "test"}


def test_a_group_larger_than_its_split_is_for_training() -> None:
    for speaker in range(40):
        many = [(f"{speaker}-{number}", [f"speaker:{speaker}"]) for number in range(100)]
        assert {splits([*many, *members(100)], SHARES)[name] for name, _ in many} == {"train"}


def test_names_and_keys_do_not_mix() -> None:
    assert splits([("x", ["y"]), ("y", ["z"])], SHARES, {"x": "validation"})["y"] == "train"


@pytest.mark.parametrize("shares", [(0.5, 0.5, 0.5), (1.2, -0.1, -0.1), (0.0, 0.0, 0.0)])
def test_shares_that_do_not_add_up(shares: tuple[float, float, float]) -> None:
    with pytest.raises(ConfigError, match="add up to 1"):
        Shares(*shares)
