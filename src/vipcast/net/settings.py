# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of a peer."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Literal

from vipcast.bgp.errors import LocalError
from vipcast.bgp.negotiation import SessionSettings
from vipcast.bgp.wire import Family
from vipcast.model.defaults import MAX_PASSWORD

MAX_HOPS = 254
# IFNAMSIZ without the final zero.
MAX_INTERFACE_NAME = 15


@dataclass(frozen=True, slots=True)
class PeerSettings:
    """One peer. Times in seconds; other settings are another session.

    ``address`` None: an unnumbered session, with whichever router is the neighbor on ``interface``.
    ``interface`` with an address: where a link-local address is to be found.
    ``remote_asn`` None: any that ``dynamic_asn`` allows. ``shown_asn``: what this peer knows us by, in place
    of ``local_asn``. ``families``: what the session is to carry.
    ``keepalive_time`` None: a third of the hold time. ``source_address`` None: the kernel's choice.
    ``vrf``: the device to which the connection is bound. ``passive``: never dial, wait for the peer.
    ``password``: TCP MD5 (RFC 2385). ``multihop``: an eBGP peer may be more than one hop away.
    ``ttl_security_hops``: what comes from further away is dropped unread (RFC 5082).
    ``restart_time``: graceful restart (RFC 4724): for how long the peer is to keep our routes without us.
    ``router_id`` None: our IPv4 address on the connection; over IPv6 a number made of ``node_name``. Who has
    several peers sets it, since it has to be one for all.
    Raises LocalError for what cannot work.
    """

    name: str
    address: IPv4Address | IPv6Address | None
    port: int
    local_asn: int
    remote_asn: int | None
    hold_time: float = 90
    keepalive_time: float | None = None
    connect_time: float = 5.0
    router_id: IPv4Address | None = None
    source_address: IPv4Address | IPv6Address | None = None
    password: str | None = None
    multihop: bool = False
    node_name: str = ""
    interface: str | None = None
    dynamic_asn: Literal["internal", "external"] | None = None
    shown_asn: int | None = None
    vrf: str | None = None
    passive: bool = False
    ttl_security_hops: int | None = None
    restart_time: int | None = None
    families: frozenset[Family] = frozenset(Family)

    def __post_init__(self) -> None:
        self._check_place()
        self._check_numbers()
        self.session()

    def _check_place(self) -> None:
        if self.address is None and self.interface is None:
            raise LocalError("neither an address nor an interface: one of them says where the peer is")
        for what, name in (("interface", self.interface), ("vrf", self.vrf)):
            if name is not None and not 1 <= len(name.encode()) <= MAX_INTERFACE_NAME:
                raise LocalError(f"{what} {name!r}: 1 to {MAX_INTERFACE_NAME} octets would be right")
        source = self.source_address
        if source is not None and self.address is None:
            raise LocalError(f"source address {source} for an unnumbered peer: its sessions are link-local")
        if source is not None and self.address is not None and source.version != self.address.version:
            raise LocalError(f"source address {source} for the peer {self.address}: both of one IP version")

    def _check_numbers(self) -> None:
        if not 1 <= self.port <= 0xFFFF:
            raise LocalError(f"port {self.port}: 1 to 65535 would be right")
        hops, password = self.ttl_security_hops, self.password
        if hops is not None and not 1 <= hops <= MAX_HOPS:
            raise LocalError(f"TTL security over {hops} hops: 1 to {MAX_HOPS} would be right")
        if password is not None and not 1 <= len(password.encode()) <= MAX_PASSWORD:
            raise LocalError(f"a password of {len(password.encode())} octets: 1 to {MAX_PASSWORD} fit")

    @property
    def internal(self) -> bool:
        """Return whether the peer takes us for a member of its own AS."""
        return self.session().internal

    @property
    def place(self) -> str:
        """Return where the peer is, for people."""
        if self.address is None:
            return f"interface {self.interface}"
        return f"{self.address} port {self.port}"

    @property
    def endpoint(self) -> str:
        """Address (or interface) and port as in a URL: the peer's label in metrics."""
        host = self.interface if self.address is None else str(self.address)
        return f"[{host}]:{self.port}" if ":" in str(host) else f"{host}:{self.port}"

    def session(self) -> SessionSettings:
        return SessionSettings(
            local_asn=self.local_asn,
            remote_asn=self.remote_asn,
            hold_time=self.hold_time,
            keepalive_time=self.keepalive_time,
            connect_time=self.connect_time,
            router_id=self.router_id,
            node_name=self.node_name,
            dynamic_asn=self.dynamic_asn,
            shown_asn=self.shown_asn,
            families=self.families,
            restart_time=self.restart_time,
            restarting=self.restart_time is not None,
        )
