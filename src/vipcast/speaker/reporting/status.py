# SPDX-License-Identifier: GPL-3.0-or-later
"""The status document: what `vipcast status` shows and ``/status`` serves, as plain data.

`peers` is one entry per BGPPeer that selects this node, `services` one per service of ours with an entry per
address, `configuration` and `cache` what is wrong with either, `reports` how far the objects are that say
the same in the API, `strangers` who dialled us and is no peer. Times are RFC 3339, durations seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from vipcast.bgp.route import Prefix
from vipcast.k8s import Informer, Json, Key
from vipcast.model.addresses import IPAddress
from vipcast.model.configuration import Configuration
from vipcast.net.listener import UnknownPeer
from vipcast.net.status import PeerStatus
from vipcast.speaker.bgp.session_status import PeerView, session_status, when
from vipcast.speaker.decide import Decision, Verdict
from vipcast.speaker.drain import Drain
from vipcast.speaker.reporting.status_objects import address_status

__all__ = ["Clock", "document", "phase_of", "sent_prefixes", "sent_to"]


class Clock(NamedTuple):
    """One moment on two clocks: the event loop's seconds, and seconds since 1970."""

    monotonic: float
    wall: float


def sent_prefixes(statuses: Mapping[str, PeerStatus]) -> dict[str, frozenset[Prefix]]:
    """Return what every peer that we have a session with has been sent, by the peer's name."""
    return {
        name: frozenset(route.prefix for route in status.announced)
        for name, status in statuses.items()
        if status.established
    }


def sent_to(verdict: Verdict, prefixes: Mapping[str, frozenset[Prefix]]) -> tuple[str, ...]:
    """The peers that have been sent an announced address."""
    wanted = frozenset(verdict.prefixes)
    return tuple(name for name in verdict.peers if wanted & prefixes.get(name, frozenset()))


def phase_of(drain: Drain | None) -> str | None:
    """The name of the phase that a drain is in; None where there is none."""
    return drain.phase.value if drain else None


def document(
    node_name: str,
    *,
    decision: Decision,
    views: Iterable[PeerView],
    configuration: Configuration,
    informers: tuple[Informer, ...],
    reports: Json,
    clock: Clock,
    drain: str | None = None,
    layer2: Json | None = None,
    layer2_services: Mapping[Key, list[Json]] = MappingProxyType({}),
    strangers: Mapping[IPAddress, UnknownPeer] = MappingProxyType({}),
) -> Json:
    """The whole document.

    `reports` as the `Publisher` has it, `clock` is what the sessions' times are of, `drain` the phase of one,
    `strangers` as the `Listener` has them, `layer2` and `layer2_services` as `layer2_status` has them.
    """
    views = list(views)
    sent = sent_prefixes({view.peer.name: view.status for view in views if view.status})
    return {
        "node": node_name,
        "drain": drain,
        "peers": [_peer(view, clock) for view in views],
        "services": [
            _service(key, verdicts, sent, layer2_services.get(key, []))
            for key, verdicts in decision.verdicts.items()
        ],
        "layer2": layer2,
        "configuration": _configuration(configuration),
        "copies": [_copy(informer) for informer in informers],
        "reports": reports,
        "strangers": [
            {"address": str(address), "connections": each.connections, "lastAt": when(each.last_wall)}
            for address, each in strangers.items()
        ],
    }


def _peer(view: PeerView, clock: Clock) -> Json:
    """Return what the peer's BGPSessionState has, the prefixes by name, and what changes all the time."""
    entry = session_status(view)
    status = view.status
    return entry | _lists(status) | _moving(status, clock) if status else entry


def _lists(status: PeerStatus) -> Json:
    return {
        "announced": sorted(str(route.prefix) for route in status.announced),
        "pending": sorted(str(route.prefix) for route in status.pending),
        "withheld": {str(route.prefix): why.value for route, why in status.withheld.items()},
    }


def _moving(status: PeerStatus, clock: Clock) -> Json:
    next_attempt = status.next_attempt_monotonic
    return {
        "nextAttemptAt": when(next_attempt and clock.wall + next_attempt - clock.monotonic),
        "messages": {
            "received": sum(status.counters.messages_in.values()),
            "sent": sum(status.counters.messages_out.values()),
        },
    }


def _service(
    key: Key, verdicts: tuple[Verdict, ...], sent: Mapping[str, frozenset[Prefix]], layer2: list[Json]
) -> Json:
    addresses = [_verdict(each, sent) for each in verdicts]
    return {"namespace": key[0], "name": key[1], "addresses": addresses + layer2}


def _verdict(verdict: Verdict, sent: Mapping[str, frozenset[Prefix]]) -> Json:
    """Return what the service's ServiceBGPStatus has, and whether it was sent."""
    entry = {"address": None, "protocol": "bgp", **address_status(verdict)}
    return entry | {"sentTo": sent_to(verdict, sent)} if verdict.announced else entry


def _configuration(configuration: Configuration) -> Json:
    return {
        "problems": [
            {
                "kind": problem.object.kind,
                "name": problem.object.name,
                "field": problem.field,
                "reason": problem.reason.value,
                "message": problem.message,
                "effect": problem.effect.value,
            }
            for problem in configuration.problems
        ],
        "stale": sorted(str(each) for each in configuration.stale),
    }


def _copy(informer: Informer) -> Json:
    return {
        "resource": informer.resource.plural,
        "synced": informer.synced.is_set(),
        "objects": len(informer.items),
        "problem": informer.problem,
    }
