"""Categories and file names of the Universal Category System (universalcategorysystem.com, public domain)."""

from __future__ import annotations

import csv
import difflib
import io
import re
import unicodedata
from collections import defaultdict
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from audiodiff.errors import ConfigError
from audiodiff.generate.records import Kind, Prompt

_COLUMNS = ("category", "subcategory", "catid", "catshort")
_LONGEST_PHRASE = 5  # words of a synonym
_LONGEST_NAME = 40  # of an FXName; UCS asks for 25 "preferably", which cuts most prompts after three words
_LONGEST_ID = 20
_HASH = 8  # digits of the prompt's id: 10,000 prompts of one name clash once in a hundred libraries
_WITHOUT_ACCENT = str.maketrans({"ß": "ss", "æ": "ae", "Æ": "Ae", "œ": "oe", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L"})
_EMPTY = frozenset({"a", "an", "and", "the", "of", "with", "some"})
_SHORT_OF: dict[Kind, str] = {"music": "MUSC", "voice": "VOX"}
"""Music and voice are looked for among these only: "battle music" is no battle."""


@dataclass(frozen=True, slots=True)
class Category:
    """A row of the list: "ANIMALS", "DOG", "ANMLDog", "ANML", and other words for it."""

    category: str
    subcategory: str
    cat_id: str
    cat_short: str
    synonyms: tuple[str, ...] = ()


_MISC: dict[Kind, Category] = {
    "sfx": Category("DESIGNED", "MISC", "DSGNMisc", "DSGN"),
    "music": Category("MUSICAL", "MISC", "MUSCMisc", "MUSC"),
    "voice": Category("VOICES", "MISC", "VOXMisc", "VOX"),
}
"""For prompts that name nothing in the table."""


Phrase = tuple[str, ...]
"""Words in the form that `_words` gives them."""
Role = Literal["category", "subcategory", "synonym"]


@dataclass(frozen=True, slots=True)
class Table:
    """A list of categories, and of which of them, by their places, each phrase is a name."""

    categories: tuple[Category, ...]
    phrases: dict[Phrase, tuple[tuple[int, Role], ...]]


def read_table(path: Path | None = None) -> Table:
    """The categories in a CSV or Parquet file with the columns of the published UCS list, or the most common ones.

    Needed are Category, SubCategory, CatID and CatShort; one that begins with "Synonyms" is read too. `ConfigError` for
    a file that cannot be read, lacks a column, or has a row without a CatID or with one that is there already.
    """
    name = path.name if path else "categories.csv"
    try:
        rows = _rows(path)
    except (OSError, UnicodeError, csv.Error, pa.ArrowException) as error:
        raise ConfigError(f"the table of categories {name!r} cannot be read: {error}") from error
    columns = {column.lower().strip(): column for column in (rows[0] if rows else {})}
    if missing := [column for column in _COLUMNS if column not in columns]:
        raise ConfigError(f"the table of categories {name!r} has no column {', '.join(missing)}")
    synonyms = next((columns[column] for column in columns if column.startswith("synonyms")), "")
    found: dict[str, Category] = {}
    for number, row in enumerate(rows, 2):
        category, subcategory, cat_id, cat_short = (str(row[columns[column]] or "").strip() for column in _COLUMNS)
        if not re.fullmatch("[A-Za-z0-9]+", cat_id) or cat_id in found:
            problem = "is there already" if cat_id in found else "is no CatID"
            raise ConfigError(f"the table of categories {name!r}: {cat_id!r} in row {number} {problem}")
        words = (word.strip() for word in (row.get(synonyms) or "").split(","))
        found[cat_id] = Category(category, subcategory, cat_id, cat_short, tuple(filter(None, words)))
    return Table(tuple(found.values()), _phrases(tuple(found.values())))


def _rows(path: Path | None) -> list[dict[str, str]]:
    if path and path.suffix.lower() == ".parquet":
        rows: list[dict[str, str]] = pq.read_table(path).to_pylist()
        return rows
    data = path.read_bytes() if path else resources.files("audiodiff.generate").joinpath("categories.csv").read_bytes()
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def _phrases(categories: tuple[Category, ...]) -> dict[Phrase, tuple[tuple[int, Role], ...]]:
    found: dict[Phrase, list[tuple[int, Role]]] = defaultdict(list)
    for place, row in enumerate(categories):
        found[_words(row.category)].append((place, "category"))
        found[_words(row.subcategory)].append((place, "subcategory"))
        for words in {_words(synonym) for synonym in row.synonyms}:
            found[words].append((place, "synonym"))
    return {words: tuple(places) for words, places in found.items()}


def _words(text: str) -> Phrase:
    """The words of a text without articles, roughly stemmed: "the barking dogs" gives bark, dog."""
    words = re.findall(r"[^\W_]+", text.lower())
    return tuple(_stem(word) for word in words if word not in _EMPTY)


def _stem(word: str) -> str:
    """Without its plural or its "ing"; the same is done to both sides, so it need not be a word."""
    word = word.removesuffix("s") if len(word) > 3 else word
    word = word.removesuffix("ing") if len(word) > 5 else word
    return re.sub(r"(.)\1$", r"\1", word) if len(word) > 3 else word


def categorise(prompt: Prompt, table: Table) -> Category:
    """The category a prompt gives, as CatID or "CATEGORY-SUBCATEGORY", else the one that most of its words speak for.

    Names and synonyms count as whole words. Of two categories with as many words, the one goes first that they name in
    more ways, then by a synonym, then earlier, as English begins with what it is about ("a dog in the rain"), then the
    table's order. Music and voice are looked for in MUSICAL and VOICES only; what no word speaks for is "MISC".
    `ConfigError`, with names like it, for a category that is not in the table.
    """
    if prompt.category:
        return _named(prompt.category, table)
    words = _words(prompt.prompt)
    short = _SHORT_OF.get(prompt.kind)
    covered: dict[int, set[int]] = defaultdict(set)  # a category's place to the places of the words that name it
    roles: dict[int, set[Role]] = defaultdict(set)
    for start in range(len(words)):
        for stop in range(start + 1, min(start + _LONGEST_PHRASE, len(words)) + 1):
            for place, role in table.phrases.get(words[start:stop], ()):
                if short in {None, table.categories[place].cat_short}:
                    covered[place].update(range(start, stop))
                    roles[place].add(role)
    if not covered:
        return _MISC[prompt.kind]

    def order(place: int) -> tuple[object, ...]:
        named = roles[place]
        return -len(covered[place]), -len(named), "synonym" not in named, min(covered[place]), place

    return table.categories[min(covered, key=order)]


def _named(name: str, table: Table) -> Category:
    names = {}
    for row in table.categories:
        names[row.cat_id.lower()] = names[f"{row.category} {row.subcategory}".lower()] = row
    wanted = " ".join(name.lower().replace("-", " ").split())
    if wanted not in names:
        near = {names[one].cat_id: None for one in difflib.get_close_matches(wanted, names, n=5, cutoff=0.5)}
        raise ConfigError(f"there is no category {name!r} in the table; like it: {', '.join(near) or 'none'}")
    return names[wanted]


def fx_name(category: Category, prompt: Prompt) -> str:
    """The FXName: the prompt's `name` or its first words, in letters, digits and spaces of ASCII, at most 40.

    Where nothing of the prompt can be written so, it is the category's name.
    """
    for text in (prompt.name, prompt.prompt, f"{category.category} {category.subcategory}".title()):
        words = [word for word in re.findall("[A-Za-z0-9]+", _plain(text)) if word.lower() not in _EMPTY]
        if words:
            return _shortened(" ".join(word[0].upper() + word[1:] for word in words))
    return category.cat_id


def file_name(
    category: Category, prompt: Prompt, take: int, takes: int, creator: str, source: str, item_id: str,
    user_category: str = "", suffix: str = ".wav",
) -> str:  # fmt: skip
    """The name of a take's file: `CatID(-UserCategory)_FXName_CreatorID_SourceID_ID(_nn).wav`.

    `take` counts from 0; the number is left out where there is only one. `ID` is the start of the prompt's id, so that
    prompts of the same name do not meet. Only letters, digits, spaces, "-", "_" and the suffix's dot are used.
    `ConfigError` for a creator or source without letters or digits.
    """
    ids = {"creator": creator, "source": source}
    for what, text in ids.items():
        if not _id(text):
            raise ConfigError(f"{what} {text!r} has no letter or digit, which a UCS file name needs")
    first = f"{category.cat_id}-{_id(user_category)}" if _id(user_category) else category.cat_id
    parts = [first, fx_name(category, prompt), _id(creator), _id(source), _id(item_id)[:_HASH]]
    if takes > 1:
        parts.append(f"{take + 1:0{max(2, len(str(takes)))}d}")
    return "_".join(parts) + suffix


def _id(text: str) -> str:
    return re.sub("[^A-Za-z0-9]", "", _plain(text))[:_LONGEST_ID]


def _plain(text: str) -> str:
    """Letters without their accents, apostrophes gone: "don't" is one word."""
    decomposed = unicodedata.normalize("NFKD", text.translate(_WITHOUT_ACCENT))
    return "".join(one for one in decomposed if not unicodedata.combining(one) and one not in "'\u2019")


def _shortened(name: str) -> str:
    """Cut between words, or within the first if it alone is too long."""
    if len(name) <= _LONGEST_NAME:
        return name
    whole, space, _ = name[: _LONGEST_NAME + 1].rpartition(" ")
    return whole if space else name[:_LONGEST_NAME]
