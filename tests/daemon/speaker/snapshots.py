# SPDX-License-Identifier: GPL-3.0-or-later
"""Small worlds to decide in: one pool, one peer, one service, one endpoint here, unless said otherwise."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from typing import Any

from vipcast.model.configuration import Configuration, parse
from vipcast.speaker.decide import Decision, Snapshot, Verdict
from vipcast.speaker.kube_types import Endpoint, Node, Service

WEB = ("default", "web")
PLACE = "metallb-system"


def pool(name: str = "pool", *addresses: str) -> dict[str, Any]:
    spec = {"addresses": list(addresses) or ["10.9.0.0/16", "fd09::/64"]}
    return {
        "apiVersion": "metallb.io/v1beta1",
        "kind": "IPAddressPool",
        "metadata": _meta(name),
        "spec": spec,
    }


def peer(name: str = "tor", address: str = "10.31.254.251", **spec: Any) -> dict[str, Any]:
    essential = {"myASN": 64513, "peerASN": 64512, "peerAddress": address}
    return {
        "apiVersion": "metallb.io/v1beta2",
        "kind": "BGPPeer",
        "metadata": _meta(name),
        "spec": {**essential, **spec},
    }


def advertisement(name: str = "adv", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "metallb.io/v1beta1",
        "kind": "BGPAdvertisement",
        "metadata": _meta(name),
        "spec": spec,
    }


def l2_advertisement(name: str = "l2", **spec: Any) -> dict[str, Any]:
    return {**advertisement(name, **spec), "kind": "L2Advertisement"}


def nodes(*names: str, **more: Any) -> dict[str, Node]:
    """Nodes with a label of their own; `more` of each."""
    return {name: Node(name, {"name": name}, **more) for name in names}


def _meta(name: str) -> dict[str, str]:
    return {"name": name, "namespace": PLACE}


def configuration(*objects: dict[str, Any]) -> Configuration:
    found = parse(objects or (pool(), peer(), advertisement()))
    assert not found.refused, found.refused
    return found


def labels(**wanted: str) -> dict[str, Any]:
    return {"matchLabels": wanted}


def service(*addresses: str, key: tuple[str, str] = WEB, **more: Any) -> Service:
    parsed = tuple(ipaddress.ip_address(each) for each in addresses or ("10.9.0.1",))
    return Service(key=key, addresses=parsed, **more)


HERE = Endpoint(4, "n1", True)
THERE = Endpoint(4, "n2", True)


def snapshot(*services: Service, **changes: Any) -> Snapshot:
    every = services or (service(),)
    plain = Snapshot(
        node_name="n1",
        node=Node("n1", {"rack": "a"}),
        services={each.key: each for each in every},
        endpoints={each.key: (HERE,) for each in every},
        configuration=configuration(),
    )
    return replace(plain, **changes)


def only(decision: Decision) -> Verdict:
    ((verdict,),) = decision.verdicts.values()
    return verdict


def prefixes(decision: Decision, name: str = "tor") -> set[str]:
    return {str(route.prefix) for route in decision.routes[name]}


def two_preferences(**of_peer: Any) -> Configuration:
    return configuration(
        pool(), peer(**of_peer),
        advertisement("a", localPref=100, serviceSelectors=[labels(a="y")]),
        advertisement("b", localPref=200, serviceSelectors=[labels(b="y")]),
    )  # fmt: skip
