# SPDX-License-Identifier: GPL-3.0-or-later
"""Layer 2 in the status document of a node, as plain data: addresses, members, interfaces. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from vipcast.k8s import Json, Key
from vipcast.layer2.api import Layer2Status, LinkStatus, MemberStatus
from vipcast.speaker.bgp.session_status import when
from vipcast.speaker.layer2.decide import Layer2Decision
from vipcast.speaker.layer2.status_objects import layer2_address_status
from vipcast.speaker.layer2.verdicts import Layer2Verdict, candidates, others, standby

__all__ = ["layer2_section", "layer2_services"]


def layer2_section(status: Layer2Status, problems: Iterable[str], *, connected: bool) -> Json:
    """Return the status of the agent as a whole; round trips are seconds."""
    return {
        "connected": connected,
        "problems": list(problems),
        "members": [_member(name, each) for name, each in sorted(status.members.items())],
        "interfaces": [_link(name, each) for name, each in sorted(status.links.items())],
    }


def layer2_services(
    decision: Layer2Decision, verdicts: Mapping[Key, tuple[Layer2Verdict, ...]]
) -> dict[Key, list[Json]]:
    """Return for each address what becomes of it here, who stands by, and why not the other nodes."""
    found = {}
    for key, every in verdicts.items():
        candidacies = decision.candidacies[key]
        found[key] = [
            {
                "protocol": "layer2",
                **layer2_address_status(verdict),
                "candidates": candidates(decision, candidacy),
                "standby": standby(decision, candidacy, verdict.owner),
                "others": others(decision, candidacy),
            }
            for verdict, candidacy in zip(every, candidacies, strict=True)
        ]
    return found


def _member(name: str, each: MemberStatus) -> Json:
    return {
        "name": name,
        "state": each.state,
        "since": when(each.since_wall or None),
        "address": each.address,
        "roundTrip": each.round_trip,
        "why": each.why,
        "oneWay": each.one_way,
    }


def _link(name: str, each: LinkStatus) -> Json:
    return {"name": name, "mac": each.mac, "refused": each.refused, "problem": each.problem}
