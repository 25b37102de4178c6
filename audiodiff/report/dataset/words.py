"""The words of captions, without those that every caption has."""

from __future__ import annotations

import re

_WORD = re.compile(r"[^\W\d_]+(?:['\N{RIGHT SINGLE QUOTATION MARK}][^\W\d_]+)*")  # page.js finds them by the same rule
_COMMON = """
a about after all also an and any are as at be been before being but by can could did do does down each for from had has
have he her here him his how i if in into is it its just like may me more most my near no nor not of off on once one
only or other our out over own same she should so some such than that the their them then there these they this those
through to too two under up upon very was we were what when where which while who will with without would you your
der die das und ein eine einer eines den dem des im ist mit von zu auf aus bei es für nicht sich auch wird als er
sie wir ihr man war sind werden wurde einem einen sehr le la les un une du et en est dans pour que qui sur avec
"""
_SKIPPED = frozenset(_COMMON.split())


def words_of(caption: str) -> set[str]:
    """The different words of a caption in lower case that say something of their own."""
    return {word for word in _WORD.findall(caption.lower()) if len(word) > 1 and word not in _SKIPPED}
