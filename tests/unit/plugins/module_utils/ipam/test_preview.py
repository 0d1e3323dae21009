# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan as modules import it. What it means in full is tested with the daemons, which share its files."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.allocation import plan

PARAMS = {
    "namespace": "metallb-system",
    "lb_class": None,
    "prune": "none",
    "set_name": "configuration",
    "config_map": "config",
    "within_namespace": False,
}


def pool(name: str, *addresses: str, uid: str = "", **spec: Any) -> dict[str, Any]:
    metadata = {
        "name": name,
        "namespace": "metallb-system",
        "uid": uid,
        "labels": {"vipcast.io/set": "configuration"},
    }
    spec = {"addresses": list(addresses), **spec}
    return {"apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool", "metadata": metadata, "spec": spec}


def service(name: str, *shown: str, **spec: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "web", "uid": name, "creationTimestamp": "2026-01-01T00:00:00Z"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {"type": "LoadBalancer", "clusterIPs": ["10.96.0.1"], "ports": [{"port": 80}], **spec},
        "status": {"loadBalancer": {"ingress": [{"ip": each} for each in shown]}},
    }


LIVE = [
    pool("one", "10.0.0.0/30", "fd00::/126", uid="1"),
    service("a", "10.0.0.3"),
    service("b", "10.0.0.1"),
    service("c", clusterIPs=["fd00::1"]),
]


def test_what_is_declared_as_it_is_moves_nothing() -> None:
    result = plan(LIVE, [pool("one", "10.0.0.0/30", "fd00::/126")], PARAMS)
    assert [each["happens"] for each in result["services"]] == ["kept", "kept", "assigned"]
    assert (result["moved"], result["lost"], result["story"], result["changed"]) == ([], [], [], False)


@pytest.mark.parametrize(
    ("declared", "prune", "moved", "lost", "waiting"),
    [
        ([pool("one", "10.0.0.0/31")], "none", ["web/a"], [], ["web/c"]),
        ([pool("one", "10.0.0.1/32")], "none", [], ["web/a"], ["web/c"]),
        ([pool("two", "10.0.1.0/30")], "none", [], [], []),
        ([pool("two", "10.0.1.0/30")], "set", ["web/a", "web/b"], [], ["web/c"]),
        ([], "all", [], ["web/a", "web/b"], ["web/c"]),
    ],
)
def test_other_pools_move_services(
    declared: list[Any], prune: str, moved: list[str], lost: list[str], waiting: list[str]
) -> None:
    result = plan(LIVE, declared, dict(PARAMS, prune=prune))
    assert (result["moved"], result["lost"], result["waiting"]) == (moved, lost, waiting)
    assert len(result["story"]) == len(moved) + len(lost)


def test_the_difference_is_a_line_for_each_service() -> None:
    diff = plan(LIVE, [pool("one", "10.0.0.0/31", "fd00::/126")], PARAMS)["diff"]
    assert diff["before"] == "web/a 10.0.0.3 -\nweb/b 10.0.0.1 -\nweb/c - -\n"
    assert diff["after"] == "web/a 10.0.0.0 one\nweb/b 10.0.0.1 one\nweb/c fd00:: one\n"
