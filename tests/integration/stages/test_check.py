# SPDX-License-Identifier: GPL-3.0-or-later
"""The selection of ``make check``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / ".ci"))

from check import RULES, SUITES, selected  # noqa: E402


def test_a_file_brings_its_own_tests() -> None:
    assert selected(["src/vipcast/bgp/fsm.py"])[0] == ["tests/daemon/bgp", "tests/daemon/fuzz/test_bgp.py"]
    assert selected(["plugins/module_utils/ipam/preview.py"])[0] == ["tests/daemon/ipam", "tests/unit"]
    assert selected(["tests/daemon/ipam/test_rules.py"])[0] == ["tests/daemon/ipam/test_rules.py"]


def test_a_file_inside_of_a_selected_folder_is_not_run_twice() -> None:
    paths = ["src/vipcast/ipam/decide.py", "tests/daemon/ipam/test_rules.py"]
    assert selected(paths)[0] == ["tests/daemon/ipam"]


def test_a_path_without_units_is_named() -> None:
    assert selected(["Makefile", "tests/walk/conftest.py"]) == ([], ["Makefile", "tests/walk/conftest.py"])


def test_every_rule_names_tests_that_exist() -> None:
    for beginning, tests in RULES:
        for test in tests or ():
            assert (ROOT / test).exists(), (beginning, test)
            assert f"{test}/".startswith(SUITES), (beginning, test)


def test_every_package_of_the_daemons_and_every_folder_of_the_collection_has_a_rule() -> None:
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "src/vipcast", "plugins", "roles", "playbooks"],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    ).stdout.split()
    beginnings = tuple(beginning for beginning, _tests in RULES)
    assert len(listed) > 300
    assert {path for path in listed if not path.startswith(beginnings)} == set()
