# SPDX-License-Identifier: GPL-3.0-or-later
"""What is fuzzed with coverage guidance: every decoder that reads what somebody else has sent.

A target takes any octets. Whatever it raises is a finding; errors that a decoder declares are caught in it.
"""

from __future__ import annotations

import contextlib
import hmac
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address

from daemon.bgp.cable import settings
from daemon.bgp.wire_cases import CASES
from daemon.layer2 import wire_cases as segment

from vipcast.bfd import packet
from vipcast.bfd.fsm import BfdState, Diagnostic
from vipcast.bfd.settings import BadSettingsError, BfdSettings, BfdStatus
from vipcast.bgp.errors import RemoteError
from vipcast.bgp.framing import Frame, FrameBuffer, MessageType
from vipcast.bgp.fsm import State
from vipcast.bgp.messages import Keepalive, Notification, Open, Update, decode, encode
from vipcast.bgp.session import Session
from vipcast.layer2 import arp, ndp
from vipcast.layer2.frames import FrameError
from vipcast.layer2.responder import Responder
from vipcast.members import PROFILES, Members
from vipcast.members import packet as members_packet
from vipcast.members.entries import BadEntryError, Condition, Kind, Node, Votes, read, write
from vipcast.net.bfd_protocol import read_settings, read_status, write_settings, write_status
from vipcast.net.lines import ProtocolError, line, read_line
from vipcast.net.router_advertisement import (
    encode_advertisement,
    encode_solicitation,
    valid_kind,
)

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
    four_octet, internal = bool(data[:1] < b"\x80"), (None, True, False)[len(data) % 3]
    try:
        message = decode(Frame(kind, data[1:].ljust(least, b"\0")), four_octet=four_octet, internal=internal)
    except RemoteError as error:
        assert len(encode(Notification(error.code, error.subcode, error.data))) <= 4096
        return
    _writable(message, four_octet)


def _writable(message: object, four_octet: bool) -> None:
    """What was read without complaint is written, and read as the same again."""
    if isinstance(message, Update) and not message.problems:
        data = encode(message, four_octet=four_octet, max_length=LONGEST * 2)[19:]
        assert decode(Frame(MessageType.UPDATE, data), four_octet=four_octet) == message
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
    while (at := one.timer()) is not None and at < 20:
        one.handle_timer(at)
    one.stop(20.0, "enough")
    assert one.state is State.IDLE


def bfd_packet(data: bytes) -> None:
    found = packet.decode(data)
    if isinstance(found, packet.ControlPacket):
        assert packet.decode(found.encode()) == found


def layer2_frame(data: bytes) -> None:
    """What is read is written again as the same; an answer can be read, and who gets none is counted."""
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
    """What the BFD process and its clients read of each other."""
    with contextlib.suppress(ProtocolError):
        message = read_line(data)
        for reader in (read_settings, read_status):
            for written in message.values():
                with contextlib.suppress(ProtocolError, BadSettingsError):
                    reader(written)


_KEY = b"k" * 32


def members_entries(data: bytes) -> None:
    with contextlib.suppress(BadEntryError):
        assert read(b"".join(write(key, value) for key, value in read(data))) == read(data)


def members(data: bytes) -> None:
    """Anything with a good tag, from a stranger and as an answer to a greeting."""
    one = Members("a", PROFILES["default"], 0.0, random=lambda: 7, keys=(_KEY,))
    one.set_peers({"b": ((IPv4Address("10.99.0.2"), 7946),)}, 0.0)
    one.set_wants({}, 0.0)
    for number, (head, body) in enumerate(((data, b""), (b"", data)), 1):
        packet = members_packet.Packet("b", 1, 2, 7, number, body=body).encode(_KEY)[: -members_packet.TAG]
        content = head + packet[len(head) :]
        one.receive(content + hmac.digest(_KEY, content, "sha256")[: members_packet.TAG], _PLACE, 0.0)
    for _beat in range(30):
        one.handle_timer(one.timer())
    assert sum(len(octets) for _place, octets in one.output()) < 1_000_000


_PLACE = (IPv4Address("10.99.0.2"), 7946)
_ENTRIES = b"".join(
    (
        write((Kind.NODE, "b"), Node(1, Condition.ALIVE)),
        write((Kind.VOTES, "b"), Votes(1, 1, (("a", 1),))),
    )
)

_MESSAGES = [octets for octets, _message in CASES.values()]
_BODIES: dict[MessageType, list[bytes]] = {kind: [] for kind in MessageType}
for _octets in _MESSAGES:
    _BODIES[MessageType(_octets[18])].append(b"\0" + _octets[19:])
_BFD = packet.ControlPacket(BfdState.UP, Diagnostic(0), 3, 1, 2, 0.1, 0.1, 0.05, poll=True)

_LINES = [
    line({"r1": write_settings(BfdSettings(IPv4Address("10.99.0.2"))), "r2": write_status(BfdStatus())}),
    line({"r1": {"peer": "fe80::1", "interface": "eth0", "echo_interval": 0.05, "local": "nothing"}}),
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
    "members": (members, [_ENTRIES, members_packet.Packet("b", 1, 2, 7, 1, body=_ENTRIES).encode(_KEY)]),
    "advertisement": (
        router_advertisement,
        [encode_advertisement(b"\2\0\0\0\0\1"), encode_solicitation(b"\2\0\0\0\0\1")],
    ),
}
