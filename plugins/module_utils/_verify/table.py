# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines that a person reads: columns as wide as what is in them. **PRIVATE** to the collection."""

from __future__ import annotations

from collections.abc import Sequence

NAMED = 8


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """A title, a header and rows; columns of numbers are right-aligned. Nothing where there are no rows."""
    if not rows:
        return []
    texts = [[str(cell) for cell in row] for row in rows]
    numeric = [all(_is_number(row[at]) for row in texts) for at in range(len(header))]
    widths = [max(len(row[at]) for row in [list(header), *texts]) for at in range(len(header))]
    lines = [_line(list(header), widths, numeric), *[_line(row, widths, numeric) for row in texts]]
    return [title, *[f"  {line}" for line in lines], ""]


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdigit() or text == "-"


def _line(cells: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> str:
    aligned = [
        cell.rjust(width) if right else cell.ljust(width)
        for cell, width, right in zip(cells, widths, numeric)
    ]
    return "  ".join(aligned).rstrip()


def counts(names: dict[str, int]) -> str:
    """`node1 9, node2 8`."""
    return ", ".join(f"{name} {count}" for name, count in names.items())


def some(names: Sequence[str]) -> str:
    """The first few, and how many more there are: `a, b, c and 97 more`."""
    left = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {left} more" if left > 0 else "")


def duration(seconds: int | float | None) -> str:
    """`42s`, `5m03s`, `2h10m`, `3d04h`."""
    if seconds is None:
        return "-"
    whole = int(seconds)
    for unit, size, lesser, part in (("d", 86400, "h", 3600), ("h", 3600, "m", 60), ("m", 60, "s", 1)):
        if whole >= size:
            return f"{whole // size}{unit}{whole % size // part:02d}{lesser}"
    return f"{whole}s"
