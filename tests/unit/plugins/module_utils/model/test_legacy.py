# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""MetalLB's old ConfigMap as modules read it. What it means in full is tested with the daemons."""

from __future__ import annotations

from typing import Any

from ansible_collections.vipcast.baremetal.plugins.module_utils.model.legacy import convert
from ansible_collections.vipcast.baremetal.plugins.module_utils.model.legacy_objects import parse_both
from ansible_collections.vipcast.baremetal.plugins.module_utils.model.reasons import Reason

DOCUMENT: dict[str, Any] = {
    "peers": [{"peer-address": "10.31.254.251", "peer-port": 179, "peer-asn": 64512, "my-asn": 64513}],
    "address-pools": [{"name": "default", "protocol": "bgp", "addresses": ["10.9.0.0/16"]}],
}


def test_its_objects_are_judged_with_the_others() -> None:
    found = parse_both([], convert(DOCUMENT), namespace="metallb-system")
    assert found.problems == ()
    assert found.peers[0].name == "peer-10.31.254.251"
    assert [each.name for each in found.advertisements_for("default")] == ["default-1"]


def test_what_is_wrong_is_said_with_its_place_in_the_config_map() -> None:
    found = parse_both([], convert({"address-pools": [{"name": "a", "protocol": "arp"}]}))
    assert [(each.field, each.reason) for each in found.problems] == [
        ("address-pools[0].protocol", Reason.UNKNOWN_PROTOCOL)
    ]
