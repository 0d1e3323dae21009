# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a process hands to its heir: what is wanted, the membership, and all sockets."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from typing import Any

from vipcast.layer2.frames import EtherType
from vipcast.layer2.wants import Layer2Wants
from vipcast.layer2d.node import Node
from vipcast.layer2d.segment import HeirSegment, Segment
from vipcast.layer2d.segments import Segments
from vipcast.net import layer2_protocol as protocol
from vipcast.net.lines import Json, ProtocolError
from vipcast.punctual import handover

__all__ = ["VERSION", "Estate", "ask", "write"]

VERSION = 1


@dataclass(slots=True)
class Estate:
    """Everything that goes over. ``wants``: None where no speaker has come yet; then there is no more."""

    control: socket.socket | None = None
    health: socket.socket | None = None
    wants: Layer2Wants | None = None
    until: float = 0.0
    orphaned: bool = False
    heartbeats: dict[int, socket.socket] = field(default_factory=dict)  # by IP version
    segments: dict[int, HeirSegment] = field(default_factory=dict)  # by the interface's index
    members: Json = field(default_factory=dict)
    holdings: Json = field(default_factory=dict)


def write(
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
        sockets += [({"heartbeats": version}, sock) for version, sock in node.port.sockets.items()]
        for segment in segments.by_name.values():
            sockets += _sockets(segment)
        records = {
            "demands": [demands],
            "segments": [_write_segment(segment) for segment in segments.by_name.values()],
            "holdings": [node.holdings.export()],
            "members": [node.members.export()],
        }
    return handover.write(sockets, records)


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


def ask(connection: socket.socket) -> Estate:
    """The estate of whoever is on the other side. Raises OSError or ProtocolError: it keeps everything."""
    handed = handover.ask(connection, VERSION)
    estate = Estate()
    try:
        for role, sock in handed.sockets:
            _place(estate, role, sock)
        for written in handed.records["segments"]:
            _read_segment(estate, written)
        for demands in handed.records["demands"]:
            estate.wants = protocol.read_wants(demands["wants"])
            estate.until, estate.orphaned = float(demands["until"]), bool(demands["orphaned"])
            (estate.members,), (estate.holdings,) = handed.records["members"], handed.records["holdings"]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        handed.release()
        raise ProtocolError(f"the hand-over failed: {error!r}") from error
    return estate


def write_demands(wants: Layer2Wants, until: float, orphaned: bool) -> Json:
    return {"wants": protocol.write_wants(wants), "until": until, "orphaned": orphaned}


def _place(estate: Estate, role: Mapping[str, Any], sock: socket.socket) -> None:
    if "segment" in role:
        segment = estate.segments.setdefault(role["segment"], HeirSegment())
        if "groups" in role:
            segment.groups.append(sock)
        else:
            segment.sockets[EtherType(role["ether_type"])] = sock
    elif "heartbeats" in role:
        estate.heartbeats[role["heartbeats"]] = sock
    elif "control" in role:
        estate.control = sock
    elif "health" in role:
        estate.health = sock
    else:
        sock.close()


def _read_segment(estate: Estate, written: Json) -> None:
    segment = estate.segments.setdefault(written["index"], HeirSegment())
    segment.joined = [(IPv6Address(group), int(number)) for group, number in written["joined"]]
    segment.past = {ip_address(text): int(count) for text, count in written["past"].items()}
