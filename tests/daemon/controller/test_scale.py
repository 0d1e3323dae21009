# SPDX-License-Identifier: GPL-3.0-or-later
"""The bench of many services, with few of them: it runs, cleans up, and what it counts is right."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.apiserver import ApiServer
from support.controllers import prepare

pytestmark = [pytest.mark.apiserver, pytest.mark.thorough, pytest.mark.timeout(400)]

BENCH = Path(__file__).parents[2] / "bench/controller_scale.py"
COUNT = 200
MEMORY = 150  # MiB; the aim for fifty times as many


def test_the_bench_measures_the_program_and_leaves_nothing(api_server: ApiServer) -> None:
    server = ["--kubeconfig", str(prepare(api_server).kubeconfig)]
    size = ["--services", str(COUNT), "--rounds", "1"]
    done = subprocess.run(
        [sys.executable, BENCH, *server, *size, "--json"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)[f"{COUNT} services"]
    assert figures["events there"] == [COUNT]
    assert 0 < max(figures["memory"]) < MEMORY
    assert figures["ratio"] == [figures["controller"][0] / figures["baseline"][0]]
    services = json.loads(api_server.kubectl("get", "services", "--all-namespaces", "-o", "json"))
    assert not [each for each in services["items"] if "bench" in each["metadata"]["namespace"]]
