# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Small pieces of vtysh's configuration language: AS numbers, addresses, prefix-list entries, secrets."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

MASK = "********"

# Words after which a router's configuration holds a secret, up to the end of the line.
_SECRET = re.compile(r"\b(password|secret|key-string|authentication-key|md5)(\s+\d)?\s+\S.*$")
_KEY_LINE = re.compile(r"^(\s*key\s+)(?!chain\b)(?!\d+\s*$)\S.*$")


def mask(line: str) -> str:
    """``line`` with the secret in it replaced; for everything that a person or a log may see."""
    masked = _SECRET.sub(lambda found: f"{found.group(1)} {MASK}", line)
    return _KEY_LINE.sub(rf"\g<1>{MASK}", masked)


def mask_text(text: str) -> str:
    """Every line of ``text`` through L(mask)."""
    return "\n".join(mask(line) for line in text.split("\n"))


def parse_asn(text: str) -> int:
    """The AS number in plain (``64512``) or dotted (``0.64512``, RFC 5396) notation; ValueError when it is
    none."""
    high, dot, low = text.strip().partition(".")
    number = (_part(high, 16) << 16) + _part(low, 16) if dot else _part(high, 32)
    if not 0 < number < 2**32:
        raise ValueError(f"{text!r} is no AS number: expected 1 to 4294967295")
    return number


def _part(text: str, bits: int) -> int:
    if not text.isascii() or not text.isdigit() or int(text) >= 2**bits:
        raise ValueError(f"{text!r} is no AS number: expected 1 to 4294967295")
    return int(text)


def canonical_address(text: str) -> str:
    """An address as FRR prints it; text that is no address (an interface, a peer group) comes back
    unchanged."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text


def is_address(text: str) -> bool:
    """Return whether ``text`` is an IP address, and not the name of a peer group or an interface."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class Entry:
    """One line of a prefix list by what it matches, however it was written."""

    action: str
    prefix: str
    shortest: int
    longest: int

    @classmethod
    def parse(cls, text: str) -> Entry | None:
        """``permit 10.9.0.0/16 ge 32`` and its like; None for ``any`` and what else is none of ours."""
        words = text.split()
        try:
            network = ipaddress.ip_network(words[1])
            bounds = {name: int(value) for name, value in zip(words[2::2], words[3::2])}
        except (ValueError, IndexError):
            return None
        longest = network.max_prefixlen if "ge" in bounds else network.prefixlen
        return cls(words[0], str(network), bounds.get("ge", network.prefixlen), bounds.get("le", longest))

    def __str__(self) -> str:
        """The shortest way to write it, which is how FRR prints it: without bounds that say nothing."""
        network = ipaddress.ip_network(self.prefix)
        text = f"{self.action} {self.prefix}"
        if self.shortest > network.prefixlen:
            text += f" ge {self.shortest}"
        implied = network.max_prefixlen if self.shortest > network.prefixlen else network.prefixlen
        return text if self.longest == implied else f"{text} le {self.longest}"


def canonical_entry(text: str) -> str:
    """A prefix-list entry in its shortest form, so that two ways to write it compare equal."""
    entry = Entry.parse(text)
    return str(entry) if entry else " ".join(text.split())
