# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a segment who has an address, and keeps every answer. **PRIVATE** to the collection.

A kernel believes one answer and says nothing of a second: that is why this asks with frames of its own. Who
asks by broadcast or multicast is heard by all: everyone answers who thinks that the address is theirs.
"""

from __future__ import annotations

import ipaddress
import select
import time
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..model.addresses import IPAddress
from .sampling import percentile
from .segment import Question

SCAPY_ERROR: str | None = None
try:
    from scapy.config import conf
    from scapy.layers.inet6 import (
        ICMPv6ND_NA,
        ICMPv6ND_NS,
        ICMPv6NDOptDstLLAddr,
        ICMPv6NDOptSrcLLAddr,
        IPv6,
    )
    from scapy.layers.l2 import ARP, Ether
except ImportError:
    SCAPY_ERROR = traceback.format_exc()

# EtherTypes: RFC 826 and RFC 2464, 3.
ARP_TYPE, IPV6_TYPE = 0x0806, 0x86DD
ARP_REQUEST, ARP_REPLY = 1, 2
BROADCAST = "ff:ff:ff:ff:ff:ff"
# RFC 4861, 4.4: next header ICMPv6 in the IPv6 header, type 136. Looked at before a frame is taken apart.
NEXT_HEADER_AT, ICMPV6 = 20, 58
TYPE_AT, ADVERTISEMENT = 54, 136
# RFC 4861, 7.1.2: from further away it is none.
HOP_LIMIT = 255
# Requests go out one after the other: a switch's control plane may have a limit for ARP.
GAP = 0.001


@dataclass(frozen=True)
class Answer:
    """`mac` says that it has `address`; `at` in seconds since the epoch."""

    interface: str
    address: IPAddress
    mac: str
    at: float


@dataclass(frozen=True)
class Sent:
    """The time at which an address was asked for on an interface, in seconds since the epoch."""

    interface: str
    address: IPAddress
    at: float


def frame(asked: Question) -> Any:
    """The request as it goes out."""
    return _arp_request(asked) if asked.address.version == 4 else _solicitation(asked)


def _arp_request(asked: Question) -> Any:
    """RFC 826; with the source 0.0.0.0 it is the probe of RFC 5227, which nobody learns anything from."""
    request = ARP(
        op=ARP_REQUEST,
        hwsrc=asked.mac,
        psrc=str(asked.source),
        hwdst="00:00:00:00:00:00",
        pdst=str(asked.address),
    )
    return Ether(src=asked.mac, dst=BROADCAST, type=ARP_TYPE) / request


def _solicitation(asked: Question) -> Any:
    """RFC 4861, 4.3: to the solicited-node address. From :: there must be no link-layer address in it."""
    group = solicited_node(asked.address)
    header = IPv6(src=str(asked.source), dst=str(group), hlim=HOP_LIMIT)
    body = header / ICMPv6ND_NS(tgt=str(asked.address))
    if not asked.source.is_unspecified:
        body /= ICMPv6NDOptSrcLLAddr(lladdr=asked.mac)
    return Ether(src=asked.mac, dst=multicast_mac(group), type=IPV6_TYPE) / body


def solicited_node(address: IPAddress) -> ipaddress.IPv6Address:
    """RFC 4291, 2.7.1: the low 24 bits behind ff02::1:ff00:0/104."""
    return ipaddress.IPv6Address(int(ipaddress.IPv6Address("ff02::1:ff00:0")) | int(address) & 0xFFFFFF)


def multicast_mac(group: ipaddress.IPv6Address) -> str:
    """RFC 2464, 7: 33:33 and the low 32 bits."""
    return ":".join(f"{byte:02x}" for byte in (0x33, 0x33, *group.packed[-4:]))


def read_answer(interface: str, data: bytes, at: float) -> Answer | None:
    """Return who says to have which address in a frame; None for everything else."""
    kind = int.from_bytes(data[12:14], "big")
    if kind == ARP_TYPE:
        return _arp_reply(interface, data, at)
    is_advertisement = (
        len(data) > TYPE_AT and data[NEXT_HEADER_AT] == ICMPV6 and data[TYPE_AT] == ADVERTISEMENT
    )
    return _advertisement(interface, data, at) if kind == IPV6_TYPE and is_advertisement else None


def _arp_reply(interface: str, data: bytes, at: float) -> Answer | None:
    reply = Ether(data).getlayer(ARP)
    if reply is None or reply.op != ARP_REPLY or reply.plen != 4:
        return None
    return Answer(interface, ipaddress.ip_address(reply.psrc), str(reply.hwsrc).lower(), at)


def _advertisement(interface: str, data: bytes, at: float) -> Answer | None:
    """The MAC is what a neighbor would learn: the option's, or without one the frame's sender."""
    packet = Ether(data)
    advertised = packet.getlayer(ICMPv6ND_NA)
    if advertised is None or packet[IPv6].hlim != HOP_LIMIT:
        return None
    option = packet.getlayer(ICMPv6NDOptDstLLAddr)
    mac = str(option.lladdr if option is not None else packet.src).lower()
    return Answer(interface, ipaddress.ip_address(advertised.tgt), mac, at)


# -- asking -----------------------------------------------------------------------------------------------


def ask(
    questions: Sequence[Question], rounds: int, interval: float, timeout: float
) -> tuple[list[Sent], list[Answer]]:
    """Ask all so many times, `interval` seconds apart, and listen for `timeout` seconds after the last."""
    sockets = _open(questions)
    sent: list[Sent] = []
    answers: list[Answer] = []
    try:
        for number in range(rounds):
            for asked in questions:
                sent.append(Sent(asked.interface, asked.address, time.time()))
                sockets[_place(asked)].send(frame(asked))
                answers += _listen(sockets, GAP)
            answers += _listen(sockets, interval if number + 1 < rounds else timeout)
    finally:
        for one in sockets.values():
            one.close()
    return sent, answers


def _place(asked: Question) -> tuple[str, int]:
    return (asked.interface, ARP_TYPE if asked.address.version == 4 else IPV6_TYPE)


def _open(questions: Iterable[Question]) -> dict[tuple[str, int], Any]:
    """A packet socket for each interface and EtherType: nothing else of a busy host gets here."""
    places = sorted({_place(asked) for asked in questions})
    return {(name, kind): conf.L2socket(iface=name, type=kind, promisc=False) for name, kind in places}


def _listen(sockets: dict[tuple[str, int], Any], seconds: float) -> list[Answer]:
    """All answers of so many seconds."""
    names = {one: name for (name, _kind), one in sockets.items()}
    end = time.monotonic() + seconds
    found: list[Answer] = []
    while (left := end - time.monotonic()) > 0:
        for one in select.select(list(names), [], [], left)[0]:
            _layer, data, at = one.recv_raw()
            answer = read_answer(names[one], data, float(at or time.time())) if data else None
            found += [answer] if answer else []
    return found


# -- counting ---------------------------------------------------------------------------------------------


def tally(asked: Question, sent: Sequence[Sent], answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """`{mac, times, latency_ms}` of everyone who answered for an address, in the order of the first answers.

    An answer's latency is that to the last request before it; of several answers, the median.
    """
    key = (asked.interface, asked.address)
    times = [one.at for one in sent if (one.interface, one.address) == key]
    by_mac: dict[str, list[float]] = {}
    for one in answers:
        if (one.interface, one.address) == key:
            by_mac.setdefault(one.mac, []).append(_latency(one.at, times))
    return [
        {"mac": mac, "times": len(found), "latency_ms": percentile(found, 0.5)}
        for mac, found in by_mac.items()
    ]


def _latency(at: float, times: Sequence[float]) -> float:
    """Milliseconds; 0 where the clock was set back meanwhile."""
    before = [one for one in times if one <= at]
    return round(1000 * (at - before[-1]), 3) if before else 0.0
