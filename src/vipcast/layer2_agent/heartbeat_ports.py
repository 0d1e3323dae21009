# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The heartbeats' port, and for a while the one before it: speakers hear of a change one after the other.

Who has heard of it already is sent to at the new port, and sends from it; who has not, at the old one. Each
is answered where its last packet came from, so that nobody is lost meanwhile.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator

from vipcast.model.addresses import IPAddress
from vipcast.net.heartbeat_port import Datagram, HeartbeatPort

__all__ = ["FORMER_SECONDS", "Ports"]

# Longer than a rollout of speakers over a large cluster takes.
FORMER_SECONDS = 3600.0
_MOST_FORMER = 2


class Ports:
    """``port``: the one that is wanted; ``former``: those before it, each with when it is closed."""

    def __init__(self, port: int) -> None:
        self.port = HeartbeatPort(port)
        self.former: list[tuple[HeartbeatPort, float]] = []
        self._heard_at: dict[IPAddress, int] = {}

    def change(self, number: int, now: float) -> list[socket.socket]:
        """Change to another port; return the sockets that the caller is to forget and then to close."""
        again = next((port for port, _until in self.former if port.port == number), None)
        self.former = [(port, until) for port, until in self.former if port is not again]
        self.former.append((self.port, now + FORMER_SECONDS))
        self.port = again or HeartbeatPort(number)
        dropped, self.former = self.former[:-_MOST_FORMER], self.former[-_MOST_FORMER:]
        return [sock for port, _until in dropped for sock in port.sockets.values()]

    def expire(self, now: float) -> list[socket.socket]:
        """Return the sockets of the former ports whose time is over."""
        over = [port for port, until in self.former if until <= now]
        self.former = [(port, until) for port, until in self.former if until > now]
        return [sock for port in over for sock in port.sockets.values()]

    def timer(self) -> float | None:
        return min((until for _port, until in self.former), default=None)

    def all(self) -> Iterator[HeartbeatPort]:
        yield self.port
        for port, _until in self.former:
            yield port

    def sockets(self) -> Iterator[tuple[HeartbeatPort, socket.socket]]:
        for port in self.all():
            for sock in port.sockets.values():
                yield port, sock

    def heard(self, datagram: Datagram, names: set[IPAddress]) -> None:
        """Note where a packet that was believed came from.

        ``names``: where members are, which bounds what is kept.
        """
        address, number = datagram[1]
        if address in names:
            self._heard_at[address] = number

    def send(self, data: bytes, address: IPAddress, number: int) -> None:
        """Send to the port that the last packet of the address came from, or else to ``number``.

        It is sent from the port before where another program has taken the new one of ours.
        """
        number = self._heard_at.get(address, number)
        able = (port for port in self.all() if address.version in port.sockets)
        next(able, self.port).send(data, address, number)

    def keep(self, addresses: set[IPAddress]) -> None:
        """Keep the ports that these addresses, the ones of members, were heard at; forget the others."""
        self._heard_at = {each: number for each, number in self._heard_at.items() if each in addresses}

    def take_from_link_only(self, on_link: bool) -> None:
        for port in self.all():
            port.take_from_link_only(on_link)

    def take_everything(self) -> None:
        for port in self.all():
            port.take_everything()

    def close(self) -> None:
        for port in self.all():
            port.close()
