# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The intent for a router, as checked and typed objects made from a module's options."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass

from ..model.asns import MAX_ASN, asn_problem
from ..model.defaults import MAX_PASSWORD
from ..model.peers import keepalive_problem
from . import bfd
from .errors import Reason, Refusal
from .settings import FAMILIES
from .syntax import canonical_address, is_address


@dataclass(frozen=True)
class Neighbor:
    """One BGP neighbor. C(families) are the address families that are active on its session, C(bfd_profile)
    the full name of a profile."""

    address: str
    remote_as: int
    description: str
    password: str | None
    ebgp_multihop: int | None
    update_source: str | None
    families: tuple
    ttl_security_hops: int | None
    passive: bool
    bfd_profile: str | None
    graceful_restart: bool

    @property
    def carries_foreign_next_hops(self) -> bool:
        """IPv4 routes over an IPv6 session have IPv6 next hops (RFC 8950)."""
        return ":" in self.address and FAMILIES[0] in self.families


@dataclass(frozen=True)
class Prefix:
    """A range of addresses and the lengths of the routes accepted inside it."""

    prefix: str
    shortest: int
    longest: int

    @property
    def version(self) -> int:
        """4 or 6."""
        return ipaddress.ip_network(self.prefix).version


@dataclass(frozen=True)
class Intent:
    """Everything that the module manages on a router. None means: leave that as it is."""

    asn: int
    name: str
    router_id: str | None
    neighbors: tuple
    prefixes: tuple
    maximum_paths: int | None
    maximum_prefix: int | None
    hold: int | None
    keepalive: int | None
    connect: int | None
    multipath_relax: bool | None
    bfd_profiles: tuple = ()
    local_terminals: bool = False
    present: bool = True
    # Where the router has no instance yet: an identifier that is there stays.
    default_router_id: str | None = None
    # Whether nodes that a peer group or a listen range covers stay in it ("adopt") or leave it ("replace").
    covered: str = "adopt"
    # Where nodes are expected, instead of a static neighbor for each.
    listen_ranges: tuple = ()
    # Whether a name that others use already is ours all the same.
    take_over: bool = False
    # Whether an instance is made where the router has BGP in VRFs or views only.
    default_instance: bool = False

    @property
    def inbound(self) -> str:
        """The route map on what neighbors announce to us."""
        return f"{self.name}-IN"

    @property
    def outbound(self) -> str:
        """The route map on what we would announce to neighbors."""
        return f"{self.name}-OUT"

    @property
    def pools(self) -> str:
        """The prefix lists (one per address family) of what is accepted."""
        return f"{self.name}-POOLS"

    @property
    def group(self) -> str:
        """The peer group of what our listen ranges let in."""
        return f"{self.name}-NODES"

    @property
    def terminals(self) -> str:
        """The access lists (one per address family) of who may open a terminal over TCP."""
        return f"{self.name}-VTY"

    @property
    def relax(self) -> bool | None:
        """Return whether equal paths may have different AS paths; needed as soon as eBGP neighbors differ in
        their AS."""
        if self.multipath_relax is not None:
            return self.multipath_relax
        asns = {neighbor.remote_as for neighbor in self.neighbors} - {self.asn}
        return True if len(asns) > 1 else None


def intent_from(options: Mapping) -> Intent:
    """Check a module's options against each other and type them; Refusal names the first thing that is
    wrong."""
    timers = options.get("timers") or {}
    intent = Intent(
        asn=_asn(options["asn"], "asn"),
        name=_name(options.get("name") or "VIPCAST"),
        router_id=_router_id(options.get("router_id"), "router_id"),
        neighbors=tuple(
            _neighbor(entry, options.get("name") or "VIPCAST") for entry in options.get("neighbors") or ()
        ),
        prefixes=tuple(_prefix(entry) for entry in options.get("prefixes") or ()),
        maximum_paths=_bounded(options.get("maximum_paths"), "maximum_paths", 1, 65535),
        maximum_prefix=_bounded(options.get("maximum_prefix"), "maximum_prefix", 1, 2**32 - 1),
        hold=_bounded(timers.get("hold"), "timers.hold", 3, 65535),
        keepalive=_bounded(timers.get("keepalive"), "timers.keepalive", 1, 65535),
        connect=_bounded(timers.get("connect"), "timers.connect", 1, 65535),
        multipath_relax=options.get("multipath_relax"),
        bfd_profiles=tuple(
            _profile(entry, options.get("name") or "VIPCAST") for entry in options.get("bfd_profiles") or ()
        ),
        local_terminals=bool(options.get("local_terminals")),
        present=options.get("state", "present") == "present",
        default_router_id=_router_id(options.get("default_router_id"), "default_router_id"),
        covered=options.get("covered_neighbors") or "adopt",
        listen_ranges=tuple(_range(text) for text in options.get("listen_ranges") or ()),
        take_over=bool(options.get("take_over")),
        default_instance=bool(options.get("default_instance")),
    )
    _check_together(intent)
    _bounded(options.get("confirm_timeout"), "confirm_timeout", 0, 3600)
    return intent


def _refuse(message: str) -> Refusal:
    return Refusal(Reason.BAD_OPTION, message)


def _check_together(intent: Intent) -> None:
    addresses = [neighbor.address for neighbor in intent.neighbors]
    for address in addresses:
        if addresses.count(address) > 1:
            raise _refuse(
                f"neighbors: {address} is declared {addresses.count(address)} times; keep one of them"
            )
    profiles = [profile.name for profile in intent.bfd_profiles]
    for neighbor in intent.neighbors:
        if neighbor.ttl_security_hops is not None and neighbor.ebgp_multihop is not None:
            raise _refuse(
                f"neighbors: {neighbor.address}: ttl_security_hops and ebgp_multihop exclude each other: "
                "the former says how far away the neighbor is, too"
            )
        if neighbor.bfd_profile is not None and neighbor.bfd_profile not in profiles:
            raise _refuse(
                f"neighbors: {neighbor.address}: bfd_profile: there is no {neighbor.bfd_profile} in "
                f"bfd_profiles, which has {', '.join(profiles) or 'none'}"
            )
    if (intent.hold is None) != (intent.keepalive is None):
        raise _refuse("timers: hold and keepalive belong together; give both or neither")
    if intent.hold is not None and intent.keepalive is not None:
        why = keepalive_problem(intent.hold, intent.keepalive)
        if why is not None:
            raise _refuse(f"timers: keepalive: {why}")


def _asn(value: object, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _refuse(f"{where}: {value!r} is no AS number; expected 1 to {MAX_ASN}")
    if (problem := asn_problem(value)) is not None:
        raise _refuse(f"{where}: {value} {problem}")
    return value


def _name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,39}", value):
        raise _refuse(
            f"name: {value!r} begins no route map's name; expected a letter, then letters, digits, - or _"
        )
    return value


def _bounded(value: int | None, where: str, lowest: int, highest: int) -> int | None:
    if value is not None and not lowest <= value <= highest:
        raise _refuse(f"{where}: {value} is out of range; expected {lowest} to {highest}")
    return value


def _router_id(value: str | None, where: str) -> str | None:
    if value is None:
        return None
    try:
        return str(ipaddress.IPv4Address(value))
    except ValueError:
        raise _refuse(f"{where}: {value!r} is not written like an IPv4 address (RFC 6286)") from None


def _profile(entry: Mapping, prefix: str) -> bfd.Profile:
    where = f"bfd_profiles: {entry['name']}"

    def number(name: str, default: int, lowest: int, highest: int) -> int:
        found = _bounded(entry.get(name), f"{where}: {name}", lowest, highest)
        return default if found is None else found

    return bfd.Profile(
        name=_profile_name(entry["name"], prefix, where),
        detect_multiplier=number("detect_multiplier", 3, 2, 255),
        transmit_interval=number("transmit_interval", 300, 10, 60000),
        receive_interval=number("receive_interval", 300, 10, 60000),
        echo_mode=bool(entry.get("echo_mode")),
        echo_interval=number("echo_interval", 50, 10, 60000),
        minimum_ttl=number("minimum_ttl", 254, 1, 254),
    )


def _profile_name(name: str, prefix: str, where: str) -> str:
    """A name that says whose it is, as those of the route maps do."""
    full = f"{prefix}-{name}"
    if not re.fullmatch(r"[A-Za-z0-9._-]+", name) or len(full) > bfd.LONGEST_NAME:
        raise _refuse(
            f"{where}: {full!r} is no profile's name: at most {bfd.LONGEST_NAME} letters, digits, -, _ or ."
        )
    return full


def _neighbor(entry: Mapping, prefix: str) -> Neighbor:
    try:
        address = ipaddress.ip_address(entry["address"])
    except ValueError:
        raise _refuse(f"neighbors: {entry['address']!r} is no IP address") from None
    where = f"neighbors: {address}"
    families = entry.get("families") or [f"ipv{address.version}"]
    return Neighbor(
        address=str(address),
        remote_as=_asn(entry["remote_as"], f"{where}: remote_as"),
        description=_words(entry.get("description") or _dashed(str(address)), f"{where}: description", 80),
        password=_password(entry.get("password"), f"{where}: password"),
        ebgp_multihop=_bounded(entry.get("ebgp_multihop"), f"{where}: ebgp_multihop", 1, 255),
        update_source=_word(entry.get("update_source"), f"{where}: update_source"),
        families=tuple(family for family in FAMILIES if family.split()[0] in families),
        ttl_security_hops=_bounded(entry.get("ttl_security_hops"), f"{where}: ttl_security_hops", 1, 254),
        passive=bool(entry.get("passive")),
        bfd_profile=_profile_name(entry["bfd_profile"], prefix, f"{where}: bfd_profile")
        if entry.get("bfd_profile")
        else None,
        graceful_restart=bool(entry.get("graceful_restart")),
    )


def _dashed(address: str) -> str:
    """A description that a search for the address's digits finds, and that no parser takes for an address."""
    return address.replace(".", "-").replace(":", "-")


def _words(value: str, where: str, longest: int) -> str:
    if value != " ".join(value.split()) or not value.isprintable() or len(value) > longest:
        raise _refuse(
            f"{where}: {value!r} must be one line of at most {longest} characters with single spaces"
        )
    return value


def _word(value: str | None, where: str) -> str | None:
    if value is None:
        return None
    # Linux: an interface's name has at most 15 characters. FRR takes any word.
    if not is_address(value) and not re.fullmatch(r"[A-Za-z0-9.:@_-]{1,15}", value):
        raise _refuse(f"{where}: {value!r} is neither an interface nor an address")
    return canonical_address(value)


def _password(value: str | None, where: str) -> str | None:
    """Return the key of TCP MD5 (RFC 2385). The message must not show the value."""
    if not value:
        return None
    if not re.fullmatch(r"[!-~]+", value) or len(value) > MAX_PASSWORD:
        raise _refuse(f"{where}: expected 1 to {MAX_PASSWORD} printable ASCII characters without spaces")
    return value


def _range(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        raise _refuse(f"listen_ranges: {text!r}: {error}") from None


def _prefix(entry: Mapping) -> Prefix:
    text = entry["prefix"]
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        raise _refuse(f"prefixes: {text!r}: {error}") from None
    shortest = entry.get("min_length")
    longest = entry.get("max_length")
    shortest = network.max_prefixlen if shortest is None else shortest
    longest = network.max_prefixlen if longest is None else longest
    if not network.prefixlen <= shortest <= longest <= network.max_prefixlen:
        raise _refuse(
            f"prefixes: {text}: lengths {shortest} to {longest} do not fit; "
            f"expected {network.prefixlen} <= min_length <= max_length <= {network.max_prefixlen}"
        )
    return Prefix(str(network), shortest, longest)
