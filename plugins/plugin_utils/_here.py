# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules that work in the task's own process, where that is the machine that they are to work on.

**PRIVATE** to the collection. Ansible packs a module with all that it imports, starts an interpreter, and
that one compiles everything anew: half a second and more, for a few requests to an API server. A task is a
process on the control node already. So where the connection is local, and neither another user nor another
environment is asked for, the same code is called there; everywhere else the module is started as always,
with the same result.

Action plugins are loaded by the process of which each task's is a fork: what they import is compiled once for
a run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.common.parameters import remove_values
from ansible.plugins.action import ActionBase
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster import kubeconfig as kubeconfigs
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.module import Work, outcome
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.secret_data import texts_in
from ansible_collections.vipcast.baremetal.plugins.module_utils._declaration import outputs, reader

Result = dict[str, Any]
# The filters' code is compiled once with it.
PRELOADED = (reader, outputs)


class Here:
    """The part of a call that a module's code knows."""

    def __init__(self, params: Result, check_mode: bool) -> None:
        self.params = params
        self.check_mode = check_mode
        self.warnings: list[str] = []
        # Texts that the result must not show, under AnsibleModule's name for them.
        self.no_log_values: set[str] = set()

    def warn(self, text: str) -> None:
        """Note a warning for the result."""
        self.warnings.append(text)


class HereAction(ActionBase):
    """A module that works here where it can."""

    _requires_connection = True
    _supports_check_mode = True
    _supports_async = True

    SPEC: Mapping[str, Any] = {}

    def run(self, tmp: str | None = None, task_vars: Result | None = None) -> Result:
        """Work here, or start the module."""
        result: Result = super().run(tmp, task_vars)
        if not self._is_local():
            return {**result, **self._start(task_vars)}
        _checked, args = self.validate_argument_spec(argument_spec=dict(self.SPEC))
        here = Here(_plain(args), self._task.check_mode)
        here.no_log_values = texts_in([here.params.get(name) for name in _hidden(self.SPEC)])
        if not self._can(here):
            return {**result, **self._start(task_vars)}
        result.update(self._work(here), invocation={"module_args": here.params})
        if here.warnings:
            result["warnings"] = here.warnings
        shown: Result = remove_values(result, here.no_log_values) if here.no_log_values else result
        return shown

    def _can(self, _here: Here) -> bool:
        """Tell whether this process has what the work needs."""
        return True

    def _work(self, here: Here) -> Result:
        """Return the module's result."""
        raise NotImplementedError

    def _is_local(self) -> bool:
        task = self._task
        elsewhere = task.async_val or any(task.environment or ()) or self._connection.become
        return self._connection.transport == "local" and not elsewhere

    def _start(self, task_vars: Result | None) -> Result:
        wrap = self._task.async_val and not self._connection.has_native_async
        started: Result = self._execute_module(task_vars=task_vars, wrap_async=wrap)
        return started


class ClusterAction(HereAction):
    """A module that asks an API server: here, where its kubeconfig needs no official client."""

    WORK: Work

    def _can(self, here: Here) -> bool:
        return kubeconfigs.read(here.params["kubeconfig"], here.params["context"]) is not None

    def _work(self, here: Here) -> Result:
        return outcome(here, type(self).WORK)


def _hidden(spec: Mapping[str, Any]) -> list[str]:
    """Return the names of the options that are neither shown nor logged."""
    return [name for name, option in spec.items() if option.get("no_log")]


def _plain(args: Mapping[str, Any]) -> Result:
    """Return the options as a module gets them: as JSON."""
    plain: Result = json.loads(json.dumps(args, default=str))
    return plain
