"""From a text to the words that are said, and their phones."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from audiodiff.errors import ConfigError
from audiodiff.generate.speech.dictionary import Phones, pronunciations
from audiodiff.generate.speech.lexicon import Source, letter_name, pronounce, with_s
from audiodiff.generate.speech.phones import PAUSE, SILENCE, VOWELS
from audiodiff.generate.speech.writing import written_out

_SHORT_MARKS, _LONG_MARKS = frozenset(",;:—()[]{}"), frozenset(".!?")
_TOKEN = re.compile(r"_[a-z](?:'s)?|['a-z]*[a-z]['a-z]*|[,;:—()\[\]{}.!?]")


@dataclass(frozen=True, slots=True)
class Word:
    """A word, its phones and where they come from; a pause is a word of its punctuation mark and one silent phone."""

    text: str
    phones: Phones
    source: Source


def speak_phones(text: str) -> list[Word]:
    """The words of an English text in order, silence first and last, and pauses where it has commas and full stops.

    ConfigError, naming the text, where it has nothing to say or is in a script other than Latin.
    """
    words: list[Word] = [Word("", (SILENCE,), "pause")]
    for token in _tokens(written_out(text)):
        if token in _SHORT_MARKS | _LONG_MARKS:
            _append_pause(words, token)
        elif token.startswith("_"):
            words.append(_letter(token))
        else:
            words.append(Word(token, *pronounce(token)))
    if all(word.source == "pause" for word in words):
        raise ConfigError(f"text {text!r} has no words to say")
    if words[-1].source == "pause":
        words.pop()
    return [*_linked(words), Word("", (SILENCE,), "pause")]


def _tokens(written: str) -> Iterator[str]:
    """Words, letters as `_b`, and marks; apostrophes at a word's ends belong to it where the dictionary says so."""
    for found in _TOKEN.finditer(written):
        token = found.group()
        readings = (token, token.rstrip("'"), token.lstrip("'"))
        yield next((word for word in readings if word in pronunciations()), token.strip("'"))


def _letter(token: str) -> Word:
    name, ending = letter_name(token[1]), token[2:]
    return Word(f"{token[1]}.{ending}", with_s(name) if ending else name, "dictionary")


def _append_pause(words: list[Word], mark: str) -> None:
    """A pause after a word; of several marks the one that is longest counts."""
    pause = Word(mark, (PAUSE if mark in _SHORT_MARKS else SILENCE,), "pause")
    if words[-1].source != "pause":
        words.append(pause)
    elif len(words) > 1 and words[-1].phones == (PAUSE,):
        words[-1] = pause


def _linked(words: list[Word]) -> Iterator[Word]:
    """`the` as before a vowel where one follows."""
    for word, following in zip(words, [*words[1:], None], strict=True):
        before_vowel = following is not None and following.phones[0] in VOWELS
        yield Word("the", ("DH", "IY"), word.source) if word.text == "the" and before_vowel else word
