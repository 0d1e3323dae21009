# SPDX-License-Identifier: GPL-3.0-or-later
"""Walks whose steps build on each other run in the order in which they are written, from the first one on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
IPVS, WALKS = "tests/walk/test_ipvs.py", "tests/walk"
REFUSED = 4


def collected(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Return what pytest says that it would run; no lab is needed for that."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("arguments", [(WALKS,), (WALKS, "--thorough"), (IPVS, "-k", "kube_proxy or before")])
def test_steps_run_from_the_first_one_on(arguments: tuple[str, ...]) -> None:
    done = collected(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{IPVS}::test_kube_proxy_forwards_by_ipvs_on_every_node" in done.stdout


@pytest.mark.parametrize("arguments", [("-k", "strict_arp"), ("--random-order", "--random-order-seed=1")])
def test_a_step_without_those_before_it_is_refused(arguments: tuple[str, ...]) -> None:
    done = collected(IPVS, *arguments)
    assert done.returncode == REFUSED, done.stdout + done.stderr
    assert "builds on the steps before it, and test_kube_proxy_forwards_by_ipvs_on" in done.stderr
