# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of the role's configuration."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]


SAY, REFUSE = "Say which services lose an address", "Refuse to take addresses away"


@dataclass(frozen=True)
class Run:
    """One run of the role's configuration."""

    rc: int
    output: str

    def task(self, name: str) -> str:
        """Return what was printed of this task."""
        blocks = self.output.split("\nTASK [")
        return next(block for block in blocks if block.split("]")[0].endswith(f": {name}"))

    @property
    def story(self) -> list[str]:
        """Return what the play says about moves; nothing where it is silent."""
        found = self.task(SAY)
        return [] if "skipping:" in found else list(json.loads(found[found.index("=> ") + 3 :])["msg"])

    @property
    def changed(self) -> int:
        return int(self.output.rsplit("changed=", 1)[1].split()[0])


def play(path: Path, check: bool) -> Run:
    """Run a playbook on this machine."""
    program = Path(sys.executable).with_name("ansible-playbook")
    command = [str(program), "-i", "localhost,", "-c", "local", str(path), "--diff"]
    done = subprocess.run(
        [*command, *(["--check"] if check else [])],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_LOCAL_TEMP": str(path.parent / "tmp")},
    )
    assert "PLAY RECAP" in done.stdout, done.stdout + done.stderr
    return Run(done.returncode, done.stdout)
