# SPDX-License-Identifier: GPL-3.0-or-later
"""Peers that dial us, over real sockets on loopback."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from ipaddress import ip_address, ip_network

import pytest
from daemon.bgp.listening import OPEN, SimulatedNetwork, call, mirrored, peer_settings, until
from support.netstat import counter
from support.ports import free_port

from vipcast.bgp.fsm import State
from vipcast.bgp.messages import Keepalive, Notification, encode
from vipcast.bgp.peer import refusal_message
from vipcast.bgp.route import Route
from vipcast.model.addresses import IPAddress
from vipcast.net.listener import Listener

VIP = Route(ip_network("10.9.0.1/32"))


@pytest.fixture
async def simulated_network() -> AsyncIterator[SimulatedNetwork]:
    made = SimulatedNetwork()
    yield made
    await made.end()


async def test_a_passive_peer_is_waited_for_and_never_dialled(simulated_network: SimulatedNetwork) -> None:
    listener = Listener(free_port())
    settings = peer_settings(listener.port, passive=True)
    waiting = simulated_network.start(settings, listener)
    waiting.set_routes(frozenset({VIP}))
    await asyncio.sleep(0.5)
    assert waiting.status().state is State.ACTIVE
    assert waiting.status().counters.connects == 0
    calling = simulated_network.start(mirrored(settings))
    await until(lambda: waiting.status().established and calling.status().established)
    await until(lambda: calling.status().counters.prefixes_received == 1)
    assert not listener.strangers


async def test_both_dial_and_both_listen_and_one_session_comes_of_it(
    simulated_network: SimulatedNetwork,
) -> None:
    """Each listens on an address of its own, so that the two ends of one machine are two hosts."""
    port = free_port()
    ends = {
        ip_address("127.0.0.1"): ip_address("127.0.0.2"),
        ip_address("127.0.0.2"): ip_address("127.0.0.1"),
    }
    listener = Listener(port, always=True)
    left, right = (
        simulated_network.start(
            peer_settings(
                port, name=str(there), address=there, source_address=here,
                local_asn=64500 + here.packed[3], remote_asn=64500 + there.packed[3],
            ),
            listener,
        )
        for here, there in ends.items()
    )  # fmt: skip
    await until(lambda: left.status().established and right.status().established)
    await asyncio.sleep(0.5)
    assert left.status().established
    assert right.status().established
    assert left.status().counters.established <= 2


async def test_strangers_are_refused_and_counted(simulated_network: SimulatedNetwork) -> None:
    met: list[IPAddress] = []
    listener = Listener(free_port(), met=met.append)
    peering = simulated_network.start(peer_settings(listener.port, passive=True), listener)
    await until(lambda: peering.status().state is State.ACTIVE)
    for count in range(1, 4):
        reader, writer = await call(listener.port, "127.0.0.9")
        assert await reader.read() == refusal_message()
        writer.close()
        seen = {str(source): each.connections for source, each in listener.strangers.items()}
        assert seen == {"127.0.0.9": count}
    assert met == list(listener.strangers)
    assert peering.status().state is State.ACTIVE


async def test_only_the_latest_strangers_are_remembered(simulated_network: SimulatedNetwork) -> None:
    listener = Listener(free_port())
    peering = simulated_network.start(peer_settings(listener.port, passive=True), listener)
    await until(lambda: peering.status().state is State.ACTIVE)
    for number in range(10, 60):
        reader, writer = await call(listener.port, f"127.0.0.{number}")
        assert await reader.read() == refusal_message()
        writer.close()
    assert len(listener.strangers) <= 16
    assert str(list(listener.strangers)[-1]) == "127.0.0.59"


async def test_who_calls_during_a_session_is_refused_and_the_session_stays(
    simulated_network: SimulatedNetwork,
) -> None:
    listener = Listener(free_port())
    settings = peer_settings(listener.port, passive=True)
    peering = simulated_network.start(settings, listener)
    simulated_network.start(mirrored(settings))
    await until(lambda: peering.status().established)
    reader, writer = await call(listener.port)
    assert await reader.read() == encode(Notification(6, 7))
    writer.close()
    assert peering.status().established
    assert peering.status().counters.established == 1


async def test_many_half_open_calls_of_a_peer_cost_one_session(simulated_network: SimulatedNetwork) -> None:
    """A peer that dials and says nothing, a hundred times: the newest counts, the others are let go."""
    listener = Listener(free_port())
    settings = peer_settings(listener.port, passive=True)
    peering = simulated_network.start(settings, listener)
    await until(lambda: peering.status().state is State.ACTIVE)
    writers = [(await call(listener.port))[1] for _each in range(100)]
    await asyncio.sleep(0.2)
    assert len(peering._connections) <= 2
    assert len(peering._peer_sessions.sessions) <= 2
    for writer in writers:
        writer.close()
    simulated_network.start(mirrored(settings))
    await until(lambda: peering.status().established)


async def test_a_peer_that_fails_too_often_is_kept_waiting_and_then_served(
    simulated_network: SimulatedNetwork,
) -> None:
    listener = Listener(free_port())
    peering = simulated_network.start(peer_settings(listener.port, passive=True, connect_time=1), listener)
    await until(lambda: peering.status().state is State.ACTIVE)
    for _again in range(2):
        reader, writer = await call(listener.port)
        writer.write(OPEN + encode(Notification(6, 4)))
        await reader.read()
        writer.close()
        await until(lambda: peering.status().state is State.IDLE)
    reader, writer = await call(listener.port)
    await asyncio.sleep(0.1)
    assert peering.status().state is State.IDLE, "it has failed twice in a row"
    writer.write(OPEN + encode(Keepalive()))
    await until(lambda: peering.status().established)
    writer.close()


async def test_a_port_that_is_taken_is_a_problem_with_a_name_until_it_is_free(
    simulated_network: SimulatedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vipcast.net.listener.RETRY", 0.05)
    with socket.create_server(("", 0)) as other:
        listener = Listener(other.getsockname()[1])
        waiting = simulated_network.start(peer_settings(listener.port, passive=True), listener)
        elsewhere = simulated_network.start(peer_settings(listener.port), listener)
        await until(lambda: waiting.status().problem)
        assert "another program of this host does" in waiting.status().problem
        assert f"port {listener.port}" in waiting.status().problem
        assert not elsewhere.status().problem, "who dials needs no port"
    await until(lambda: not waiting.status().problem)
    calling = simulated_network.start(mirrored(waiting.settings))
    await until(lambda: calling.status().established)


async def test_a_passive_peer_without_a_listener_says_so(simulated_network: SimulatedNetwork) -> None:
    assert "nothing listens" in simulated_network.start(peer_settings(179, passive=True)).status().problem


async def test_the_socket_goes_with_its_last_peer(simulated_network: SimulatedNetwork) -> None:
    listener = Listener(free_port())
    peers = [
        simulated_network.start(
            peer_settings(listener.port, passive=True, address=ip_address(f"127.0.0.{n}")), listener
        )
        for n in (1, 2)
    ]
    await until(lambda: all(peer.status().state is State.ACTIVE for peer in peers))
    await peers[0].close()
    _reader, writer = await call(listener.port, "127.0.0.2")
    writer.close()
    await peers[1].close()
    with pytest.raises(OSError, match="Connect call failed"):
        await call(listener.port)


async def test_ipv6_has_a_socket_of_its_own(simulated_network: SimulatedNetwork) -> None:
    listener = Listener(free_port())
    four = simulated_network.start(peer_settings(listener.port, passive=True), listener)
    six = simulated_network.start(
        peer_settings(listener.port, passive=True, address=ip_address("::1")), listener
    )
    calling = simulated_network.start(mirrored(six.settings, address=ip_address("::1")))
    await until(lambda: six.status().established and calling.status().established)
    assert four.status().state is State.ACTIVE


@pytest.mark.parametrize(("host", "wrong"), [("127.0.0.1", False), ("127.0.0.1", True), ("::1", False)])
async def test_a_password_guards_the_listening_side_too(
    simulated_network: SimulatedNetwork, host: str, wrong: bool
) -> None:
    """RFC 2385, on the socket that many peers share."""
    listener = Listener(free_port())
    address = ip_address(host)
    waiting = simulated_network.start(
        peer_settings(listener.port, passive=True, address=address, password="secret"), listener
    )
    calling = simulated_network.start(
        mirrored(waiting.settings, address=address, password="other" if wrong else "secret")
    )
    if wrong:
        await until(lambda: "a password that differs" in calling.status().last_error, 20)
        assert waiting.status().counters.connects == 0
        assert not calling.status().established
    else:
        await until(lambda: waiting.status().established and calling.status().established)


async def test_a_password_that_is_no_longer_asked_for_is_gone_from_the_socket(
    simulated_network: SimulatedNetwork,
) -> None:
    listener = Listener(free_port())
    signed = simulated_network.start(peer_settings(listener.port, passive=True, password="secret"), listener)
    other = simulated_network.start(
        peer_settings(listener.port, passive=True, address=ip_address("127.0.0.9")), listener
    )
    await until(lambda: other.status().state is State.ACTIVE)
    await signed.close()
    plain = simulated_network.start(peer_settings(listener.port, passive=True), listener)
    calling = simulated_network.start(mirrored(plain.settings))
    await until(lambda: plain.status().established and calling.status().established)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_ttl_security_between_neighbors(simulated_network: SimulatedNetwork, host: str) -> None:
    """RFC 5082: both send with 255; who sends with less is not heard."""
    listener = Listener(free_port())
    address = ip_address(host)
    waiting = simulated_network.start(
        peer_settings(listener.port, passive=True, address=address, ttl_security_hops=1), listener
    )
    near = simulated_network.start(mirrored(waiting.settings, address=address, ttl_security_hops=1))
    await until(lambda: waiting.status().established and near.status().established)
    await near.close()
    await until(lambda: not waiting.status().established)
    before = waiting.status().counters.bytes_in
    far = simulated_network.start(mirrored(waiting.settings, address=address, multihop=True))
    await until(lambda: far.status().state is State.OPEN_CONFIRM)
    refused = counter("TCPMinTTLDrop")
    # What it has sent is sent again and again, as the kernel lets none of it through.
    await until(lambda: counter("TCPMinTTLDrop") >= refused + 2, 20)
    assert waiting.status().counters.bytes_in == before
    assert not far.status().established
    assert not waiting.status().established
