# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what a router says of BFD and graceful restart, read into facts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.vipcast.baremetal.plugins.module_utils._router import detection

ADDRESS = "192.168.1.21"
ASKED = {("neighbor", ADDRESS, "bfd"): "", ("neighbor", ADDRESS, "bfd profile"): "VIPCAST-fast"}
# Recorded from FRR 8.4.4, with the intervals changed so that each of them differs.
PEER = {
    "multihop": False,
    "peer": ADDRESS,
    "local": "192.168.1.1",
    "vrf": "default",
    "interface": "eth0",
    "status": "up",
    "diagnostic": "ok",
    "receive-interval": 100,
    "transmit-interval": 200,
    "detect-multiplier": 3,
    "remote-receive-interval": 250,
    "remote-transmit-interval": 150,
    "remote-detect-multiplier": 5,
}
RESTARTS = {
    "gracefulRestartInfo": {
        "localGrMode": "Helper",
        "remoteGrMode": "Restart",
        "timers": {"configuredRestartTimer": 120, "receivedRestartTimer": 30},
    },
    "neighborCapabilities": {"addressFamiliesByPeer": {"ipv4Unicast": {"preserved": True}}},
}


def facts(peer: dict[str, Any] | None = None, detail: dict[str, Any] | None = None, **more: str) -> Any:
    peers = detection.bfd_peers(json.dumps([peer] if peer else []))
    return detection.of_session({**ASKED, **more}, ADDRESS, detail or {}, peers)


def test_the_slower_end_of_each_direction_decides() -> None:
    """RFC 5880, 6.8.7; and the time is the neighbor's multiplier of what the neighbor sends (6.8.4)."""
    bfd = facts(PEER)["bfd"]
    assert (bfd["receive_interval"], bfd["transmit_interval"], bfd["detection_time"]) == (150, 250, 0.75)


def test_a_session_that_is_not_up_notices_nothing() -> None:
    bfd = facts({**PEER, "status": "down"})["bfd"]
    assert (bfd["state"], bfd["detection_time"]) == ("down", None)


def test_bfd_that_is_configured_and_does_not_run_is_missing() -> None:
    assert facts()["bfd"]["state"] == "missing"


def test_a_neighbor_that_is_not_asked_has_none() -> None:
    assert detection.of_session({}, ADDRESS, {}, {})["bfd"] is None


@pytest.mark.parametrize("said", ["bfdd is not running\n", "", "% Unknown command: show bfd peers json"])
def test_a_daemon_that_does_not_run_has_no_sessions(said: str) -> None:
    assert detection.bfd_peers(said) == {}


def test_a_neighbor_that_comes_back_is_waited_for() -> None:
    assert facts(detail=RESTARTS)["graceful_restart"] == {"restart_time": 30, "families": ["ipv4Unicast"]}


NOT_KEPT = {
    "the neighbor only helps": {"remoteGrMode": "Helper"},
    "the router does not help": {"localGrMode": "Disable"},
}


@pytest.mark.parametrize("case", NOT_KEPT)
def test_nobody_is_waited_for_where(case: str) -> None:
    about = {**RESTARTS["gracefulRestartInfo"], **NOT_KEPT[case]}
    assert facts(detail={**RESTARTS, "gracefulRestartInfo": about})["graceful_restart"] is None


def test_nor_where_no_family_is_kept() -> None:
    """FRR 8.4.4 between two of its own: the capability without any family."""
    none = {**RESTARTS, "neighborCapabilities": {"addressFamiliesByPeer": "none"}}
    assert facts(detail=none)["graceful_restart"] is None
