"""Counts of a generated library: what was asked for, drawn and delivered, over all prompts and by kind."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import astuple, dataclass

from audiodiff.generate.records import Take
from audiodiff.records import Lane


@dataclass(slots=True)
class Count:
    """Prompts; takes asked for, drawn, delivered (accepted) and missing; rows that failed; delivered seconds."""

    prompts: int = 0
    asked: int = 0
    drawn: int = 0
    delivered: int = 0
    shortfall: int = 0
    failed: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class PromptCount:
    """One prompt: its kind, and takes asked for, drawn and kept (accepted)."""

    kind: str
    asked: int
    drawn: int = 0
    kept: int = 0


class Tally:
    """Counts the rows of a run. A row of the table that could not be read is a prompt without a kind."""

    def __init__(self) -> None:
        self.lanes: Counter[Lane] = Counter()
        self.reasons: Counter[str] = Counter()
        self.prompts: dict[str, PromptCount] = {}
        self._failed: Counter[str] = Counter()
        self._seconds: defaultdict[str, float] = defaultdict(float)

    def add(self, take: Take) -> None:
        """Count a row."""
        self.lanes[take.lane] += 1
        self.reasons.update(take.reasons)
        prompt = self._prompt(take)
        if take.lane is Lane.FAILED:
            self._failed[prompt.kind] += 1
            return
        prompt.drawn += 1
        if take.lane is Lane.ACCEPTED:
            prompt.kept += 1
            self._seconds[prompt.kind] += 0.0 if math.isnan(take.duration_s) else take.duration_s

    @property
    def kinds(self) -> dict[str, Count]:
        """The counts by kind, that with most prompts first, what could not be read last."""
        counts: dict[str, Count] = {}
        for prompt in self.prompts.values():
            count = counts.setdefault(prompt.kind, Count())
            count.prompts += 1
            count.asked += prompt.asked
            count.drawn += prompt.drawn
            count.delivered += prompt.kept
            count.shortfall += max(0, prompt.asked - prompt.kept)
        for kind, count in counts.items():
            count.failed, count.seconds = self._failed[kind], self._seconds[kind]
        return dict(sorted(counts.items(), key=lambda entry: (not entry[0], -entry[1].prompts)))

    @property
    def total(self) -> Count:
        """The counts over all kinds."""
        return Count(*(sum(column) for column in zip(*map(astuple, self.kinds.values()), strict=True)))

    def _prompt(self, take: Take) -> PromptCount:
        found = self.prompts.get(take.item_id)
        if found is None:
            kind, asked = (take.prompt.kind, take.prompt.count) if take.prompt else ("", 0)
            found = self.prompts[take.item_id] = PromptCount(kind, asked)
        return found
