# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One packet between two members: octets and fields. UDP, and in one Ethernet frame where names allow it.

     0  "vL" (2), version 1 (1), flags (1)
     4  life of the sender (8)             random at each start, and the same for a process and its heir
    12  the sender's token for the peer (8)    random, another one for each life of the peer
    20  the peer's token for the sender, 0 where it is not known (8)
    28  number (8)                         grows by one for each packet to this peer, all through a life
    36  acknowledged (8)                   the highest number received of the peer, 0 for none
    44  acknowledged before it (8)         bit n: that number minus 1 minus n
    52  held back (4)                      microseconds from receiving the acknowledged one to sending this
    56  asks (1)                           grows when the sender wants to be told everything again
    57  name of the sender                 an octet for its length, UTF-8
        entries                            `vipcast.members.entries`
        tag (16)                           HMAC-SHA256 of all before it, cut to 128 bits (RFC 2104 section 5)

**Fresh or not.** Whoever gives our present token back to us has heard us in this life, so what it says is
of now; its numbers show a copy. Nothing is believed of another packet: it is answered with our token for
it, and its sender then proves itself. So a recording fits nobody: not of an earlier life of ours (other
tokens), not of the sender's (its present life has been given another token), not of this one (its number is
known).
"""

from __future__ import annotations

import hmac
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from vipcast.members.entries import MAX_NAME, write_name
from vipcast.members.words import Drop

MAGIC, VERSION = b"vL", 1
TAG = 16
# Entries are put into a packet up to this length, which IPv6's least MTU of 1280 carries.
FULL = 1200
# One entry alone may be longer: votes of a watcher on nodes with very long names.
MAX_LENGTH = 16384
WINDOW = 64

_HEAD = struct.Struct("!2sBBQQQQQQIBB")
_LEAST = _HEAD.size + 1 + TAG
MAX_HELD_BACK = (1 << 32) - 1


class Flag(IntEnum):
    WATCHES = 1  # the sender wants heartbeats back
    ALL = 2  # with this packet the receiver knows all that the sender knows
    ANSWER = 4  # the sender has more to tell when this has arrived, or has missed a heartbeat: answer at once


@dataclass(slots=True)
class Packet:
    """See the module. ``held_back``: microseconds. ``body``: entries, not read yet."""

    name: str
    life: int
    mine: int
    yours: int
    number: int
    acknowledged: int = 0
    earlier: int = 0
    held_back: int = 0
    asks: int = 0
    flags: int = 0
    body: bytes = b""

    def encode(self, key: bytes) -> bytes:
        name = write_name(self.name)
        head = _HEAD.pack(
            MAGIC,
            VERSION,
            self.flags,
            self.life,
            self.mine,
            self.yours,
            self.number,
            self.acknowledged,
            self.earlier,
            self.held_back,
            self.asks,
            name[0],
        )
        data = head + name[1:] + self.body
        return data + hmac.digest(key, data, "sha256")[:TAG]


def decode(data: bytes, keys: Sequence[bytes]) -> Packet | Drop:
    """Never an exception, whatever the octets."""
    if not keys:
        return Drop.NO_KEY
    if drop := _judge(data, keys):
        return drop
    _magic, _version, flags, life, mine, *numbers, length = _HEAD.unpack_from(data)
    end = _HEAD.size + length
    if not 0 < length <= MAX_NAME or end > len(data) - TAG or not (life and mine):
        return Drop.BAD_CONTENT
    try:
        name = data[_HEAD.size : end].decode()
    except UnicodeDecodeError:
        return Drop.BAD_CONTENT
    yours, number, acknowledged, earlier, held_back, asks = numbers
    return Packet(
        name, life, mine, yours, number, acknowledged, earlier, held_back, asks, flags, data[end:-TAG]
    )


def _judge(data: bytes, keys: Sequence[bytes]) -> Drop | None:
    if len(data) < _LEAST:
        return Drop.TOO_SHORT
    if len(data) > MAX_LENGTH:
        return Drop.TOO_LONG
    if data[:2] != MAGIC:
        return Drop.BAD_MAGIC
    if data[2] != VERSION:
        return Drop.BAD_VERSION
    said, content = data[-TAG:], data[:-TAG]
    for key in keys:
        if hmac.compare_digest(hmac.digest(key, content, "sha256")[:TAG], said):
            return None
    return Drop.BAD_TAG
