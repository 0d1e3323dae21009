# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state that a layer 2 agent hands to its successor: requests, membership and all sockets."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from typing import Any

from vipcast.agent import handover
from vipcast.agent.handover import UNUSABLE, CannotTakeOverError, Handed, HandoverState
from vipcast.layer2.api import Layer2Wants
from vipcast.layer2.frames import EtherType
from vipcast.layer2_agent.node import Node
from vipcast.layer2_agent.segment import Segment, SegmentState
from vipcast.layer2_agent.segments import Segments
from vipcast.net import layer2_protocol as protocol
from vipcast.net.heartbeat_port import HeartbeatPort
from vipcast.net.ipc import Json

__all__ = ["Layer2HandoverState", "ask", "read", "write"]


@dataclass(slots=True)
class Layer2HandoverState(HandoverState):
    """Everything that goes over. ``wants``: None where no speaker has come yet; then there is no more."""

    wants: Layer2Wants | None = None
    until: float = 0.0
    orphaned: bool = False
    heartbeats: dict[int, socket.socket] = field(default_factory=dict)  # by IP version
    former: dict[int, tuple[HeartbeatPort, float]] = field(default_factory=dict)  # by the number of the port
    segments: dict[int, SegmentState] = field(default_factory=dict)  # by the interface's index
    members: Json = field(default_factory=dict)
    owned_addresses: Json = field(default_factory=dict)


def write(
    version: int,
    control: socket.socket,
    health: socket.socket | None,
    demands: Json | None,
    parts: tuple[Node, Segments] | None,
) -> Iterator[tuple[bytes, list[int]]]:
    """Messages, each with the sockets that go with it."""
    sockets: list[tuple[Json, socket.socket]] = [({"control": 1}, control)]
    if health is not None:
        sockets.append(({"health": 1}, health))
    records: dict[str, list[Any]] = {}
    if parts is not None:
        node, segments = parts
        sockets += [({"heartbeats": family}, sock) for family, sock in node.port.sockets.items()]
        sockets += _former(node)
        for segment in segments.by_name.values():
            sockets += _sockets(segment)
        records = {
            "demands": [demands],
            "segments": [_write_segment(segment) for segment in segments.by_name.values()],
            "holdings": [node.owned_addresses.export()],
            "members": [node.members.export(version)],
        }
    return handover.write(version, sockets, records)


def _former(node: Node) -> Iterator[tuple[Json, socket.socket]]:
    """Ports that were the heartbeats' before; release 0.1.0 closes their sockets."""
    for port, until in node.ports.former:
        for family, sock in port.sockets.items():
            yield {"former_port": port.port, "family": family, "until": until}, sock


def _sockets(segment: Segment) -> Iterator[tuple[Json, socket.socket]]:
    for ether_type, sock in segment.sockets.items():
        yield {"segment": segment.link.index, "ether_type": int(ether_type)}, sock
    for sock in segment.groups.sockets:
        yield {"segment": segment.link.index, "groups": 1}, sock


def _write_segment(segment: Segment) -> Json:
    return {
        "index": segment.link.index,
        "joined": [[str(group), number] for group, number in segment.groups.joined],
        "past": {str(address): count for address, count in segment.answered().items()},
    }


def ask(connection: socket.socket) -> Layer2HandoverState:
    """The state of whoever is on the other side. Raises what `handover.ask` raises."""
    return read(handover.ask(connection))


def read(handed: Handed) -> Layer2HandoverState:
    """Raises CannotTakeOverError, after closing all of it."""
    state = Layer2HandoverState(handed=handed)
    try:
        for role, sock in handed.sockets:
            _place(state, role, sock)
        for written in handed.records["segments"]:
            _read_segment(state, written)
        for demands in handed.records["demands"]:
            state.wants = protocol.read_wants(demands["wants"])
            state.until, state.orphaned = float(demands["until"]), bool(demands["orphaned"])
            (state.members,), (state.owned_addresses,) = handed.records["members"], handed.records["holdings"]
    except UNUSABLE as error:
        handed.release()
        raise CannotTakeOverError(f"the hand-over failed: {error!r}") from error
    return state


def write_demands(wants: Layer2Wants, until: float, orphaned: bool) -> Json:
    return {"wants": protocol.write_wants(wants), "until": until, "orphaned": orphaned}


def _place(state: Layer2HandoverState, role: Mapping[str, Any], sock: socket.socket) -> None:
    if "segment" in role:
        segment = state.segments.setdefault(role["segment"], SegmentState())
        if "groups" in role:
            segment.groups.append(sock)
        else:
            _place_frames(segment, role["ether_type"], sock)
    elif "former_port" in role:
        number = int(role["former_port"])
        port, _until = state.former.setdefault(number, (HeartbeatPort(number), float(role["until"])))
        port.adopt({int(role["family"]): sock})
    elif "heartbeats" in role:
        state.heartbeats[role["heartbeats"]] = sock
    elif "control" in role:
        state.control = sock
    elif "health" in role:
        state.health = sock
    else:
        sock.close()


def _place_frames(segment: SegmentState, ether_type: int, sock: socket.socket) -> None:
    """Frames of a kind that is not known here are not missed."""
    if ether_type in set(EtherType):
        segment.sockets[EtherType(ether_type)] = sock
    else:
        sock.close()


def _read_segment(state: Layer2HandoverState, written: Json) -> None:
    segment = state.segments.setdefault(written["index"], SegmentState())
    segment.joined = [(IPv6Address(group), int(number)) for group, number in written["joined"]]
    segment.past = {ip_address(text): int(count) for text, count in written["past"].items()}
