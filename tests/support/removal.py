# SPDX-License-Identifier: GPL-3.0-or-later
"""The things that a removal has to take away, and those that it leaves, seen from outside."""

from __future__ import annotations

import json
import re
from typing import Any

from support.lab import Lab
from support.routers import next_hops, node_addresses

NAMESPACE = "metallb-system"
KINDS = (
    "namespaces,customresourcedefinitions,clusterroles,clusterrolebindings,roles,rolebindings,serviceaccounts,"
    "configmaps,secrets,services,deployments,daemonsets,poddisruptionbudgets,networkpolicies,flowschemas"
)
HASH = "net.ipv4.fib_multipath_hash_policy"
# FRR may be switched off, and a file be gone.
SHOWN = (
    "vtysh -c 'show running-config' 2>/dev/null; cat /etc/frr/frr.conf; "
    "ls -d /etc/vipcast-before /etc/sysctl.d/99-vipcast.conf 2>/dev/null; true"
)


def of_ours(lab: Lab) -> list[str]:
    """Return the names of all objects in the cluster that the collection made."""
    labelled = lab.kubectl("get", KINDS, "--all-namespaces", "-l", "vipcast.io/set", "-o", "name").split()
    defined = [
        name
        for name in names(lab, "customresourcedefinitions")
        if name.endswith(("metallb.io", "vipcast.io"))
    ]
    return [
        *labelled,
        *defined,
        *(name for name in names(lab, "namespaces") if name == f"namespace/{NAMESPACE}"),
    ]


def names(lab: Lab, kind: str) -> list[str]:
    """Return the names of all objects of a kind without namespaces."""
    return lab.kubectl("get", kind, "-o", "name").split()


def left_on_router(lab: Lab, router: str, address: str) -> list[str]:
    """Return the lines of the running and of the saved configuration, the notes and the next hops that are
    ours."""
    text = lab.run(router, SHOWN)
    ours = re.compile(
        r"vipcast|VIPCAST|^\s*neighbor |" + "|".join(map(re.escape, sorted(node_addresses(lab)))),
        re.MULTILINE,
    )
    lines = [line for line in text.splitlines() if ours.search(line)]
    return [*lines, *sorted(next_hops(lab, router, f"{address}/32"))]


def on_routers(lab: Lab) -> dict[str, tuple[str, ...]]:
    """Return what a rollout switches on: FRR, its start with the machine, and the hash policy."""
    states = "systemctl is-active frr; systemctl is-enabled frr; true"
    return {
        router: (*lab.run(router, states).split(), lab.run(router, f"sysctl -n {HASH}").strip())
        for router in lab.group("routers")
    }


def what_stays(lab: Lab) -> dict[str, Any]:
    """Return what a removal leaves: FRR's package, kube-proxy's settings, images."""
    package = "dpkg-query -f '${db:Status-Abbrev}' -W frr"
    routers = {router: lab.run(router, package).strip() for router in lab.group("routers")}
    proxy = lab.get("configmap", "kube-proxy", "-n", "kube-system")["data"]["config.conf"]
    nodes = {node: images(lab, node) for node in lab.group("nodes")}
    return {"routers": routers, "strict ARP": "strictARP: true" in proxy, "images": nodes}


def images(lab: Lab, node: str) -> list[str]:
    """Return the load balancer's images on a node."""
    listed = lab.run(node, "ctr -n k8s.io images ls -q").split()
    return sorted({name for name in listed if name.startswith("localhost/vipcast:")})


def removed_and_back(lab: Lab, service: tuple[str, str] = ("web-1", "demo")) -> None:
    """Remove everything, see that it is gone and that a second removal finds nothing; then roll out again."""
    address = str(lab.address(*service))
    before, switched_on = what_stays(lab), on_routers(lab)
    everywhere = {"localhost", *lab.group("routers")}
    assert of_ours(lab)
    refused = lab.playbook("remove").expect(2)
    assert refused.changed == {} and "To go ahead: -e remove_confirmed=true" in refused.output
    looked = lab.playbook("remove", "--check").expect()
    assert set(looked.changed) == everywhere
    assert lab.address(*service) == address
    try:
        assert set(lab.playbook("remove", remove_confirmed=True).expect().changed) == everywhere
        assert lab.address(*service) is None
        assert of_ours(lab) == []
        assert {router: left_on_router(lab, router, address) for router in lab.group("routers")} == {
            router: [] for router in lab.group("routers")
        }
        assert what_stays(lab) == before
        # The lab's routers had no FRR.
        assert set(on_routers(lab).values()) == {("inactive", "disabled", "0")}
        assert lab.playbook("remove", remove_confirmed=True).expect().changed == {}
    finally:
        back = lab.playbook("site")
    assert set(back.expect().changed) == everywhere
    assert json.dumps(what_stays(lab)) == json.dumps(before)
    assert on_routers(lab) == switched_on
