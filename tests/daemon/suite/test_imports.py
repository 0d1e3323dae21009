# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that test files stand alone: what several of them need is in a file that is named by what it does."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[2]
FROM_A_TEST = re.compile(
    r"^(?:from \S*\btest_\w+ import|from \S+ import .*\btest_\w+|import \S*\btest_)", re.MULTILINE
)


def test_nothing_is_imported_from_a_file_of_tests() -> None:
    found = {
        str(path.relative_to(TESTS)): FROM_A_TEST.findall(path.read_text())
        for path in sorted(TESTS.rglob("*.py"))
    }
    assert {name: lines for name, lines in found.items() if lines} == {}
