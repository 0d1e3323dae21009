# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects that MetalLB's old ConfigMap becomes, and their place among the objects of the API.

Two sources make one configuration. A name that both have is the object's: the ConfigMap's entry of that name,
a pool with its advertisements, is out of force. Everything else that the two can not have at once is settled
as it is between two objects, by `configuration.parse`. What is wrong with an entry is a problem of the
ConfigMap.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Callable

from .advertisements import Nodes
from .configuration import Configuration, parse
from .problems import ObjectRef, Problem
from .reasons import Effect, Reason

COMMUNITIES = "bgp-communities"  # the section, and the name of the Community that it becomes

PEER = {
    "my-asn": "myASN",
    "peer-asn": "peerASN",
    "peer-address": "peerAddress",
    "source-address": "sourceAddress",
    "peer-port": "peerPort",
    "hold-time": "holdTime",
    "keepalive-time": "keepaliveTime",
    "router-id": "routerID",
    "password": "password",
    "bfd-profile": "bfdProfile",
    "ebgp-multihop": "ebgpMultiHop",
}
POOL = {"addresses": "addresses", "avoid-buggy-ips": "avoidBuggyIPs", "auto-assign": "autoAssign"}
ADVERTISEMENT = {
    "aggregation-length": "aggregationLength",
    "aggregation-length-v6": "aggregationLengthV6",
    "localpref": "localPref",
    "communities": "communities",
}
PROFILE = {
    "receive-interval": "receiveInterval",
    "transmit-interval": "transmitInterval",
    "echo-interval": "echoInterval",
    "detect-multiplier": "detectMultiplier",
    "minimum-ttl": "minimumTtl",
    "echo-mode": "echoMode",
    "passive-mode": "passiveMode",
}
SELECTOR = {"match-labels": "matchLabels", "match-expressions": "matchExpressions"}
KEYS = {
    "nodeSelectors": "node-selectors",
    **{new: old for names in (PEER, POOL, ADVERTISEMENT, PROFILE, SELECTOR) for old, new in names.items()},
}

# A Community first: nobody's advertisement is ever without it. Advertisements before pools: whoever applies
# these one after another while the ConfigMap is still there interrupts nothing, for a pool that is an object
# takes the ConfigMap's, with its advertisements, out of force.
_ORDER = ("Community", "BFDProfile", "BGPPeer", "L2Advertisement", "BGPAdvertisement", "IPAddressPool")

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Entry:
    """One entry of the ConfigMap and what became of it."""

    section: str
    name: str
    # Manifests, each with the place in the entry that it is from, such as `.bgp-advertisements[0]`.
    objects: tuple[tuple[Manifest, str], ...] = ()
    path: str = ""  # of the entry: `address-pools[0]`


@dataclass(frozen=True)
class Conversion:
    """The objects of a ConfigMap.

    `kept`: some are as they were before, because the text cannot be read now.
    """

    ref: ObjectRef
    entries: tuple[Entry, ...] = ()
    problems: tuple[Problem, ...] = ()
    kept: bool = False
    uid: str = ""  # the ConfigMap's

    @property
    def objects(self) -> list[Manifest]:
        """The manifests that say the same, in an order in which they can be applied."""
        single = [item for item, _path in self._located() if item["kind"] != "Community"]
        return sorted([*self._community(), *single], key=lambda item: _ORDER.index(item["kind"]))

    @property
    def origins(self) -> dict[tuple[str, str], str]:
        """Return the origin of each object, `address-pools[0]`, by kind and name."""
        found = {_identity(item): path for item, path in self._located()}
        return {key: COMMUNITIES if key[0] == "Community" else path for key, path in found.items()}

    def without(self, unwanted: Callable[[Entry, Manifest], bool]) -> Conversion:
        """The same without some manifests."""
        entries = []
        for entry in self.entries:
            left = tuple(each for each in entry.objects if not unwanted(entry, each[0]))
            entries.append(replace(entry, objects=left))
        return replace(self, entries=tuple(entry for entry in entries if entry.objects))

    def locate(self, problem: Problem) -> Problem | None:
        """A problem of one of the objects as one of the ConfigMap; None for a problem of another object."""
        kind, name = problem.object.kind, problem.object.name
        path = self.origins.get((kind, name))
        if path is None or problem.object.namespace not in ("", self.ref.namespace):
            return None
        field = self._alias(problem.field) if kind == "Community" else _old_path(path, problem.field)
        return replace(problem, object=self.ref, field=field)

    def _located(self) -> Iterator[tuple[Manifest, str]]:
        return ((item, entry.path + place) for entry in self.entries for item, place in entry.objects)

    def _community(self) -> list[Manifest]:
        """All names in one object."""
        single = [item for item, _path in self._located() if item["kind"] == "Community"]
        pairs = [pair for item in single for pair in item["spec"]["communities"]]
        return [{**single[0], "spec": {"communities": pairs}}] if single else []

    def _alias(self, field: str) -> str:
        """`spec.communities[0].value` as `bgp-communities.NAME`."""
        index = re.match(r"spec\.communities\[(\d+)\]", field)
        names = [entry.name for entry in self.entries if entry.section == COMMUNITIES]
        return f"{COMMUNITIES}.{names[int(index[1])]}" if index else COMMUNITIES


def unreadable(ref: ObjectRef, field: str, why: str, previous: Conversion | None = None) -> Conversion:
    """A ConfigMap of which nothing can be read: what it said before stays."""
    problem = Problem(ref, field, Reason.UNREADABLE, why, Effect.REFUSED)
    entries = previous.entries if previous is not None else ()
    return Conversion(ref, entries, (problem,), kept=bool(entries))


def with_what_was(found: Conversion, previous: Conversion | None) -> Conversion:
    """Add what the text does not say any more, as it was said before, while the text has a mistake.

    Only a text without mistakes shows what was left out on purpose.
    """
    if previous is None or not _has_mistake(found):
        return found
    said = {(entry.section, entry.name) for entry in found.entries}
    left = [entry for entry in previous.entries if (entry.section, entry.name) not in said]
    entries = [*found.entries, *(replace(entry, path=f"{entry.section}.{entry.name}") for entry in left)]
    return replace(found, entries=tuple(entries), kept=found.kept or bool(left))


def _has_mistake(conversion: Conversion) -> bool:
    said = (*conversion.problems, *parse(conversion.objects).problems)
    return any(problem.effect is Effect.REFUSED for problem in said)


def parse_both(
    objects: Iterable[Mapping[str, Any]],
    conversion: Conversion | None,
    *,
    previous: Configuration | None = None,
    namespace: str | None = None,
    nodes: Nodes | None = None,
) -> Configuration:
    """`parse` of the objects and of a ConfigMap (None: there is none), with its problems under its name."""
    present = list(objects)
    if conversion is None:
        return parse(present, previous=previous, namespace=namespace, nodes=nodes)
    left, clashes = _yield_names(conversion, present)
    found = parse([*present, *left.objects], previous=previous, namespace=namespace, nodes=nodes)
    problems = [left.locate(problem) or problem for problem in found.problems]
    problems += [*conversion.problems, *clashes]
    return replace(
        found,
        problems=tuple(sorted(problems, key=lambda item: (item.object, item.field, item.message))),
        stale=_stale(found, left),
        config_map=conversion,
    )


def _stale(found: Configuration, conversion: Conversion) -> frozenset[ObjectRef]:
    """Objects that are in force as they were before; for those of the ConfigMap, the ConfigMap."""
    ours = {ref for ref in found.stale if (ref.kind, ref.name) in conversion.origins}
    return found.stale - ours | ({conversion.ref} if ours or conversion.kept else frozenset())


def _yield_names(
    conversion: Conversion, objects: Iterable[Mapping[str, Any]]
) -> tuple[Conversion, list[Problem]]:
    """Return the ConfigMap's objects without those that the API has too, and a problem for each of these."""
    namespace = conversion.ref.namespace
    taken = {_identity(item) for item in objects if _namespace(item) in (None, "", namespace)}
    aliases = {alias: item for item in objects for alias in _aliases(item)}
    problems: dict[str, Problem] = {}

    def unwanted(entry: Entry, item: Manifest) -> bool:
        holder = _holder(entry, item, taken, aliases)
        if holder:
            path = entry.path
            message = f"{holder} is an object and wins; remove this from the ConfigMap"
            problems[path] = Problem(conversion.ref, path, Reason.DUPLICATE_NAME, message, Effect.REFUSED)
        return bool(holder)

    return conversion.without(unwanted), list(problems.values())


def _holder(
    entry: Entry, item: Manifest, taken: set[tuple[str, str]], aliases: Mapping[str, Mapping[str, Any]]
) -> str:
    """Return which object has the name already.

    The name of a pool is that of its advertisements' entry too.
    """
    if entry.section == COMMUNITIES:
        holder = aliases.get(entry.name)
        return f"Community {_identity(holder)[1]} has this name, and it" if holder else ""
    names = [_identity(item), *(_identity(first) for first, _place in entry.objects[:1])]
    return next((f"{kind} {name}" for kind, name in names if (kind, name) in taken), "")


def _aliases(item: Mapping[str, Any]) -> Iterator[str]:
    spec = item.get("spec")
    pairs = spec.get("communities") if item.get("kind") == "Community" and isinstance(spec, Mapping) else ()
    for pair in pairs if isinstance(pairs, list) else ():
        if isinstance(pair, Mapping):
            yield str(pair.get("name"))


def _identity(item: Mapping[str, Any]) -> tuple[str, str]:
    metadata = item.get("metadata")
    return str(item.get("kind")), str(metadata.get("name")) if isinstance(metadata, Mapping) else ""


def _namespace(item: Mapping[str, Any]) -> Any:
    metadata = item.get("metadata")
    return metadata.get("namespace") if isinstance(metadata, Mapping) else None


def _old_path(path: str, field: str) -> str:
    """`spec.nodeSelectors[0].matchLabels` of a peer as `peers[1].node-selectors[0].match-labels`."""
    if field == "metadata.name":
        return f"{path}.name"
    found = [path]
    for part in field.split(".")[1:]:
        name, bracket, rest = part.partition("[")
        if len(found) == 1 and name not in KEYS:
            break  # what the ConfigMap has no key for, such as an advertisement's list of pools
        found.append(f"{KEYS.get(name, name)}{bracket}{rest}")
    return ".".join(found)


__all__ = [
    "ADVERTISEMENT",
    "COMMUNITIES",
    "KEYS",
    "PEER",
    "POOL",
    "PROFILE",
    "SELECTOR",
    "Conversion",
    "Entry",
    "Manifest",
    "parse_both",
    "unreadable",
    "with_what_was",
]
