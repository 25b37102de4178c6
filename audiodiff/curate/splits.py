"""Training, validation or test: by a hash, for all that belongs together; what was decided once stays."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from audiodiff.errors import ConfigError

CONFLICT = ""
"""The split of a member that ties together groups which earlier runs put into different ones."""


_LARGEST = 0.02
"""Share of all members up to which a group goes where its key says, however small that split is."""


@dataclass(frozen=True, slots=True)
class Shares:
    """Which share of the groups goes where; raises ConfigError unless they add up to 1."""

    train: float = 0.9
    validation: float = 0.05
    test: float = 0.05

    def __post_init__(self) -> None:
        parts = (self.train, self.validation, self.test)
        if min(parts) < 0 or not math.isclose(sum(parts), 1.0, abs_tol=1e-6):
            raise ConfigError(f"the shares of train, validation and test must add up to 1, not {sum(parts):g}")


def split_of(key: str, shares: Shares) -> str:
    """The split of a group, by its key and the shares alone."""
    place = int(hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:13], 16) / 16**13
    if place < shares.train:
        return "train"
    return "validation" if place < shares.train + shares.validation else "test"


def splits(
    members: Iterable[tuple[str, Sequence[str]]], shares: Shares, known: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The split of each member, given with the keys that tie it to others (recording, speaker, cluster of copies).

    Members that share a key, directly or through others, come into one split. `known` are those of earlier runs, which
    never change; a new member of their group follows them, and gets `CONFLICT` where they disagree. A group too large
    for the split that its key says (a speaker with a third of all clips) is for training.
    """
    known = known or {}
    given = [(name, tuple(keys)) for name, keys in members]
    root: dict[str, str] = {}
    for name, keys in given:
        for key in keys:
            _join(root, _node(name), f"key:{key}")
    group = {name: _find(root, _node(name)) for name, _ in given}
    sizes = Counter(group.values())
    before: dict[str, set[str]] = {}
    for name, split in known.items():
        if name in group and split != CONFLICT:
            before.setdefault(group[name], set()).add(split)
    found: dict[str, str] = {}
    for name, key in group.items():
        earlier = before.get(key, set())
        if known.get(name, CONFLICT) != CONFLICT:
            found[name] = known[name]
        elif len(earlier) > 1:
            found[name] = CONFLICT
        else:
            found[name] = next(iter(earlier)) if earlier else _fitting(key, sizes[key] / len(given), shares)
    return found


def _fitting(key: str, size: float, shares: Shares) -> str:
    """The split of a new group that holds a share `size` of all."""
    split = split_of(key, shares)
    return "train" if size > _LARGEST and size > getattr(shares, split) else split


def _node(name: str) -> str:
    return f"name:{name}"


def _find(root: dict[str, str], node: str) -> str:
    """The representative of a node's group: the smallest of its nodes."""
    top = node
    while root.get(top, top) != top:
        top = root[top]
    while root.get(node, node) != top:  # the next search is short
        root[node], node = top, root[node]
    return top


def _join(root: dict[str, str], first: str, second: str) -> None:
    low, high = sorted((_find(root, first), _find(root, second)))
    root[high] = low
