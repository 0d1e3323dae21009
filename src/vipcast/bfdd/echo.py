# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The echo function's socket: open while a session wants it, and the MACs that packets go to."""

from __future__ import annotations

import socket
from collections.abc import Callable
from ipaddress import IPv4Address

from vipcast.bfd.echo import discriminator_of
from vipcast.bfd.settings import Address
from vipcast.bfdd.entry import Entry
from vipcast.net import bfd_echo
from vipcast.net.bfd_echo import Neighbour

_FORBIDDEN = "the echo function needs CAP_NET_RAW, which this process does not have"


class EchoPort:
    def __init__(
        self, *, watch: Callable[[socket.socket], None], unwatch: Callable[[socket.socket], None]
    ) -> None:
        self.sock: socket.socket | None = None
        self._watch, self._unwatch = watch, unwatch
        self._neighbours: dict[Address, Neighbour] = {}
        self._peers: set[Address] = set()

    def need(self, entries: list[Entry]) -> None:
        """The sessions with an echo function. Without one there is no socket."""
        self._peers = {entry.settings.peer for entry in entries}
        if not self._peers:
            self.close()
            return
        problem = None
        try:
            if self.sock is None:
                self.sock = bfd_echo.open_port()
                self._watch(self.sock)
        except OSError as error:
            problem = _FORBIDDEN if isinstance(error, PermissionError) else f"echo: {error.strerror}"
        for entry in entries:
            entry.echo_problem = problem

    def close(self) -> None:
        if self.sock is not None:
            self._unwatch(self.sock)
            self.sock.close()
            self.sock = None
        self._neighbours.clear()

    def send(self, entry: Entry) -> None:
        """What the session wants to send; nothing while the peer's MAC is not known."""
        payloads = entry.session.echoes_to_send()
        neighbour = self._neighbours.get(entry.settings.peer)
        if self.sock is None or neighbour is None or entry.sender is None:
            return
        ours = IPv4Address(entry.sender.getsockname()[0])
        for payload in payloads:
            try:
                bfd_echo.send(self.sock, neighbour, ours, payload)
            except OSError:  # a packet that could not leave is one that doesn't come back
                return

    def receive(self) -> list[int]:
        """Discriminators of the sessions whose packets have come back."""
        found = []
        for heard in bfd_echo.receive_all(self.sock) if self.sock is not None else ():
            if heard.payload is None:
                if heard.source in self._peers:
                    self._neighbours[heard.source] = heard.neighbour
            elif (discriminator := discriminator_of(heard.payload)) is not None:
                found.append(discriminator)
        return found
