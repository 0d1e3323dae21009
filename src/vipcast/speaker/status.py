# SPDX-License-Identifier: GPL-3.0-or-later
"""The status document: what `vipcast status` shows and ``/status`` serves, as plain data.

`peers` is one entry per BGPPeer that selects this node, `services` one per service of ours with an entry per
address, `configuration` and `copies` what is wrong with either. Times are RFC 3339, durations seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from vipcast.bgp.route import Prefix
from vipcast.k8s import Informer, Json, Key
from vipcast.model.configuration import Configuration
from vipcast.model.peers import Peer
from vipcast.net.status import PeerStatus
from vipcast.speaker.decide import Decision, Verdict

__all__ = ["document", "sent_prefixes", "sent_to"]


def sent_prefixes(statuses: Mapping[str, PeerStatus]) -> dict[str, frozenset[Prefix]]:
    """What every peer that we have a session with has been sent, by the peer's name."""
    return {
        name: frozenset(route.prefix for route in status.announced)
        for name, status in statuses.items()
        if status.established
    }


def sent_to(verdict: Verdict, prefixes: Mapping[str, frozenset[Prefix]]) -> tuple[str, ...]:
    """The peers that have been sent an announced address."""
    wanted = frozenset(verdict.prefixes)
    return tuple(name for name in verdict.peers if wanted & prefixes.get(name, frozenset()))


def document(
    node_name: str,
    *,
    decision: Decision,
    statuses: Mapping[str, PeerStatus],
    refused: Mapping[str, tuple[str, str]],
    configuration: Configuration,
    informers: tuple[Informer, ...],
) -> Json:
    """The whole document."""
    sent = sent_prefixes(statuses)
    return {
        "node": node_name,
        "peers": [_peer(peer, statuses.get(peer.name), refused.get(peer.name)) for peer in decision.peers],
        "services": [_service(key, verdicts, sent) for key, verdicts in decision.verdicts.items()],
        "configuration": _configuration(configuration),
        "copies": [_copy(informer) for informer in informers],
    }


def _peer(peer: Peer, status: PeerStatus | None, refused: tuple[str, str] | None) -> Json:
    entry: Json = {
        "name": peer.name,
        "address": peer.place,
        "port": peer.port,
        "localASN": peer.local_asn,
        "peerASN": peer.remote_asn,
        "state": status.state.value if status else "NotStarted",
    }
    if refused:
        entry |= {"reason": refused[0], "message": refused[1]}
    return entry | _session(status) if status else entry


def _session(status: PeerStatus) -> Json:
    return {
        "since": _when(status.since_wall),
        "lastError": status.last_error or None,
        "lastErrorAt": _when(status.last_error_wall),
        "localAddress": _text(status.local_address),
        "localRouterID": _text(status.local_router_id),
        "peerRouterID": _text(status.remote_router_id),
        "holdTime": status.hold_time,
        "keepaliveTime": status.keepalive_time,
        "capabilities": [str(each) for each in status.remote_capabilities],
        "announced": sorted(str(route.prefix) for route in status.announced),
        "pending": sorted(str(route.prefix) for route in status.pending),
        "withheld": {str(route.prefix): why.value for route, why in status.withheld.items()},
        "messagesReceived": sum(status.counters.messages_in.values()),
        "messagesSent": sum(status.counters.messages_out.values()),
        "established": status.counters.established,
        "prefixesReceived": status.counters.prefixes_received,
    }


def _service(key: Key, verdicts: tuple[Verdict, ...], sent: Mapping[str, frozenset[Prefix]]) -> Json:
    return {"namespace": key[0], "name": key[1], "addresses": [_verdict(each, sent) for each in verdicts]}


def _verdict(verdict: Verdict, sent: Mapping[str, frozenset[Prefix]]) -> Json:
    if verdict.reason:
        why = {"reason": verdict.reason.value, "message": verdict.message}
        return {"address": _text(verdict.address), "announced": False, **why}
    prefixes = [str(prefix) for prefix in verdict.prefixes]
    return {
        "address": _text(verdict.address),
        "announced": True,
        "prefixes": prefixes,
        "peers": verdict.peers,
        "sentTo": sent_to(verdict, sent),
    }


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


def _when(wall: float | None) -> str | None:
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if wall else None


def _text(value: object) -> str | None:
    return str(value) if value is not None else None
