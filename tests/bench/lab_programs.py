# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure how long the lab's Kubernetes takes with an empty cache: downloaded, and built from source.

    python3 tests/bench/lab_programs.py [--build]

The release files come from a server on this machine that has the programs of the cache (`make lab-build` puts
them there): what is measured is everything but the network. With --build, also from source, with an empty
cache of compiled packages and the modules that are there already.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
sys.path.insert(0, str(CHECKOUT / "tests"))

from support.apiserver import binaries  # noqa: E402
from support.release_server import KUBERNETES, serving  # noqa: E402

ETCD = "v3.6.4"


def seconds(source: str, folder: Path, *variables: str) -> float:
    """Return how long playbooks/lab_build.yml takes with an empty cache in `folder`."""
    caches = {"XDG_CACHE_HOME": str(folder), "GOCACHE": str(folder / "go-build"), "LAB_KUBERNETES": source}
    extra = [word for variable in variables for word in ("-e", variable)]
    begin = time.monotonic()
    subprocess.run(
        ["ansible-playbook", "-i", "inventories/lab", "playbooks/lab_build.yml", *extra],
        cwd=CHECKOUT,
        env={**os.environ, **caches},
        check=True,
        timeout=3600,
    )
    return time.monotonic() - begin


def downloaded(folder: Path) -> tuple[float, float]:
    """Return the seconds of a download, and its MB."""
    cache = binaries()
    programs = {name: (cache / name).read_bytes() for name in (*KUBERNETES, "etcd")}
    with serving() as server:
        server.publish(cache.name, ETCD, programs)
        mirrors = [f"lab_{name}_mirror={server.url}/{name}" for name in ("kubernetes", "etcd")]
        took = seconds("download", folder, *mirrors)
        return took, sum(len(content) for content in server.published.values()) / 1e6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--build", action="store_true", help="also build from source: minutes")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="vipcast-bench-") as folder:
        took, size = downloaded(Path(folder, "download"))
        rows = [f"downloaded  {took:6.0f} s  ({size:.0f} MB from this machine)"]
        if options.build:
            rows.append(f"built       {seconds('build', Path(folder, 'build')):6.0f} s")
    print(*rows, sep="\n")


if __name__ == "__main__":
    main()
