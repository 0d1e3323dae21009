# SPDX-License-Identifier: GPL-3.0-or-later
"""The BGP messages that pass on a cable, each with the time of its last octet."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from daemon.interop.speaker import enter

_ALL_PACKETS = 0x0003
_RECEIVE_BUFFER = 64 << 20
_SO_RCVBUFFORCE = 33
_SO_TIMESTAMPNS = 35  # by the kernel: this thread may be late
_TIME = struct.Struct("@qq")
OPEN, UPDATE, NOTIFICATION, KEEPALIVE = 1, 2, 3, 4


@dataclass(frozen=True, slots=True)
class Seen:
    """One message: seconds since 1970, who sent it, its type and its length with the header."""

    at: float
    sender: str
    kind: int
    length: int


class Tap:
    """``with Tap(namespace) as tap``: it listens; ``messages()`` afterwards. IPv4 only."""

    def __init__(self, namespace: str) -> None:
        self._packets: list[tuple[float, bytes]] = []
        self._ended = threading.Event()
        self._socket = _open(namespace)
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Tap:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        while True:
            try:
                packet, extra, _flags, _from = self._socket.recvmsg(1 << 17, 64)
            except TimeoutError:
                if self._ended.is_set():  # and nothing is left to be read
                    return
                continue
            seconds, nanoseconds = _TIME.unpack(extra[0][2])
            self._packets.append((seconds + nanoseconds / 1e9, packet))

    def messages(self) -> list[Seen]:
        """Return the messages of all connections, in the order of their completion."""
        streams: dict[tuple[bytes, bytes], _Stream] = {}
        found = []
        for at, packet in list(self._packets):
            found += [Seen(at, *message) for message in _take(streams, packet)]
        return found


def _open(namespace: str) -> socket.socket:
    made: list[socket.socket] = []

    def inside() -> None:
        enter(namespace)
        listener = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ALL_PACKETS))
        listener.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)
        listener.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        listener.bind(("eth0", _ALL_PACKETS))
        listener.settimeout(0.1)
        made.append(listener)

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    return made[0]


class _Stream:
    """One direction of a connection."""

    def __init__(self, sequence: int) -> None:
        self.next = sequence
        self.data = bytearray()

    def take(self, sequence: int, payload: bytes) -> None:
        """Nothing is lost on this cable; what comes twice is known by its sequence number."""
        known = (self.next - sequence) & 0xFFFFFFFF
        if known < len(payload):
            self.data += payload[known:]
            self.next = (sequence + len(payload)) & 0xFFFFFFFF

    def messages(self) -> Iterator[tuple[int, int]]:
        while len(self.data) >= 19:
            length = int.from_bytes(self.data[16:18])
            if len(self.data) < length:
                return
            yield self.data[18], length
            del self.data[:length]


def _take(streams: dict[tuple[bytes, bytes], _Stream], packet: bytes) -> Iterator[tuple[str, int, int]]:
    if len(packet) < 40 or packet[0] >> 4 != 4 or packet[9] != socket.IPPROTO_TCP:
        return
    start = (packet[0] & 15) * 4
    # A packet that the kernel will cut into segments may say 0 for its length.
    total = int.from_bytes(packet[2:4]) or len(packet)
    tcp = packet[start:total]
    sequence, payload = int.from_bytes(tcp[4:8]), tcp[(tcp[12] >> 4) * 4 :]
    key = packet[12:20], tcp[:4]
    if tcp[13] & 2:  # SYN
        streams[key] = _Stream((sequence + 1) & 0xFFFFFFFF)
    elif payload and key in streams:
        streams[key].take(sequence, payload)
        for kind, length in streams[key].messages():
            yield socket.inet_ntoa(packet[12:16]), kind, length
