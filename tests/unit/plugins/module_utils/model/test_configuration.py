# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The model as modules import it. What it means in full is tested with the daemons, which share its files."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.vipcast.baremetal.plugins.module_utils.model.addresses import parse_range
from ansible_collections.vipcast.baremetal.plugins.module_utils.model.configuration import VERSIONS, parse
from ansible_collections.vipcast.baremetal.plugins.module_utils.model.reasons import Effect, Reason


def thing(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "metallb-system"}
    return {"apiVersion": VERSIONS[kind], "kind": kind, "metadata": metadata, "spec": spec}


def test_what_the_declaration_makes_is_in_force() -> None:
    found = parse(
        [
            thing("IPAddressPool", "default", {"addresses": ["10.9.0.0/16"]}),
            thing(
                "BGPPeer",
                "router",
                {"myASN": 64513, "peerASN": 64512, "peerAddress": "10.31.254.251", "holdTime": "9s"},
            ),
            thing("BGPAdvertisement", "default", {"ipAddressPools": ["default"], "peers": ["router"]}),
        ]
    )
    assert found.problems == ()
    assert found.pools[0].size(4) == 65536
    assert found.peers[0].timers.keepalive == 3.0
    assert [each.name for each in found.advertisements_for("default")] == ["default"]


@pytest.mark.parametrize(
    ("addresses", "reason"),
    [
        (["10.9.0.1"], Reason.BAD_ADDRESS),
        (["10.9.0.0/16", "10.9.1.0/24"], Reason.OVERLAPPING_ADDRESSES),
        ([], Reason.MISSING_FIELD),
    ],
)
def test_a_bad_pool_is_refused_by_name(addresses: list[str], reason: Reason) -> None:
    found = parse([thing("IPAddressPool", "bad", {"addresses": addresses})])
    assert found.pools == ()
    assert [(each.reason, each.effect) for each in found.problems] == [(reason, Effect.REFUSED)]


def test_a_range_is_read_with_spaces() -> None:
    found = parse_range("10.31.8.100 - 10.31.8.200")
    assert found.size == 101
    assert str(found.networks[0]) == "10.31.8.100/30"


def test_every_kind_is_read() -> None:
    communities = [{"name": "no-transit", "value": "large:64512:1:2"}]
    found = parse(
        [
            thing("L2Advertisement", "l2", {"interfaces": ["eth0"]}),
            thing("BFDProfile", "fast", {"receiveInterval": 50}),
            thing("Community", "names", {"communities": communities}),
            thing("BGPAdvertisement", "far", {"communities": ["no-transit"]}),
        ]
    )
    assert found.problems == ()
    assert found.layer2_advertisements[0].interfaces == ("eth0",)
    assert found.bfd_profiles[0].receive_interval == 0.05
    assert found.advertisements[0].large_communities == {(64512, 1, 2)}


def test_the_last_good_form_is_read_from_the_object() -> None:
    bad = thing("IPAddressPool", "a", {"addresses": ["nonsense"]})
    bad["status"] = {"inForce": {"addresses": ["10.9.0.0/16"]}}
    found = parse([bad])
    assert [str(each.ranges[0]) for each in found.pools] == ["10.9.0.0/16"]
    assert [ref.name for ref in found.stale] == ["a"]
