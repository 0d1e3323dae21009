# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots with services at layer 2."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from typing import Any

from daemon.speaker.snapshots import configuration, l2_advertisement, nodes, pool, service, snapshot

from vipcast.speaker.decide import Snapshot
from vipcast.speaker.kube_types import Endpoint, Service
from vipcast.speaker.reasons import NotAnnounced

# Those that BGP has not. The last ones are of the process beside the speaker: `test_layer2_verdicts`.
LAYER2_ALONE = {
    NotAnnounced.NODE_NOT_READY,
    NotAnnounced.NODE_OUT_OF_SERVICE,
    NotAnnounced.SHARED_WITH_SELECTORS,
    NotAnnounced.SHARED_ELSEWHERE,
    NotAnnounced.NO_CANDIDATE,
    NotAnnounced.NO_INTERFACE,
    NotAnnounced.NO_KEY,
    NotAnnounced.NO_PROCESS,
    NotAnnounced.STARTING,
    NotAnnounced.PROBING,
    NotAnnounced.DUPLICATE,
}


VIP = ipaddress.ip_address("10.9.0.1")


PLAIN = configuration(pool(), l2_advertisement())


ABC = nodes("a", "b", "c")


def world(*services: Service, **changes: Any) -> Snapshot:
    every = services or (service(),)
    plain = snapshot(*every, configuration=PLAIN, nodes=ABC)
    endpoints = {each.key: (on("a"), on("b"), on("a", 6), on("b", 6)) for each in every}
    return (
        replace(plain, endpoints=endpoints, **changes)
        if "endpoints" not in changes
        else replace(plain, **changes)
    )


def on(node: str, family: int = 4, *, able: bool = True) -> Endpoint:
    return Endpoint(family, node, able)
