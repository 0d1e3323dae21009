# SPDX-License-Identifier: GPL-3.0-or-later
"""The comparison of who answers on a segment with who should: each difference with its likely reason.

**PRIVATE** to the collection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..model.defaults import HEARTBEAT_PORT
from .comparison import Difference
from .expectations import Data
from .layer2 import Macs, Vip

SEVERAL_NODES = (
    "in kube-proxy's IPVS mode without strictARP every node's kernel answers (role kube_proxy); or the nodes "
    f"do not hear each other on UDP port {HEARTBEAT_PORT}"
)
STRANGER = "somebody else on the segment has this address"
UNHEARD = "its answers do not get here: another VLAN or segment, or a switch that filters them"
UNSERVED = "no endpoint serves (any more), or somebody else has this address"
STALE = "it did not hear the announcement of the new owner"

Found = Mapping[str, Sequence[Data]]


def heard(results: Sequence[Data]) -> tuple[Found, list[Difference], dict[str, str]]:
    """Return what the hosts on the segment found, by address: `{client, answers, kernel}`.

    Besides: what is wrong with the asking itself, and address to why a host is not on its segment. `results`:
    of the module neighbor_probe, with the host as `item`.
    """
    found: dict[str, list[Data]] = {}
    failures: list[Difference] = []
    far: dict[str, str] = {}
    for result in results:
        host = result["item"]
        if "neighbors" not in result:
            reason = str(result.get("msg") or "the client cannot be reached").strip()
            failures.append(Difference(f"client {host}", "who has an address", "a probe", "none", reason))
        for one in result.get("neighbors") or ():
            if one["on_segment"]:
                found.setdefault(one["address"], []).append({"client": host, **one})
            else:
                far.setdefault(one["address"], one["why"])
    return found, failures, far


def not_asked(vips: Sequence[Vip], found: Found, far: Mapping[str, str]) -> list[str]:
    """The addresses that nobody could ask for."""
    why = "no host of verify_segment_hosts (by default the group clients) is on its segment"
    return [
        f"who has {vip.address} was not asked: {far.get(vip.address) or why}"
        for vip in vips
        if vip.address not in found
    ]


def remembered(vips: Sequence[Vip], macs: Macs) -> list[str]:
    """Return who was heard besides the owner, a while ago or now."""
    return [
        f"{vip.owner} heard {', '.join(map(macs.name, vip.foreign))} answer for {vip.address} not long ago"
        for vip in vips
        if vip.foreign
    ]


def not_told(vips: Sequence[Vip], macs: Macs) -> list[str]:
    """The owners whose MAC addresses are unknown, so that an answer cannot be told to be theirs."""
    owners = dict.fromkeys(vip.owner for vip in vips if vip.owner and not macs.has_told(vip.owner))
    why = "it is no host of the group nodes"
    return [
        f"whether answers are those of {owner} was not judged, for its MAC addresses are unknown: "
        f"{macs.silent.get(owner, why)}"
        for owner in owners
    ]


def compare_owners(vips: Sequence[Vip], found: Found, macs: Macs) -> list[Difference]:
    """All differences, by address."""
    differences = []
    for vip in vips:
        differences += _claimed(vip)
        differences += [] if vip.address in found else _overheard(vip, macs)
        for one in found.get(vip.address, ()):
            differences += _answered(vip, one, macs)
    return differences


def _what(vip: Vip) -> str:
    return f"{vip.address} ({', '.join(sorted(vip.services))})"


def _claimed(vip: Vip) -> list[Difference]:
    """The load balancer's own word, before anybody else is asked."""
    if vip.wanted and vip.owner is None:
        reason = "no speaker owns it: not running, or it says why not (vipcast status --cluster)"
        return [Difference("cluster", f"owner of {_what(vip)}", "a node", "none", reason)]
    if vip.rivals:
        found = ", ".join([vip.owner or "", *vip.rivals])
        reason = (
            f"they do not hear each other on UDP port {HEARTBEAT_PORT}, or one of them is gone and could not "
            "say so"
        )
        return [Difference("cluster", f"owner of {_what(vip)}", "one node", found, reason)]
    if vip.owner is not None and vip.owner not in vip.candidates:
        reason = f"the node is {vip.without.get(vip.owner, 'not in the cluster')}"
        expected = f"one of {', '.join(vip.candidates)}" if vip.wanted else "none"
        return [Difference("cluster", f"owner of {_what(vip)}", expected, vip.owner, reason)]
    return []


def _overheard(vip: Vip, macs: Macs) -> list[Difference]:
    """Strangers that the owner heard: all that is known where nobody could ask.

    It remembers them for minutes, and other nodes of the cluster after a split too: those are no difference.
    """
    strangers = [mac for mac in vip.foreign if not macs.holders(mac)]
    if not strangers:
        return []
    named = ", ".join(macs.name(mac) for mac in strangers)
    what, expected = f"who has {_what(vip)}", f"nobody but {vip.owner}"
    return [Difference(f"node {vip.owner}", what, expected, named, _why_several(strangers, macs))]


def _answered(vip: Vip, one: Data, macs: Macs) -> list[Difference]:
    """Return what one host on the segment heard."""
    where, what = f"client {one['client']}", f"who has {_what(vip)}"
    found = [answer["mac"] for answer in one["answers"]]
    named = ", ".join(macs.name(mac) for mac in found) or "nobody"
    if len(found) > 1 or (found and not vip.wanted):
        expected = "one answer" if vip.wanted else "nobody"
        reason = _why_several(found, macs) if vip.wanted else UNSERVED
        return [Difference(where, what, expected, named, reason)]
    if not found:
        reason = f"{vip.owner} says that it owns it; {UNHEARD}" if vip.owner else ""
        return [Difference(where, what, vip.owner or "one answer", named, reason)] if vip.wanted else []
    return [*_from_whom(where, what, vip, found[0], macs), *_remembered(where, vip, one, found[0])]


def _why_several(found: Sequence[str], macs: Macs) -> str:
    """The reason where one answer too many was heard."""
    if any(not macs.holders(mac) for mac in found):
        silent = ", ".join(macs.silent)
        return f"{STRANGER}, or it is one of {silent}, which did not tell theirs" if silent else STRANGER
    return SEVERAL_NODES


def _from_whom(where: str, what: str, vip: Vip, mac: str, macs: Macs) -> list[Difference]:
    """The one answer has to be the owner's, from an interface that it says."""
    if vip.owner is None or not (macs.holders(mac) or macs.has_told(vip.owner)):
        return []
    if vip.owner not in macs.holders(mac):
        reason = "the status is old, or the owner is just changing" if macs.holders(mac) else STRANGER
        return [Difference(where, what, vip.owner, macs.name(mac), reason)]
    interfaces = macs.interfaces(mac, vip.owner)
    if vip.interfaces and not set(interfaces) & set(vip.interfaces):
        expected = f"{vip.owner} on {', '.join(vip.interfaces)}"
        reason = "the node has several interfaces in this segment"
        return [Difference(where, what, expected, f"{vip.owner} on {', '.join(interfaces)}", reason)]
    return []


def _remembered(where: str, vip: Vip, one: Data, mac: str) -> list[Difference]:
    """The host's own kernel has to send to the same MAC address."""
    kernel: Mapping[str, Any] = one["kernel"] or {}
    if not kernel.get("mac") or kernel["mac"].lower() == mac:
        return []
    what = f"its neighbor table for {vip.address}"
    return [Difference(where, what, mac, f"{kernel['mac']} ({kernel['state']})", STALE)]
