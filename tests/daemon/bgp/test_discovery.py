# SPDX-License-Identifier: GPL-3.0-or-later
"""Router Advertisements: what is taken for one, and what two ends of a cable learn from each other."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Iterator
from ipaddress import IPv6Address

import pytest
from daemon.bfd.pod import inside
from daemon.interop.network import Cable, lacking, run
from daemon.interop.speaker import enter
from hypothesis import given
from hypothesis import strategies as st

from vipcast.net import discovery
from vipcast.net.discovery import Discovery
from vipcast.net.router_advertisement import (
    HOP_LIMIT,
    Kind,
    encode_advertisement,
    encode_solicitation,
    valid_kind,
)

ROUTER, GLOBAL = IPv6Address("fe80::1"), IPv6Address("2001:db8::1")
MAC = bytes.fromhex("020000000001")


def test_what_we_send_is_what_the_rfc_draws() -> None:
    """RFC 4861 sections 4.1, 4.2, 4.6.1; the checksum is the kernel's."""
    assert encode_advertisement(MAC).hex() == "86000000" + "00000000" + "00000000" * 2 + "0101" + MAC.hex()
    assert encode_solicitation(MAC).hex() == "85000000" + "00000000" + "0101" + MAC.hex()
    assert len(encode_advertisement(b"")) == 16, "a device without such an address has no such option"


@pytest.mark.parametrize(
    ("data", "source", "hops", "kind"),
    [
        (encode_advertisement(MAC), ROUTER, 255, Kind.ADVERTISEMENT),
        (encode_advertisement(b""), ROUTER, 255, Kind.ADVERTISEMENT),
        (encode_solicitation(MAC), ROUTER, 255, Kind.SOLICITATION),
        (encode_solicitation(b""), GLOBAL, 255, Kind.SOLICITATION),
        (encode_advertisement(MAC), ROUTER, 254, None),
        (encode_advertisement(MAC), GLOBAL, 255, None),
        (encode_advertisement(MAC)[:15], ROUTER, 255, None),
        (encode_solicitation(MAC)[:7], ROUTER, 255, None),
        (bytes((134, 1)) + bytes(14), ROUTER, 255, None),
        (encode_advertisement(b"") + bytes((1, 0)) + bytes(6), ROUTER, 255, None),
        (encode_advertisement(b"") + bytes((1, 2)) + bytes(6), ROUTER, 255, None),
        (encode_advertisement(b"") + b"\1", ROUTER, 255, None),
        (bytes((135, 0)) + bytes(30), ROUTER, 255, None),
        (b"", ROUTER, 255, None),
    ],
)
def test_what_the_rfc_has_discarded_is_discarded(
    data: bytes, source: IPv6Address, hops: int, kind: Kind | None
) -> None:
    """RFC 4861 sections 6.1.1 and 6.1.2: who is not on the link cannot send hop limit 255."""
    assert valid_kind(data, source, hops) is kind


@given(st.binary(max_size=200))
def test_no_octets_harm(data: bytes) -> None:
    valid_kind(data, ROUTER, HOP_LIMIT)


@pytest.fixture
def cable() -> Iterator[Cable]:
    if (lack := lacking()) is not None:
        pytest.fail(lack)
    with Cable() as made:
        yield made


def _find(namespace: str, found: list[str], over: threading.Barrier) -> None:
    """The first address, after what went wrong until then; it goes on until both ends have theirs."""

    async def main() -> None:
        discovery = Discovery("eth0", lambda: found.append(str(discovery.address or discovery.problem)))
        discovery.start()
        try:
            async with asyncio.timeout(15):
                while discovery.address is None and not (found and over.parties == 1):
                    await asyncio.sleep(0.05)
            await asyncio.to_thread(over.wait, 15)
        finally:
            discovery.stop()

    enter(namespace)
    asyncio.run(main())


@pytest.mark.netns
def test_two_ends_of_a_cable_find_each_other(cable: Cable) -> None:
    found: dict[str, list[str]] = {cable.node: [], cable.router: []}
    over = threading.Barrier(2)
    threads = [threading.Thread(target=_find, args=(*item, over)) for item in found.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    for here, there in ((cable.node, cable.router), (cable.router, cable.node)):
        address = found[here][-1]
        assert address.endswith("%eth0")
        assert address.removesuffix("%eth0") in run("ip", "-n", there, "-6", "addr", "show", "dev", "eth0")


@pytest.mark.netns
def test_what_another_program_of_the_same_host_advertises_is_no_router(cable: Cable) -> None:
    """Its packets come back to us with our own address; a router on the cable is found all the same."""
    found: dict[str, list[str]] = {cable.node: [], cable.router: []}
    advertises = (
        "import socket, struct, time\n"
        "s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)\n"
        "s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)\n"
        "i = socket.if_nametoindex('eth0')\n"
        "for _ in range(200):\n"
        "    try: s.sendto(bytes((134,)) + bytes(15), ('ff02::1', 0, 0, i))\n"
        "    except OSError: pass\n"
        "    time.sleep(0.05)\n"
    )
    cable.spawn("other", sys.executable, "-c", advertises, inside=cable.node)
    over = threading.Barrier(2)
    threads = [threading.Thread(target=_find, args=(*item, over)) for item in found.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    address = found[cable.node][-1].removesuffix("%eth0")
    assert address in run("ip", "-n", cable.router, "-6", "addr", "show", "dev", "eth0")


@pytest.mark.netns
def test_an_interface_without_ipv6_is_a_problem_with_a_name(cable: Cable) -> None:
    run("ip", "-n", cable.node, "-6", "addr", "flush", "dev", "eth0")
    found: list[str] = []
    thread = threading.Thread(target=_find, args=(cable.node, found, threading.Barrier(1)))
    thread.start()
    thread.join(20)
    assert found == [
        "cannot look for the router on eth0: it has no link-local address (IPv6 is off, or the link is down)"
    ]


@pytest.mark.netns
def test_on_an_interface_that_was_made_anew_the_router_is_heard_and_a_new_one_taken(
    cable: Cable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A VLAN or a bond is deleted and made again: the same name, another index, perhaps another router."""
    monkeypatch.setattr(discovery, "INTERVAL", 1.0)  # between two looks; what is known counts for as long
    heard: list[str] = []

    async def main() -> None:
        looking = Discovery("eth0", lambda: heard.append(str(looking.address or looking.problem)))
        looking.start()
        try:
            async with asyncio.timeout(25):
                await asyncio.to_thread(_advertise, cable)
                first = await _another(looking, "")
                await asyncio.to_thread(_make_anew, cable)
                await asyncio.to_thread(_advertise, cable)
                assert await _another(looking, first) in _link_local(cable.router)
        finally:
            looking.stop()

    inside(cable.node, lambda: asyncio.run(main()))


async def _another(looking: Discovery, known: str) -> str:
    """Wait for an address that is not the known one."""
    while (found := str(looking.address or "").removesuffix("%eth0")) in ("", known):
        await asyncio.sleep(0.05)
    return found


def _make_anew(cable: Cable) -> None:
    run("ip", "-n", cable.node, "link", "del", "eth0")
    run("ip", "-n", cable.node, "link", "add", "eth0", "type", "veth", "peer", "eth0", "netns", cable.router)
    for namespace in (cable.node, cable.router):
        run("ip", "-n", namespace, "link", "set", "eth0", "up")


def _advertise(cable: Cable) -> None:
    """The router's program: an advertisement every 100 ms for a quarter of a minute."""
    program = (
        "import socket, time\n"
        "s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)\n"
        "s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)\n"
        "for _ in range(150):\n"
        "    try: s.sendto(bytes((134,)) + bytes(15), ('ff02::1', 0, 0, socket.if_nametoindex('eth0')))\n"
        "    except OSError: pass\n"
        "    time.sleep(0.1)\n"
    )
    cable.spawn(f"router-{time.monotonic_ns()}", sys.executable, "-c", program)


def _link_local(namespace: str) -> str:
    return run("ip", "-n", namespace, "-6", "addr", "show", "dev", "eth0")
