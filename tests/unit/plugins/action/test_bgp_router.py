# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugin between Ansible and a router that is a few lines of shell."""

from __future__ import annotations

from typing import Any
from unittest.mock import MagicMock

import pytest
from ansible.errors import AnsibleActionFail
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.vipcast.baremetal.plugins.action import bgp_router, bgp_router_info

RUNNING = """Building configuration...

Current configuration:
!
frr version 8.4.4
router bgp 64512
 neighbor 10.31.8.1 remote-as 64999
 neighbor 10.31.8.1 password s3cret
exit
!
end
"""
OPTIONS: dict[str, Any] = {
    "asn": 64512,
    "neighbors": [{"address": "10.31.8.1", "remote_as": 64513, "password": "n3xt"}],
    "prefixes": [{"prefix": "10.9.0.0/16"}],
}


class Router:
    """Answers the scripts that the plugin sends, and remembers them."""

    def __init__(self) -> None:
        self.scripts: list[str] = []
        self.inputs: list[bytes] = []

    def execute(self, script: str, in_data: bytes | None = None) -> dict[str, Any]:
        self.scripts.append(script)
        if in_data is not None:
            self.inputs.append(in_data)
        return {"rc": 0, "stdout": self._answer(script), "stderr": ""}

    @staticmethod
    def _answer(script: str) -> str:
        if "vipcast-shell" in script:
            return "vipcast-shell\n"
        if "show version" in script:
            return "FRRouting 8.4.4 (r) on Linux.\n '--enable-multipath=256'\n"
        if "show running-config" in script:
            return f"{RUNNING}\n==vipcast== 0 0\n zebra bgpd\n==vipcast== 0 1\n"
        return ""


def plugin(module: Any, options: dict[str, Any], router: Router, check: bool = True) -> Any:
    task = MagicMock(args=options, check_mode=check, diff=True, async_val=0)
    loader = DataLoader()
    connection = MagicMock(has_pipelining=True)
    action = module.ActionModule(task, connection, MagicMock(), loader, Templar(loader=loader), None)
    action._low_level_execute_command = router.execute
    return action


def test_check_mode_says_everything_and_enters_nothing() -> None:
    router = Router()
    result = plugin(bgp_router, OPTIONS, router).run(task_vars={})

    assert result["changed"] and not result["saved"]
    assert "remote-as of neighbor 10.31.8.1" in [entry["what"] for entry in result["drift"]]
    assert not [script for script in router.scripts if "write memory" in script or "vtysh -f" in script]
    assert [script for script in router.scripts if "vtysh -C -f" in script]
    assert "s3cret" not in str(result) and "n3xt" not in str(result)
    assert result["diff"]["after"].count("password ******** (changed)") == 1


def test_secrets_travel_through_standard_input() -> None:
    router = Router()
    plugin(bgp_router, OPTIONS, router).run(task_vars={})

    assert not [script for script in router.scripts if "n3xt" in script]
    assert any(b"password n3xt" in data for data in router.inputs)


def test_a_router_that_does_not_take_it_is_a_failure() -> None:
    """This one accepts every command and never changes."""
    result = plugin(bgp_router, OPTIONS, Router(), check=False).run(task_vars={})

    assert result["failed"] and not result["changed"]
    assert result["reason"] == "not_taken"
    assert "Nothing had been applied" in result["msg"]


@pytest.mark.parametrize("module", [bgp_router, bgp_router_info])
def test_unknown_options_are_refused(module: Any) -> None:
    with pytest.raises(AnsibleActionFail, match="neighbours"):
        plugin(module, {"asn": 1, "neighbours": []}, Router()).run(task_vars={})


def test_a_refusal_has_its_name() -> None:
    result = plugin(bgp_router, {**OPTIONS, "asn": 64600}, Router()).run(task_vars={})

    assert (result["failed"], result["reason"]) == (True, "other_as")
