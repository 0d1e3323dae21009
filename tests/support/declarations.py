# SPDX-License-Identifier: GPL-3.0-or-later
"""The declarations that the walks roll out on one lab, one after the other (inventories/lab-whole)."""

from __future__ import annotations

import contextlib

from support.lab import CHECKOUT, Lab

WHOLE = CHECKOUT / "inventories/lab-whole"
SYSTEM = "metallb-system"
# The kinds of which a declaration has objects in the cluster; it has none of the others.
KINDS = {
    "bgp": {"BGPAdvertisement", "BGPPeer", "IPAddressPool"},
    "bfd": {"BFDProfile", "BGPAdvertisement", "BGPPeer", "IPAddressPool"},
    "layer2": {"IPAddressPool", "L2Advertisement"},
}
QUERY = "bfdprofiles,bgpadvertisements,bgppeers,communities,ipaddresspools,l2advertisements.metallb.io"


def declared(name: str) -> Lab:
    """Return the lab of a declaration, which need not be in force."""
    return Lab(WHOLE / "topology", WHOLE / name)


def kinds(lab: Lab) -> set[str]:
    """Return the kinds of the configuration's objects in the cluster."""
    return {item["kind"] for item in lab.get(QUERY, "-n", SYSTEM)["items"]}


def is_in_force(lab: Lab, name: str) -> bool:
    """Return whether the cluster has objects of the declaration's kinds and of no others."""
    try:
        return kinds(lab) == KINDS[name]
    except AssertionError:  # no such kinds: nothing was rolled out yet
        return False


def roll_out(lab: Lab, name: str) -> None:
    """Make a declaration the lab's, with the demonstration's services as it has them."""
    lab.playbook("lab_services").expect()
    if not is_in_force(lab, name):
        _forget_peers(lab)
        lab.playbook("site").expect()
        assert is_in_force(lab, name), kinds(lab)


def _forget_peers(lab: Lab) -> None:
    """Delete the peers: what bgp and bfd say of graceful restart cannot be changed in place."""
    with contextlib.suppress(AssertionError):  # no such kind: nothing was rolled out yet
        lab.kubectl("delete", "bgppeers.metallb.io", "-n", SYSTEM, "--all")
