# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that docstrings are sentences that begin with a verb or the thing that they name (docs/style.md)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FOLDERS = ("src", "plugins", "roles", "tests", ".ci")
# Words with which a fragment begins: prepositions, relative words, conjunctions and pronouns without a noun.
FRAGMENT = re.compile(
    r"(about|after|against|among|and|as|at|because|before|behind|beside|between|but|by|for|from|how|if|in|instead"
    r"|into|lately|likewise|nobody|none|of|on|or|over|since|so|somebody|something|than|that|then|these|those"
    r"|through|to|under|until|what|when|where|whether|which|while|who|whoever|whom|whose|why|with|without)\b",
    re.IGNORECASE,
)
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def docstrings(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of each docstring."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, DOCUMENTED) and (text := ast.get_docstring(node)):
            yield node.body[0].lineno, text


def is_fragment(text: str) -> bool:
    """Return whether a docstring begins with one of the words of fragments."""
    return FRAGMENT.match(text) is not None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Return whether the peer is up.", False),
        ("The peers of one node.", False),
        ("``now``: seconds of any monotonic clock.", False),
        ("Whether the peer is up.", True),
        ("What is known.", True),
        ("None: no longer.", True),
        ("Of those in use.", True),
    ],
)
def test_fragments_are_told_from_sentences(text: str, expected: bool) -> None:
    assert is_fragment(text) is expected


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_docstring_begins_as_a_fragment(folder: str) -> None:
    files = sorted(path for path in (ROOT / folder).rglob("*.py") if not path.is_symlink())
    assert files, "the folder has moved"
    found = [
        f"{path.relative_to(ROOT)}:{line}: {text.splitlines()[0]}"
        for path in files
        for line, text in docstrings(path.read_text())
        if is_fragment(text)
    ]
    assert found == []
