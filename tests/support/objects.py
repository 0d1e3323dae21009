# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects of the configuration, for tests."""

from __future__ import annotations

from typing import Any

from vipcast.model.configuration import VERSIONS, Configuration
from vipcast.model.reasons import Effect, Reason

PEER = {"myASN": 64513, "peerASN": 64512, "peerAddress": "10.31.254.251"}


def thing(kind: str, name: str, spec: Any = None, **metadata: Any) -> dict[str, Any]:
    found = {"apiVersion": VERSIONS[kind], "kind": kind}
    return {**found, "metadata": {"name": name, "namespace": "lb", **metadata}, "spec": spec or {}}


def pool(name: str, *addresses: str, **metadata: Any) -> dict[str, Any]:
    return thing("IPAddressPool", name, {"addresses": list(addresses)}, **metadata)


def peer(name: str, **fields: Any) -> dict[str, Any]:
    return thing("BGPPeer", name, {**PEER, **fields})


def advert(name: str, **fields: Any) -> dict[str, Any]:
    return thing("BGPAdvertisement", name, fields)


def community(name: str, **aliases: str) -> dict[str, Any]:
    return thing("Community", name, {"communities": [{"name": k, "value": v} for k, v in aliases.items()]})


def said(found: Configuration) -> list[tuple[str, str, Reason, Effect]]:
    return [(each.object.name, each.field, each.reason, each.effect) for each in found.problems]
