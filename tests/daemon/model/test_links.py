# SPDX-License-Identifier: GPL-3.0-or-later
"""The model lives in the collection and is linked, file by file, into the package."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[3]
REAL, LINKED = ROOT / "plugins/module_utils/model", ROOT / "src/vipcast/model"


def test_both_folders_have_the_same_files_and_one_of_them_only_links() -> None:
    assert {path.name for path in REAL.glob("*.py")} == {path.name for path in LINKED.glob("*.py")}
    for path in LINKED.glob("*.py"):
        assert path.is_symlink() and not path.readlink().is_absolute()
        assert path.resolve() == (REAL / path.name).resolve()
