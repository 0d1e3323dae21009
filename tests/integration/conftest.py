# SPDX-License-Identifier: GPL-3.0-or-later
"""The groups that a worker of ``pytest -n 3`` takes: of files that share a router, or API servers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

HERE = Path(__file__).parent
# The longest first: the one that begins last should be short. A file that is not named goes with its folder.
GROUPS: dict[str, tuple[str, ...]] = {
    "router, drift": ("router/test_drift.py", "router/test_facts.py"),
    "cluster, plays": (
        "cluster/test_control_node.py",
        "cluster/test_layer2_in_roles.py",
        "cluster/test_inventory.py",
        "cluster/test_key_in_role.py",
        "cluster/test_kube_proxy_in_role.py",
        "cluster/test_nodes_in_role.py",
        "cluster/test_passwords_in_role.py",
        "cluster/test_plan_in_role.py",
    ),
    "router, features": ("router/test_detection.py", "router/test_refusals.py"),
    "openwrt": (),
    "router": (),
    "cluster": (),
    "control": (),
    "verify": (),
    "lab_tool": (),
}
NAMES = {file: name for name, files in GROUPS.items() for file in files}
ORDER = list(GROUPS)


class InGroups(LoadScopeScheduling):  # type: ignore[misc]
    """Hands out the groups above, in their order."""

    def _split_scope(self, nodeid: str) -> str:
        file = self.config.rootpath / nodeid.partition("::")[0]
        if not file.is_relative_to(HERE):
            return nodeid.partition("::")[0]
        name = file.relative_to(HERE).as_posix()
        return NAMES.get(name) or name.partition("/")[0]

    def _assign_work_unit(self, node: Any) -> None:
        first = min(self.workqueue, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))
        self.workqueue.move_to_end(first, last=False)
        super()._assign_work_unit(node)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> InGroups:
    """Take the place of what ``--dist`` names."""
    return InGroups(config, log)
