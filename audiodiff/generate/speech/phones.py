"""The phones a voice is made of: ARPAbet without stress, as CMUdict and PocketSphinx write it, and silence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

SILENCE = "SIL"
"""Before and after what is said, and after a full stop."""
PAUSE = "PAU"
"""A short silence, as after a comma: of another length, but the same sound and the same id."""

VOWELS = ("AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW")
CONSONANTS = (
    "B", "CH", "D", "DH", "F", "G", "HH", "JH", "K", "L", "M", "N", "NG", "P", "R", "S", "SH", "T", "TH", "V", "W",
    "Y", "Z", "ZH",
)  # fmt: skip

PHONES = ("", SILENCE, *VOWELS, *CONSONANTS)
"""Every phone at its id (41): 0 is nothing, for what is beyond the end; a checkpoint depends on this order."""

_IDS = {phone: number for number, phone in enumerate(PHONES)} | {PAUSE: PHONES.index(SILENCE)}


def phone_ids(phones: Iterable[str]) -> list[int]:
    """The id of each phone; KeyError for one that is not ARPAbet."""
    return [_IDS[phone] for phone in phones]


def edit_distance(said: Sequence[str], wanted: Sequence[str]) -> int:
    """How many phones, or words, one has to put in, take out or change to get from one to the other (Levenshtein)."""
    distances = list(range(len(wanted) + 1))
    for row, ours in enumerate(said, 1):
        above, distances = distances, [row]
        for column, theirs in enumerate(wanted, 1):
            changed = above[column - 1] + (ours != theirs)
            distances.append(min(above[column] + 1, distances[-1] + 1, changed))
    return distances[-1]
