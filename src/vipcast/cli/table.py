# SPDX-License-Identifier: GPL-3.0-or-later
"""Columns that are as wide as what is in them; no cell can do more to a terminal than be shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vipcast.model.texts import plain

__all__ = ["table"]


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of text: the heads, then the rows."""
    lines = [[plain(cell) for cell in row] for row in (heads, *rows)]
    widths = [max(len(row[column]) for row in lines) for column in range(len(heads))]
    for row in lines:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
