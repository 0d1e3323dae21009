# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of docs/allocation.md is the one in the code."""

from __future__ import annotations

from pathlib import Path

from vipcast.ipam.fate import TABLE

DOCUMENT = Path(__file__).parents[3] / "docs/allocation.md"


def test_the_documented_table_is_the_one_that_decides() -> None:
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
    start = lines.index("| a service that has an address asks for | reason | here it | MetalLB 0.16: it |")
    found = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        found.append(tuple(cell.strip() for cell in line.strip("|").split("|")))
    assert found == [
        (row.trouble, f"`{reason.value}`", row.fate.value, row.metallb) for reason, row in TABLE.items()
    ]
