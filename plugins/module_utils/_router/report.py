# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report for people: the managed part of a configuration as text, differences one by one, and what is not
ours."""

from __future__ import annotations

from . import bfd, groups, obstacles, syntax
from .delta import changed
from .intent import Intent
from .owner import our_profile, ours
from .plan import OWNED, OWNED_IN_FAMILY
from .settings import ROUTER, Config, Settings, neighbor_of

_MISSING = "missing"


def managed(settings: Settings, intent: Intent, addresses: set) -> Settings:
    """The part of C(settings) that the module looks after; C(addresses) are its neighbors."""
    return {
        key: value
        for key, value in settings.items()
        if (key[0] == bfd.KIND and our_profile(key[1], settings, intent))
        or _is_managed(key, intent, addresses)
    }


def _is_managed(key: tuple, intent: Intent, addresses: set) -> bool:
    if key == ROUTER:
        return True
    if key[0] == "route-map":
        return key[1] in (intent.inbound, intent.outbound)
    if key[0] == "prefix-list":
        return bool(key[2] == intent.pools)
    if key[0] in ("access-list", "vty", bfd.KIND):
        return key[0] != bfd.KIND and _is_managed_terminal(key, intent)
    neighbor = neighbor_of(key)
    if neighbor is None:
        return _is_managed_option(key, intent)
    owned = OWNED if key[0] == "neighbor" else OWNED_IN_FAMILY
    return neighbor in addresses and (key[-1] in owned or obstacles.contradicts(key))


def _is_managed_terminal(key: tuple, intent: Intent) -> bool:
    return intent.local_terminals and (key[0] == "vty" or key[2] == intent.terminals)


def _is_managed_option(key: tuple, intent: Intent) -> bool:
    if key[0] == "family":
        return key[2].startswith("maximum-paths") and intent.maximum_paths is not None
    if key[1] == "router-id":
        return intent.router_id is not None
    if groups.is_range(key):
        return str(key[1]).endswith(f" {intent.group}")
    return bool(key[1] == "bestpath as-path multipath-relax") and intent.relax is not None


def text(settings: Settings, other: Settings | None = None) -> str:
    """Settings as configuration lines. A secret is masked, and marked where C(other) has a different one."""
    lines = [_line(key, value, other) for key, value in settings.items() if _is_shown(key, value)]
    ordered = sorted(
        zip([key for key, value in settings.items() if _is_shown(key, value)], lines), key=_order
    )
    return "".join(f"{line}\n" for _key, line in ordered)


def _is_shown(key: tuple, value: str) -> bool:
    """A family that is not active is what nobody would write down."""
    return not (key[-1] == "activate" and value == "no")


_PLACES = ("router", "bgp", "neighbor", "family", "prefix-list", "route-map", "access-list", "vty", bfd.KIND)


def _order(item: tuple) -> tuple:
    key = item[0]
    place = _PLACES.index(key[0])
    return (place, *[part.zfill(10) if part.isdigit() else part for part in key[1:]])


def _line(key: tuple, value: str, other: Settings | None) -> str:
    if key[0] == "family" and key[2] == "neighbor":
        name, _space, direction = key[4].partition(" ")
        if direction in ("in", "out"):
            return f"neighbor {key[3]} {key[1]} {name} {value} {direction}"
        shown = "" if key[4] == "activate" else value
        return f"neighbor {key[3]} {key[1]} {key[4]} {shown}".rstrip()
    if key[0] == "family":
        return f"{key[1]} {key[2]} {value}"
    if key[0] in ("prefix-list", "access-list"):
        return f"{key[1]} {key[0]} {key[2]} {value}"
    if key[0] == "route-map":
        return (
            f"route-map {key[1]} {value} {key[2]}"
            if len(key) == 3
            else f"route-map {key[1]} {key[2]} {key[3]}"
        )
    if key[-1] == "password":
        differs = other is not None and key in other and other[key] != value
        value = f"{syntax.MASK} (changed)" if differs else syntax.MASK
    return f"{' '.join(key)} {value}".rstrip()


def drift(before: Settings, after: Settings) -> list:
    """C({what, where, expected, found}) for each difference, a missing or unwanted neighbor being one."""
    entries: list = []
    had, has = _addresses(before), _addresses(after)
    for address in sorted(has - had):
        entries.append(_entry(f"neighbor {address}", _router(after), _peer(after, address), _MISSING))
    for address in sorted(had - has):
        entries.append(_entry(f"neighbor {address}", _router(before), "not declared", _peer(before, address)))
    whole = (had | has) - (had & has)
    filters = _missing_filters(before, after)
    # A rule of a route map is one thing, with its action and its lines.
    things = dict.fromkeys(key[:3] if key[0] == "route-map" else key for key in changed(before, after))
    for key in things:
        if neighbor_of(key) not in whole and not _explained(key, filters):
            entries.append(_explain(key, before, after))
    return [_entry(*missing) for missing in filters.values()] + entries


def _missing_filters(before: Settings, after: Settings) -> dict:
    """Whole route maps and prefix lists that are missing, or that are there and should not be."""
    found = {}
    for key in changed(before, after):
        if key[0] not in ("route-map", "prefix-list", "access-list", bfd.KIND):
            continue
        name = key[:2] if key[0] in ("route-map", bfd.KIND) else key[:3]
        title = " ".join(key[:2]) if len(name) == 2 else f"{key[1]} {key[0]} {key[2]}"
        size = len(name)
        if not any(other[:size] == name for other in before):
            found[name] = (title, "running configuration", _rules(after, name), _MISSING)
        elif not any(other[:size] == name for other in after):
            found[name] = (title, "running configuration", "not declared", _rules(before, name))
    return found


def _explained(key: tuple, filters: dict) -> bool:
    return key[:2] in filters or key[:3] in filters


def _rules(settings: Settings, name: tuple) -> str:
    keys = [key for key in sorted(settings) if key[: len(name)] == name]
    if name[0] == bfd.KIND:
        return ", ".join(f"{key[2]} {settings[key]}".strip() for key in keys[1:]) or "FRR's defaults"
    return ", ".join(settings[key] or key[-1] for key in keys)


def _addresses(settings: Settings) -> set:
    return {key[1] for key in settings if key[0] == "neighbor"}


def _router(settings: Settings) -> str:
    return f"router bgp {settings.get(ROUTER, '')}".rstrip()


def _peer(settings: Settings, address: str) -> str:
    return f"remote-as {settings.get(('neighbor', address, 'remote-as'), 'unknown')}"


def _entry(what: str, where: str, expected: str, found: str) -> dict:
    return {"what": what, "where": where, "expected": expected, "found": found}


def _explain(key: tuple, before: Settings, after: Settings) -> dict:
    what, where = _place(key, after)
    return _entry(what, where, _value(key, after, before), _value(key, before, after))


def _place(key: tuple, after: Settings) -> tuple:
    """Return what a key is called, and where it stands."""
    running = "running configuration"
    places = {
        "router": lambda: ("router bgp", running),
        "bgp": lambda: (f"bgp {key[1]}", _router(after)),
        "neighbor": lambda: (f"{syntax.mask(key[-1])} of neighbor {key[1]}", _router(after)),
        "family": lambda: (_in_family(key), f"{_router(after)}, {key[1]}"),
        "route-map": lambda: (f"rule {key[2]} of route-map {key[1]}", running),
        "prefix-list": lambda: (f"entry {key[3]} of {key[1]} prefix-list {key[2]}", running),
        "access-list": lambda: (f"entry {key[3]} of {key[1]} access-list {key[2]}", running),
        "vty": lambda: (str(key[1]), "line vty"),
        bfd.KIND: lambda: (f"{key[-1]} of bfd-profile {key[1]}", running),
    }
    return places[key[0]]()


def _in_family(key: tuple) -> str:
    return f"{_title(syntax.mask(key[-1]))} of neighbor {key[3]}" if key[2] == "neighbor" else str(key[2])


def _title(name: str) -> str:
    return {"route-map in": "inbound filter", "route-map out": "outbound filter"}.get(name, name)


def _value(key: tuple, settings: Settings, other: Settings) -> str:
    if key not in settings:
        return "none"
    if key[-1] == "password":
        return "another password" if key in other else "a password"
    if key[0] == "route-map":
        return _rules(settings, key)
    return str(settings[key] or "set")


def foreign(config: Config, intent: Intent) -> dict:
    """Return what is not ours on the router: names of neighbors and filters, and the other lines, secrets
    masked."""
    addresses = ours(config.settings, intent)
    names = {key[1] for key in config.settings if key[0] == "route-map"} - {intent.inbound, intent.outbound}
    lists = {key[2] for key in config.settings if key[0] == "prefix-list"} - {intent.pools}
    others = [key for key in config.settings if key[-2:-1] == ("other",) and neighbor_of(key) in addresses]
    return {
        "neighbors": sorted(_addresses(config.settings) - addresses),
        "route_maps": sorted(names),
        "prefix_lists": sorted(lists),
        "neighbor_lines": [syntax.mask(f"neighbor {neighbor_of(key)} {key[-1]}") for key in sorted(others)],
        "bgp_lines": _instance_lines(config)
        + [syntax.mask(line) for line in config.other if line.startswith("router bgp ")],
    }


# Options of the instance that are looked after, or said by another name.
_KNOWN_OPTIONS = ("router-id", "bestpath as-path multipath-relax")


def _instance_lines(config: Config) -> list:
    """The lines about the instance as a whole that are left as they are."""
    return [
        syntax.mask(f"router bgp {config.asn} / {'no ' if value == 'no' else ''}bgp {key[1]}")
        for key, value in config.settings.items()
        if key[0] == "bgp" and key[1] not in _KNOWN_OPTIONS
    ]
