# SPDX-License-Identifier: GPL-3.0-or-later
"""Options become an intent, or a refusal that says what would be right."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.errors import Reason, Refusal
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.intent import intent_from

NODE = {"address": "10.31.8.1", "remote_as": 64513}


def test_the_default_description_is_the_address_with_dashes() -> None:
    intent = intent_from({"asn": 1, "neighbors": [NODE, {"address": "fd00::1", "remote_as": 2}]})

    assert [neighbor.description for neighbor in intent.neighbors] == ["10-31-8-1", "fd00--1"]
    assert [neighbor.families for neighbor in intent.neighbors] == [("ipv4 unicast",), ("ipv6 unicast",)]


def test_the_default_length_is_a_host_route() -> None:
    intent = intent_from({"asn": 1, "prefixes": [{"prefix": "10.9.0.0/16"}, {"prefix": "fd00::/64"}]})

    assert [(prefix.shortest, prefix.longest) for prefix in intent.prefixes] == [(32, 32), (128, 128)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"asn": 0}, "asn: 0 is no AS number"),
        ({"asn": True}, "asn: True is no AS number"),
        ({"asn": 23456}, "asn: 23456 is AS_TRANS (RFC 6793), which nobody has"),
        ({"router_id": "fd00::1"}, "router_id"),
        ({"name": "a b"}, "name: 'a b'"),
        ({"name": "x\nrouter bgp 1"}, "name"),
        ({"neighbors": [{**NODE, "address": "node1"}]}, "'node1' is no IP address"),
        ({"neighbors": [NODE, NODE]}, "10.31.8.1 is declared 2 times"),
        ({"neighbors": [{**NODE, "description": "a\nno router bgp 1"}]}, "description"),
        ({"neighbors": [{**NODE, "description": "x" * 81}]}, "description"),
        ({"neighbors": [{**NODE, "update_source": "lo; reboot"}]}, "update_source"),
        ({"neighbors": [{**NODE, "ebgp_multihop": 256}]}, "ebgp_multihop: 256 is out of range"),
        ({"prefixes": [{"prefix": "10.9.0.1/16"}]}, "host bits"),
        ({"prefixes": [{"prefix": "10.9.0.0/16", "max_length": 33}]}, "lengths 32 to 33 do not fit"),
        ({"maximum_paths": 0}, "maximum_paths: 0 is out of range"),
        ({"timers": {"hold": 9}}, "hold and keepalive belong together"),
        ({"timers": {"hold": 9, "keepalive": 4}}, "more than a third"),
        ({"timers": {"connect": 0}}, "timers.connect: 0 is out of range"),
    ],
)
def test_refusals_say_what_is_wrong(options: dict[str, Any], message: str) -> None:
    with pytest.raises(Refusal) as refused:
        intent_from({"asn": 64512, **options})
    assert refused.value.reason is Reason.BAD_OPTION
    assert message in str(refused.value)


@pytest.mark.parametrize("password", ["with space", "newline\n", "x" * 81, "ümlaut"])
def test_a_bad_password_is_not_repeated(password: str) -> None:
    with pytest.raises(Refusal) as refused:
        intent_from({"asn": 64512, "neighbors": [{**NODE, "password": password}]})
    assert "password" in str(refused.value)
    assert password not in str(refused.value)
