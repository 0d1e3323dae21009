# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What two OPENs agree on (RFC 4271 section 4.2 and 6.2), and what one side is set to."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from ipaddress import IPv4Address

from vipcast.bgp.attributes import AS_TRANS
from vipcast.bgp.capabilities import FourOctetAsn, Multiprotocol, RouteRefresh
from vipcast.bgp.codes import ErrorCode, OpenError
from vipcast.bgp.errors import LocalError, RemoteError
from vipcast.bgp.messages import Open
from vipcast.bgp.route import Address
from vipcast.bgp.wire import Family

MIN_HOLD_TIME = 3
MAX_HOLD_TIME = 0xFFFF
MAX_ASN = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """``hold_time`` in whole seconds, 0 or at least 3; ``keepalive_time`` None: a third of the hold time.

    ``router_id`` None: our IPv4 address on the connection; over IPv6 a number made of ``node_name``, or
    of our address where there is no name. Raises LocalError for what BGP cannot carry.
    """

    local_asn: int
    remote_asn: int
    hold_time: float = 90
    keepalive_time: float | None = None
    connect_time: float = 5.0
    router_id: IPv4Address | None = None
    node_name: str = ""

    def __post_init__(self) -> None:
        for what, asn in (("local", self.local_asn), ("remote", self.remote_asn)):
            if not 1 <= asn <= MAX_ASN or asn == AS_TRANS:
                raise LocalError(f"{what} AS number {asn}: 1 to {MAX_ASN} without {AS_TRANS} would be right")
        if self.hold_time != int(self.hold_time) or not _acceptable_hold_time(int(self.hold_time)):
            raise LocalError(
                f"hold time {self.hold_time:g} s: whole seconds, 0 or {MIN_HOLD_TIME} to {MAX_HOLD_TIME}"
            )
        if self.keepalive_time is not None and self.keepalive_time <= 0:
            raise LocalError(f"keepalive time {self.keepalive_time:g} s: more than 0 would be right")
        if self.connect_time <= 0:
            raise LocalError(f"connect time {self.connect_time:g} s: more than 0 would be right")
        if self.router_id is not None and int(self.router_id) == 0:
            raise LocalError("router id 0.0.0.0: it must not be zero (RFC 6286)")

    @property
    def internal(self) -> bool:
        return self.local_asn == self.remote_asn


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What holds on a session; times in seconds, 0: that timer does not run."""

    hold_time: float
    keepalive_time: float
    four_octet: bool
    families: frozenset[Family]
    route_refresh: bool


def _acceptable_hold_time(seconds: int) -> bool:
    return seconds == 0 or MIN_HOLD_TIME <= seconds <= MAX_HOLD_TIME


def make_open(settings: SessionSettings, local: Address) -> Open:
    router_id = settings.router_id or derive_router_id(local, settings.node_name)
    families = (Multiprotocol(family) for family in Family)
    return Open.of(settings.local_asn, int(settings.hold_time), router_id, *families, RouteRefresh())


def derive_router_id(local: Address, node_name: str) -> IPv4Address:
    """Ours for IPv4. Over IPv6 any number will do that is stable and differs between nodes (RFC 6286)."""
    if isinstance(local, IPv4Address):
        return local
    number = zlib.crc32(node_name.encode() if node_name else local.packed)
    return IPv4Address(int.from_bytes(number.to_bytes(4, "little"), "big") or 1)


def negotiate(settings: SessionSettings, ours: Open, theirs: Open) -> Negotiated:
    """Raises RemoteError where the peer's OPEN is not acceptable (RFC 4271 section 6.2)."""
    _check_asn(settings, theirs)
    _check_router_id(settings, ours, theirs)
    if not _acceptable_hold_time(theirs.hold_time):
        raise RemoteError(
            ErrorCode.OPEN, OpenError.UNACCEPTABLE_HOLD_TIME, detail=f"the peer asks for {theirs.hold_time} s"
        )
    hold_time = min(ours.hold_time, theirs.hold_time)
    return Negotiated(
        hold_time=hold_time,
        keepalive_time=_keepalive_time(settings, hold_time),
        four_octet=any(isinstance(c, FourOctetAsn) for c in theirs.capabilities),
        families=_families(ours) & _families(theirs),
        route_refresh=RouteRefresh() in theirs.capabilities,
    )


def _check_asn(settings: SessionSettings, theirs: Open) -> None:
    if theirs.asn != settings.remote_asn:
        raise RemoteError(
            ErrorCode.OPEN,
            OpenError.BAD_PEER_AS,
            detail=f"the peer is AS {theirs.asn}, AS {settings.remote_asn} is configured",
        )


def _check_router_id(settings: SessionSettings, ours: Open, theirs: Open) -> None:
    """RFC 6286 section 2.2: not zero, and inside an AS not ours."""
    if int(theirs.router_id) == 0 or (settings.internal and theirs.router_id == ours.router_id):
        raise RemoteError(
            ErrorCode.OPEN, OpenError.BAD_BGP_IDENTIFIER, detail=f"the peer's router id is {theirs.router_id}"
        )


def _keepalive_time(settings: SessionSettings, hold_time: float) -> float:
    """RFC 4271 section 4.4: a third of the hold time is the most that is reasonable."""
    third = hold_time / 3
    return third if settings.keepalive_time is None else min(settings.keepalive_time, third)


def _families(message: Open) -> frozenset[Family]:
    """RFC 4760 section 8: who offers no family at all speaks IPv4 unicast."""
    offered = frozenset(c.family for c in message.capabilities if isinstance(c, Multiprotocol))
    any_offer = offered or any(getattr(c, "code", None) == 1 for c in message.capabilities)
    return offered if any_offer else frozenset((Family.IPV4_UNICAST,))
