# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure what a process takes that has imported a library: resident memory and processor time.

The libraries that docs/design/0025-libraries.md weighs are installed into a virtual environment of their own,
which is thrown away afterwards. Each line is the median of some processes.

    python tests/bench/libraries.py
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

PACKAGES = (
    *("h11", "pyroute2", "prometheus_client", "httpx", "aiohttp", "uvicorn"),
    *("lightkube", "kubernetes", "ruamel.yaml", "PyYAML"),
)
IMPORTS = {
    "Python, asyncio, ssl, json": "",
    "h11": "import h11",
    "pyroute2, IPRoute": "from pyroute2 import IPRoute",
    "pyroute2, one message of rtnetlink": "from pyroute2.netlink.rtnl import ifinfmsg",
    "prometheus_client": "import prometheus_client",
    "httpx": "import httpx",
    "aiohttp, client": "import aiohttp",
    "aiohttp, server": "from aiohttp import web",
    "uvicorn": "import uvicorn",
    "lightkube": "from lightkube import AsyncClient; from lightkube.resources.core_v1 import Service",
    "kubernetes": "import kubernetes.client",
    "kubernetes, its asyncio client": "import kubernetes.aio.client",
    "PyYAML": "import yaml",
    "ruamel.yaml": "import ruamel.yaml",
}
MEASURE = """
import asyncio, json, ssl
{imports}
import re, time
status = open("/proc/self/status").read()
print(re.search(r"VmRSS:\\s+(\\d+)", status).group(1), time.process_time())
"""


def measure(python: Path, imports: str, rounds: int) -> tuple[float, float]:
    """Return MiB and milliseconds, each the median of `rounds` processes."""
    program = MEASURE.format(imports=imports)
    said = [
        subprocess.run([python, "-c", program], capture_output=True, text=True, check=True).stdout.split()
        for _round in range(rounds)
    ]
    memory = statistics.median(int(kibibytes) for kibibytes, _seconds in said) / 1024
    return memory, 1000 * statistics.median(float(seconds) for _kibibytes, seconds in said)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, help="processes for each line (default: 5)")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="vipcast-libraries-") as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / "bin/python"
        subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES], check=True)
        print("| imported | MiB | ms of a core |\n|---|---|---|")
        for name, imports in IMPORTS.items():
            memory, took = measure(python, imports, rounds)
            print(f"| {name} | {memory:.1f} | {took:.0f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
