# SPDX-License-Identifier: GPL-3.0-or-later
"""The model and the allocator live in the collection and are linked, file by file, into the package."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("folder", ["model", "ipam"])
def test_both_folders_have_the_same_files_and_one_of_them_only_links(folder: str) -> None:
    real, linked = ROOT / "plugins/module_utils" / folder, ROOT / "src/vipcast" / folder
    assert {path.name for path in real.glob("*.py")} == {path.name for path in linked.glob("*.py")}
    for path in linked.glob("*.py"):
        assert path.is_symlink() and not path.readlink().is_absolute()
        assert path.resolve() == (real / path.name).resolve()
