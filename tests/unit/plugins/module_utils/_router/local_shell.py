# SPDX-License-Identifier: GPL-3.0-or-later
"""A shell on this machine."""

from __future__ import annotations

import subprocess

from ansible_collections.vipcast.baremetal.plugins.module_utils._router.shell import Result, Shell


def local_shell(takes_input: bool, log: list[str]) -> Shell:
    """A shell on this machine, through /bin/sh, and a list of what it was told."""

    def execute(script: str, data: bytes | None) -> Result:
        log.append(script)
        done = subprocess.run(
            ["/bin/sh", "-c", script], input=data, capture_output=True, timeout=20, check=False
        )
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

    return Shell(execute, takes_input)
