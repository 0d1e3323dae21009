# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes down which tasks really ran: the action that each was resolved to, and the file that it is in.

Ansible loads it where ANSIBLE_CALLBACK_PLUGINS and ANSIBLE_CALLBACKS_ENABLED name it; VIPCAST_TOUCHED is the
file.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: touched
type: notification
short_description: Writes down which tasks ran
description: One line for each task that ran on a host, with its action and its file.
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """A line for each result; one of a task that was skipped is none."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "touched"
    CALLBACK_NEEDS_ENABLED = True

    def v2_runner_on_ok(self, result: Any) -> None:
        """Note a task that ended well."""
        self._note(result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Note a task that failed, as some are meant to."""
        self._note(result)

    def _note(self, result: Any) -> None:
        # ansible-core 2.19 has a public name for it.
        task = result.task if hasattr(result, "task") else result._task
        path = (task.get_path() or "").partition(":")[0]
        with Path(os.environ["VIPCAST_TOUCHED"]).open("a", encoding="utf-8") as file:
            file.write(f"{task.resolved_action} {path}\n")
