# SPDX-License-Identifier: GPL-3.0-or-later
"""The module tree_digest_info: what makes another digest, and what does not."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Digest = Callable[..., str]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with a program, data and bytecode."""
    folder = tmp_path / "tree"
    (folder / "__pycache__").mkdir(parents=True)
    (folder / "program").write_text("#!/bin/sh\n")
    (folder / "data").write_text("1")
    (folder / "__pycache__/x.pyc").write_text("bytecode")
    return folder


@pytest.fixture
def digest(call: Any) -> Digest:
    """``digest(path, ..., recipe={...})``: what the module says."""

    def called(*paths: Path, **options: Any) -> str:
        found = call("tree_digest_info", {"paths": [str(path) for path in paths], **options}, check=True)
        assert found["changed"] is False, found
        assert len(found["digest"]) == 64
        return str(found["digest"])

    return called


def test_a_copy_elsewhere_with_other_times_is_the_same(digest: Digest, tree: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(tree, copy)
    for path in (copy, *copy.rglob("*")):
        os.utime(path, (5, 5))
    assert digest(copy) == digest(tree)


def test_bytecode_does_not_count_unless_nothing_is_excluded(digest: Digest, tree: Path) -> None:
    before, everything = digest(tree), digest(tree, exclude=[])
    (tree / "__pycache__/x.pyc").write_text("other bytecode")
    assert digest(tree) == before
    assert digest(tree, exclude=[]) != everything


def test_content_names_executable_bits_and_recipe_count(digest: Digest, tree: Path) -> None:
    seen = [digest(tree), digest(tree, recipe={"packages": ["a"]}), digest(tree, recipe={"packages": ["b"]})]
    (tree / "data").write_text("2")
    seen.append(digest(tree))
    (tree / "data").rename(tree / "date")
    seen.append(digest(tree))
    (tree / "program").chmod(0o755)
    seen.append(digest(tree))
    assert len(set(seen)) == len(seen)


def test_a_file_and_what_a_link_points_to_count(digest: Digest, tree: Path) -> None:
    (tree / "link").symlink_to(tree.parent / "outside")
    (tree.parent / "outside").write_text("1")
    before = digest(tree, tree / "data")
    (tree.parent / "outside").write_text("2")
    assert digest(tree, tree / "data") != before


def test_a_path_that_is_not_there_is_named(call: Any, tmp_path: Path) -> None:
    found = call("tree_digest_info", {"paths": [str(tmp_path / "nothing")]})
    assert found["failed"]
    assert found["msg"] == f"{tmp_path}/nothing: does not exist"
