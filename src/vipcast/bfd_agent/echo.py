# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The echo function's socket: open while a session wants it, and the MACs that packets go to."""

from __future__ import annotations

import socket
from collections.abc import Callable
from ipaddress import IPv4Address

from vipcast.bfd.echo import decode
from vipcast.bfd_agent.entry import Entry
from vipcast.net import bfd_echo
from vipcast.net.bfd_echo import Heard, Neighbor

_FORBIDDEN = "the echo function needs CAP_NET_RAW, which this process does not have"


class EchoPort:
    """The port of all sessions. ``sock`` is None while none of them has an echo function."""

    def __init__(
        self, *, watch: Callable[[socket.socket], None], unwatch: Callable[[socket.socket], None]
    ) -> None:
        self.sock: socket.socket | None = None
        self._watch, self._unwatch = watch, unwatch
        self._neighbors: dict[int, Neighbor] = {}  # by our discriminator
        self._entries: dict[int, Entry] = {}

    def need(self, entries: list[Entry]) -> None:
        """The sessions with an echo function. Without one there is no socket."""
        known, self._entries = self._entries, {entry.discriminator: entry for entry in entries}
        if not self._entries:
            self.close()
            return
        self._neighbors = {one: each for one, each in self._neighbors.items() if one in self._entries}
        problem = None
        try:
            if self.sock is None:
                self.sock = bfd_echo.open_port(self._entries)
                self._watch(self.sock)
            elif self._entries.keys() != known.keys():
                bfd_echo.listen_for(self.sock, self._entries)
        except OSError as error:
            problem = _FORBIDDEN if isinstance(error, PermissionError) else f"echo: {error.strerror}"
        for entry in entries:
            entry.echo_problem = problem

    def close(self) -> None:
        if self.sock is not None:
            self._unwatch(self.sock)
            self.sock.close()
            self.sock = None
        self._neighbors.clear()

    def send(self, entry: Entry) -> None:
        """Send the session's echo packets; none while the peer's MAC is not known."""
        payloads = entry.session.echoes_to_send()
        neighbor = self._neighbors.get(entry.discriminator)
        if self.sock is None or neighbor is None or entry.sender is None:
            return
        ours = IPv4Address(entry.sender.getsockname()[0])
        for payload in payloads:
            try:
                bfd_echo.send(self.sock, neighbor, ours, payload)
            except OSError:  # a packet that could not leave is one that doesn't come back
                return

    def receive(self) -> list[tuple[int, int]]:
        """Discriminators and numbers of the packets that have come back."""
        found = []
        for heard in bfd_echo.receive(self.sock) if self.sock is not None else ():
            if heard.payload is None:
                self._learn(heard)
            elif (known := decode(heard.payload)) is not None:
                found.append(known)
        return found

    def _learn(self, heard: Heard) -> None:
        """Learn the peer's MAC from a Control packet that the session takes: whoever else sends one in its
        name does not know the discriminator, and is not on the interface.
        """
        entry = self._entries.get(heard.discriminator)
        if entry is None or heard.source != entry.settings.peer:
            return
        if entry.interfaces is None or _index(heard.neighbor.interface) in entry.interfaces:
            self._neighbors[heard.discriminator] = heard.neighbor


def _index(interface: str) -> int | None:
    try:
        return socket.if_nametoindex(interface)
    except OSError:  # it has gone meanwhile
        return None
