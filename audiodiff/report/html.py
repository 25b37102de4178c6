"""What every page shares: Jinja that escapes, a policy that loads nothing, and figures as people read them."""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime
from importlib import resources
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from audiodiff.report.text import script_json, visible


def environment() -> Environment:
    """Jinja that escapes, and shows invisible characters of, every value that is not our own markup.

    Pages include each other's parts by the names of files in this package.
    """
    jinja = Environment(
        loader=FunctionLoader(asset),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: visible(value) if type(value) is str else value,
    )
    jinja.filters.update(hms=hms, count=_count)
    return jinja


def asset(name: str, package: str = __package__) -> str:
    """One of our own files, by its name within a package."""
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")


def embedded_asset(text: str) -> Markup:
    """One of our own files, which may not end its tag early."""
    assert "</" not in text
    return Markup(text)  # noqa: S704


def embedded(value: Any) -> Markup:
    """A value as JSON inside a script tag."""
    return Markup(script_json(value))  # noqa: S704  (script_json escapes < > &)


def policy(style: str, script: str) -> str:
    """A content security policy that runs our script and style by their hashes and loads nothing from anywhere."""
    style_hash, script_hash = (
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)
    )
    return (
        f"default-src 'none'; script-src 'sha256-{script_hash}'; style-src 'sha256-{style_hash}'; "
        "img-src data: blob:; media-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def proportions(parts: list[tuple[str, float]]) -> list[dict[str, Any]]:
    """Parts with their start and width in percent of the sum, as the bars draw them."""
    total = sum(value for _, value in parts) or 1
    starts = [sum(value for _, value in parts[:place]) for place in range(len(parts))]
    return [
        {"name": name, "value": value, "start": 100 * start / total, "percent": 100 * value / total}
        for (name, value), start in zip(parts, starts, strict=True)
    ]


def hms(seconds: float) -> str:
    """Seconds in the two largest units that say something: 1 h 02 min, 3 min 05 s, 12.4 s."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60:02d} min"


def when(iso: str) -> str:
    """An ISO 8601 time as people write it."""
    moment = datetime.fromisoformat(iso)
    return f"{moment.day} {moment:%b %Y, %H:%M} {moment.tzname() or ''}".rstrip()


def _count(number: int) -> str:
    return f"{number:,}"
