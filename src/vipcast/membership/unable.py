# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses that a node cannot answer for, in few words: in classes as far as it goes, and single ones.

A class is all addresses of a family that are wanted on the same interfaces: where a node has none of these,
it cannot answer for any of the class. Who is unable is not waited for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from zlib import crc32

from vipcast.layer2.api import AddressWant
from vipcast.membership.entries import MAX_UNABLE
from vipcast.model.addresses import IPAddress


def class_of(address: IPAddress, want: AddressWant) -> int:
    """Return the class's number: of the family and the names of the interfaces."""
    names = "*" if want.interfaces is None else ",".join(sorted(want.interfaces))
    return crc32(f"{address.version} {names}".encode())


def summary(
    unable: Collection[IPAddress], wants: Mapping[IPAddress, AddressWant]
) -> tuple[tuple[int, ...], tuple[bytes, ...]]:
    """Return whole classes, and single addresses; what there is no room for is not said, and waited for."""
    if not unable:
        return (), ()
    classes = {address: class_of(address, want) for address, want in wants.items()}
    able = Counter(number for address, number in classes.items() if address not in unable)
    known = [address for address in unable if address in classes]
    whole = {classes[address] for address in known if not able[classes[address]]}
    single = sorted(address.packed for address in known if classes[address] not in whole)
    return tuple(sorted(whole)[:MAX_UNABLE]), tuple(single[:MAX_UNABLE])
