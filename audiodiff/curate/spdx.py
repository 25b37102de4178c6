"""Names of licences, however they are written, as SPDX expressions; nothing is guessed."""

from __future__ import annotations

import functools
import re
from typing import Any

from license_expression import ExpressionError, Licensing, get_spdx_licensing

PUBLIC_DOMAIN = "LicenseRef-Public-Domain"
"""Stated to be in the public domain. CC-PDDC is one particular deed, and whoever wrote "PD" did not say that one."""

SAMPLING_PLUS = "LicenseRef-CC-Sampling-Plus-1.0"
PIXABAY = "LicenseRef-Pixabay"

_ALIASES = {
    "public domain": PUBLIC_DOMAIN, "public-domain": PUBLIC_DOMAIN, "publicdomain": PUBLIC_DOMAIN, "pd": PUBLIC_DOMAIN,
    "public domain mark 1.0": "CC-PDM-1.0",
    # of these there is one version
    "cc0": "CC0-1.0", "cc 0": "CC0-1.0", "cc0 1.0": "CC0-1.0", "odbl": "ODbL-1.0",
    "sampling+": SAMPLING_PLUS, "cc sampling+": SAMPLING_PLUS, "sampling+ 1.0": SAMPLING_PLUS,
    "cc sampling+ 1.0": SAMPLING_PLUS,
    "pixabay": PIXABAY, "pixabay content": PIXABAY,
    "expat": "MIT", "bsd 2-clause": "BSD-2-Clause", "bsd 3-clause": "BSD-3-Clause",
    "apache 2": "Apache-2.0", "apache-2": "Apache-2.0", "apache 2.0": "Apache-2.0", "apache version 2.0": "Apache-2.0",
}  # fmt: skip
"""Names that are no SPDX identifiers, as `_tidy` leaves them."""

_LATER = re.compile(r",?[\s-]+or[\s-]+(?:\(at your option\) )?(?:any )?(?:later|newer)(?: versions?)?", re.IGNORECASE)
_PER_FILE = re.compile(r"\s*\(?\bper file\b[^()]*\)?", re.IGNORECASE)
_BOTH_NAMES = re.compile(r"([^()]+) \(([^()]+)\)")
_OPERATOR = re.compile(r"(\(|\)|\s+(?:and|or|with|\+|&|\|{1,2})\s+)", re.IGNORECASE)
_SPELT = {"+": "AND", "&": "AND", "|": "OR", "||": "OR"}
_CC_URL = re.compile(r"creativecommons\.org/(?:licenses|publicdomain)/([a-z+-]+)/(\d\.\d)(?:/([a-z]{2,3}))?(?:/|$)")
_OTHER_URL = re.compile(
    r"(?:opensource\.org/licenses?|spdx\.org/licenses|gnu\.org/licenses(?:/old-licenses)?)/([a-z0-9.-]+?)(?:\.html)?/?$"
)
_WORDS = (
    (r"creative[ -]?commons", "cc"), (r"attribution", "by"), (r"non-?commercial", "nc"), (r"share-?alike", "sa"),
    (r"no-?deriv(?:ative)?s?(?: works)?", "nd"), (r"cc ?zero", "cc0"), (r"sampling[ -]?plus", "sampling+"),
    (r"lesser general public", "lgpl"), (r"affero general public", "agpl"), (r"general public", "gpl"),
    (r"\b(?:universal|international|unported|generic|the|licen[cs]ed?|under|public domain dedication)\b", " "),
)  # fmt: skip
_CC_NAME = re.compile(r"(?:cc[ -]+)?((?:by|nc|sa|nd)(?:[ -]+(?:nc|sa|nd))*)[ -]+v?(\d\.\d)(?:[ -]+([a-z]{2,3}))?")
_GNU_NAME = re.compile(r"(?:gnu )?([al]?gpl|gfdl(?:-niv)?)[ -]*(?:v|version )?[ .]*(\d(?:\.\d)?)(\+|-only)?")


def as_spdx(given: str) -> str:
    """The SPDX expression that a text means, "" where it names no licence for certain.

    Operands come sorted and once. Texts like "A or B (per file)" say that we do not know which applies, so all do: AND,
    as SPDX has it for a package of many files. A port of a Creative Commons licence without an identifier of its own
    keeps its country behind `LicenseRef-`. Source: SPDX 2.3 annex D; Debian copyright format 1.0 ("GPL-2" is just 2).
    """
    text = " ".join(given.split()).strip(" .;,")
    if found := _one(text):
        return _simplified(found)
    both = _BOTH_NAMES.fullmatch(_tidy(text))  # "Attribution 4.0 International (CC BY 4.0)"
    if both and (found := _one(both[1])) and found == _one(both[2]):
        return found
    per_file = _PER_FILE.search(text)
    parts = _OPERATOR.split(_LATER.sub("+", _PER_FILE.sub("", text)))
    # "A or B, and C" is (A or B) and C to Debian: a comma before an operator groups, and we do not read groups by comma
    operands = [_operator(part) or ("" if part.endswith(",") else _one(part)) for part in parts if part.strip()]
    expression = " ".join(operands) if all(operands) else ""
    return _simplified(expression.replace(" OR ", " AND ") if per_file else expression)


def branches(spdx: str) -> list[frozenset[str]]:
    """The alternatives of an expression, each the set of licences that all apply; none for "" and what is no SPDX."""
    tree = _tree(spdx)
    return [] if tree is None else _alternatives(tree)


def _one(text: str) -> str:
    """The identifier that the name or address of a single licence stands for, "" if it is neither."""
    name = _tidy(text)
    if name in _ALIASES:
        return _ALIASES[name]
    if "://" in name or name.startswith("www."):
        return _from_url(name)
    if found := _CC_NAME.fullmatch(name):
        return _creative_commons(re.split(r"[ -]+", found[1]), found[2], found[3])
    if found := _GNU_NAME.fullmatch(_LATER.sub("+", name)):
        return _gnu(found[1], found[2], found[3])
    return text.strip() if text.strip().startswith("LicenseRef-") else _listed(name)


def _tidy(text: str) -> str:
    """Lower case, one space between words, Creative Commons' words abbreviated and empty ones left out."""
    text = text.strip().lower().replace("_", " ")
    if "://" not in text:
        for pattern, short in _WORDS:
            text = re.sub(pattern, short, text)
    return re.sub(r"[ ,]+", " ", text.replace(" - ", " ")).strip()


def _from_url(url: str) -> str:
    if found := _CC_URL.search(url):
        kind, version, port = found.groups()
        deeds = {"zero": "CC0-1.0", "mark": "CC-PDM-1.0", "sampling+": SAMPLING_PLUS}
        return deeds[kind] if kind in deeds else _creative_commons(kind.split("-"), version, port)
    if "apache.org/licenses/license-2.0" in url:
        return "Apache-2.0"
    found = _OTHER_URL.search(url)
    return _one(found[1]) if found else ""


def _creative_commons(parts: list[str], version: str, port: str | None) -> str:
    order = ["by", "nc", "nd", "sa"]
    if len(set(parts)) < len(parts) or not set(parts) <= set(order):
        return ""
    name = "-".join(["CC", *sorted(parts, key=order.index), version]).upper()
    if not _listed(name):
        return ""
    ported = f"{name}-{port.upper()}" if port else name
    return _listed(ported) or f"LicenseRef-{ported}"


def _gnu(family: str, version: str, suffix: str | None) -> str:
    family, niv = family.removesuffix("-niv").upper(), "-no-invariants" if family.endswith("-niv") else ""
    version = version if "." in version else f"{version}.0"
    return _listed(f"{family}-{version}{niv}-{'or-later' if suffix == '+' else 'only'}")


def _operator(part: str) -> str:
    word = part.strip().upper()
    return _SPELT.get(word, word) if word in {"(", ")", "AND", "OR", "WITH", *_SPELT} else ""


@functools.cache
def _spdx() -> tuple[Licensing, dict[str, str]]:
    """The SPDX list as a parser, and its identifiers by their lower case."""
    licensing = get_spdx_licensing()
    return licensing, {key.lower(): key for key in licensing.known_symbols}


def _listed(name: str) -> str:
    """The identifier on SPDX's list, spelt as there, "" if it is not on it."""
    return _spdx()[1].get(name.lower(), "")


def _tree(expression: str) -> Any:
    """The parsed expression, None if there is none or it cannot be parsed."""
    try:
        return _spdx()[0].parse(expression)
    except ExpressionError:
        return None


def _simplified(expression: str) -> str:
    """The expression sorted and without repetition, "" if it cannot be parsed."""
    tree = _tree(expression)
    return "" if tree is None else str(tree.simplify())


def _alternatives(tree: Any) -> list[frozenset[str]]:
    if not getattr(tree, "args", ()):
        return [frozenset([str(tree)])]
    below = [_alternatives(part) for part in tree.args]
    if tree.operator.strip() == "OR":
        return [branch for branches in below for branch in branches]
    return functools.reduce(lambda ones, others: [one | other for one in ones for other in others], below)
