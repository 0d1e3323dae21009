# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a speaker is told about a peer."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from vipcast.bgp.errors import LocalError
from vipcast.bgp.negotiation import SessionSettings

# The kernel's TCP_MD5SIG_MAXKEYLEN.
MAX_PASSWORD = 80


@dataclass(frozen=True, slots=True)
class PeerSettings:
    """One peer. Times in seconds; other settings are another session.

    ``keepalive_time`` None: a third of the hold time. ``source_address`` None: the kernel's choice.
    ``password``: TCP MD5 (RFC 2385). ``multihop``: an eBGP peer may be more than one hop away.
    ``router_id`` None: our IPv4 address on the connection; over IPv6 a number made of ``node_name``.
    Raises LocalError for what cannot work.
    """

    name: str
    address: IPv4Address | IPv6Address
    port: int
    local_asn: int
    remote_asn: int
    hold_time: float = 90
    keepalive_time: float | None = None
    connect_time: float = 5.0
    router_id: IPv4Address | None = None
    source_address: IPv4Address | IPv6Address | None = None
    password: str | None = None
    multihop: bool = False
    node_name: str = ""

    def __post_init__(self) -> None:
        self.session()
        if not 1 <= self.port <= 0xFFFF:
            raise LocalError(f"port {self.port}: 1 to 65535 would be right")
        source = self.source_address
        if source is not None and source.version != self.address.version:
            raise LocalError(f"source address {source} for the peer {self.address}: both of one IP version")
        if self.password is not None and not 1 <= len(self.password.encode()) <= MAX_PASSWORD:
            raise LocalError(f"a password of {len(self.password.encode())} octets: 1 to {MAX_PASSWORD} fit")

    @property
    def internal(self) -> bool:
        return self.local_asn == self.remote_asn

    def session(self) -> SessionSettings:
        return SessionSettings(
            local_asn=self.local_asn,
            remote_asn=self.remote_asn,
            hold_time=self.hold_time,
            keepalive_time=self.keepalive_time,
            connect_time=self.connect_time,
            router_id=self.router_id,
            node_name=self.node_name,
        )
