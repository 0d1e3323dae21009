# SPDX-License-Identifier: GPL-3.0-or-later
"""The maker of a network card, by the first 24 bits of its MAC address. **PRIVATE** to the collection.

A stranger's MAC address says little; "Raspberry Pi" or "Hewlett Packard" says which machine to look for. The
IEEE's register comes with the library netaddr; without it a MAC address stands alone.
"""

from __future__ import annotations

try:
    from netaddr import EUI
    from netaddr.core import AddrFormatError, NotRegisteredError

    HAS_NETADDR = True
except ImportError:
    HAS_NETADDR = False

# IEEE 802c: this bit of the first octet says that no maker has assigned the address.
LOCALLY_ADMINISTERED = 0x02


def vendor(mac: str) -> str:
    """Return the maker of the card with this MAC address (aa:bb:cc:dd:ee:ff), or "" where none is known."""
    if not HAS_NETADDR:
        return ""
    try:
        address = EUI(mac)
        if address.words[0] & LOCALLY_ADMINISTERED:
            return ""
        return str(address.oui.registration().org)
    except (AddrFormatError, NotRegisteredError):
        return ""
