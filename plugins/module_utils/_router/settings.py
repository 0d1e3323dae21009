# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A router's configuration as a flat dictionary, made by folding its lines.

A running configuration and a list of commands are the same language, so one interpreter reads both: that is
what makes
"the commands lead from here to there" a property that can be tested. Keys are paths, values the rest of the
line:

  ("router", "bgp")                                           "64512"
  ("bgp", "router-id")                                        "10.31.254.251"
  ("neighbor", "10.31.8.1", "remote-as")                      "64513"
  ("family", "ipv4 unicast", "maximum-paths")                 "3"
  ("family", "ipv4 unicast", "neighbor", "10.31.8.1", "route-map in")  "VIPCAST-IN"
  ("prefix-list", "ip", "VIPCAST-POOLS", "5")                 "permit 10.9.0.0/16 ge 32"
  ("route-map", "VIPCAST-IN", "10")                           "permit"
  ("route-map", "VIPCAST-IN", "10", "match ip address prefix-list VIPCAST-POOLS")  ""
  ("access-list", "ip", "VIPCAST-VTY", "5")                   "permit 127.0.0.0/8"
  ("vty", "access-class")                                     "VIPCAST-VTY"
  ("bfd-profile", "VIPCAST-fast")                             ""
  ("bfd-profile", "VIPCAST-fast", "receive-interval")         "100"

Whether a family is active for a neighbor is always there as "yes" or "no", because a configuration shows
only the
difference from a default that is itself configurable. Lines that are none of these are kept as they are in
``other``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from . import bfd, syntax

Key = tuple
Settings = dict

FAMILIES = ("ipv4 unicast", "ipv6 unicast")
ROUTER = ("router", "bgp")
# First words of the keys that do not go when an instance goes.
OUTSIDE = ("prefix-list", "route-map", "access-list", "vty", "bfd-profile")
_DEFAULT_V4 = ("bgp", "default ipv4-unicast")
_DEFAULT_V6 = ("bgp", "default ipv6-unicast")

# Attributes of a neighbor that take a value, by the words that name them; the longest name first.
_NEIGHBOR = (
    "timers connect",
    "remote-as",
    "description",
    "password",
    "timers",
    "ebgp-multihop",
    "update-source",
    "peer-group",
    "shutdown",
    "passive",
    "ttl-security hops",
    "capability extended-nexthop",
    "bfd profile",
    "bfd check-control-plane-failure",
    "bfd",
    "graceful-restart-disable",
    "graceful-restart-helper",
    "graceful-restart",
)
_FAMILY = ("soft-reconfiguration", "maximum-prefix")
# Attributes with a name in the middle and a direction at the end.
_DIRECTED = ("route-map", "prefix-list", "filter-list", "distribute-list")
_BGP = ("router-id", "bestpath as-path multipath-relax")
_PATHS = ("maximum-paths ibgp", "maximum-paths")


@dataclass
class Config:
    """The parsed configuration: ``settings`` are understood, ``other`` is every line that is not."""

    settings: Settings = field(default_factory=dict)
    other: list = field(default_factory=list)

    @property
    def asn(self) -> int | None:
        """The AS number of the default instance, or None without one."""
        text = self.settings.get(ROUTER)
        return syntax.parse_asn(text) if text else None

    @property
    def instances(self) -> list:
        """The lines that begin instances of BGP in VRFs and views."""
        lines = (line for line in self.other if line.startswith("router bgp ") and " / " not in line)
        return list(dict.fromkeys(lines))

    def neighbors(self) -> list:
        """Addresses (and names of peer groups and interfaces) that anything is configured for."""
        found = (key[1] for key in self.settings if key[0] == "neighbor")
        return list(dict.fromkeys(found))


def read(text: str) -> Config:
    """The configuration that ``text``, a running configuration or a file of FRR's, describes."""
    return apply(Config(), text.splitlines())


def apply(config: Config, lines: list) -> Config:
    """``config`` after ``lines`` were entered; ``config`` itself stays as it is."""
    interpreter = _Interpreter(Config(dict(config.settings), list(config.other)))
    for line in lines:
        interpreter.feed(line)
    return interpreter.config


def _split(words: list, names: tuple) -> tuple | None:
    """The first of ``names`` that ``words`` begin with, and what follows it."""
    for name in names:
        length = len(name.split())
        if " ".join(words[:length]) == name:
            return name, " ".join(words[length:])
    return None


class _Interpreter:
    """The context of a configuration line: at the top, in ``router bgp``, in a family, in a
    route map, in a BFD profile."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._set = config.settings
        self._block: tuple = ()
        self._family = ""

    def feed(self, line: str) -> None:
        """Enter one line. A line without indentation always begins at the top."""
        text = line.strip()
        if not text or text.startswith(("!", "#")):
            return
        if line[0] not in " \t":
            self._block, self._family = (), ""
        handler = {
            (): self._top,
            "bgp": self._bgp,
            "map": self._map,
            "vty": self._vty,
            "bfd": self._bfd,
        }
        handler.get(self._block and self._block[0], self._foreign)(text)

    def _foreign(self, text: str) -> None:
        self.config.other.append(" / ".join((*self._block[1:], text)))

    def _top(self, text: str) -> None:
        words = text.split()
        negated = words[0] == "no"
        body = words[1:] if negated else words
        if body[:2] == ["router", "bgp"]:
            self._router(body, negated)
        elif body[0] == "route-map" and len(body) >= 2:
            self._route_map(body, negated)
        elif body[0] in ("ip", "ipv6") and body[1:2] == ["prefix-list"]:
            self._prefix_list(body, negated)
        elif not self._terminal(body, negated) and text not in ("exit", "end"):
            self._block = ("foreign", text)
            self.config.other.append(text)

    def _terminal(self, words: list, negated: bool) -> bool:
        """Return the lines that open a daemon's terminal over TCP: password, access lists, C(line vty)."""
        family = "ipv6" if words[0] == "ipv6" else "ip"
        body = words[1:] if family == "ipv6" else words
        if body[:1] == ["access-list"] and body[2:3] == ["seq"] and len(body) > 4:
            self._put(("access-list", family, body[1], body[3]), " ".join(body[4:]), negated)
        elif words[0] == "password":
            self._put(("vty", "password"), " ".join(words[1:]), negated)
        elif words == ["bfd"]:
            self._block = ("bfd", "bfd")
        elif words == ["line", "vty"]:
            self._block = ("vty", "line vty")
        else:
            return False
        return True

    def _vty(self, text: str) -> None:
        words = text.split()
        negated = words[0] == "no"
        body = words[1:] if negated else words
        if body[-2:-1] == ["access-class"]:
            self._put(("vty", " ".join(body[:-1])), body[-1], negated)
        elif text not in ("exit", "end"):
            self._foreign(text)

    def _bfd(self, text: str) -> None:
        """A profile, a line in it, or what somebody else configured there."""
        inside = self._block[1:]
        if text in ("exit", "end"):
            self._block = ("bfd", "bfd")
        elif text.startswith(("profile ", "no profile ")):
            name = text.rsplit(maxsplit=1)[-1]
            self._drop(lambda key: text.startswith("no ") and key[:2] == (bfd.KIND, name))
            self._block = ("bfd", "bfd") if text.startswith("no ") else ("bfd", "bfd", name)
            if self._block[2:]:
                self._set.setdefault((bfd.KIND, name), "")
        elif len(inside) == 2:
            option, value = bfd.read(text)
            self._put((bfd.KIND, inside[1], option), value, bfd.is_default(option, value))
        else:
            self._foreign(text)

    def _router(self, words: list, negated: bool) -> None:
        if {"vrf", "view"} & set(words):
            self._block = ("foreign", " ".join(words))
            self.config.other.append(" ".join(words))
        elif negated:
            self._drop(lambda key: key[0] in ("router", "bgp", "neighbor", "family"))
            kept = [line for line in self.config.other if not line.startswith(" ".join(words))]
            self.config.other[:] = kept
        else:
            self._block = ("bgp", f"router bgp {words[2]}")
            self._set[ROUTER] = str(syntax.parse_asn(words[2]))

    def _route_map(self, words: list, negated: bool) -> None:
        name, action, number = (*words[1:4], "", "")[:3]
        path = ("route-map", name, number) if number else ("route-map", name)
        if negated:
            self._drop(lambda key: key[: len(path)] == path)
            return
        self._block = ("map", name, number)
        self._set[path] = action

    def _map(self, text: str) -> None:
        path = ("route-map", *self._block[1:])
        if text.startswith("no "):
            self._set.pop((*path, text[3:]), None)
        elif text not in ("exit", "end"):
            self._set[(*path, text)] = ""

    def _prefix_list(self, words: list, negated: bool) -> None:
        name = words[2]
        rest = words[3:]
        if negated and not rest:
            self._drop(lambda key: key[:3] == ("prefix-list", words[0], name))
        elif rest[:1] == ["seq"]:
            self._put(
                ("prefix-list", words[0], name, rest[1]), syntax.canonical_entry(" ".join(rest[2:])), negated
            )
        else:
            self.config.other.append(" ".join(words))

    def _bgp(self, text: str) -> None:
        words = text.split()
        negated = words[0] == "no"
        body = words[1:] if negated else words
        if body[0] == "address-family":
            self._family = " ".join(body[1:3]) if len(body) > 2 else f"{body[1]} unicast"
        elif text == "exit-address-family":
            self._family = ""
        elif body[0] == "neighbor" and len(body) > 1:
            self._neighbor(body, negated)
        elif body[0] == "maximum-paths":
            self._paths(body, negated)
        elif body[0] == "bgp":
            self._bgp_option(body[1:], negated)
        elif text not in ("exit", "end"):
            self._foreign(text)

    def _bgp_option(self, words: list, negated: bool) -> None:
        found = _split(words, _BGP)
        if found and not self._family:
            self._put(("bgp", found[0]), found[1], negated)
            return
        key = ("bgp", " ".join(words))
        opposite = {True: "", False: "no"}[negated]
        if self._set.get(key) == opposite and key not in (_DEFAULT_V4, _DEFAULT_V6):
            del self._set[key]
        else:
            self._set[key] = "no" if negated else ""

    def _paths(self, words: list, negated: bool) -> None:
        name, value = _split(words, _PATHS) or ("maximum-paths", "")
        # quagga (and FRR outside of a family) means IPv4 unicast.
        self._put(("family", self._family or FAMILIES[0], name), value, negated)

    def _neighbor(self, words: list, negated: bool) -> None:
        address, rest = syntax.canonical_address(words[1]), words[2:]
        if not rest:
            if negated:
                self._drop(lambda key: _neighbor_of(key) == address)
            return
        if rest[0] == "interface":
            rest = rest[2:] if len(rest) > 2 else ["peer-group", "interface"]
        self._create(address)
        directed = rest[0] in _DIRECTED and len(rest) == 3
        if rest[0] == "activate" or directed or _split(rest, _FAMILY):
            self._neighbor_family(address, rest, negated)
        else:
            self._neighbor_attribute(address, rest, negated)

    def _create(self, address: str) -> None:
        """A new neighbor takes the default of its day for which families are active."""
        defaults = {
            FAMILIES[0]: self._set.get(_DEFAULT_V4) != "no",
            FAMILIES[1]: self._set.get(_DEFAULT_V6) == "",
        }
        for family, active in defaults.items():
            self._set.setdefault(family_key(family, address, "activate"), "yes" if active else "no")

    def _neighbor_family(self, address: str, rest: list, negated: bool) -> None:
        family = self._family or FAMILIES[0]
        if rest[0] == "activate":
            self._set[family_key(family, address, "activate")] = "no" if negated else "yes"
        elif rest[0] in _DIRECTED:
            self._put(family_key(family, address, f"{rest[0]} {rest[2]}"), rest[1], negated)
        else:
            name, value = _split(rest, _FAMILY) or ("", "")
            self._put(family_key(family, address, name), value, negated)

    def _neighbor_attribute(self, address: str, rest: list, negated: bool) -> None:
        found = None if self._family else _split(rest, _NEIGHBOR)
        path = ("family", self._family, "neighbor", address) if self._family else ("neighbor", address)
        if found:
            self._put((*path, found[0]), _canonical_value(*found), negated)
            self._follow(path, found[0], negated)
        else:
            self._toggle((*path, "other"), " ".join(rest), negated)

    def _follow(self, path: tuple, name: str, negated: bool) -> None:
        """Apply one line about BFD: a profile switches it on, and "no bfd" takes all of it away."""
        if name.startswith("bfd ") and not negated:
            self._set.setdefault((*path, "bfd"), "")
        elif name == "bfd" and negated:
            self._drop(lambda key: key[:-1] == path and str(key[-1]).startswith("bfd "))

    def _put(self, key: tuple, value: str, negated: bool) -> None:
        if negated:
            self._set.pop(key, None)
        else:
            self._set[key] = value

    def _toggle(self, path: tuple, text: str, negated: bool) -> None:
        """A line that is not understood: "no" takes its opposite away, or is itself the difference from a
        default."""
        opposite = text if negated else f"no {text}"
        if self._set.pop((*path, opposite), None) is None:
            self._set[(*path, f"no {text}" if negated else text)] = ""

    def _drop(self, unwanted: object) -> None:
        for key in [key for key in self._set if unwanted(key)]:  # type: ignore[operator]
            del self._set[key]


def family_key(family: str, address: str, name: str) -> tuple:
    """The key of a neighbor's attribute in an address family."""
    return ("family", family, "neighbor", address, name)


def _neighbor_of(key: tuple) -> str | None:
    """The neighbor that a key belongs to, if it belongs to one."""
    if key[0] == "neighbor":
        return str(key[1])
    return str(key[3]) if key[0] == "family" and key[2] == "neighbor" else None


def neighbor_of(key: tuple) -> str | None:
    """The neighbor that a key belongs to, if it belongs to one."""
    return _neighbor_of(key)


def _canonical_value(name: str, value: str) -> str:
    if name == "remote-as" and value not in ("internal", "external", "auto"):
        return str(syntax.parse_asn(value))
    return "255" if name == "ebgp-multihop" and not value else value
