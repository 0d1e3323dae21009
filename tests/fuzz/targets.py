# SPDX-License-Identifier: GPL-3.0-or-later
"""The targets that are fuzzed with coverage guidance: decoders that read what another program has sent.

A target takes any octets. Whatever it raises is a finding; errors that a decoder declares are caught in it.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import struct
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from daemon.bgp.cable import settings
from daemon.bgp.wire_cases import CASES
from daemon.layer2 import wire_cases as segment
from support.bounds import at_most

from vipcast.agent import handover
from vipcast.agent.handover import UNUSABLE, CannotTakeOverError, Handed
from vipcast.bfd import packet
from vipcast.bfd.fsm import BfdState, Diagnostic
from vipcast.bfd.settings import BadSettingsError, BfdSettings, BfdStatus
from vipcast.bfd_agent import handover_state as bfd_handover
from vipcast.bgp.errors import RemoteError
from vipcast.bgp.framing import Frame, FrameBuffer, MessageType
from vipcast.bgp.fsm import State
from vipcast.bgp.messages import Keepalive, Notification, Open, Update, decode, encode
from vipcast.bgp.session import Session
from vipcast.layer2 import arp, ndp
from vipcast.layer2.frames import FrameError
from vipcast.layer2.responder import Responder
from vipcast.layer2_agent import handover_state as layer2_handover
from vipcast.membership import PROFILES, Membership, entries_v1
from vipcast.membership import packet as members_packet
from vipcast.membership.entries import BadEntryError, Condition, Entry, Kind, Node, Opaque, Votes
from vipcast.membership.entries_v2 import read, write
from vipcast.net import layer2_protocol
from vipcast.net.bfd_protocol import read_settings, read_status, write_settings, write_status
from vipcast.net.interface_networks import Networks
from vipcast.net.interfaces import _read_link
from vipcast.net.ipc import ProtocolError, check, line, read_line
from vipcast.net.router_advertisement import (
    encode_advertisement,
    encode_solicitation,
    valid_kind,
)
from vipcast.net.rtnetlink import messages

LONGEST = 65535


def stream(data: bytes) -> None:
    """Framing, in pieces whose size the first octet gives."""
    buffer, step = FrameBuffer(), 1 + (data[0] if data else 0)
    buffer.max_length = LONGEST
    with contextlib.suppress(RemoteError):
        for at in range(1, len(data), step):
            buffer.receive(data[at : at + step])
            for frame in buffer:
                decode(frame)
    assert len(buffer) <= LONGEST + step


def _body(kind: MessageType, least: int, data: bytes) -> None:
    asn4, internal = bool(data[:1] < b"\x80"), (None, True, False)[len(data) % 3]
    try:
        message = decode(Frame(kind, data[1:].ljust(least, b"\0")), asn4=asn4, internal=internal)
    except RemoteError as error:
        assert len(encode(Notification(error.code, error.subcode, error.data))) <= 4096
        return
    _writable(message, asn4)


def _writable(message: object, asn4: bool) -> None:
    """Check that what was read without complaint is written, and read as the same again."""
    if isinstance(message, Update) and not message.problems:
        data = encode(message, asn4=asn4, max_length=LONGEST * 2)[19:]
        assert decode(Frame(MessageType.UPDATE, data), asn4=asn4) == message
    if isinstance(message, Open):
        assert decode(Frame(MessageType.OPEN, encode(message)[19:])) == message


def update(data: bytes) -> None:
    _body(MessageType.UPDATE, 4, data)


def open_message(data: bytes) -> None:
    _body(MessageType.OPEN, 10, data)


def other_messages(data: bytes) -> None:
    kinds = {MessageType.NOTIFICATION: 2, MessageType.ROUTE_REFRESH: 0}
    for kind, least in kinds.items():
        _body(kind, least, data)
    if len(data) >= 2:
        str(Notification(data[0], data[1], data[2:]))


def session(data: bytes) -> None:
    """A peer that says anything, before the session is up or when it is."""
    one = Session(settings(restart_time=120))
    one.start(0.0)
    one.connected(0.0, IPv4Address("10.99.0.1"))
    if data[:1] < b"\x80":
        one.receive_data(encode(Open.of(64512, 9, IPv4Address("10.99.0.2"))) + encode(Keepalive()), 0.0)
    one.receive_data(data[1:], 1.0)
    assert len(one.data_to_send()) < 3 * 4096
    assert len(one._frames) <= LONGEST
    more = at_most()
    while more() and (at := one.timer()) is not None and at < 20:
        one.handle_timer(at)
    one.stop(20.0, "enough")
    assert one.state is State.IDLE


def bfd_packet(data: bytes) -> None:
    found = packet.decode(data)
    if isinstance(found, packet.ControlPacket):
        assert packet.decode(found.encode()) == found


def layer2_frame(data: bytes) -> None:
    """Check that what is read is written as the same, and who gets no answer is counted.

    An answer can be read.
    """
    with contextlib.suppress(FrameError):
        message = ndp.decode(data)
        assert ndp.decode(message.encode()) == message
    with contextlib.suppress(FrameError):
        frame = arp.decode(data)
        assert arp.decode(frame.encode()) == frame
    responder = Responder(segment.OURS, {segment.OURS})
    responder.own(segment.VIP)
    responder.own(segment.VIP6)
    answer = responder.answer(data)
    assert (answer is not None) + responder.ignored.total() == 1
    if answer is not None:
        (arp.decode if len(answer) == arp.LAYOUT.size else ndp.decode)(answer)


def layer2_checked(data: bytes) -> None:
    """The same behind the checksum, which no fuzzer guesses."""
    layer2_frame(segment.checked(data) if len(data) >= 58 else data)


def router_advertisement(data: bytes) -> None:
    valid_kind(data, IPv6Address("fe80::1"), 255)


def bfd_control(data: bytes) -> None:
    """Read what the BFD process and its clients read of each other."""
    with contextlib.suppress(ProtocolError):
        message = read_line(data)
        for reader in (read_settings, read_status):
            for written in message.values():
                with contextlib.suppress(ProtocolError, BadSettingsError):
                    reader(written)


def layer2_control(data: bytes) -> None:
    """Read what the layer-2 process and its clients read of each other; write again what is wanted."""
    with contextlib.suppress(ProtocolError):
        message = read_line(data)
        check(message)
        for reader in (layer2_protocol.read_status, layer2_protocol.read_moves):
            for written in message.values():
                with contextlib.suppress(ProtocolError):
                    reader(written)
        for written in message.values():
            wants = layer2_protocol.read_wants(written)
            assert layer2_protocol.read_wants(layer2_protocol.write_wants(wants)) == wants


def hand_over(data: bytes) -> None:
    """Read what a process reads of the one before it, of any release."""
    handed = Handed()
    with contextlib.suppress(ProtocolError):
        for each in data.split(b"\n"):
            message = read_line(each)
            with contextlib.suppress(ProtocolError):
                handover.choose(message)
            for word, records in message.items():
                if isinstance(records, list):
                    handed.records[word] += records
    for reader in (layer2_handover.read, bfd_handover.read):
        with contextlib.suppress(CannotTakeOverError):
            _restore(reader(handed))


def _restore(state: object) -> None:
    if isinstance(state, layer2_handover.Layer2HandoverState) and state.members:
        with contextlib.suppress(*UNUSABLE):
            members = Membership("n2", PROFILES["default"], 0.0, random=lambda: 7, keys=(_KEY,))
            members.restore(state.members, 0.0)
            members.handle_timer(1.0)


def kernel(data: bytes) -> None:
    """Read what rtnetlink says of interfaces and addresses.

    It comes from the kernel, but it is octets all the same.
    """
    found = Networks()
    for kind, body in messages(data):
        with contextlib.suppress(struct.error):
            found.take(kind, body, {2})
            _read_link(body)
    found.forget({2}, {2})


_KEY = b"k" * 32


def members_entries(data: bytes) -> None:
    """Read entries; those that can be used are written, and must be read as the same again."""
    with contextlib.suppress(BadEntryError):
        found = read(data).entries
        assert read(b"".join(write(key, value) for key, value in found)).entries == found


def members_entries_v1(data: bytes) -> None:
    with contextlib.suppress(BadEntryError):
        found = entries_v1.read(data).entries
        entries_v1.read(b"".join(entries_v1.write(key, value) for key, value in found))


def members_packet_head(data: bytes) -> None:
    """Any head with a good tag, in both versions."""
    for begin in (b"", b"vL\x01", b"vL\x02"):
        content = begin + data[len(begin) :]
        found = members_packet.decode(_tagged(content), (_KEY,))
        if isinstance(found, members_packet.Packet):
            assert members_packet.decode(found.encode(_KEY), (_KEY,)) == found


def _tagged(content: bytes) -> bytes:
    return content + hmac.digest(_KEY, content, "sha256")[: members_packet.TAG]


def members(data: bytes) -> None:
    """Anything with a good tag, from a stranger and as an answer to a handshake."""
    one = Membership("a", PROFILES["default"], 0.0, random=lambda: 7, keys=(_KEY,))
    one.set_peers({"b": ((IPv4Address("10.99.0.2"), 7946),)}, 0.0)
    one.set_wants({}, 0.0)
    for number, (head, body) in enumerate(((data, b""), (b"", data)), 1):
        packet = members_packet.Packet("b", 1, 2, 7, number, body=body).encode(_KEY)[: -members_packet.TAG]
        one.receive(_tagged(head + packet[len(head) :]), _PLACE, 0.0)
    for _heartbeat in range(30):
        one.handle_timer(one.timer())
    assert sum(len(octets) for _place, octets in one.output()) < 1_000_000


_PLACE = (IPv4Address("10.99.0.2"), 7946)
_SOME: list[Entry] = [
    ((Kind.NODE, "b"), Node(1, Condition.ALIVE)),
    ((Kind.VOTES, "b"), Votes(1, 1, (("a", 1),))),
    ((4, "b"), Opaque(b"later")),
]
_ENTRIES = b"".join(write(key, value) for key, value in _SOME)
_ENTRIES_V1 = b"".join(entries_v1.write(key, value) for key, value in _SOME)
_HEADS = [
    members_packet.Packet("b", 1, 2, 7, 1, body=_ENTRIES, version=version).encode(_KEY)[: -members_packet.TAG]
    for version in (1, 2)
]

_MESSAGES = [octets for octets, _message in CASES.values()]
_BODIES: dict[MessageType, list[bytes]] = {kind: [] for kind in MessageType}
for _octets in _MESSAGES:
    _BODIES[MessageType(_octets[18])].append(b"\0" + _octets[19:])
_BFD = packet.ControlPacket(BfdState.UP, Diagnostic(0), 3, 1, 2, 0.1, 0.1, 0.05, poll=True)

_LINES = [
    line({"r1": write_settings(BfdSettings(IPv4Address("10.99.0.2"))), "r2": write_status(BfdStatus())}),
    line({"r1": {"peer": "fe80::1", "interface": "eth0", "echo_interval": 0.05, "local": "nothing"}}),
]

_DAEMON = Path(__file__).parents[1] / "daemon"
_RELEASE = {
    name: json.loads((_DAEMON / name / "recorded" / "release-0.1.0.json").read_text())
    for name in ("layer2_agent", "bfd")
}
_HAND_OVERS = [b"".join(line(each) for each in found["hand_over"]) for found in _RELEASE.values()]
_LAYER2 = [line(_RELEASE["layer2_agent"]["want"]), line(_RELEASE["layer2_agent"]["status"][0])]
_ADDRESS = struct.pack("=BBBBIHH4s", 2, 24, 0, 0, 2, 8, 1, b"\xc0\0\2\1")
_LINK = struct.pack("=BxHiIIHH4s", 0, 1, 2, 3, 0, 8, 3, b"eth\0")
_NETLINK = [
    struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body
    for kind, body in ((20, _ADDRESS), (16, _LINK))
]

_FRAMES = [octets for octets, _message in (*segment.ARP.values(), *segment.NDP.values())]

# By name: what is called, and the octets that it begins with.
TARGETS: dict[str, tuple[Callable[[bytes], None], list[bytes]]] = {
    "stream": (stream, [b"\x10" + octets for octets in _MESSAGES]),
    "update": (update, _BODIES[MessageType.UPDATE]),
    "open": (open_message, _BODIES[MessageType.OPEN]),
    "others": (other_messages, [*_BODIES[MessageType.NOTIFICATION], *_BODIES[MessageType.ROUTE_REFRESH]]),
    "session": (session, [first + octets for octets in _MESSAGES for first in (b"\0", b"\xff")]),
    "bfd": (bfd_packet, [_BFD.encode()]),
    "bfd-control": (bfd_control, _LINES),
    "layer2": (layer2_frame, _FRAMES),
    "layer2-checked": (layer2_checked, _FRAMES),
    "members-entries": (members_entries, [_ENTRIES]),
    "members-entries-v1": (members_entries_v1, [_ENTRIES_V1]),
    "members-head": (members_packet_head, _HEADS),
    "members": (members, [_ENTRIES, members_packet.Packet("b", 1, 2, 7, 1, body=_ENTRIES).encode(_KEY)]),
    "layer2-control": (layer2_control, _LAYER2),
    "hand-over": (hand_over, _HAND_OVERS),
    "kernel": (kernel, _NETLINK),
    "advertisement": (
        router_advertisement,
        [encode_advertisement(b"\2\0\0\0\0\1"), encode_solicitation(b"\2\0\0\0\0\1")],
    ),
}
