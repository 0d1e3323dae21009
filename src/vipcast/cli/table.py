# SPDX-License-Identifier: GPL-3.0-or-later
"""Columns that are as wide as what is in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

__all__ = ["table"]


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of text: the heads, then the rows."""
    widths = [max(len(row[column]) for row in [heads, *rows]) for column in range(len(heads))]
    for row in [heads, *rows]:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
