# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The negotiation of two OPENs (RFC 4271 sections 4.2 and 6.2), and the settings of one side."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Literal

from vipcast.bgp.capabilities import (
    MAX_RESTART_TIME,
    Capability,
    EnhancedRefresh,
    ExtendedMessages,
    ExtendedNextHop,
    FourOctetAsn,
    GracefulRestart,
    Multiprotocol,
    Preserved,
    RouteRefresh,
)
from vipcast.bgp.error_codes import ErrorCode, OpenError
from vipcast.bgp.errors import LocalError, RemoteError
from vipcast.bgp.framing import EXTENDED_MAX_LENGTH, MAX_LENGTH
from vipcast.bgp.messages import Open
from vipcast.bgp.wire import Family
from vipcast.model.addresses import IPAddress
from vipcast.model.asns import AS_TRANS, asn_problem

MIN_HOLD_TIME = 3
MAX_HOLD_TIME = 0xFFFF

Dynamic = Literal["internal", "external"]


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """``hold_time`` in whole seconds, 0 or at least 3; ``keepalive_time`` None: a third of the hold time.

    ``router_id`` None: our IPv4 address on the connection; over IPv6 a number made of ``node_name``, or
    of our address where there is no name. ``remote_asn`` None: ``dynamic_asn`` says which the peer's may be.
    ``shown_asn``: the AS that the peer sees instead of ``local_asn``, in the OPEN and in every path.
    ``families`` are those offered. ``restart_time``: seconds for which the peer keeps our routes while
    we are away (RFC 4724), None: it forgets them; ``restarting``: our process has just been restarted;
    ``forwarding_preserved``: traffic went on meanwhile. ``delay_open_time``: for how long the peer's OPEN is
    awaited before ours is sent (RFC 4271 section 8.1.1), 0: not at all.
    Raises LocalError for what BGP cannot carry.
    """

    local_asn: int
    remote_asn: int | None
    hold_time: float = 90
    keepalive_time: float | None = None
    connect_time: float = 5.0
    router_id: IPv4Address | None = None
    node_name: str = ""
    dynamic_asn: Dynamic | None = None
    shown_asn: int | None = None
    families: frozenset[Family] = frozenset(Family)
    restart_time: int | None = None
    restarting: bool = False
    forwarding_preserved: bool = True
    delay_open_time: float = 0.0

    def __post_init__(self) -> None:
        self._check_asns()
        if self.hold_time != int(self.hold_time) or not _acceptable_hold_time(int(self.hold_time)):
            raise LocalError(
                f"hold time {self.hold_time:g} s: whole seconds, 0 or {MIN_HOLD_TIME} to {MAX_HOLD_TIME}"
            )
        if self.keepalive_time is not None and self.keepalive_time <= 0:
            raise LocalError(f"keepalive time {self.keepalive_time:g} s: more than 0 would be right")
        if self.connect_time <= 0:
            raise LocalError(f"connect time {self.connect_time:g} s: more than 0 would be right")
        if self.delay_open_time < 0:
            raise LocalError(f"delay open time {self.delay_open_time:g} s: 0 or more would be right")
        if self.router_id is not None and int(self.router_id) == 0:
            raise LocalError("router id 0.0.0.0: it must not be zero (RFC 6286)")
        if not self.families:
            raise LocalError("no address family: a session carries one at least")
        if self.restart_time is not None and not 0 <= self.restart_time <= MAX_RESTART_TIME:
            raise LocalError(f"restart time {self.restart_time} s: 0 to {MAX_RESTART_TIME} would be right")

    def _check_asns(self) -> None:
        if (self.remote_asn is None) == (self.dynamic_asn is None):
            raise LocalError("the peer's AS: either a number, or internal or external")
        asns = ("local", self.local_asn), ("remote", self.remote_asn), ("shown", self.shown_asn)
        for what, asn in asns:
            if asn is not None and (problem := asn_problem(asn)) is not None:
                raise LocalError(f"{what} AS number {asn} {problem}")

    @property
    def speaking_asn(self) -> int:
        """The AS that the peer sees us in."""
        return self.local_asn if self.shown_asn is None else self.shown_asn

    @property
    def internal(self) -> bool:
        """Return whether the peer is one of the AS that it sees us in (RFC 4271 section 1.1)."""
        return self.dynamic_asn == "internal" or self.remote_asn == self.speaking_asn


@dataclass(frozen=True, slots=True)
class Negotiated:
    """The parameters that hold on a session; times in seconds, 0: that timer does not run.

    ``remote_asn``: the peer's AS, ``internal``: it is the one that it sees us in. ``ipv6_for_ipv4``: IPv4
    routes may have IPv6 next hops (RFC 8950). ``extended_messages``: the peer takes up to 65535 octets
    (RFC 8654).
    ``graceful_restart``: what the peer said of it, where we did too; None: our routes go with the session.
    """

    hold_time: float
    keepalive_time: float
    asn4: bool
    families: frozenset[Family]
    route_refresh: bool
    remote_asn: int
    internal: bool
    ipv6_for_ipv4: bool = False
    extended_messages: bool = False
    enhanced_refresh: bool = False
    graceful_restart: GracefulRestart | None = None

    @property
    def max_length(self) -> int:
        """The longest message that the peer takes, in octets: it said so by its capability (RFC 8654)."""
        return EXTENDED_MAX_LENGTH if self.extended_messages else MAX_LENGTH

    @property
    def keeps_after_notification(self) -> bool:
        """RFC 8538 section 4: the peer keeps our routes after any NOTIFICATION but a Hard Reset."""
        return self.graceful_restart is not None and self.graceful_restart.notification


def _acceptable_hold_time(seconds: int) -> bool:
    return seconds == 0 or MIN_HOLD_TIME <= seconds <= MAX_HOLD_TIME


def make_open(settings: SessionSettings, local: IPAddress) -> Open:
    router_id = settings.router_id or derive_router_id(local, settings.node_name)
    return Open.of(settings.speaking_asn, int(settings.hold_time), router_id, *_offered(settings))


def _offered(settings: SessionSettings) -> Iterator[Capability]:
    families = [family for family in Family if family in settings.families]
    yield from (Multiprotocol(family) for family in families)
    yield RouteRefresh()
    if Family.IPV4_UNICAST in families:
        yield ExtendedNextHop()
    yield ExtendedMessages()
    if settings.restart_time is not None:
        forwarding, restarting = settings.forwarding_preserved, settings.restarting
        preserved = tuple(Preserved(family.afi, family.safi, forwarding) for family in families)
        yield GracefulRestart(settings.restart_time, preserved, restarting=restarting, notification=True)
    yield EnhancedRefresh()


def derive_router_id(local: IPAddress, node_name: str) -> IPv4Address:
    """Return our address on the connection; over IPv6 a number made of the name, or of the address."""
    if isinstance(local, IPv4Address):
        return local
    return checksum_router_id(node_name.encode() if node_name else local.packed)


def checksum_router_id(name: bytes) -> IPv4Address:
    """Return a number made of a name: any will do that is stable and differs between nodes (RFC 6286)."""
    return IPv4Address(int.from_bytes(zlib.crc32(name).to_bytes(4, "little"), "big") or 1)


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
        asn4=any(isinstance(c, FourOctetAsn) for c in theirs.capabilities),
        families=_families(ours) & _families(theirs),
        route_refresh=RouteRefresh() in theirs.capabilities,
        remote_asn=theirs.asn,
        internal=settings.internal,
        ipv6_for_ipv4=_ipv6_for_ipv4(ours) and _ipv6_for_ipv4(theirs),
        extended_messages=_both(ExtendedMessages(), ours, theirs),
        enhanced_refresh=_both(EnhancedRefresh(), ours, theirs),
        graceful_restart=_restart(theirs) if _restart(ours) else None,
    )


def _both(capability: Capability, ours: Open, theirs: Open) -> bool:
    return capability in ours.capabilities and capability in theirs.capabilities


def _ipv6_for_ipv4(message: Open) -> bool:
    return any(isinstance(c, ExtendedNextHop) and c.ipv6_for_ipv4 for c in message.capabilities)


def _restart(message: Open) -> GracefulRestart | None:
    """RFC 4724 section 3: of several, the last counts."""
    return next((c for c in reversed(message.capabilities) if isinstance(c, GracefulRestart)), None)


def _check_asn(settings: SessionSettings, theirs: Open) -> None:
    """RFC 4271 section 6.2. AS 0 is nobody's (RFC 7607 section 2), and AS_TRANS stands for another."""
    asn, shown = theirs.asn, settings.speaking_asn
    wrong = asn != settings.remote_asn
    expected = f"AS {settings.remote_asn} is configured"
    if settings.dynamic_asn is not None:
        wrong = (asn == shown) != settings.internal or asn in (0, AS_TRANS)
        expected = f"an {settings.dynamic_asn} peer of AS {shown} is configured"
    if wrong:
        raise RemoteError(ErrorCode.OPEN, OpenError.BAD_PEER_AS, detail=f"the peer is AS {asn}, {expected}")


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
