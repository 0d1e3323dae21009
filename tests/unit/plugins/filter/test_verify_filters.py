# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters that roles and playbooks ask about the cluster: what they pass on, and how misuse is told."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.vipcast.baremetal.plugins.filter.addresses_in_use import addresses_in_use
from ansible_collections.vipcast.baremetal.plugins.filter.drain_outlook import drain_outlook
from ansible_collections.vipcast.baremetal.plugins.filter.verify_prefixes import verify_prefixes
from ansible_collections.vipcast.baremetal.plugins.filter.verify_report import verify_report
from ansible_collections.vipcast.baremetal.tests.unit.plugins.module_utils._verify.situation import (
    cluster,
    declared,
    route,
    router,
    service,
)

MAC = "02:00:00:00:00:01"
OTHER = service("other", addresses=["10.9.1.2"], load_balancer_class="example.com/theirs")


def layer2() -> dict[str, Any]:
    pools = [{"name": "near", "addresses": ["10.31.8.100-10.31.8.104"]}]
    return declared(
        vipcast_pools=pools, vipcast_advertisements=[], vipcast_l2_advertisements=[{"name": "near"}]
    )


def test_addresses_in_use_tells_who_has_one_and_who_could_not_ask() -> None:
    answer = {"address": "10.31.8.103", "answers": [{"mac": MAC}]}
    found = addresses_in_use(
        layer2(), [{"item": "c1", "neighbors": [answer]}, {"item": "c2", "msg": "no scapy"}]
    )
    assert found["problems"] == [f"10.31.8.103 of pool near is in use by {MAC} on the segment of c1"]
    assert [text.endswith("no scapy") for text in found["warnings"]] == [True]
    assert addresses_in_use(layer2(), []) == {"problems": [], "warnings": []}


def test_prefixes_are_those_of_the_services_that_are_ours() -> None:
    both = cluster(service(), service("six", addresses=["10.9.1.3", "10.9.1.1"]), OTHER)
    assert verify_prefixes(declared(), both) == ["10.9.1.1/32", "10.9.1.3/32"]
    assert verify_prefixes(declared(), both, services=["default/web"]) == ["10.9.1.1/32"]
    assert verify_prefixes(declared(), both, load_balancer_class="example.com/theirs") == ["10.9.1.2/32"]


def test_nodes_with_the_label_count_where_it_is_ignored() -> None:
    """A router that has next hops on a node with the label is wrong, unless the label is ignored."""
    excluded, seen = cluster(service(), n1={"excluded": True}), [router(route())]
    assert not verify_report(declared(), excluded, seen)["ok"]
    assert verify_report(declared(), excluded, seen, ignore_exclude_label=True)["ok"]


def test_a_report_says_that_all_is_well_or_what_differs() -> None:
    good = verify_report(declared(), cluster(service()), [router(route())])
    assert good["ok"], good["texts"]
    bad = verify_report(declared(), cluster(service()), [router()])
    assert not bad["ok"]
    assert any("10.9.1.1/32" in text for text in bad["texts"])


def test_the_report_is_about_the_services_that_are_named_or_of_one_class() -> None:
    seen = [router(route())]
    both = cluster(service(), OTHER)
    missing = cluster(service(), service("missing", addresses=["10.9.1.3"]))
    assert not verify_report(declared(), missing, seen)["ok"]
    assert verify_report(declared(), missing, seen, services=["default/web"])["ok"]
    # The route of the service that is not ours any more has no reason to be there.
    assert not verify_report(declared(), both, seen, load_balancer_class="example.com/theirs")["ok"]


def test_a_segment_of_none_is_one_that_was_not_asked_also_as_a_text() -> None:
    """ansible-core before 2.19 hands over none as an empty text."""
    near = service(addresses=["10.31.8.100"])
    asked = [verify_report(layer2(), cluster(near), [router()], segment=none) for none in (None, "")]
    assert asked[0] == asked[1]
    nobody = verify_report(layer2(), cluster(near), [router()], segment=[])
    assert nobody != asked[0]


@pytest.mark.parametrize("nodes", [["n1", "n2", "n3"], "n1,n2,n3", " n1, n2 ,, n3 "])
def test_nodes_to_drain_are_a_list_or_a_text_with_commas(nodes: list[str] | str) -> None:
    found = drain_outlook(declared(), cluster(service()), [router(route())], nodes)
    assert found["nodes"] == ["n1", "n2", "n3"]
    assert found["lost"] == ["r1: 10.9.1.1/32 (default/web) has no next hop but those of n1, n2, n3"]


def test_an_outlook_names_who_is_unknown_and_what_is_not_ours_is_not_lost() -> None:
    seen = [router(route())]
    assert drain_outlook(declared(), cluster(service()), seen, "nobody")["unknown"] != []
    theirs = drain_outlook(declared(), cluster(OTHER), seen, "n1,n2,n3")
    assert theirs["lost"] == []
    ours = drain_outlook(
        declared(), cluster(OTHER), seen, "n1,n2,n3", load_balancer_class="example.com/theirs"
    )
    assert ours["lost"] != []


@pytest.mark.parametrize(
    ("use", "name"),
    [
        (lambda: addresses_in_use([], []), "addresses_in_use"),
        (lambda: addresses_in_use({"nodes": []}, []), "addresses_in_use"),
        (lambda: verify_prefixes(declared(), {"nodes": []}), "verify_prefixes"),
        (lambda: verify_prefixes("", cluster()), "verify_prefixes"),
        (lambda: verify_report(declared(), [], []), "verify_report"),
        (lambda: drain_outlook(declared(), [], [], "n1"), "drain_outlook"),
    ],
)
def test_what_is_no_declaration_or_no_cluster_is_told_with_the_right_use(use: Any, name: str) -> None:
    with pytest.raises(AnsibleFilterError, match=f"vipcast.baremetal.{name}"):
        use()
