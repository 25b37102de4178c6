"""CMUdict, as PocketSphinx ships it (BSD): how 133,000 English words are said."""

from __future__ import annotations

from functools import cache
from pathlib import Path

Phones = tuple[str, ...]


@cache
def pronunciations() -> dict[str, list[Phones]]:
    """Every word in small letters to its pronunciations, the commonest first; letters' names are at `b.` and so on."""
    import pocketsphinx  # noqa: PLC0415  loaded when first asked to speak

    path = Path(pocketsphinx.get_model_path("en-us/cmudict-en-us.dict"))
    found: dict[str, list[Phones]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        word, *phones = line.split()
        found.setdefault(word.partition("(")[0], []).append(tuple(phones))  # the second of `a` is at `a(2)`
    return found
