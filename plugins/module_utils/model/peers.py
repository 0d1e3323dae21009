# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Peers: the routers that the speakers have sessions with.

Timers, as MetalLB has them: ``holdTime`` is 0 (no hold timer) or 3 s and more, 90 s unless set, and its
fractions of a second do not count; ``keepaliveTime`` is a third of it unless set and never longer; if only
``keepaliveTime`` is set, the hold time is three times that (RFC 4271 section 4.4).

What is read here without a problem a session can be made of: `vipcast.net.settings` takes every such peer.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field

from .addresses import IPAddress, parse_address
from .asns import MAX_ASN, asn_problem
from .defaults import MAX_PASSWORD
from .fields import Fields
from .problems import Report
from .reasons import Reason
from .selectors import Selector, any_matches, disjoint, read_selectors
from .texts import cut, echo

DEFAULT_PORT = 179
DEFAULT_HOLD_TIME = 90.0  # seconds; RFC 4271 section 10 suggests it
INTERNAL, EXTERNAL = "internal", "external"  # values of dynamicASN
# Seconds between two attempts to connect. RFC 4271 suggests 120, with which a router that was away for a
# moment is missed for two minutes; one TCP SYN in ten seconds costs nobody anything.
DEFAULT_CONNECT_TIME = 10.0
MIN_KEEPALIVE_TIME = 1.0  # RFC 4271 section 4.4: not more than one KEEPALIVE in a second
# The restart time in the capability has 12 bits of seconds (RFC 4724 section 3); FRR's default is ours.
DEFAULT_RESTART_TIME, MAX_RESTART_TIME = 120, 4095
# The hold time is a 16-bit number of seconds in the OPEN message.
MAX_HOLD_TIME = 65535.0
_AN_ASN = "an AS number from 1 to 4294967295"


@dataclass(frozen=True)
class Timers:
    """Seconds; ``hold`` 0 means that silence of the peer is never noticed."""

    hold: float = DEFAULT_HOLD_TIME
    keepalive: float = DEFAULT_HOLD_TIME / 3
    connect: float = DEFAULT_CONNECT_TIME


@dataclass(frozen=True)
class Peer:
    """A peer as it is in force: everything that a session needs, but for the content of a Secret."""

    name: str
    address: IPAddress | None  # None: an unnumbered session over `interface`
    local_asn: int
    remote_asn: int | None  # None: any that `dynamic_asn` allows
    interface: str | None = None
    dynamic_asn: str | None = None  # "internal" or "external"
    shown_asn: int | None = None  # shown to this peer in place of `local_asn`
    port: int = DEFAULT_PORT
    timers: Timers = Timers()
    router_id: ipaddress.IPv4Address | None = None
    source_address: IPAddress | None = None
    multihop: bool = False
    password: str | None = field(default=None, repr=False)
    password_secret: str | None = (
        None  # name of a Secret in the same namespace, whose key `password` is meant
    )
    node_selectors: tuple[Selector, ...] = ()
    vrf: str | None = None  # name of the VRF device of the node
    bfd_profile: str | None = None
    graceful_restart: bool = False
    restart_time: int = DEFAULT_RESTART_TIME  # seconds; means nothing without graceful_restart
    ttl_security_hops: int | None = None  # RFC 5082; None: off
    passive: bool = False  # wait for the router's connection
    dual_stack: bool = False  # both address families over this one session
    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def internal(self) -> bool:
        """Return whether this is iBGP."""
        if self.remote_asn is None:
            return self.dynamic_asn == INTERNAL
        return (self.shown_asn or self.local_asn) == self.remote_asn

    @property
    def place(self) -> str:
        """Return where the router is, for people: an address or an interface."""
        return f"interface {self.interface}" if self.address is None else str(self.address)

    @property
    def several_hops(self) -> bool:
        """Return whether BFD is multihop for this peer (see `vipcast.speaker.bgp.bfd_sessions`)."""
        return not self.internal and (self.multihop or self.ttl_security_hops is not None)

    @property
    def families(self) -> tuple[int, ...]:
        """Return the address families (4, 6) of routes on this session."""
        if self.dual_stack or self.address is None:
            return (4, 6)
        return (self.address.version,)

    def selects_node(self, labels: Mapping[str, str]) -> bool:
        """Return whether a node with these labels has this session; without selectors all have."""
        return not self.node_selectors or any_matches(self.node_selectors, labels)

    def clashes(self, other: Peer) -> bool:
        """Return whether some node might have two sessions with one router: each closes the other."""
        return self.router == other.router and not disjoint(self.node_selectors, other.node_selectors)

    @property
    def router(self) -> tuple[object, ...]:
        """Return what identifies the other end: equal where two peers would be one session."""
        return self.address, self.interface, self.port, self.source_address, self.vrf


def read_peer(name: str, namespace: str, labels: Mapping[str, str], spec: Fields) -> Peer | None:
    """A peer from ``spec`` of a BGPPeer, v1beta1 or v1beta2; None where the essential is missing."""
    report = spec.report
    local, remote = _read_asn(spec, "myASN"), _read_asn(spec, "peerASN")
    if local is None and not spec.has("myASN"):
        spec.missing("myASN", _AN_ASN)
    dynamic = _read_dynamic(spec, report)
    address, interface = _read_peer_address(spec, report), spec.interface("interface")
    _want_one_of(spec, "peerASN", "dynamicASN", _AN_ASN)
    _want_one_of(spec, "peerAddress", "interface", "the router's address")
    found = Peer(
        name=name,
        namespace=namespace,
        labels=labels,
        address=address,
        interface=interface,
        port=spec.integer("peerPort", 0, 65535) or DEFAULT_PORT,
        source_address=_read_source(spec, address, report),
        local_asn=local or 0,
        remote_asn=remote,
        dynamic_asn=dynamic,
        shown_asn=_read_asn(spec, "localASN"),
        timers=_read_timers(spec, report),
        router_id=_read_router_id(spec, report),
        multihop=spec.boolean("ebgpMultiHop"),
        password=_read_password(spec, report),
        password_secret=_read_secret(spec, namespace, report),
        node_selectors=read_selectors(spec, "nodeSelectors"),
        vrf=spec.interface("vrf"),
        bfd_profile=spec.string("bfdProfile"),
        graceful_restart=spec.boolean("enableGracefulRestart"),
        restart_time=_read_restart_time(spec, report),
        ttl_security_hops=spec.integer("ttlSecurityHops", 1, 254),
        passive=spec.boolean("passive"),
        dual_stack=spec.boolean("dualStackAddressFamily"),
    )
    _name_no_effect(spec)
    _refuse_multihop(spec, found, report)
    _refuse_ttl_security(spec, found, report)
    _refuse_two_passwords(spec, found, report)
    spec.done()
    complete = local is not None and (remote or dynamic) and (address or interface)
    return found if complete else None


def _want_one_of(spec: Fields, one: str, other: str, hint: str) -> None:
    if spec.is_set(one) and spec.is_set(other):
        message = f"excludes {other}; remove one of them"
        spec.report.refuse(spec.path(one), Reason.EXCLUSIVE_FIELDS, message)
    elif not spec.is_set(one) and not spec.is_set(other):
        spec.missing(one, f"{hint} (or {other})")


def _read_dynamic(spec: Fields, report: Report) -> str | None:
    word = spec.string("dynamicASN")
    if word is None or word in (INTERNAL, EXTERNAL):
        return word
    message = f"is {echo(word)}, should be {INTERNAL} or {EXTERNAL}"
    report.refuse(spec.path("dynamicASN"), Reason.OUT_OF_RANGE, message)
    return None


def _read_asn(spec: Fields, name: str) -> int | None:
    number = spec.integer(name, 1, MAX_ASN)
    if number is not None and (problem := asn_problem(number)) is not None:
        spec.report.refuse(spec.path(name), Reason.OUT_OF_RANGE, problem)
    return number


def _read_address(spec: Fields, name: str, report: Report) -> IPAddress | None:
    text = spec.string(name)
    if text is None:
        return None
    try:
        return parse_address(text)
    except ValueError as error:
        report.refuse(spec.path(name), Reason.BAD_ADDRESS, str(error))
        return None


def _read_peer_address(spec: Fields, report: Report) -> IPAddress | None:
    """Read the router's address, and refuse a link-local one.

    A link-local address is one of an interface, and a session over that has a field of its own.
    """
    plain, percent, zone = (spec.string("peerAddress") or "").partition("%")
    try:
        local = ipaddress.ip_address(plain).is_link_local and ":" in plain
    except ValueError:
        local = False
    if not local:
        return _read_address(spec, "peerAddress", report)
    device = zone if percent and zone else "eth0"
    message = (
        f"{echo(plain)} is link-local, which tells no router without an interface (RFC 4007 section 6); "
        f"write interface: {cut(device, 15)} in place of peerAddress (a session without addresses)"
    )
    report.refuse(spec.path("peerAddress"), Reason.BAD_ADDRESS, message)
    return None


def _read_source(spec: Fields, peer: IPAddress | None, report: Report) -> IPAddress | None:
    source = _read_address(spec, "sourceAddress", report)
    if source is not None and spec.is_set("interface"):
        message = "excludes interface: a session without addresses is link-local; remove one of them"
        report.refuse(spec.path("sourceAddress"), Reason.EXCLUSIVE_FIELDS, message)
    if source is not None and peer is not None and source.version != peer.version:
        message = f"{source} and peerAddress {peer} are of two families; use an IPv{peer.version} address"
        report.refuse(spec.path("sourceAddress"), Reason.BAD_ADDRESS, message)
    return source


def _read_router_id(spec: Fields, report: Report) -> ipaddress.IPv4Address | None:
    found = _read_address(spec, "routerID", report)
    if found is None:
        return None
    if isinstance(found, ipaddress.IPv4Address) and int(found) != 0:
        return found
    report.refuse(
        spec.path("routerID"), Reason.BAD_ADDRESS, f"{found} should be an IPv4 address other than 0.0.0.0"
    )
    return None


def _read_password(spec: Fields, report: Report) -> str | None:
    password = spec.string("password")
    if password is not None and len(password.encode()) > MAX_PASSWORD:
        message = f"has {len(password.encode())} bytes, and TCP MD5 takes at most {MAX_PASSWORD}"
        report.refuse(spec.path("password"), Reason.OUT_OF_RANGE, message)
    return password


def _read_secret(spec: Fields, namespace: str, report: Report) -> str | None:
    fields = spec.mapping("passwordSecret")
    if fields is None:
        return None
    name, place = fields.string("name"), fields.string("namespace")
    fields.done()
    if name is None and place is not None:  # `{}` is what Go's tools write for none
        fields.missing("name", "the name of a Secret whose key `password` is meant")
    if place not in (None, namespace):
        message = f"is {place}; a Secret is read from the peer's own namespace only ({namespace})"
        report.refuse(fields.path("namespace"), Reason.WRONG_NAMESPACE, message)
    return name


def _refuse_two_passwords(spec: Fields, peer: Peer, report: Report) -> None:
    if peer.password is not None and peer.password_secret is not None:
        message = "excludes passwordSecret; remove one of them"
        report.refuse(spec.path("password"), Reason.EXCLUSIVE_FIELDS, message)


def _refuse_multihop(spec: Fields, peer: Peer, report: Report) -> None:
    """MetalLB's rule: what counts is `myASN`, not the number that the peer is shown."""
    if peer.multihop and (peer.remote_asn == peer.local_asn or peer.dynamic_asn == INTERNAL):
        message = "is for eBGP, and both ends are of one AS; remove it (iBGP may always take several hops)"
        report.refuse(spec.path("ebgpMultiHop"), Reason.EXCLUSIVE_FIELDS, message)


def _name_no_effect(spec: Fields) -> None:
    """disableMP asks for one family per session, which is so unless the other field asks for both."""
    if spec.boolean("disableMP") and spec.is_set("dualStackAddressFamily"):
        message = "has no effect with dualStackAddressFamily, which asks for the opposite; remove one of them"
        spec.report.ignore(spec.path("disableMP"), Reason.EXCLUSIVE_FIELDS, message)


def _refuse_ttl_security(spec: Fields, peer: Peer, report: Report) -> None:
    """One fixes the time to live at 255, the other lets it be anything."""
    if peer.multihop and peer.ttl_security_hops is not None:
        message = "excludes ebgpMultiHop, which it comes with for more than one hop; remove that"
        report.refuse(spec.path("ttlSecurityHops"), Reason.EXCLUSIVE_FIELDS, message)


def _read_restart_time(spec: Fields, report: Report) -> int:
    seconds = spec.duration("gracefulRestartTime")
    if seconds is None:
        return DEFAULT_RESTART_TIME
    path = spec.path("gracefulRestartTime")
    if not 1 <= seconds <= MAX_RESTART_TIME or seconds != int(seconds):
        message = f"is {seconds:g} s, should be whole seconds from 1s to {MAX_RESTART_TIME}s"
        report.refuse(path, Reason.BAD_TIMERS, message)
        return DEFAULT_RESTART_TIME
    if not spec.is_set("enableGracefulRestart"):
        message = "is for enableGracefulRestart, which is not on; set it to true, or remove this"
        report.refuse(path, Reason.EXCLUSIVE_FIELDS, message)
    return int(seconds)


def _read_timers(spec: Fields, report: Report) -> Timers:
    # 0s for keepaliveTime is what Go's tools write for none.
    hold, keepalive = spec.duration("holdTime"), spec.duration("keepaliveTime") or None
    connect = spec.duration("connectTime")
    if hold is None:
        hold = DEFAULT_HOLD_TIME if keepalive is None else 3 * keepalive
    _check_timers(spec, hold, keepalive, report)
    hold = float(int(hold))
    if keepalive is None:
        keepalive = hold / 3
    if connect is not None and (not 1 <= connect <= 65535 or connect != int(connect)):
        message = f"is {connect:g} s, should be whole seconds from 1s to 65535s"
        report.refuse(spec.path("connectTime"), Reason.BAD_TIMERS, message)
    return Timers(hold, keepalive, DEFAULT_CONNECT_TIME if connect is None else connect)


def keepalive_problem(hold: float, keepalive: float) -> str | None:
    """Return what is wrong with a pair of timers that are chosen for both ends, in seconds, or None.

    RFC 4271 section 4.4: the keepalive time is at most a third of the hold time. A BGPPeer may say more, as
    with MetalLB.
    """
    if 3 * keepalive <= hold:
        return None
    return (
        f"{keepalive:g} s is more than a third of the hold time of {hold:g} s (RFC 4271 section 4.4): one "
        f"lost message would end the session; use {hold // 3:g} s or less"
    )


def _check_timers(spec: Fields, hold: float, keepalive: float | None, report: Report) -> None:
    if hold != 0 and not 3 <= hold <= MAX_HOLD_TIME:
        message = f"is {hold:g} s, should be 0s (never give up) or from 3s to {MAX_HOLD_TIME:g}s"
        report.refuse(spec.path("holdTime"), Reason.BAD_TIMERS, message)
    if keepalive is not None and keepalive < MIN_KEEPALIVE_TIME:
        message = f"is {keepalive:g} s, should be 1s and more (RFC 4271 section 4.4), or 0s for none"
        report.refuse(spec.path("keepaliveTime"), Reason.BAD_TIMERS, message)
    if keepalive is not None and keepalive > hold:
        message = f"is {keepalive:g} s, longer than the hold time of {hold:g} s; a third of it is usual"
        report.refuse(spec.path("keepaliveTime"), Reason.BAD_TIMERS, message)


__all__ = [
    "DEFAULT_CONNECT_TIME",
    "DEFAULT_HOLD_TIME",
    "DEFAULT_PORT",
    "Peer",
    "Timers",
    "keepalive_problem",
    "read_peer",
]
