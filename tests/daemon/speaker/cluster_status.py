# SPDX-License-Identifier: GPL-3.0-or-later
"""``vipcast status --cluster`` as a program."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from daemon.speaker.cluster import Cluster

PROGRAM = [sys.executable, "-c", "import sys; from vipcast.cli import main; sys.exit(main())"]


async def ask(
    cluster: Cluster, *flags: str, kubeconfig: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """The program as a person starts it."""
    place = ("--kubeconfig", str(kubeconfig or cluster.api.kubeconfig), "--namespace", cluster.name)
    command = [*PROGRAM, "status", "--cluster", *place, "--lb-class", f"test.io/{cluster.name}", *flags]
    return await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, check=False, timeout=30, env=dict(os.environ)
    )
