"""How a word is said: looked up in the dictionary, or derived from a word that is there, or read letter by letter."""

from __future__ import annotations

from typing import Literal

from audiodiff.generate.speech.dictionary import Phones, pronunciations
from audiodiff.generate.speech.letters import spell_out

Source = Literal["dictionary", "derived", "letters", "pause"]
"""Where a pronunciation comes from."""

_HISSING = frozenset({"S", "Z", "SH", "ZH", "CH", "JH"})
_VOICELESS = frozenset({"P", "T", "K", "F", "TH"})


def pronounce(word: str) -> tuple[Phones, Source]:
    """The phones of a word in small letters and apostrophes, and where they come from."""
    known = pronunciations()
    if word in known:
        return known[word][0], "dictionary"
    base = word.removesuffix("'s")
    if base != word and base in known:
        return with_s(known[base][0]), "derived"
    return spell_out(word), "letters"


def letter_name(letter: str) -> Phones:
    """How a letter is called."""
    return pronunciations()[f"{letter.lower()}."][0]


def with_s(phones: Phones) -> Phones:
    """A word with an s after it, of the plural or the genitive."""
    if phones[-1] in _HISSING:
        return (*phones, "AH", "Z")
    return (*phones, "S" if phones[-1] in _VOICELESS else "Z")
