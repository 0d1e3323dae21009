# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that the segment shows what the cluster's objects say about who may answer and where.

A pool and an advertisement of its own are made by hand, as people do. Each step leaves the lab as it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support import owners
from support.declarations import SYSTEM
from support.lab import Lab, eventually
from support.owners import NEIGHBOR, answering, owner
from support.segment import curl
from support.web import PLACE, apply, service

from vipcast.election import order

POOL = "aside"
ADDRESS = "10.31.9.10"
SERVICE = "aside"
HOSTNAME = "kubernetes.io/hostname"
# Seconds. What a person who has just changed an object waits for.
SOON = 20


def crd(kind: str, **spec: Any) -> dict[str, Any]:
    place = {"name": POOL, "namespace": SYSTEM}
    return {"apiVersion": "metallb.io/v1beta1", "kind": kind, "metadata": place, "spec": spec}


def advertise(lab: Lab, **spec: Any) -> None:
    """The pool's one advertisement says this, and nothing of what it said before."""
    apply(lab, advertisement(**spec))


def advertisement(**spec: Any) -> dict[str, Any]:
    return crd("L2Advertisement", **{"ipAddressPools": [POOL], "interfaces": ["eth0"], **spec})


def on(name: str) -> dict[str, Any]:
    return {"matchLabels": {HOSTNAME: name}}


def of_the_pool(name: str, address: str = ADDRESS, **more: Any) -> dict[str, Any]:
    made = service(loadBalancerIP=address, **more)
    made["metadata"]["name"] = name
    return made


@pytest.fixture(scope="module", autouse=True)
def aside(lab: Lab) -> Iterator[None]:
    pool = crd("IPAddressPool", addresses=["10.31.9.10-10.31.9.19"], autoAssign=False)
    apply(lab, pool, advertisement(), of_the_pool(SERVICE))
    assert eventually(lambda: len(answering(lab, ADDRESS)) == 1, SOON)
    yield
    lab.kubectl("delete", "service", SERVICE, "-n", PLACE)
    for kind in ("l2advertisement", "ipaddresspool"):
        lab.kubectl("delete", f"{kind}.metallb.io", POOL, "-n", SYSTEM)


@pytest.fixture
def advertised(lab: Lab) -> Iterator[None]:
    """The advertisement, as it is for the other steps."""
    yield
    advertise(lab)
    assert eventually(lambda: len(answering(lab, ADDRESS)) == 1, SOON)


def nodes(lab: Lab) -> list[str]:
    return [lab.node_name(host) for host in lab.group("nodes")]


def agreed(lab: Lab, macs: dict[str, str]) -> str | None:
    return owners.agreed(lab, macs, SERVICE, ADDRESS)


def test_a_new_service_is_that_nodes_which_metallb_would_choose(lab: Lab, macs: dict[str, str]) -> None:
    assert agreed(lab, macs) == order(ADDRESS, nodes(lab))[0] == "worker-8-12"


@pytest.mark.usefixtures("advertised")
def test_it_follows_the_node_selectors(lab: Lab, macs: dict[str, str]) -> None:
    for name in order(ADDRESS, nodes(lab)):
        advertise(lab, nodeSelectors=[on(name)])
        assert eventually(lambda name=name: agreed(lab, macs) == name, SOON), owner(lab, SERVICE)


@pytest.mark.usefixtures("advertised")
def test_of_the_nodes_that_may_a_preferred_one_has_a_new_address(lab: Lab, macs: dict[str, str]) -> None:
    last = order(ADDRESS, nodes(lab))[-1]
    lab.kubectl("delete", "service", SERVICE, "-n", PLACE)
    advertise(lab, preferredNodeSelectors=[{"weight": 10, "preference": on(last)}])
    assert eventually(lambda: answering(lab, ADDRESS) == set(), SOON)
    apply(lab, of_the_pool(SERVICE))
    assert eventually(lambda: agreed(lab, macs) == last, SOON), owner(lab, SERVICE)


@pytest.mark.usefixtures("advertised")
def test_on_an_interface_that_no_node_has_nobody_answers(lab: Lab, macs: dict[str, str]) -> None:
    advertise(lab, interfaces=["eth9"])
    assert eventually(lambda: answering(lab, ADDRESS) == set(), SOON)
    assert eventually(lambda: owner(lab, SERVICE) is None, SOON)
    advertise(lab, interfaces=["eth9", "eth0"])
    assert eventually(lambda: agreed(lab, macs), SOON)


def test_what_metallbs_list_excludes_is_excluded(lab: Lab, macs: dict[str, str]) -> None:
    text = "announcedInterfacesToExclude:\n- ^eth.*\n"
    excluded = {"name": "metallb-excludel2", "namespace": SYSTEM}
    apply(
        lab,
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": excluded, "data": {"excludel2.yaml": text}},
    )
    try:
        assert eventually(lambda: answering(lab, ADDRESS) == set(), SOON)
    finally:
        lab.kubectl("delete", "configmap", excluded["name"], "-n", SYSTEM)
    assert eventually(lambda: agreed(lab, macs), SOON)


def test_services_that_share_an_address_have_one_owner(lab: Lab, macs: dict[str, str]) -> None:
    shared = {"metallb.io/allow-shared-ip": "aside"}
    other = of_the_pool("aside-too", ports=[{"name": "more", "port": 8081, "targetPort": "http"}])
    other["metadata"]["annotations"] = shared
    key = next(iter(shared))
    lab.kubectl("annotate", "service", SERVICE, "-n", PLACE, f"{key}={shared[key]}")
    apply(lab, other)
    try:
        assert eventually(lambda: curl(lab, NEIGHBOR, ADDRESS, 8081) == "200", SOON)
        assert curl(lab, NEIGHBOR, ADDRESS) == "200"
        assert eventually(lambda: owner(lab, "aside-too") == agreed(lab, macs), SOON)
    finally:
        lab.kubectl("delete", "service", "aside-too", "-n", PLACE)
    assert curl(lab, NEIGHBOR, ADDRESS) == "200"


def test_the_owners_new_mac_address_is_the_neighbors_too(lab: Lab, macs: dict[str, str]) -> None:
    name = agreed(lab, macs)
    assert name
    (host,) = [one for one in lab.group("nodes") if lab.node_name(one) == name]
    (before,) = [mac for mac, node in macs.items() if node == name]
    new = "02:00:5e:00:53:01"
    assert curl(lab, NEIGHBOR, ADDRESS) == "200"
    # As a bond does: the node's own addresses are announced too.
    lab.run(host, f"sysctl -qw net.ipv4.conf.eth0.arp_notify=1; ip link set dev eth0 address {new}")
    try:
        assert eventually(lambda: answering(lab, ADDRESS) == {new}, SOON)
        assert curl(lab, NEIGHBOR, ADDRESS) == "200"
    finally:
        lab.run(host, f"ip link set dev eth0 address {before}")
    assert eventually(lambda: agreed(lab, macs) == name, SOON)


@pytest.mark.parametrize(
    "word",
    [
        ("label", "node.kubernetes.io/exclude-from-external-load-balancers="),
        ("taint", "node.kubernetes.io/out-of-service=nodeshutdown:NoSchedule"),
    ],
    ids=["label", "taint"],
)
def test_a_node_that_is_taken_out_loses_it_and_takes_nothing_back(
    lab: Lab, macs: dict[str, str], word: tuple[str, str]
) -> None:
    name, (verb, text) = agreed(lab, macs), word
    assert name
    lab.kubectl(verb, "node", name, text)
    try:
        other = eventually(lambda: (now := agreed(lab, macs)) != name and now, SOON)
        assert other, owner(lab, SERVICE)
    finally:
        lab.kubectl(verb, "node", name, f"{text.partition('=')[0]}-")
    assert curl(lab, NEIGHBOR, ADDRESS) == "200"
    assert agreed(lab, macs) == other
