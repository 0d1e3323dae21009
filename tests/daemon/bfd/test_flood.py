# SPDX-License-Identifier: GPL-3.0-or-later
"""More packets than can be read: what is due is sent all the same, and what is heard still counts."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest
from daemon.bfd.control_packets import control, dropped
from daemon.bfd.harness import Asker, BfdProcess, Ends, both_up, settings
from daemon.bfd.pod import flood, inside
from daemon.interop.network import Cable

from vipcast.bfd.echo import encode as encode_echo
from vipcast.bfd.fsm import BfdState
from vipcast.bfd.packet import Drop
from vipcast.net import bfd_echo, bfd_sockets
from vipcast.net.bfd_filter import Expected, control_filter, detach
from vipcast.net.bfd_sockets import ReceiverKey
from vipcast.net.packet_sockets import attach_filter

KEY = ReceiverKey(4, multihop=False, vrf=None)


def test_a_stream_of_rubbish_stops_no_session(cable: Cable, far: Ends, near: BfdProcess) -> None:
    with Asker(cable.node, {"r": settings()}) as asker:
        both_up(asker, far[1])
        assert flood(cable.router, b"x") > 10_000
        for end in (asker, far[1]):
            assert end.status().up and end.status().counters.down_events == 0
        assert dropped(near)[Drop.IN_THE_KERNEL.value] > 10_000
        assert "too short" not in dropped(near), "it costs us nothing"


def test_a_stream_that_the_filter_lets_pass_stops_no_session(
    cable: Cable, far: Ends, near: BfdProcess
) -> None:
    """It is from the router's address and interface, and names our session: only the multiplier is wrong."""
    with Asker(cable.node, {"r": settings()}) as asker:
        both_up(asker, far[1])
        ours = asker.status().local_discriminator
        packet = control(state=BfdState.UP, your_discriminator=ours, detect_multiplier=0)
        flood(cable.router, packet.encode())
        assert dropped(near)[Drop.NO_MULTIPLIER.value] > 1000
        assert far[1].status().counters.down_events == 0, "we have sent what was due"


@pytest.mark.parametrize("kind", ["control", "echo"])
def test_reading_ends_though_packets_come_as_fast_as_they_are_read(cable: Cable, kind: str) -> None:
    reads = {"control": _refilled_control, "echo": _refilled_echo}[kind]

    def read() -> None:
        assert len(list(itertools.islice(reads(), 5000))) == bfd_sockets.AT_ONCE

    inside(cable.node, read)


def _refilled_control() -> Iterator[object]:
    """Another packet comes for each that is read."""
    with bfd_sockets.open_receiver(KEY) as receiver, socket.socket(type=socket.SOCK_DGRAM) as sender:
        sender.sendto(b"x", ("127.0.0.1", 3784))
        for heard in bfd_sockets.receive(receiver):
            yield heard
            sender.sendto(b"x", ("127.0.0.1", 3784))


def _refilled_echo() -> Iterator[object]:
    with bfd_echo.open_port([11]) as receiver, socket.socket(type=socket.SOCK_DGRAM) as sender:
        sender.bind(("127.0.0.1", 0))
        sender.sendto(encode_echo(11, 1), ("127.0.0.1", 3785))
        for heard in bfd_echo.receive(receiver):
            yield heard
            sender.sendto(encode_echo(11, 1), ("127.0.0.1", 3785))


# ---- the filter, packet by packet, in the kernel ----

_OURS = Expected(11, ip_address("127.0.0.1"), frozenset({1}), 255)
_TAKEN: dict[str, tuple[dict[str, Any], bytes | None]] = {
    "first packet of the peer": ({}, None),
    "with our discriminator": ({"your_discriminator": 11}, None),
    "longer than it says": ({"your_discriminator": 11}, b"0" * 28),
}
_NOT_TAKEN: dict[str, tuple[dict[str, Any], Expected]] = {
    "discriminator of nobody": ({"your_discriminator": 12}, _OURS),
    "first packet of another address": ({}, replace(_OURS, source=ip_address("127.0.0.9"))),
    "first packet on another interface": ({}, replace(_OURS, interfaces=frozenset({99}))),
    "first packet, and there is no route": ({}, replace(_OURS, interfaces=frozenset())),
}


def _passes(cable: Cable, packet: bytes, *expected: Expected, ttl: int = 255, times: int = 1) -> int:
    """Return how many of the packets a filter for these sessions lets through."""
    found = []

    def ask() -> None:
        with bfd_sockets.open_receiver(KEY) as receiver, socket.socket(type=socket.SOCK_DGRAM) as sender:
            attach_filter(receiver, control_filter(4, expected))
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
            for _each in range(times):
                sender.sendto(packet, ("127.0.0.1", 3784))
            found.append(len(list(bfd_sockets.receive(receiver, times + 1))))

    inside(cable.node, ask)
    return found[0]


@pytest.mark.parametrize("case", _TAKEN)
def test_what_may_be_a_session_s_passes(cable: Cable, case: str) -> None:
    values, more = _TAKEN[case]
    packet = control(**values).encode() + (more or b"")
    others = (replace(_OURS, discriminator=5, source=ip_address("127.0.0.7")),)
    assert _passes(cable, packet, *others, _OURS) == 1


@pytest.mark.parametrize("case", _NOT_TAKEN)
def test_what_is_no_session_s_does_not_pass(cable: Cable, case: str) -> None:
    values, expected = _NOT_TAKEN[case]
    assert _passes(cable, control(**values).encode(), expected) == 0


@pytest.mark.parametrize("packet", [b"", b"x" * 23, b"\0" * 24, b"\x40" + b"\0" * 23], ids=len)
def test_what_is_no_control_packet_does_not_pass(cable: Cable, packet: bytes) -> None:
    assert _passes(cable, packet, _OURS) == 0


def test_of_packets_with_a_low_ttl_a_few_pass_so_that_they_can_be_named(cable: Cable) -> None:
    packet = control().encode()
    assert 0 < _passes(cable, packet, _OURS, ttl=254, times=400) < 200


def test_a_socket_with_more_sessions_than_a_program_holds_takes_every_control_packet(cable: Cable) -> None:
    many = [replace(_OURS, discriminator=number) for number in range(100, 400)]
    assert _passes(cable, control(your_discriminator=11).encode(), *many) == 1
    assert _passes(cable, b"x" * 30, *many) == 0


def test_without_its_filter_a_socket_takes_everything_again(cable: Cable) -> None:
    """A process of another version may take the socket over, and sets no filter."""

    def ask() -> None:
        with bfd_sockets.open_receiver(KEY) as receiver, socket.socket(type=socket.SOCK_DGRAM) as sender:
            attach_filter(receiver, control_filter(4, [_OURS]))
            for count in (0, 1):
                sender.sendto(control(your_discriminator=12).encode(), ("127.0.0.1", 3784))
                assert len(list(bfd_sockets.receive(receiver))) == count
                detach(receiver)
                detach(receiver)  # it has none now, and nothing happens

    inside(cable.node, ask)


def test_ipv6_packets_are_told_apart_too(cable: Cable) -> None:
    key = ReceiverKey(6, multihop=False, vrf=None)
    here = Expected(11, ip_address("::1"), frozenset({1}), 255)
    elsewhere = replace(here, source=ip_address("fd99::9"))

    def ask() -> None:
        for expected, count in ((here, 1), (elsewhere, 0)):
            with (
                bfd_sockets.open_receiver(key) as receiver,
                socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender,
            ):
                attach_filter(receiver, control_filter(6, [elsewhere, expected]))
                sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 255)
                sender.sendto(control().encode(), ("::1", 3784))
                assert len(list(bfd_sockets.receive(receiver))) == count

    inside(cable.node, ask)
