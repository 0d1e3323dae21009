# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure how long `make demo` takes, cold and warm, and what memory the lab holds then.

    sudo python3 tests/bench/demo.py [--warm N]

Cold is a fresh clone of HEAD with an empty cache folder and empty Go caches: what is measured includes the
virtual environment, Kubernetes built from source, the hosts' file systems and the images. Debian packages
that are installed already stay so. Warm is the same again after `make lab-down`.

Needs root, and no lab running.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]


def used_memory() -> int:
    """MiB that are neither free nor reclaimable (proc(5), /proc/meminfo)."""
    fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    kibibytes = {name: int(value.split()[0]) for name, value in fields.items()}
    return (kibibytes["MemTotal"] - kibibytes["MemAvailable"]) // 1024


class Clone:
    """A fresh clone with caches of its own."""

    def __init__(self, folder: Path) -> None:
        self.checkout = folder / "vipcast"
        caches = {"XDG_CACHE_HOME": "cache", "GOCACHE": "go-build", "GOMODCACHE": "go-mod"}
        self.environment = {**os.environ, **{name: str(folder / path) for name, path in caches.items()}}
        subprocess.run(["git", "clone", "--quiet", CHECKOUT, self.checkout], check=True)

    def make(self, target: str) -> float:
        """Runs a make target; seconds. What it prints is shown when it fails."""
        start = time.monotonic()
        done = subprocess.run(
            ["make", target],
            cwd=self.checkout,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"make {target} failed:\n{done.stdout}")
        return time.monotonic() - start


def measure(clone: Clone) -> tuple[float, int]:
    """Seconds of a demo and the MiB that it added; the lab is gone afterwards."""
    before = used_memory()
    seconds = clone.make("demo")
    added = used_memory() - before
    clone.make("lab-down")
    return seconds, added


def row(name: str, values: list[float], unit: str) -> str:
    spread = f"{min(values):.0f} to {max(values):.0f}"
    return f"{name:<14} {len(values):>4} {statistics.median(values):>8.0f} {unit:<4} {spread}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--warm", type=int, default=3, help="warm runs after the cold one")
    options = parser.parse_args()
    # Not below /tmp, which may be in memory: the hosts' file systems and the caches take about 5 GiB.
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="vipcast-bench-") as folder:
        clone = Clone(Path(folder))
        try:
            cold = measure(clone)
            warm = [measure(clone) for _again in range(options.warm)]
        finally:
            clone.make("lab-down")
            subprocess.run(["chmod", "-R", "u+w", folder], check=True)  # Go's module cache is read-only
    print(f"{'make demo':<14} {'runs':>4} {'median':>8} {'':<4} spread")
    print(row("cold", [cold[0]], "s"))
    print(row("warm", [seconds for seconds, _memory in warm], "s"))
    print(row("lab's memory", [float(added) for _seconds, added in [cold, *warm]], "MiB"))


if __name__ == "__main__":
    main()
