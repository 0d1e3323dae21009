# SPDX-License-Identifier: GPL-3.0-or-later
"""A peering over real sockets on loopback, with peers that misbehave in every way that TCP has."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address, ip_address, ip_network

import pytest
from daemon.bgp.listening import until
from daemon.bgp.wire_cases import CASES

from vipcast.bgp import timers
from vipcast.bgp.errors import LocalError
from vipcast.bgp.export import Withheld
from vipcast.bgp.framing import FrameBuffer
from vipcast.bgp.fsm import State
from vipcast.bgp.messages import Keepalive, Message, Notification, Open, Update, decode, encode
from vipcast.bgp.route import Route
from vipcast.net.peering import Peering, PeerSettings
from vipcast.net.status import PeerStatus
from vipcast.net.tcp_stream import TcpStream

VIP = Route(ip_network("10.9.0.1/32"))
OPEN = encode(Open.of(64512, 9, IPv4Address("192.0.2.2")))
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def peer_settings(port: int, **values: object) -> PeerSettings:
    defaults = {
        "name": "r",
        "address": ip_address("127.0.0.1"),
        "port": port,
        "local_asn": 64513,
        "remote_asn": 64512,
        "hold_time": 9,
        "connect_time": 0.1,
    }
    return PeerSettings(**{**defaults, **values})  # type: ignore[arg-type]


class Lab:
    """Servers and peerings; all are gone afterwards."""

    def __init__(self) -> None:
        self._servers: list[asyncio.Server] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.notified = 0

    async def serve(self, handler: Handler, host: str = "127.0.0.1") -> int:
        server = await asyncio.start_server(handler, host, 0)
        self._servers.append(server)
        port: int = server.sockets[0].getsockname()[1]
        return port

    def keep(self, server: asyncio.Server) -> None:
        self._servers.append(server)

    def start(self, settings: PeerSettings) -> tuple[Peering, asyncio.Task[None]]:
        peering = Peering(settings, notify=self._count)
        task = asyncio.create_task(peering.run())
        self._tasks.append(task)
        return peering, task

    def _count(self) -> None:
        self.notified += 1

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for server in self._servers:
            server.close()


@pytest.fixture
async def lab():  # type: ignore[no-untyped-def]
    made = Lab()
    yield made
    await made.end()


class Router:
    """A peer that behaves: remembers what it was told."""

    def __init__(self) -> None:
        self.heard: list[Message] = []
        self.writers: list[asyncio.StreamWriter] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        writer.write(OPEN + encode(Keepalive()))
        frames = FrameBuffer()
        while data := await reader.read(4096):
            frames.receive(data)
            self.heard += [decode(frame) for frame in frames]
        writer.close()


async def test_up_announce_and_close_with_a_reason(lab: Lab) -> None:
    router = Router()
    peering, task = lab.start(peer_settings(await lab.serve(router)))
    peering.set_routes(frozenset({VIP}))
    await until(lambda: peering.status().established and not peering.status().pending)
    assert peering.status().announced == {VIP}
    assert lab.notified >= 3
    await peering.close("enough")
    await asyncio.wait_for(task, 1)
    await until(lambda: isinstance(router.heard[-1], Notification))
    assert router.heard[-1] == Notification(6, 2, b"\x06enough")
    assert next(m.nlri for m in router.heard if isinstance(m, Update)) == (VIP.prefix,)
    assert peering.status().state is State.IDLE


async def test_a_cancelled_peering_says_goodbye_too(lab: Lab) -> None:
    router = Router()
    peering, task = lab.start(peer_settings(await lab.serve(router)))
    await until(lambda: peering.status().established)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: isinstance(router.heard[-1], Notification))


async def test_a_peering_closed_before_it_ran_does_not_run(lab: Lab) -> None:
    router = Router()
    peering = Peering(peer_settings(await lab.serve(router)), notify=lambda: None)
    await peering.close()
    await asyncio.wait_for(peering.run(), 1)
    assert router.writers == []


async def test_closing_while_nobody_answers_returns_at_once(lab: Lab) -> None:
    peering, task = lab.start(peer_settings(1, connect_time=30))
    await asyncio.sleep(0.05)
    await asyncio.wait_for(peering.close(), 0.5)
    await asyncio.wait_for(task, 0.5)


async def test_what_bfd_says_ends_the_session_and_it_comes_back(lab: Lab) -> None:
    """RFC 9384: Cease/BFD Down; the reason is in the status."""
    router = Router()
    peering, _task = lab.start(peer_settings(await lab.serve(router)))
    peering.bfd_down("too early to matter")
    await until(lambda: peering.status().established)
    peering.bfd_down("nothing heard for 0.9 s")
    assert peering.status().last_error == "we ended the session: Cease/BFD Down: nothing heard for 0.9 s"
    await until(lambda: Notification(6, 10) in router.heard)
    await until(lambda: peering.status().counters.established == 2)


async def _rubbish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await reader.read()
    writer.close()


async def _closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def _resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A NOTIFICATION and a reset right behind it: our end is gone before we have read why."""
    writer.write(OPEN + encode(Notification(6, 5)))
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _half_closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(OPEN)
    writer.write_eof()
    await reader.read()
    writer.close()


async def _says_no(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(encode(Notification(6, 5)))
    await reader.read()
    writer.close()


async def _floods(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Never reads, and does not stop before the connection is gone."""
    writer.write(OPEN + encode(Keepalive()))
    try:
        for _each in range(100_000):
            writer.write(CASES["UPDATE"][0] * 500)
            await writer.drain()
    except ConnectionError:
        pass
    writer.close()


@pytest.mark.parametrize("bad", [_rubbish, _closes, _resets, _half_closes, _says_no, _floods])
async def test_a_bad_peer_harms_nobody(lab: Lab, bad: Handler) -> None:
    """It is reported in words, it is not called in a loop, and the session beside it never notices."""
    calls = 0

    async def counted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal calls
        calls += 1
        await bad(reader, writer)

    good, _task = lab.start(peer_settings(await lab.serve(Router())))
    good.set_routes(frozenset({VIP}))
    await until(lambda: good.status().established)
    clock = asyncio.get_running_loop().time
    evil, task = lab.start(peer_settings(await lab.serve(counted)))
    evil.set_routes(frozenset({VIP}))
    began = clock()
    await until(lambda: evil.status().counters.prefixes_received > 1000 if bad is _floods else calls >= 5, 20)
    took = clock() - began
    assert not task.done(), "run never ends because of a peer"
    status: PeerStatus = evil.status()
    if bad is _floods:
        assert status.established
        assert status.counters.prefixes_received > 1000
    else:
        assert status.last_error
        least = 0.75 * 0.1 * 2 ** (5 - 2)  # 0.1, 0.1, 0.2 and 0.4 s, or up to a quarter less
        assert took >= least, "each failure doubles the wait"
        await until(lambda: evil.status().next_attempt_monotonic is not None)
    assert good.status().established
    assert good.status().counters.established == 1
    await asyncio.wait_for(evil.close(), 3)


async def test_a_peer_that_does_not_read_makes_us_hold_little(lab: Lab) -> None:
    """8,000 routes with 250 communities each are 8 MB; what the kernel doesn't take waits as routes."""
    release = asyncio.Event()

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        writer.transport.pause_reading()
        writer.write(OPEN + encode(Keepalive()))
        await release.wait()
        writer.close()

    peering, _task = lab.start(peer_settings(await lab.serve(deaf)))
    routes = (
        Route(ip_network((0x0A000000 + i, 32)), None, frozenset(range(i, i + 250))) for i in range(8000)
    )
    peering.set_routes(frozenset(routes))

    def paused() -> TcpStream | None:
        links = (connection.link for connection in peering._connections)
        return next((link for link in links if link is not None and link.paused), None)

    await until(paused, 20)
    link = paused()
    assert link is not None
    assert link._transport is not None
    assert link._transport.get_write_buffer_size() < 200_000  # type: ignore[attr-defined]
    assert len(peering.status().pending) > 1000
    release.set()


class Deaf:
    """A router that sends its KEEPALIVEs and, once it is told to be deaf, reads nothing any more."""

    def __init__(self) -> None:
        self.deaf = False

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OPEN + encode(Keepalive()))
        beat = asyncio.create_task(self._beat(writer))
        while not self.deaf and await reader.read(4096):
            pass
        await beat

    async def _beat(self, writer: asyncio.StreamWriter) -> None:
        while not writer.is_closing():
            writer.write(encode(Keepalive()))
            await asyncio.sleep(0.5)


async def _serve_with_little_room(lab: Lab, handler: Handler) -> int:
    """The port of a server whose kernel keeps little for it: the window is soon closed."""
    sock = socket.create_server(("127.0.0.1", 0))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    lab.keep(await asyncio.start_server(handler, sock=sock, limit=1024))
    port: int = sock.getsockname()[1]
    return port


async def _change_routes(peering: Peering, seconds: float, until_over: Callable[[], object]) -> None:
    for turn in range(int(seconds / 0.02)):
        peering.set_routes(frozenset({VIP}) if turn % 2 else frozenset())
        await asyncio.sleep(0.02)
        if until_over():
            return


async def test_a_router_that_takes_nothing_more_is_left_though_its_keepalives_come(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 9687. A load balancer's few octets wait in the kernel: our own buffer stays empty."""
    monkeypatch.setattr(timers, "MIN_SEND_HOLD_TIME", 2.0)  # twice the hold time is more: 6 s
    router = Deaf()
    peering, _task = lab.start(peer_settings(await _serve_with_little_room(lab, router), hold_time=3))
    await until(lambda: peering.status().established)
    router.deaf = True
    await _change_routes(peering, 25, lambda: not peering.status().established)
    assert "Send Hold Timer Expired" in peering.status().last_error


async def test_a_router_that_reads_is_not_left_however_much_is_under_way(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timers, "MIN_SEND_HOLD_TIME", 2.0)
    router = Deaf()
    peering, _task = lab.start(peer_settings(await _serve_with_little_room(lab, router), hold_time=3))
    await until(lambda: peering.status().established)
    await _change_routes(peering, 9, lambda: False)
    assert peering.status().established and peering.status().counters.established == 1


async def test_ipv6_transport(lab: Lab) -> None:
    settings = peer_settings(await lab.serve(Router(), "::1"), address=ip_address("::1"), node_name="node1")
    peering, _task = lab.start(settings)
    peering.set_routes(frozenset({VIP, Route(ip_network("fd00::1/128"))}))
    await until(lambda: peering.status().established)
    status = peering.status()
    assert str(status.local_router_id) == "64.37.239.133"
    assert status.withheld[VIP] is Withheld.NO_IPV4_NEXT_HOP


async def test_a_bug_of_ours_is_not_hidden(lab: Lab) -> None:
    """``run`` raises it, so that whoever started the peering learns of it."""

    def broken() -> None:
        raise ZeroDivisionError

    peering = Peering(peer_settings(await lab.serve(Router())), notify=broken)
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(peering.run(), 2)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"port": 0}, "port 0"),
        ({"password": "x" * 81}, "a password of 81 octets"),
        ({"password": ""}, "a password of 0 octets"),
        ({"source_address": ip_address("::1")}, "both of one IP version"),
        ({"hold_time": 2}, "hold time 2 s"),
        ({"address": None}, "neither an address nor an interface"),
        ({"interface": "a-very-long-name"}, "1 to 15 octets"),
        ({"address": None, "interface": "eth0", "source_address": ip_address("::1")}, "unnumbered"),
        ({"remote_asn": None}, "either a number, or internal or external"),
        ({"dynamic_asn": "external"}, "either a number, or internal or external"),
        ({"ttl_security_hops": 0}, "TTL security over 0 hops: 1 to 254"),
        ({"restart_time": 4096}, "restart time 4096 s: 0 to 4095"),
    ],
)
def test_settings_that_cannot_work_are_refused_by_name(values: dict[str, object], words: str) -> None:
    with pytest.raises(LocalError, match=words):
        peer_settings(**{"port": 179, **values})  # type: ignore[arg-type]
