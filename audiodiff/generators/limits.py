"""What is asked of a generator: whether it offers that, how long the take is to be, how strongly it is guided."""

from __future__ import annotations

from typing import Protocol

from audiodiff.errors import ConfigError
from audiodiff.generate.records import Request

DEFAULT_S = 4.0
"""Of a take whose prompt leaves the length open, but for speech and edits."""


class Offer(Protocol):
    """The part of a generator that says what it can do."""

    name: str
    kinds: frozenset[str]
    edits: frozenset[str]


def refuse(offer: Offer, request: Request) -> None:
    """Raise `ConfigError` for a request of a kind, an edit or a loop that the generator does not offer."""
    prompt = request.prompt
    if prompt.kind not in offer.kinds:
        raise ConfigError(f"{offer.name} makes no {prompt.kind}; it makes {_listed(offer.kinds)}")
    if prompt.edit not in offer.edits:
        raise ConfigError(f"{offer.name} cannot do the edit {prompt.edit}; it can do {_listed(offer.edits)}")
    if prompt.loop and "loop" not in offer.edits:
        raise ConfigError(f"{offer.name} makes no loops")
    if prompt.edit != "new" and request.reference is None:
        raise ConfigError(f"the edit {prompt.edit} needs a reference")


def seconds_of(request: Request) -> float:
    """How much is to be drawn, in seconds; 0 for speech that takes as long as its text.

    An inpainted take is as long as its reference, and so is a variation whose prompt leaves the length open; all else
    has 4 s then. Of a continuation it is what comes after the reference.
    """
    prompt, reference = request.prompt, request.reference
    if reference is not None and (prompt.edit == "inpaint" or (prompt.edit == "variation" and not prompt.duration_s)):
        return reference.duration_s
    return prompt.duration_s or (0.0 if prompt.kind == "voice" else DEFAULT_S)


def guidance_of(guidance: float, influence: float) -> float:
    """The guidance of a prompt of some influence: 1, which is none, at 0; `guidance` at 0.5; linear.

    A guidance of 1 or less stays: it is what models are drawn with that guidance is distilled into.
    """
    return 1.0 + 2.0 * influence * (guidance - 1.0) if guidance > 1.0 else guidance


def _listed(names: frozenset[str]) -> str:
    return ", ".join(sorted(names))
