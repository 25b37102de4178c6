"""Text that came from files, made safe to look at and to embed: every name in a report passes through here."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

# Zero-width (non-)joiners are ordinary spelling in Persian, Hindi and emoji; all other invisible characters are shown.
_ORDINARY_JOINERS = "\u200c\u200d"
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_SCRIPT_ESCAPES = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


def visible(text: str, limit: int = 1000) -> str:
    r"""Text with control, direction-changing and undecodable characters spelled out, cut at `limit` characters.

    A newline becomes `⟨U+000A⟩`, a right-to-left override `⟨U+202E⟩`, an undecodable byte `⟨0xFF⟩`.
    """
    shown = "".join(_shown(character) for character in text[:limit])
    return shown if len(text) <= limit else shown + "…"


def script_json(value: Any) -> str:
    """JSON to stand between script tags: nothing in it can close the tag or end a line of JavaScript; no NaN."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).translate(_SCRIPT_ESCAPES)


def _shown(character: str) -> str:
    if unicodedata.category(character) not in _INVISIBLE or character in _ORDINARY_JOINERS:
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was not UTF-8, kept by surrogateescape
        return f"⟨0x{code - 0xDC00:02X}⟩"
    return f"⟨U+{code:04X}⟩"
