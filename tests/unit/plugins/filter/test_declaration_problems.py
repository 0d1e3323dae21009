# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter declaration_problems: what the filter `declaration` refuses, told and not raised."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.vipcast.baremetal.plugins.filter.declaration import declaration
from ansible_collections.vipcast.baremetal.plugins.filter.declaration_problems import declaration_problems

GROUPS = {"nodes": ["n1"], "routers": ["r1"], "clients": []}
SHARED = {"vipcast_cluster_asn": 64513, "vipcast_pools": [{"name": "default", "addresses": ["10.9.0.0/16"]}]}


def hostvars(**shared: Any) -> dict[str, Any]:
    own = {
        "n1": {"ansible_host": "10.31.8.1"},
        "r1": {"ansible_host": "10.31.254.251", "vipcast_router_asn": 64512},
    }
    return {host: {**SHARED, **values, **shared} for host, values in own.items()}


def test_a_good_declaration_has_none() -> None:
    assert declaration_problems(hostvars(), GROUPS) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"vipcast_pools": "10.9.0.0/16"},
        {"vipcast_pools": [{"name": "default", "adresses": ["10.9.0.0/16"]}]},
        {"vipcast_cluster_asn": "many"},
    ],
)
def test_what_cannot_be_read_is_one_problem_in_the_words_of_the_refusal(wrong: dict[str, Any]) -> None:
    (problem,) = declaration_problems(hostvars(**wrong), GROUPS)
    with pytest.raises(AnsibleFilterError) as refused:
        declaration(hostvars(**wrong), GROUPS)
    assert problem in str(refused.value)


def test_what_can_be_read_and_cannot_be_meant_is_told_with_the_host_that_says_it() -> None:
    pools = [{"name": "a", "addresses": ["10.9.0.0/24"]}, {"name": "b", "addresses": ["10.9.0.128/25"]}]
    (problem,) = declaration_problems(hostvars(vipcast_pools=pools), GROUPS)
    assert "10.9.0.128/25 of pool b overlaps 10.9.0.0/24 of pool a" in problem
    assert "vipcast_pools (host n1)" in problem
