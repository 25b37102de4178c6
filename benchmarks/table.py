"""Tables for people: markdown that is also aligned as plain text."""

from __future__ import annotations

from collections.abc import Sequence


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]], labels: int = 1) -> str:
    """A markdown table; the first `labels` columns are left-aligned, figures right, all padded to their widest cell."""
    columns = list(zip(header, *rows, strict=True))
    widths = [max(2, *map(len, column)) for column in columns]
    rule = ["-" * width if index < labels else "-" * (width - 1) + ":" for index, width in enumerate(widths)]
    return "\n".join(_line(row, widths, labels) for row in (header, rule, *rows))


def _line(row: Sequence[str], widths: Sequence[int], labels: int) -> str:
    cells = [
        cell.ljust(width) if index < labels else cell.rjust(width)
        for index, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return f"| {' | '.join(cells)} |"
