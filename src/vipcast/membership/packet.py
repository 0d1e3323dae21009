# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One packet between two members: octets and fields. UDP, and in one Ethernet frame where names allow it.

     0  "vL" (2), version 2 (1), flags (1)
     4  least and greatest version that the sender understands (1 each)
     6  length of the head (2)             what is there of it and not known here is skipped
     8  generation of the sender (8)       random at each start (as PIM's Generation ID, RFC 7761 section
                                           4.3.1), and the same for a process and its successor
    16  the sender's token for the peer (8)    random, another one for each generation of the peer
    24  the peer's token for the sender, 0 where it is not known (8)
    32  number (8)                         grows by one for each packet to this peer, all through a generation
    40  acknowledged (8)                   the highest number received of the peer, 0 for none
    48  acknowledged before it (8)         bit n: that number minus 1 minus n
    56  held back (4)                      microseconds from receiving the acknowledged one to sending this
    60  asks (1)                           grows when the sender wants to be told everything again
    61  name of the sender                 an octet for its length, UTF-8; the end of the head
        entries                            `vipcast.membership.entries`
        tag (16)                           HMAC-SHA256 of all before it, cut to 128 bits (RFC 2104 section 5)

Version 1 (release 0.1.0) has no octets 4 to 7. It ignores flags that it does not know, and so the flag NEWER
tells that its sender understands version 2 as well. Whoever has not been heard is spoken to in version 1.

**Replay.** Whoever gives our present token back to us has heard us in this generation, so what it says is
of now; its numbers show a copy. Nothing is believed of another packet: it is answered with our token for
it, and its sender then proves itself. So a recording fits nobody: not of an earlier generation of ours (other
tokens), not of the sender's (its present generation has been given another token), not of this one (its
number is known).
"""

from __future__ import annotations

import hmac
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from vipcast.membership.entries import MAX_NAME
from vipcast.membership.entries_v2 import write_name
from vipcast.membership.types import Drop
from vipcast.membership.versions import FIRST, NEWEST, SUPPORTED
from vipcast.versions import Versions

MAGIC = b"vL"
TAG = 16
# Entries are put into a packet up to this length, which IPv6's least MTU of 1280 carries.
FULL = 1200
# One entry alone may be longer: votes of a watcher on nodes with very long names.
MAX_LENGTH = 16384
WINDOW = 64

_VERSION_AT, _FLAGS_AT = 2, 3
_BEGIN = struct.Struct("!2sBB")
_RANGE = struct.Struct("!BBH")  # from version 2 on
_FIELDS = struct.Struct("!QQQQQQIBB")
MAX_HELD_BACK = (1 << 32) - 1


class Flag(IntEnum):
    WATCHES = 1  # the sender wants heartbeats back
    ALL = 2  # with this packet the receiver knows all that the sender knows
    DEAF = 8  # the sender hears nobody, and nothing else either: what it says it has may not be used
    ANSWER = 4  # the sender has more to tell when this has arrived, or has missed a heartbeat: answer at once
    NEWER = 128  # in version 1: the sender understands version 2, too


@dataclass(slots=True)
class Packet:
    """See the module. ``held_back``: microseconds. ``body``: entries, not read yet.

    ``version``: of this packet; ``understands``: what its sender can read.
    """

    name: str
    generation: int
    mine: int
    yours: int
    number: int
    acknowledged: int = 0
    earlier: int = 0
    held_back: int = 0
    asks: int = 0
    flags: int = 0
    body: bytes = b""
    version: int = NEWEST
    understands: Versions = SUPPORTED

    def encode(self, key: bytes) -> bytes:
        data = self._head() + self.body
        return data + hmac.digest(key, data, "sha256")[:TAG]

    def _head(self) -> bytes:
        name = write_name(self.name)
        fields = _FIELDS.pack(
            self.generation,
            self.mine,
            self.yours,
            self.number,
            self.acknowledged,
            self.earlier,
            self.held_back,
            self.asks,
            name[0],
        )
        rest = fields + name[1:]
        if self.version == FIRST:
            newer = Flag.NEWER if self.understands.most > FIRST else 0
            return _BEGIN.pack(MAGIC, FIRST, self.flags | newer) + rest
        length = _BEGIN.size + _RANGE.size + len(rest)
        return _BEGIN.pack(MAGIC, self.version, self.flags) + _RANGE.pack(*self.understands, length) + rest


def decode(data: bytes, keys: Sequence[bytes], versions: Versions = SUPPORTED) -> Packet | Drop:
    """Never an exception, whatever the octets. ``versions``: those that are understood."""
    if not keys:
        return Drop.NO_KEY
    return _judge(data, versions) or _prove(data, keys) or _read(data) or Drop.BAD_CONTENT


def _judge(data: bytes, versions: Versions) -> Drop | None:
    if len(data) > MAX_LENGTH:
        return Drop.TOO_LONG
    if len(data) < _SHORTEST:
        return Drop.TOO_SHORT
    if data[:2] != MAGIC:
        return Drop.BAD_MAGIC
    version = data[_VERSION_AT]
    if not versions.least <= version <= versions.most:
        return Drop.BAD_VERSION
    return Drop.TOO_SHORT if len(data) < _LEAST[version] else None


def _prove(data: bytes, keys: Sequence[bytes]) -> Drop | None:
    said, content = data[-TAG:], data[:-TAG]
    for key in keys:
        if hmac.compare_digest(hmac.digest(key, content, "sha256")[:TAG], said):
            return None
    return Drop.BAD_TAG


def _read(data: bytes) -> Packet | None:
    version, flags = data[_VERSION_AT], data[_FLAGS_AT]
    if version == FIRST:
        at, begin = _BEGIN.size, 0
        understands = Versions(FIRST, NEWEST if flags & Flag.NEWER else FIRST)
        flags &= ~Flag.NEWER
    else:
        at = _BEGIN.size + _RANGE.size
        least, most, begin = _RANGE.unpack_from(data, _BEGIN.size)
        understands = Versions(min(least, version), max(most, version))
    generation, mine, yours, number, acknowledged, earlier, held_back, asks, length = _FIELDS.unpack_from(
        data, at
    )
    end = at + _FIELDS.size + length
    begin = begin or end  # version 1 does not say it
    if not 0 < length <= MAX_NAME or not end <= begin <= len(data) - TAG or not (generation and mine):
        return None
    try:
        name = data[at + _FIELDS.size : end].decode()
    except UnicodeDecodeError:
        return None
    numbers = generation, mine, yours, number, acknowledged, earlier, held_back, asks, flags
    return Packet(name, *numbers, data[begin:-TAG], version, understands)


_SHORTEST = _BEGIN.size + _FIELDS.size + 1 + TAG
_LEAST = {1: _SHORTEST, 2: _SHORTEST + _RANGE.size}
