# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Extended communities (RFC 4360), as far as the link bandwidth goes (draft-ietf-idr-link-bandwidth).

    0      1         2            4                     8
    +------+---------+------------+---------------------+
    | type | subtype | AS number  | octets per second   |
    +------+---------+------------+---------------------+

The AS number has two octets, the bandwidth is an IEEE 754 single. Bit 0x40 of the type: not transitive.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from vipcast.bgp.attributes import MAX_TWO_OCTET_ASN
from vipcast.model.asns import AS_TRANS

LENGTH = 8
_NON_TRANSITIVE = 0x40
_TWO_OCTET_AS = 0x00
_LINK_BANDWIDTH = 0x04
_FORMAT = struct.Struct(">BBHf")


def link_bandwidth(asn: int, rate: float, *, transitive: bool) -> bytes:
    """``rate`` in octets per second. An AS number that two octets don't hold is AS_TRANS (section 3)."""
    kind = _TWO_OCTET_AS if transitive else _TWO_OCTET_AS | _NON_TRANSITIVE
    return _FORMAT.pack(kind, _LINK_BANDWIDTH, asn if asn <= MAX_TWO_OCTET_ASN else AS_TRANS, rate)


def bandwidth_in(communities: Iterable[bytes]) -> float | None:
    """The rate of the first link bandwidth community, in octets per second; None where there is none."""
    for octets in sorted(communities):
        kind, subtype, _asn, rate = _FORMAT.unpack(octets)
        if kind & ~_NON_TRANSITIVE == _TWO_OCTET_AS and subtype == _LINK_BANDWIDTH:
            return float(rate)
    return None
