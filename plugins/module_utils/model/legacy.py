# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one ConfigMap that configured MetalLB up to version 0.12, as the objects that say the same.

    peers            one BGPPeer each, named `peer-ADDRESS` (`peer-ADDRESS-PORT` for another port than 179)
    address-pools    an IPAddressPool of that name; protocol layer2 adds an L2Advertisement of that name,
                     protocol bgp one BGPAdvertisement `NAME-1`, `NAME-2`... for each of `bgp-advertisements`
                     (or `NAME-1`, which says nothing special)
    bfd-profiles     a BFDProfile of that name
    bgp-communities  together the Community `bgp-communities`

What is said here is renamed and passed on, and `configuration.parse` judges it as it judges every object.
Refused here is what an object can not express: a key that nobody knows, an entry without a name. An entry
that is refused stays as it was before, if it was; so does a whole section that can't be read, and what a text
with a mistake somewhere does not say any more: a slip in a key must not take away what hangs on it.

The YAML of the text is read elsewhere, by `vipcast.daemon.legacy`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Callable

from .addresses import parse_address
from .communities import is_alias, parse_community
from .defaults import NAMESPACE
from .fields import Fields, nearest, parse_duration
from .legacy_objects import (
    ADVERTISEMENT,
    COMMUNITIES,
    KEYS,
    PEER,
    POOL,
    PROFILE,
    SELECTOR,
    Conversion,
    Entry,
    Manifest,
    unreadable,
    with_what_was,
)
from .peers import DEFAULT_PORT
from .problems import ObjectRef, Problem, Report
from .reasons import Reason
from .texts import echo

_MINIMUM_HOLD_TIME = 3.0  # seconds
# YAML has numbers where these want text: `password: 1234`, `hold-time: 0`, a label's value.
_TEXTS = (
    *("password", "peer-address", "source-address", "router-id", "bfd-profile"),
    *("hold-time", "keepalive-time", "addresses", "communities", "match-labels", "values"),
)
# The YAML of that time had more words for true and false.
_SWITCHES = ("avoid-buggy-ips", "auto-assign", "ebgp-multihop", "echo-mode", "passive-mode")
_WORDS = {
    **dict.fromkeys(("y", "yes", "on"), True),
    **dict.fromkeys(("n", "no", "off"), False),
}
_Draft = tuple[str, "Entry | None", bool]  # path, what can be told of the entry, whether it can be used
_Read = Callable[[Fields, "list[str]"], "Entry | None"]


def convert(
    document: Any,
    *,
    name: str = "config",
    namespace: str = NAMESPACE,
    created: str = "",
    previous: Conversion | None = None,
    rename: Callable[[str], str] = str,
) -> Conversion:
    """Return what the parsed key `config` of a ConfigMap says; it never raises for what that is.

    `created` is the ConfigMap's creationTimestamp, `previous` what it said before. `rename` makes the names
    of objects from the names of entries.
    """
    ref = ObjectRef("ConfigMap", namespace, name, "v1")
    return _Converter(ref, created, previous, rename).convert(document)


def object_name(text: str) -> str:
    """The nearest to this name that Kubernetes takes as the name of an object (RFC 1123)."""
    plain = re.sub(r"[^a-z0-9.-]+", "-", text.lower())
    labels = (label.strip("-") for label in plain.split("."))
    return ".".join(label for label in labels if label)[:200].rstrip("-.") or "unnamed"


class _Converter:
    """One pass over a document."""

    def __init__(
        self, ref: ObjectRef, created: str, previous: Conversion | None, rename: Callable[[str], str]
    ) -> None:
        self._ref, self._created, self._rename, self._previous = ref, created, rename, previous
        self._report = Report(ref)  # what is about no single entry
        self._problems: list[Problem] = []
        self._kept = False

    def convert(self, document: Any) -> Conversion:
        """The whole."""
        if document is not None and not isinstance(document, Mapping):
            why = f"is {_short(document)}, should be a mapping with address-pools, peers, ..."
            return unreadable(self._ref, "config", why, self._previous)
        root = Fields(document or {}, "", self._report)
        entries = (
            *self._list(root, "bfd-profiles", self._profile),
            *self._list(root, "peers", self._peer),
            *self._list(root, "address-pools", self._pool),
            *self._communities(root),
        )
        root.done()
        problems = (*self._report.problems, *self._problems)
        found = Conversion(self._ref, entries, problems, kept=self._kept)
        return with_what_was(found, self._previous)

    # -- sections --------------------------------------------------------------------------------------------

    def _list(self, root: Fields, section: str, read: _Read) -> Iterator[Entry]:
        value = root.data[section] if root.has(section) else []
        if not isinstance(value, list):
            return self._keep(section, f"is {_short(value)}, should be a list")
        names: list[str] = []
        drafts = [self._draft(item, f"{section}[{at}]", names, read) for at, item in enumerate(value)]
        return self._settle(section, names, drafts)

    def _draft(self, item: Any, path: str, names: list[str], read: _Read) -> _Draft:
        """Each has a report of its own: one that is bad does not touch another."""
        report, entry = Report(self._ref), None
        if isinstance(item, Mapping):
            fields = Fields(item, path, report)
            entry = read(fields, names)
            fields.done()
        else:
            report.refuse(path, Reason.WRONG_TYPE, f"is {_short(item)}, should be a mapping")
        self._problems.extend(report.problems)
        return path, entry, not report.refused

    def _communities(self, root: Fields) -> Iterator[Entry]:
        value = root.data[COMMUNITIES] if root.has(COMMUNITIES) else {}
        if not isinstance(value, Mapping):
            return self._keep(COMMUNITIES, f"is {_short(value)}, should be a mapping of names to communities")
        return self._settle(COMMUNITIES, [], [self._alias(str(name), what) for name, what in value.items()])

    def _settle(self, section: str, names: list[str], drafts: list[_Draft]) -> Iterator[Entry]:
        """Every entry as it is or, where that is bad, as it was before: that of its name or of its place."""
        for path, entry, good in drafts:
            if entry is not None and good:
                yield replace(entry, path=path)
                continue
            for before in self._before(section):
                same = (
                    before.name == entry.name if entry else before.path == path and before.name not in names
                )
                if same:
                    self._kept = True
                    yield replace(before, path=path)

    def _keep(self, section: str, why: str) -> Iterator[Entry]:
        self._report.refuse(section, Reason.WRONG_TYPE, why)
        before = self._before(section)
        self._kept = self._kept or bool(before)
        return iter(before)

    def _before(self, section: str) -> list[Entry]:
        entries = self._previous.entries if self._previous is not None else ()
        return [each for each in entries if each.section == section]

    # -- entries ---------------------------------------------------------------------------------------------

    def _peer(self, fields: Fields, names: list[str]) -> Entry | None:
        spec = {**_renamed(fields, PEER), **_selectors(fields)}
        _judge_password(fields)
        _read_timers(fields, spec)
        if spec.get("peerPort") == 0:  # not said, in a language without an absent number
            del spec["peerPort"]
        if isinstance(spec.get("bfdProfile"), str):
            spec["bfdProfile"] = self._rename(spec["bfdProfile"])
        address = _peer_address(fields, spec)
        if address is None:
            return None
        port = spec.get("peerPort", DEFAULT_PORT)
        name = _unused(f"peer-{address}" + (f"-{port}" if port != DEFAULT_PORT else ""), names)
        return Entry("peers", name, ((self._manifest("BGPPeer", name, spec), ""),))

    def _profile(self, fields: Fields, names: list[str]) -> Entry | None:
        spec, name = _renamed(fields, PROFILE), self._name(fields, names)
        if name is None:
            return None
        return Entry("bfd-profiles", name, ((self._manifest("BFDProfile", name, spec), ""),))

    def _pool(self, fields: Fields, names: list[str]) -> Entry | None:
        spec, name, protocol = _renamed(fields, POOL), self._name(fields, names), _read_protocol(fields)
        advertisements = list(_read_advertisements(fields, protocol))
        if name is None:
            return None
        found = [(self._manifest("IPAddressPool", name, spec), "")]
        if protocol == "layer2":
            said = {"ipAddressPools": [name]}
            found.append((self._manifest("L2Advertisement", name, said), ".protocol"))
        for number, (place, more) in enumerate(advertisements, 1):
            said = {"ipAddressPools": [name], **more}
            found.append((self._manifest("BGPAdvertisement", f"{name}-{number}", said), place))
        return Entry("address-pools", name, tuple(found))

    def _alias(self, alias: str, value: Any) -> _Draft:
        path, report = f"{COMMUNITIES}.{alias}", Report(self._ref)
        if not alias or not is_alias(alias):
            message = f"{echo(alias)} can't be told from a community; use a name without a colon"
            report.refuse(path, Reason.BAD_NAME, message)
        try:
            parse_community(value if isinstance(value, str) else _short(value))
        except ValueError as error:
            report.refuse(path, Reason.BAD_COMMUNITY, str(error))
        self._problems.extend(report.problems)
        pair = {"communities": [{"name": alias, "value": value}]}
        entry = Entry(COMMUNITIES, alias, ((self._manifest("Community", COMMUNITIES, pair), ""),))
        return path, entry, not report.refused

    def _name(self, fields: Fields, names: list[str]) -> str | None:
        """The entry's name, or None where it has none of its own."""
        value = _text(fields.data["name"]) if fields.has("name") else None
        if not isinstance(value, str) or not value:
            why = f"is {_short(value)}, should be a name" if value else "is required: the name of this entry"
            fields.report.refuse(fields.path("name"), Reason.MISSING_FIELD, why)
            return None
        name = self._object_name(value, fields)
        if name in names:
            message = f"{name} is the name of an entry above; rename or remove one of them"
            fields.report.refuse(fields.path("name"), Reason.DUPLICATE_NAME, message)
            return None
        names.append(name)
        return name

    def _object_name(self, text: str, fields: Fields) -> str:
        name = self._rename(text)
        if name != text:
            message = (
                f"{echo(text)} can't be the name of an object: it is {name} now, also for who asks for it"
            )
            fields.report.ignore(fields.path("name"), Reason.BAD_NAME, message)
        return name

    def _manifest(self, kind: str, name: str, spec: Manifest) -> Manifest:
        metadata = {"name": name, "namespace": self._ref.namespace}
        if self._created:
            metadata["creationTimestamp"] = self._created
        version = "v1beta2" if kind == "BGPPeer" else "v1beta1"
        return {"apiVersion": f"metallb.io/{version}", "kind": kind, "metadata": metadata, "spec": spec}


# -- fields --------------------------------------------------------------------------------------------------


def _renamed(fields: Fields, names: Mapping[str, str]) -> Manifest:
    """Return what is said, under the new names; an empty text says nothing."""
    said = {new: old for old, new in names.items() if fields.has(old) and fields.data[old] != ""}
    return {new: _plain(old, fields.data[old]) for new, old in said.items()}


def _plain(key: str, value: Any) -> Any:
    """The value in the type that its key wants, where it was only written in another way."""
    if key in _SWITCHES and isinstance(value, str):
        return _WORDS.get(value.lower(), value)
    return _text(value) if key in _TEXTS else value


def _text(value: Any) -> Any:
    """Numbers as text, in lists and mappings too; what else there is, the model refuses by name."""
    if isinstance(value, list):
        return [_text(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _text(item) for key, item in value.items()}
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _judge_password(fields: Fields) -> None:
    """Here, because whoever says what is wrong with a value says the value."""
    value = fields.data.get("password")
    if value is not None and not isinstance(_text(value), str):
        fields.report.refuse(fields.path("password"), Reason.WRONG_TYPE, "should be text; put it in quotes")


def _read_timers(fields: Fields, spec: Manifest) -> None:
    """The hold time is 90 s also where only the other one is said, and counts whole seconds."""
    if "keepaliveTime" in spec:
        spec.setdefault("holdTime", "90s")
    for name in ("holdTime", "keepaliveTime"):
        text = spec.get(name)
        if isinstance(text, str) and re.fullmatch(r"\d+", text, re.ASCII) and int(text) != 0:
            message = f"{text} has no unit; write {text}s for seconds"
            fields.report.refuse(fields.path(KEYS[name]), Reason.BAD_DURATION, message)
        elif isinstance(text, str):
            spec[name] = _whole_seconds(text) if name == "holdTime" else _whole_seconds(text, only_zero=True)


def _whole_seconds(text: str, *, only_zero: bool = False) -> str:
    """`3.5s` is 3 s. What is too short to be right stays as it is, and is refused as that."""
    try:
        seconds = parse_duration(text)
    except ValueError:
        return text
    if seconds == 0:
        return "0s"
    if only_zero or seconds < _MINIMUM_HOLD_TIME or seconds == int(seconds):
        return text
    return f"{int(seconds)}s"


def _peer_address(fields: Fields, spec: Manifest) -> str | None:
    """The address as a part of a name; None where there is none, which is said."""
    path, text = fields.path("peer-address"), spec.get("peerAddress")
    if text is None:
        fields.report.refuse(path, Reason.MISSING_FIELD, "is required: the router's address")
        return None
    try:
        address = parse_address(text if isinstance(text, str) else _short(text))
    except ValueError as error:
        fields.report.refuse(path, Reason.BAD_ADDRESS, str(error))
        return None
    return str(address).replace(":", "-").strip("-")


def _unused(name: str, names: list[str]) -> str:
    """One router may be named several times, for several nodes."""
    found, number = name, 1
    while found in names:
        number += 1
        found = f"{name}-{number}"
    names.append(found)
    return found


def _read_protocol(fields: Fields) -> str | None:
    value = fields.data["protocol"] if fields.has("protocol") else ""
    if value in ("bgp", "layer2"):
        return str(value)
    if value == "":
        fields.missing("protocol", "bgp or layer2")
    else:
        hint = nearest(value, ["bgp", "layer2"]) if isinstance(value, str) else "; known here: bgp, layer2"
        message = f"is {_short(value)}{hint}"
        fields.report.refuse(fields.path("protocol"), Reason.UNKNOWN_PROTOCOL, message)
    return None


def _read_advertisements(fields: Fields, protocol: str | None) -> Iterator[tuple[str, Manifest]]:
    """Yield what each says, with its place; where there is none, one that says nothing special."""
    name = "bgp-advertisements"
    found = fields.mappings(name)
    if found and protocol == "layer2":
        message = "is for protocol bgp; remove it, or write protocol: bgp"
        fields.report.refuse(fields.path(name), Reason.EXCLUSIVE_FIELDS, message)
    for index, item in enumerate(found):
        yield f".{name}[{index}]", _renamed(item, ADVERTISEMENT)
        item.done()
    if not found and protocol == "bgp":
        yield "", {}


def _selectors(fields: Fields) -> Manifest:
    found = []
    for item in fields.mappings("node-selectors"):
        selector = _renamed(item, SELECTOR)
        if isinstance(selector.get("matchExpressions"), list):
            selector["matchExpressions"] = [_text(each) for each in selector["matchExpressions"]]
        item.done()
        found.append(selector)
    return {"nodeSelectors": found} if found else {}


def _short(value: Any) -> str:
    """Enough of a value to find it again."""
    if isinstance(value, (Mapping, list)):
        return "a mapping" if isinstance(value, Mapping) else "a list"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


__all__ = ["convert", "object_name"]
