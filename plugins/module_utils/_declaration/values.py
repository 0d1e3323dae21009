# SPDX-License-Identifier: GPL-3.0-or-later
"""Single values of a declaration: converted once, or refused with their name and place.

**PRIVATE** to the collection. Values may carry ansible-core's data tags; what leaves here is plain Python.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from ..model.addresses import AddressRange, IPAddress, IPNetwork, parse_address
from ..model.addresses import parse_range as judge_range
from ..model.asns import LAST_ASNS, MAX_ASN, asn_problem


class Refusal(Enum):
    """The reason why a declaration is not accepted; shown in brackets at the end of the message."""

    UNKNOWN_VARIABLE = "unknown variable"
    UNKNOWN_KEY = "unknown key"
    UNKNOWN_REFERENCE = "unknown reference"
    MISSING = "missing"
    WRONG_TYPE = "wrong type"
    OUT_OF_RANGE = "out of range"
    NOT_AN_ADDRESS = "not an address"
    DUPLICATE = "duplicate"
    OVERLAP = "overlap"
    CONFLICT = "conflict"
    EMPTY_GROUP = "empty group"


@dataclass(frozen=True)
class Place:
    """The place of a value: the variable, or a part of it, and the host or group."""

    what: str
    where: str = ""

    def at(self, index: int) -> Place:
        """An item of a list."""
        return replace(self, what=f"{self.what}[{index}]")

    def key(self, name: str) -> Place:
        """A key of a dictionary."""
        return replace(self, what=f"{self.what}.{name}")

    def __str__(self) -> str:
        return f"{self.what} ({self.where})" if self.where else self.what


class DeclarationError(ValueError):
    """The inventory is wrong. The message names variable and host, and says what would be right."""

    def __init__(self, refusal: Refusal, place: Place, why: str) -> None:
        super().__init__(f"{place}: {why} [{refusal.value}]")
        self.refusal, self.place = refusal, place


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint: the known name that looks like this one, or all of them."""
    names = {each.lower(): each for each in sorted(known)}
    close = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.6)
    return f"did you mean {names[close[0]]}?" if close else f"known are {', '.join(names.values())}"


def as_text(value: Any, place: Place, *, secret: bool = False) -> str:
    """A non-empty string. Numbers are refused: YAML may have changed what was written (10.10 is 10.1)."""
    if not isinstance(value, str) or not value.strip():
        shown = "" if secret else f" {value!r}"
        raise DeclarationError(
            Refusal.WRONG_TYPE,
            place,
            f"it is {_kind(value)}{shown}, and should be a string; put it in quotes",
        )
    return "".join(value).strip()


def as_integer(value: Any, place: Place, least: int, most: int) -> int:
    """A whole number, also as digits (`-e name=3` makes strings)."""
    if isinstance(value, bool) or not (
        isinstance(value, int) or (isinstance(value, str) and re.fullmatch(r"[0-9]+", value))
    ):
        why = f"{value!r} is {_kind(value)}, and should be a whole number from {least} to {most}"
        raise DeclarationError(Refusal.WRONG_TYPE, place, why)
    number = int(value) + 0
    if not least <= number <= most:
        raise DeclarationError(Refusal.OUT_OF_RANGE, place, f"{number} should be from {least} to {most}")
    return number


def as_asn(value: Any, place: Place) -> int:
    number = as_integer(value, place, 1, MAX_ASN)
    problem = asn_problem(number)
    if number in LAST_ASNS:
        problem = "is reserved (RFC 7300)"
    if problem is not None:
        why = f"{number} {problem}; private use is 64512 to 65534 (RFC 6996)"
        raise DeclarationError(Refusal.OUT_OF_RANGE, place, why)
    return number


def as_bool(value: Any, place: Place) -> bool:
    """A truth value, also in the words that `-e name=yes` leaves as strings."""
    if isinstance(value, str) and value.lower() in ("true", "yes", "false", "no"):
        return value.lower() in ("true", "yes")
    if not isinstance(value, bool):
        raise DeclarationError(
            Refusal.WRONG_TYPE, place, f"{value!r} is {_kind(value)}, and should be true or false"
        )
    return bool(value)


def as_list(value: Any, place: Place) -> list[Any]:
    if not isinstance(value, (list, tuple)):
        raise DeclarationError(
            Refusal.WRONG_TYPE, place, f"{value!r} is {_kind(value)}, and should be a list"
        )
    return list(value)


def as_address(value: Any, place: Place) -> IPAddress:
    text = as_text(value, place)
    try:
        return parse_address(text)
    except ValueError as exc:
        raise DeclarationError(Refusal.NOT_AN_ADDRESS, place, str(exc)) from None


def as_network(value: Any, place: Place) -> IPNetwork:
    text = as_text(value, place)
    try:
        return ipaddress.ip_network(text)
    except ValueError as exc:
        why = f"{text!r} is not a network such as 10.8.64.0/18 ({exc})"
        raise DeclarationError(Refusal.NOT_AN_ADDRESS, place, why) from None


def as_range(value: Any, place: Place) -> AddressRange:
    """`10.9.0.0/16` or `10.9.1.1-10.9.1.9`, judged as the load balancer judges it."""
    text = as_text(value, place)
    try:
        return judge_range(text)
    except ValueError as exc:
        raise DeclarationError(Refusal.NOT_AN_ADDRESS, place, str(exc)) from None


def range_of(network: IPNetwork) -> AddressRange:
    """All addresses of a network."""
    return AddressRange(network[0], network[-1], str(network))


# RFC 1123 subdomain: what Kubernetes takes as the name of an object.
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def as_name(value: Any, place: Place) -> str:
    text = as_text(value, place)
    if len(text) > 253 or not _NAME.fullmatch(text):
        why = f"{text!r} is no name for an object of Kubernetes: lower-case letters, digits, '-' and '.'"
        raise DeclarationError(Refusal.WRONG_TYPE, place, why)
    return text


def object_name(host: str, place: Place) -> str:
    """An object's name for a host of the inventory, which may contain capitals and underscores."""
    return as_name(host.lower().replace("_", "-"), place)


def known_keys(item: Any, known: tuple[str, ...], required: tuple[str, ...], place: Place) -> None:
    """A dictionary with nothing but known keys and all the required ones."""
    if not isinstance(item, Mapping):
        raise DeclarationError(
            Refusal.WRONG_TYPE, place, f"{item!r} is {_kind(item)}, and should be a dictionary"
        )
    for key in item:
        if key not in known:
            raise DeclarationError(
                Refusal.UNKNOWN_KEY, place, f"no such key {key}; {nearest(str(key), known)}"
            )
    for key in required:
        if item.get(key) is None:
            raise DeclarationError(Refusal.MISSING, place, f"the key {key} is required")


def _kind(value: Any) -> str:
    """The kind of a value in a user's words. (isinstance: tagged values are subclasses.)"""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "a truth value"
    for kind, word in (
        (str, "a string"),
        (int, "a number"),
        (float, "a fraction"),
        (Mapping, "a dictionary"),
        (list, "a list"),
    ):
        if isinstance(value, kind):
            return word
    return "of another type"
