# SPDX-License-Identifier: GPL-3.0-or-later
"""Peers that are slow, silent, half closed, flapping or endless: the session beside them never notices."""

from __future__ import annotations

import asyncio
import gc
import socket
import tracemalloc
from ipaddress import ip_address, ip_network

import pytest
from daemon.bgp.listening import OPEN, SimulatedNetwork, call, mirrored, peer_settings, until
from support.ports import free_port

from vipcast.bgp.fsm import State
from vipcast.bgp.messages import Keepalive, Notification, encode
from vipcast.bgp.route import Route
from vipcast.net.listener import Listener
from vipcast.net.peering import Peering


@pytest.fixture
async def simulated_network():  # type: ignore[no-untyped-def]
    made = SimulatedNetwork()
    yield made
    await made.end()


async def good_pair(simulated_network: SimulatedNetwork, hold_time: int = 9) -> Peering:
    """Two of ours: a stall of ``hold_time`` seconds ends it."""
    listener = Listener(free_port())
    settings = peer_settings(listener.port, passive=True, hold_time=hold_time)
    waiting = simulated_network.start(settings, listener)
    simulated_network.start(mirrored(settings, hold_time=hold_time))
    await until(lambda: waiting.status().established)
    return waiting


def undisturbed(good: Peering) -> bool:
    return good.status().established and good.status().counters.established == 1


async def bad_peer(simulated_network: SimulatedNetwork, **values: object) -> tuple[Peering, Listener]:
    listener = Listener(free_port())
    values = {"passive": True, "address": ip_address("127.0.0.2"), **values}
    peering = simulated_network.start(peer_settings(listener.port, **values), listener)
    await until(lambda: peering.status().state is State.ACTIVE)
    return peering, listener


async def test_an_open_that_never_ends_is_read_no_further_than_its_length(
    simulated_network: SimulatedNetwork,
) -> None:
    """An OPEN of 4096 octets, one octet at a time; then a header that promises more than BGP allows."""
    good = await good_pair(simulated_network)
    bad, listener = await bad_peer(simulated_network)
    _reader, writer = await call(listener.port, "127.0.0.2")
    for octet in (b"\xff" * 16 + (4096).to_bytes(2, "big") + b"\1").ljust(2000, b"\4"):
        writer.write(bytes((octet,)))
        if octet == 4:
            await asyncio.sleep(0)
    await asyncio.sleep(0.2)
    assert bad.status().state is State.OPEN_SENT
    assert bad.status().counters.bytes_in <= 2000
    writer.close()
    await until(lambda: bad.status().state is not State.OPEN_SENT)
    _reader, writer = await call(listener.port, "127.0.0.2")
    writer.write(b"\xff" * 16 + (65535).to_bytes(2, "big") + b"\1" + bytes(100_000))
    await until(lambda: "Bad Message Length" in bad.status().last_error)
    writer.close()
    assert undisturbed(good)


async def test_a_flapping_peer_disturbs_nobody(simulated_network: SimulatedNetwork) -> None:
    """Serve a peer that connects too often; how often is in test_neighbor.py, in virtual time."""
    good = await good_pair(simulated_network)
    bad, listener = await bad_peer(simulated_network, connect_time=0.1)
    async with asyncio.timeout(60):
        while bad.status().counters.connects < 5:
            _reader, writer = await call(listener.port, "127.0.0.2")
            writer.write(OPEN + encode(Keepalive()) + encode(Notification(6, 4)))
            await asyncio.sleep(0.05)
            writer.close()
    assert undisturbed(good)


async def test_a_peer_that_dials_without_end_costs_a_bounded_number_of_sockets(
    simulated_network: SimulatedNetwork,
) -> None:
    good = await good_pair(simulated_network)
    bad, listener = await bad_peer(simulated_network)
    held = [(await call(listener.port, "127.0.0.2"))[1] for _each in range(300)]
    assert len(bad._open_streams) <= 8
    assert len(bad._connections) <= 2
    for writer in held:
        writer.close()
    assert undisturbed(good)
    await until(lambda: "the peer closed the connection" in bad.status().last_error)


async def test_a_half_closed_peer_is_told_and_left(simulated_network: SimulatedNetwork) -> None:
    good = await good_pair(simulated_network)
    bad, listener = await bad_peer(simulated_network)
    _reader, writer = await call(listener.port, "127.0.0.2")
    writer.write(OPEN + encode(Keepalive()))
    await until(lambda: bad.status().established)
    writer.write_eof()
    await until(lambda: not bad.status().established)
    assert "the peer closed the connection" in bad.status().last_error
    writer.close()
    assert undisturbed(good)


async def test_a_silent_peer_is_left_after_the_hold_time(simulated_network: SimulatedNetwork) -> None:
    good = await good_pair(simulated_network)
    bad, listener = await bad_peer(simulated_network, hold_time=3)
    reader, writer = await call(listener.port, "127.0.0.2")
    writer.write(OPEN + encode(Keepalive()))
    await until(lambda: bad.status().established)
    await until(lambda: not bad.status().established, 6)
    assert "Hold Timer Expired" in bad.status().last_error
    assert (await reader.read())[-2:] == b"\4\0"
    writer.close()
    assert undisturbed(good)


async def test_others_get_their_turn_while_a_hundred_thousand_routes_go_out(
    simulated_network: SimulatedNetwork,
) -> None:
    """They are made message by message, as the connection takes them, and not at one go."""
    routes = frozenset(Route(ip_network((0x0A000000 + i, 32))) for i in range(100_000))
    good = await good_pair(simulated_network, hold_time=30)
    bad, _listener = await bad_peer(simulated_network, hold_time=90)
    calling = simulated_network.start(
        mirrored(bad.settings, hold_time=90, source_address=ip_address("127.0.0.2"))
    )
    await until(lambda: bad.status().established)
    bad.set_routes(routes)
    counters, turns = bad._peer_sessions.memory.counters, 0
    async with asyncio.timeout(120):
        while counters.prefixes_sent < len(routes):
            turns += 1
            await asyncio.sleep(0)
    assert turns >= 5
    await until(lambda: calling.status().counters.prefixes_received == len(routes), 60)
    assert undisturbed(good)


async def test_a_thousand_connections_leave_no_memory_behind(simulated_network: SimulatedNetwork) -> None:
    """A stranger and a peer that fails make us keep nothing."""
    bad, listener = await bad_peer(simulated_network)

    async def bother(times: int) -> None:
        for number in range(times):
            source = "127.0.0.2" if number % 2 else f"127.0.{number % 250}.9"
            _reader, writer = await call(listener.port, source)
            writer.write(OPEN + b"rubbish" * 100)
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            writer.close()
        await until(lambda: not bad._open_streams)

    await bother(100)
    tracemalloc.start()
    await bother(1000)
    gc.collect()
    grown, _peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 300_000
    assert listener.refused >= 500
    assert len(listener.strangers) <= 16
    assert len(bad._connections) <= 2
