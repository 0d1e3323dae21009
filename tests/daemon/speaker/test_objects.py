# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what a node writes into the API about its sessions and services."""

from __future__ import annotations

import copy
import ipaddress
import json
import re
from dataclasses import replace
from typing import Any

import pytest
from daemon.speaker.peer_statuses import ROUTE, SIX, status
from hypothesis import given
from hypothesis import strategies as st
from support.apiserver import ApiServer

from vipcast.bfd.fsm import BfdState, Diagnostic
from vipcast.bgp.export import Withheld
from vipcast.bgp.fsm import State
from vipcast.bgp.route import Route
from vipcast.model.peers import Peer
from vipcast.net.bfd import BfdStatus
from vipcast.speaker.bgp.session_status import PeerView
from vipcast.speaker.decide import Verdict
from vipcast.speaker.reasons import NotAnnounced, NotWeighted
from vipcast.speaker.reporting.status_objects import (
    Owner,
    equal_ignoring_time,
    label_value,
    object_name,
    service_object,
    session_object,
    trim,
    with_timestamp,
)

OWNER = Owner("n1", "6b8f", "default")
PEER = Peer(name="tor", address=ipaddress.ip_address("10.31.254.251"), local_asn=64513, remote_asn=64512)
HERE = ipaddress.ip_address("10.9.0.1")
ANNOUNCED = Verdict(HERE, prefixes=(ROUTE.prefix,), peers=("tor",))
WEIGHTED = replace(ANNOUNCED, unweighted=NotWeighted.CLUSTER_POLICY)
REFUSED = Verdict(HERE, NotAnnounced.NO_ENDPOINTS, "the service has no endpoint that can serve")


FULL = PeerView(
    replace(PEER, bfd_profile="fast", graceful_restart=True, vrf="red"),
    status(),
    refused=("secretNotFound", "there is no Secret x; the session keeps the password it had"),
    bfd=BfdStatus(BfdState.UP, 1767355677.0, Diagnostic.NEIGHBOR_SIGNALED_DOWN, detection_time=0.3),
    bfd_problem="the BFD process does not answer",
)


def test_a_session_has_the_fields_that_frr_k8s_has_and_the_rest_beside_them() -> None:
    found = session_object(OWNER, FULL, "shuttingDown")["status"]
    theirs = {name: found[name] for name in ("node", "peer", "vrf", "bgpStatus", "bfdStatus")}
    assert theirs == {
        "node": "n1", "peer": "10.31.254.251", "vrf": "red", "bgpStatus": "Established", "bfdStatus": "Up",
    }  # fmt: skip
    assert (found["since"], found["lastErrorAt"]) == ("2026-01-02T12:07:57Z", "2026-01-02T12:06:40Z")
    assert found["timers"]["negotiated"] == {"hold": 9, "keepalive": 3.333333}
    assert found["prefixes"] == {"announced": 1, "pending": 0, "withheld": 1, "received": 0}
    assert found["families"] == [
        {"family": "IPv4 unicast", "announced": 1, "pending": 0, "withheld": 0},
        {"family": "IPv6 unicast", "announced": 0, "pending": 0, "withheld": 1},
    ]
    assert found["gracefulRestart"] == {"configured": 120, "negotiated": False}
    assert found["bfd"]["diagnostic"] == "the neighbor said that the session is down"
    assert found["drain"] == "shuttingDown"


def test_a_peer_without_a_session_has_no_bfd_and_says_why() -> None:
    view = PeerView(PEER, refused=("secretNotFound", "there is no Secret x"))
    found = session_object(OWNER, view)["status"]
    assert (found["bgpStatus"], found["bfdStatus"], found["reason"]) == (
        "NotStarted",
        "N/A",
        "secretNotFound",
    )
    assert "bfd" not in found and "since" not in found and "gracefulRestart" not in found


def test_while_the_bfd_process_says_nothing_its_state_is_unknown() -> None:
    view = PeerView(replace(PEER, bfd_profile="fast"), bfd_problem="it does not answer")
    found = session_object(OWNER, view)["status"]
    assert (found["bfdStatus"], found["bfd"]) == ("Unknown", {"problem": "it does not answer"})


def test_ten_thousand_withheld_prefixes_are_a_number_and_the_first_ten() -> None:
    routes = [Route(ipaddress.ip_network((0x0A000000 + number, 32))) for number in range(10_000)]
    view = PeerView(PEER, status(withheld=dict.fromkeys(routes, Withheld.FAMILY_NOT_NEGOTIATED)))
    item = session_object(OWNER, view)
    assert (item["status"]["prefixes"]["withheld"], len(item["status"]["withheld"])) == (10_000, 10)
    assert len(json.dumps(item)) < 4096
    backwards = PeerView(
        PEER, status(withheld=dict.fromkeys(reversed(routes), Withheld.FAMILY_NOT_NEGOTIATED))
    )
    assert session_object(OWNER, backwards) == item


@pytest.mark.apiserver
@pytest.mark.parametrize("item", [
    session_object(OWNER, FULL, "shuttingDown"),
    session_object(OWNER, PeerView(replace(PEER, address=None, interface="eth0", remote_asn=None))),
    with_timestamp(
        service_object(OWNER, ("web", "shop"), (WEIGHTED, REFUSED)) or {}, None, "2026-01-02T12:00:00Z"
    ),
])  # fmt: skip
def test_the_definitions_know_every_field(api_server: ApiServer, item: dict[str, Any]) -> None:
    """Otherwise it would be dropped, and written again for ever."""
    arguments = ("create", "--dry-run=server", "--validate=strict", "--output=json", "--filename=-")
    taken = json.loads(api_server.kubectl(*arguments, stdin=json.dumps(item)))
    assert taken["status"] == item["status"]
    assert equal_ignoring_time(item, trim(taken))


def test_a_service_has_its_peers_and_each_address_its_own_story() -> None:
    item = service_object(OWNER, ("web", "shop"), (ANNOUNCED, replace(REFUSED, address=SIX.prefix[0])))
    assert item is not None
    assert item["status"] == {
        "node": "n1",
        "serviceName": "shop",
        "serviceNamespace": "web",
        "peers": ["tor"],
        "reason": "noEndpoints",
        "addresses": [
            {"announced": True, "address": "10.9.0.1", "prefixes": ["10.9.0.1/32"], "peers": ["tor"]},
            {
                "announced": False,
                "address": "fd09::1",
                "reason": "noEndpoints",
                "message": "the service has no endpoint that can serve",
            },
        ],
    }


@pytest.mark.parametrize("reason", list(NotAnnounced))
def test_what_is_as_it_should_be_on_most_nodes_is_not_told_by_all_of_them(reason: NotAnnounced) -> None:
    item = service_object(OWNER, ("web", "shop"), (Verdict(HERE, reason, "words"),))
    assert (item is None) == reason.usual


def test_since_stays_while_nothing_else_becomes_of_an_address() -> None:
    def written(verdict: Verdict, now: str, present: Any = None) -> Any:
        item = service_object(OWNER, ("web", "shop"), (verdict,))
        assert item is not None
        return with_timestamp(item, trim(present) if present else None, now)

    first = written(ANNOUNCED, "1")
    other = written(replace(ANNOUNCED, peers=("tor", "tor-2")), "2", first)
    assert other["status"]["addresses"][0]["since"] == "1"
    assert not equal_ignoring_time(other, trim(first))
    refused = written(REFUSED, "3", other)
    assert refused["status"]["addresses"][0]["since"] == "3"


def test_what_others_add_to_an_object_is_no_difference() -> None:
    item = session_object(OWNER, FULL)
    present = copy.deepcopy(item)
    present["metadata"]["labels"]["somebody"] = "else"
    present["metadata"] |= {"annotations": {"a": "b"}, "resourceVersion": "7", "uid": "x"}
    assert equal_ignoring_time(item, trim(present))
    present["metadata"]["labels"]["metallb.io/node"] = "n2"
    assert not equal_ignoring_time(item, trim(present))
    assert not equal_ignoring_time(item, None)


def test_that_an_attempt_has_failed_once_more_is_not_worth_a_write() -> None:
    def written(**changes: Any) -> Any:
        idle = {"state": State.IDLE, "lost": "", "lost_wall": 1767355600.0, "last_error": "refused"}
        return session_object(OWNER, PeerView(PEER, status(**{**idle, **changes})))

    first = written()
    assert first["status"]["since"] == "2026-01-02T12:06:40Z"
    again = written(state=State.ACTIVE, since_wall=1767355999.0, last_error_wall=1767355999.0)
    assert again["status"]["since"] == first["status"]["since"]
    assert equal_ignoring_time(again, trim(first))
    assert not equal_ignoring_time(written(last_error="no route to host"), trim(first))
    assert not equal_ignoring_time(written(state=State.ESTABLISHED), trim(first))


NAMES = st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", fullmatch=True)


@given(st.tuples(NAMES, NAMES, NAMES), st.tuples(NAMES, NAMES, NAMES))
def test_names_fit_and_differ_for_what_differs(
    one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    assert len(object_name(*one)) <= 253 and object_name(*one)[-1].isalnum()
    assert (object_name(*one) == object_name(*other)) == (one == other)
    assert len(label_value(one[0])) <= 63 and label_value(one[0])[-1].isalnum()


@given(st.text(max_size=300))
def test_whatever_an_interface_is_called_the_label_is_one(name: str) -> None:
    assert re.fullmatch(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?", label_value(name))


@given(st.text(max_size=300))
def test_whatever_a_peer_is_called_its_object_has_a_name(name: str) -> None:
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,251}[a-z0-9])?", object_name("n1", name))


def test_the_seam_between_names_does_not_matter() -> None:
    assert object_name("a-b", "c") != object_name("a", "b-c")


def test_a_label_has_no_colon() -> None:
    six = replace(PEER, address=ipaddress.ip_address("fd00::1"))
    labels = session_object(OWNER, PeerView(six))["metadata"]["labels"]
    assert labels["frrk8s.metallb.io/peer"] == "fd00-0000-0000-0000-0000-0000-0000-0001"
