"""A text written out: its numbers, abbreviations, acronyms and signs as the words that are said."""

# ruff: noqa: RUF001 - tables of characters that look like others

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from audiodiff.errors import ConfigError
from audiodiff.generate.speech import numbers
from audiodiff.generate.speech.dictionary import pronunciations

_PLAIN = str.maketrans({
    "‘": "'", "’": "'", "ʼ": "'", "`": "'", "´": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "–": "—",
    "―": "—", "−": "-", "‐": "-", "‑": "-", "…": "...", "ß": "ss", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE",
    "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ı": "i", "ð": "d", "þ": "th", "¡": " ", "¿": " ",
    "_": " ",
})  # fmt: skip

_SIGNS = {
    "&": "and", "@": "at", "+": "plus", "=": "equals", "%": "percent", "#": "hash", "°": "degrees", "×": "times",
    "÷": "divided by", "±": "plus or minus", "<": "less than", ">": "greater than", "€": "euros", "£": "pounds",
    "$": "dollars", "¥": "yen", "©": "copyright", "™": "trade mark", "½": "a half", "¼": "a quarter",
    "¾": "three quarters", "/": " ",
}  # fmt: skip

_ABBREVIATIONS = {
    "mr": "mister", "mrs": "missus", "ms": "ms", "prof": "professor", "jr": "junior", "sr": "senior", "vs": "versus",
    "etc": "et cetera", "gen": "general", "capt": "captain", "lt": "lieutenant", "sgt": "sergeant", "col": "colonel",
    "rev": "reverend", "gov": "governor", "sen": "senator", "ave": "avenue", "blvd": "boulevard", "rd": "road",
    "mt": "mount", "ft": "fort", "inc": "incorporated", "ltd": "limited", "corp": "corporation", "dept": "department",
    "est": "established", "approx": "approximately", "jan": "january", "feb": "february", "apr": "april",
    "aug": "august", "sept": "september", "oct": "october", "nov": "november", "dec": "december",
    "e.g": "for example", "i.e": "that is",
}  # fmt: skip
"""Only with their full stop: `gen` and `col` are words as well."""

_UNITS = {
    "km": "kilometers", "cm": "centimeters", "mm": "millimeters", "m": "meters", "kg": "kilograms", "g": "grams",
    "mg": "milligrams", "lb": "pounds", "lbs": "pounds", "oz": "ounces", "ft": "feet", "mi": "miles",
    "mph": "miles per hour", "km/h": "kilometers per hour", "m/s": "meters per second", "s": "seconds",
    "ms": "milliseconds", "min": "minutes", "h": "hours", "hrs": "hours", "hz": "hertz", "khz": "kilohertz",
    "mhz": "megahertz", "ghz": "gigahertz", "db": "decibels", "kb": "kilobytes", "mb": "megabytes", "gb": "gigabytes",
    "tb": "terabytes", "w": "watts", "kw": "kilowatts", "v": "volts",
    "°c": "degrees celsius", "°f": "degrees fahrenheit",
}  # fmt: skip
"""Only after a number."""

_MONEY = {"$": ("dollar", "cent"), "€": ("euro", "cent"), "£": ("pound", "penny"), "¥": ("yen", "sen")}
_PLURALS = {"penny": "pence", "yen": "yen", "sen": "sen"}
_FRACTIONS = {"1/2": "one half", "1/3": "one third", "2/3": "two thirds", "1/4": "one quarter", "3/4": "three quarters"}
_ROMAN = {"II": "two", "III": "three", "IV": "four", "VI": "six", "VII": "seven", "VIII": "eight", "IX": "nine"}
_INITIALISMS = frozenset({"US", "UN", "AI", "ID", "IQ", "IP", "OS", "PR", "HR", "VR", "AR", "AC", "DC", "MA", "LA"})
"""Spelled out although in small letters they are words, or in the dictionary as such."""

_LONGEST_INITIALISM = 5  # letters; a longer word in capitals that is not in the dictionary is a name
_YEARS = range(1100, 2100)


def written_out(text: str) -> str:
    """A text in which all that is said is words in small letters; those that are spelled out are `_u _s`.

    ConfigError for a script other than Latin.
    """
    plain = _plain(text)
    if plain.isupper() and " " in plain.strip():
        plain = plain.lower()  # shouted, not spelled
    for pattern, write in _RULES:
        plain = pattern.sub(write, plain)
    return " ".join(plain.lower().split())


def _plain(text: str) -> str:
    """ASCII letters without accents, and of the signs those that are known."""
    text = text.translate(_PLAIN)
    kept = "".join(char if char in _SIGNS else unicodedata.normalize("NFKD", char) for char in text)
    foreign = next((char for char in kept if char.isalpha() and not char.isascii()), None)
    if foreign is not None:
        name = unicodedata.name(foreign, "?")
        raise ConfigError(f"text {text!r} cannot be said: {foreign!r} ({name}) is no letter of English")
    return "".join(char for char in kept if not unicodedata.combining(char))


def _number(text: str) -> str:
    """Digits, with thousands' commas or with a decimal point, in words."""
    whole, *parts = text.replace(",", "").split(".")
    bare = whole == text
    if len(whole) > 15 or (bare and (len(whole) > 6 or (len(whole) > 1 and whole[0] == "0"))):
        said = numbers.digits(whole)  # a code or a telephone number
    else:
        said = numbers.year(int(whole)) if bare and int(whole) in _YEARS else numbers.cardinal(int(whole))
    return " point ".join([said, *(numbers.digits(part) for part in parts)])


def _money(found: re.Match[str]) -> str:
    sign, amount, cents, scale = found.groups()
    unit, small = _MONEY[sign]
    whole = int(amount.replace(",", ""))
    if scale:
        return f"{_number(amount + (f'.{cents}' if cents else ''))} {scale} {_counted(unit, 2)}"
    said = [f"{numbers.cardinal(whole)} {_counted(unit, whole)}"] if whole or not cents else []
    if cents and int(cents):
        said.append(f"{numbers.cardinal(int(cents))} {_counted(small, int(cents))}")
    return " and ".join(said)


def _counted(unit: str, count: int) -> str:
    return unit if count == 1 else _PLURALS.get(unit, f"{unit}s")


def _time(found: re.Match[str]) -> str:
    hour, minute, half = found.groups()
    said = numbers.cardinal(int(hour))
    if int(minute):
        said += f" {'oh ' if int(minute) < 10 else ''}{numbers.cardinal(int(minute))}"
    elif not half:
        said += " o'clock"
    return f"{said} _{half.lower()} _m" if half else said


def _telephone(found: re.Match[str]) -> str:
    return ", ".join(numbers.digits(group) for group in found.group().split("-"))


def _decade(found: re.Match[str]) -> str:
    century, tens = found.groups()
    return numbers.plural(_number(f"{century or ''}{tens}"))


def _letters(text: str) -> str:
    """Letters to be named one by one."""
    return " ".join(f"_{letter}" for letter in text.lower() if letter.isalpha())


def _capitals(found: re.Match[str]) -> str:
    """A word in capitals: said as a word if the dictionary has it, else spelled out; `s` after it is its plural."""
    word, ending = found.groups()
    if word not in _INITIALISMS and (word.lower() in pronunciations() or len(word) > _LONGEST_INITIALISM):
        return found.group()
    return _letters(word) + ("'s" if ending else "")


def _street_or_saint(found: re.Match[str]) -> str:
    return "saint " if found.group(1) else "street"


def _doctor_or_drive(found: re.Match[str]) -> str:
    return "doctor " if found.group(1) else "drive"


_Write = Callable[[re.Match[str]], str]
_D = r"\d{1,15}(?:,\d{3}){0,4}"
_RULES: tuple[tuple[re.Pattern[str], _Write], ...] = (
    (re.compile(r"\bSt\.(?:\s+(?=([A-Z])))?"), _street_or_saint),
    (re.compile(r"\bDr\.(?:\s+(?=([A-Z])))?"), _doctor_or_drive),
    (re.compile(r"(?:\b[Nn]o\.\s*|#)(?=\d)"), lambda _: "number "),
    (re.compile(rf"\b({'|'.join(map(re.escape, _ABBREVIATIONS))})\.(?!\w)", re.IGNORECASE),
     lambda found: _ABBREVIATIONS[found.group(1).lower()]),
    (re.compile(r"\b(\d{1,2}):(\d\d)(?:\s*([AaPp])\.?[Mm]\b\.?)?"), _time),
    (re.compile(r"\b(\d{1,2})\s*([AaPp])\.?[Mm]\b\.?"),
     lambda found: f"{numbers.cardinal(int(found.group(1)))} _{found.group(2).lower()} _m"),
    (re.compile(rf"([$€£¥])\s?({_D})(?:\.(\d\d?)\b)?(?:\s?(thousand|million|billion|trillion)\b)?"), _money),
    (re.compile(rf"\b({_D})(?:st|nd|rd|th)\b", re.IGNORECASE),
     lambda found: numbers.ordinal(int(found.group(1).replace(",", "")))),
    (re.compile(r"(?<![\w.,])'?(1[1-9]|20|(?=[2-9]0))(\d0)'?s\b"), _decade),
    (re.compile(r"(?<![\d/])(?:[12]/[23]|[13]/4)(?![\d/])"),
     lambda found: _FRACTIONS.get(found.group(), found.group())),
    (re.compile(r"\b(?:1-)?(?:\d{3}-)?\d{3}-\d{4}\b"), _telephone),
    (re.compile(r"(?<=\d)\s?[-—]\s?(?=\d)"), lambda _: " to "),
    (re.compile(r"(?<![\w.])-(?=\d)"), lambda _: "minus "),
    (re.compile(r"(?<!\w)\.(?=\d)"), lambda _: "point "),
    (re.compile(rf"(?<![\w.,])({_D}(?:\.\d+)?)\s?({'|'.join(sorted(_UNITS, key=len, reverse=True))})\b", re.IGNORECASE),
     lambda found: f"{found.group(1)} {_UNITS[found.group(2).lower()]}"),
    (re.compile(r"\d+(?:,\d{3})*(?:\.\d+)*"), lambda found: f" {_number(found.group())} "),
    (re.compile(r"\b(?:[A-Za-z]\.){2,}"), lambda found: _letters(found.group())),
    (re.compile(r"\b([A-Z])\.(?=\s*[A-Z])"), lambda found: _letters(found.group())),
    (re.compile(r"\b(?:[B-HJ-Z]\b(?!')|A\b(?=\s*(?:[,;:.!?]|$)))"), lambda found: _letters(found.group())),
    (re.compile(rf"\b(?:{'|'.join(_ROMAN)})\b"), lambda found: _ROMAN[found.group()]),
    (re.compile(r"\b([A-Z]{2,})(s?)\b"), _capitals),
    (re.compile(r"(?<=\w)\.(?=[a-z])"), lambda _: " dot "),
    (re.compile(f"[{re.escape(''.join(_SIGNS))}]"), lambda found: f" {_SIGNS[found.group()]} "),
    (re.compile(r"\s-+\s|--+"), lambda _: " — "),
)  # fmt: skip
"""In this order: what one has written out is, to those after it, words."""
