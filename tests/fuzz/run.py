# SPDX-License-Identifier: GPL-3.0-or-later
"""Coverage-guided fuzzing with atheris (libFuzzer): ``python tests/fuzz/run.py FOLDER SECONDS [TARGET ...]``.

Each target gets its seconds. FOLDER keeps the corpus from run to run. A finding ends it with a traceback; the
octets that did it are in FOLDER's ``TARGET-crash-...``, and belong into a test.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import atheris

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

with atheris.instrument_imports(
    include=["vipcast.bgp", "vipcast.bfd", "vipcast.net", "vipcast.layer2", "vipcast.membership"]
):
    from fuzz.targets import TARGETS


def fuzz(name: str, folder: Path, seconds: int) -> None:
    target, seeds = TARGETS[name]
    corpus = folder / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, octets in enumerate(seeds):
        (corpus / f"seed-{number}").write_bytes(octets)
    limits = ["-max_len=9000", "-timeout=5", "-rss_limit_mb=1024", "-verbosity=0", "-print_final_stats=1"]
    arguments = [sys.argv[0], str(corpus), f"-max_total_time={seconds}", f"-artifact_prefix={folder}/{name}-"]
    atheris.Setup([*arguments, *limits], target)
    atheris.Fuzz()


def each(names: list[str], folder: Path, seconds: int) -> int:
    """libFuzzer ends the process that it runs in: every target has one of its own."""
    failed = []
    for name in names:
        process = os.fork()
        if process == 0:
            print(f"== {name}", flush=True)
            fuzz(name, folder, seconds)
        if os.waitpid(process, 0)[1]:
            failed.append(name)
    print(f"findings in {', '.join(failed)}: see {folder}" if failed else f"{len(names)} targets, no finding")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(each(sys.argv[3:] or list(TARGETS), Path(sys.argv[1]), int(sys.argv[2])))
