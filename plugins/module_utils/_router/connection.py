# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The bridge from an Ansible connection to a L(Shell)."""

from __future__ import annotations

import re
from typing import Any

from .shell import Result, Shell


def shell_of(action: Any) -> Shell:
    """A shell on the managed host, through whatever connection and privilege escalation the task has."""

    def execute(script: str, data: bytes | None) -> Result:
        done = action._low_level_execute_command(script, in_data=data)
        # Without standard input ssh asks for a terminal, and a terminal ends its lines with CR LF.
        end = "\r\n" if data is None else "\n"
        stderr = re.sub(r"Shared connection to \S+ closed\.\s*", "", done["stderr"])
        return Result(done["rc"], done["stdout"].replace(end, "\n"), stderr.replace(end, "\n"))

    return Shell(execute, bool(getattr(action._connection, "has_pipelining", False)))
