# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects from several sources in, the cluster that they would make out: what `preview` looks at.

Rules of this file:

* An object that has a uid was read from a cluster. One without was written by a person.
* An object that comes again takes the place of the earlier one and keeps what is the API server's: uid,
  creation time, cluster IPs and status.
* A source that is `whole` says which pools there are: those that only other sources have go.
* MetalLB's old ConfigMap is an object like the others, and what is in it is read by `preview`.
* What is not known yet is assumed, and each assumption is a note.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..model.configuration import GROUP, VERSIONS
from ..model.fields import Fields
from ..model.problems import Problem, Report, reference
from ..model.reasons import Reason
from ..model.texts import echo

__all__ = ["Snapshot", "Source", "combine"]

# The label that the API server gives to every namespace.
NAME_LABEL = "kubernetes.io/metadata.name"
KEY = "config"  # of the ConfigMap
_POOL = "IPAddressPool"
_CORE = ("Service", "Namespace", "ConfigMap")
_FAMILIES = {"IPv4": 4, "IPv6": 6}
_ANY = {4: "0.0.0.0", 6: "::"}  # a cluster IP of which only the family counts
_TEXTS = (
    "type",
    "clusterIP",
    "loadBalancerIP",
    "loadBalancerClass",
    "ipFamilyPolicy",
    "externalTrafficPolicy",
)

Json = Mapping[str, Any]
Key = tuple[str, str, str]  # kind, namespace, name


class Source(NamedTuple):
    """Objects from one place, such as a file."""

    name: str
    objects: Sequence[Json]
    whole: bool = False  # no pools but these


@dataclass(frozen=True)
class Snapshot:
    """The state that there would be."""

    pools: tuple[Json, ...] = ()
    pools_before: tuple[Json, ...] = ()  # as the cluster has them
    config_map: Json | None = None
    config_map_before: Json | None = None
    services: tuple[Json, ...] = ()  # that the cluster has, by namespace and name
    services_before: tuple[Json, ...] = ()  # the same as they are in the cluster
    new_services: tuple[Json, ...] = ()  # that it has not, in the order in which they were given
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # their labels
    problems: tuple[Problem, ...] = ()  # of services that can not be understood; they are left out
    notes: tuple[str, ...] = ()  # what was assumed, and what took whose place


@dataclass
class _Given:
    """One object, as it was first and as it is now."""

    item: Json
    source: Source
    before: Json | None  # as the cluster has it
    whole: bool


class _Collection:
    """Everything that the sources have, by kind, namespace and name."""

    def __init__(self) -> None:
        self.given: dict[Key, _Given] = {}
        self.notes: list[str] = []
        self._by_name: dict[tuple[str, str], Key] = {}

    def add(self, item: Json, source: Source) -> None:
        """One object more, or another form of one that is there."""
        key = self._known(_key(item))
        old = self.given.get(key)
        if old is None:
            self.given[key] = _Given(item, source, item if _live(item) else None, source.whole)
            self._by_name[key[0], key[2]] = key
            return
        if item != old.item and source.name != old.source.name:
            what = f"{key[0]} {'/'.join(part for part in key[1:] if part)}"
            self.notes.append(f"{what}: as in {source.name}, not as in {old.source.name}")
        before = old.before or (item if _live(item) else None)
        self.given[key] = _Given(_overlay(old.item, item), source, before, old.whole or source.whole)

    def _known(self, key: Key) -> Key:
        """Manifests often leave the namespace to `kubectl -n`: then the name alone tells the object."""
        other = self._by_name.get((key[0], key[2]), key)
        return other if key not in self.given and "" in (key[1], other[1]) else key

    def of(self, wanted: Callable[[str], bool]) -> list[_Given]:
        """Return those of the kinds that are wanted, in the order in which they were given first."""
        return [given for key, given in self.given.items() if wanted(key[0])]


def combine(
    sources: Sequence[Source],
    *,
    config_map: tuple[str, str] = ("", ""),
    stays: Callable[[Json], bool] = lambda _item: False,
) -> Snapshot:
    """Return what the sources make together, later ones before earlier ones.

    ``config_map`` is namespace and name of the ConfigMap that has pools too. Where a source is whole, a pool
    that no such source has is gone, unless it `stays`.
    """
    found, problems = _collect(sources, config_map)
    whole = any(source.whole for source in sources)

    def left(given: list[_Given]) -> list[Json]:
        return [each.item for each in given if not whole or each.whole or stays(each.item)]

    pools = found.of(lambda kind: kind not in _CORE)
    maps = found.of(lambda kind: kind == "ConfigMap")
    given = found.of(lambda kind: kind == "Service")
    services = [_with_cluster_ips(_placed(each.item)) for each in given]
    new = tuple(item for item in services if not _live(item))
    return Snapshot(
        pools=tuple(left(pools)),
        pools_before=tuple(each.before for each in pools if each.before is not None),
        config_map=next(iter(left(maps)), None),
        config_map_before=next((each.before for each in maps), None),
        services=tuple(sorted((item for item in services if _live(item)), key=_key)),
        services_before=tuple(_placed(each.before) for each in given if each.before is not None),
        new_services=new,
        namespaces=_labels(found.of(lambda kind: kind == "Namespace")),
        problems=tuple(problems),
        notes=(*found.notes, *_assumed(new)),
    )


def _collect(sources: Iterable[Source], config_map: tuple[str, str]) -> tuple[_Collection, list[Problem]]:
    found = _Collection()
    problems: list[Problem] = []
    for source in sources:
        for item in source.objects:
            if _matters(item, config_map) and (item["kind"] != "Service" or _is_understood(item, problems)):
                found.add(item, source)
    return found, problems


# -- one object --------------------------------------------------------------------------------------------


def _matters(item: Json, config_map: tuple[str, str]) -> bool:
    """Services, namespaces, pools, what may be a pool with a slip in its kind, and the one ConfigMap."""
    group, _slash, _version = str(item.get("apiVersion") or "").rpartition("/")
    kind = item.get("kind")
    if group == GROUP:
        return kind == _POOL or kind not in VERSIONS
    if kind == "ConfigMap":
        ref = reference(item)
        named = ref.name == config_map[1] and ref.namespace in ("", config_map[0])
        return named and isinstance(item.get("data"), Mapping) and KEY in item["data"]
    return group == "" and kind in _CORE


def _metadata(item: Json) -> Json:
    metadata = item.get("metadata")
    return metadata if isinstance(metadata, Mapping) else {}


def _key(item: Json) -> Key:
    ref = reference(item)
    namespace = ref.namespace or ("default" if ref.kind == "Service" else "")
    return (ref.kind, namespace, ref.name)


def _live(item: Json) -> bool:
    return bool(_metadata(item).get("uid"))


def _overlay(old: Json, new: Json) -> Json:
    """The new form, with what the API server would keep of the old one."""
    metadata = dict(_metadata(new))
    for name in ("namespace", "uid", "creationTimestamp", "resourceVersion"):
        if name not in metadata and name in _metadata(old):
            metadata[name] = _metadata(old)[name]
    found = {**new, "metadata": metadata}
    if "status" not in new and "status" in old:
        found["status"] = old["status"]
    if new.get("kind") == "Service":
        found["spec"] = _keep_cluster_ips(old.get("spec"), new.get("spec"))
    return found


def _keep_cluster_ips(old: Any, new: Any) -> Any:
    if (
        not isinstance(old, Mapping)
        or not isinstance(new, Mapping)
        or new.get("clusterIP")
        or new.get("clusterIPs")
    ):
        return new
    kept = list(old.get("clusterIPs") or ([old["clusterIP"]] if old.get("clusterIP") else []))
    # What a manifest does not name stays, and the class of a service can not be changed.
    new = {**{name: old[name] for name in ("loadBalancerClass",) if name in old}, **new}
    policy = new.get("ipFamilyPolicy", old.get("ipFamilyPolicy"))
    if policy == old.get("ipFamilyPolicy") or not kept:
        return {**new, "ipFamilyPolicy": policy, "clusterIPs": kept} if kept else new
    first = 6 if ":" in kept[0] else 4
    families = [first] if policy == "SingleStack" else [first, 10 - first]
    return {**new, "clusterIPs": [kept[0], *(_ANY[family] for family in families[1:])]}


def _placed(item: Json) -> Json:
    metadata = _metadata(item)
    return {**item, "metadata": {**metadata, "namespace": metadata.get("namespace") or "default"}}


def _with_cluster_ips(item: Json) -> Json:
    """A service that is not in a cluster yet gets cluster IPs when it is made: of which families?"""
    spec = item.get("spec") or {}
    if spec.get("clusterIP") or spec.get("clusterIPs") or _live(item):
        return item
    families = [_FAMILIES.get(name, 4) for name in spec.get("ipFamilies") or ()] or [4]
    if (spec.get("ipFamilyPolicy") or "SingleStack") == "SingleStack":
        families = families[:1]
    elif len(families) == 1:
        families.append(10 - families[0])
    return {**item, "spec": {**spec, "clusterIPs": [_ANY[family] for family in families]}}


def _assumed(new: Sequence[Json]) -> list[str]:
    if not new:
        return []
    count = "one service is" if len(new) == 1 else f"{len(new)} services are"
    return [
        f"{count} not in the cluster yet: assumed to be made after all others, in this order, with cluster "
        "IPs of the families in ipFamilies, or else IPv4 first"
    ]


def _labels(namespaces: Sequence[_Given]) -> dict[str, dict[str, str]]:
    found = {}
    for given in namespaces:
        name = str(_metadata(given.item).get("name"))
        labels = _metadata(given.item).get("labels")
        found[name] = {NAME_LABEL: name, **(labels if isinstance(labels, Mapping) else {})}
    return found


# -- services that can not be understood ---------------------------------------------------------------------


def _is_understood(item: Json, problems: list[Problem]) -> bool:
    """Return whether the parts that are read have the types that the API server would insist on."""
    report = Report(reference(item))
    root = Fields(item, "", report)
    metadata, spec, status = root.mapping("metadata"), root.mapping("spec"), root.mapping("status")
    if metadata is None or metadata.string("name") is None:
        report.refuse("metadata.name", Reason.MISSING_FIELD, "is required: the object's name")
    if metadata is not None:
        _read_all(metadata, ("namespace", "uid", "creationTimestamp"), ("labels", "annotations"))
    if spec is not None:
        _read_all(spec, _TEXTS, ("selector",))
        spec.strings("ipFamilies"), spec.strings("clusterIPs")
        for port in spec.mappings("ports"):
            if port.integer("port", 1, 65535) is None and not report.refused:
                port.missing("port", "a number from 1 to 65535")
    if status is not None:
        _read_ingress(status.mapping("loadBalancer"), item, report)
    problems.extend(report.problems)
    return not report.refused


def _read_ingress(found: Fields | None, item: Json, report: Report) -> None:
    """Two equal entries are nonsense that the controller repairs, so they are understood."""
    ingress = item["status"]["loadBalancer"].get("ingress") if found is not None else None
    entries = ingress if isinstance(ingress, list) else [ingress or {}]
    for index, entry in enumerate(entries):
        if not isinstance(entry, Mapping) or not isinstance(entry.get("ip") or "", str):
            path = f"status.loadBalancer.ingress[{index}]"
            report.refuse(
                path, Reason.WRONG_TYPE, f"is {echo(entry)}, should be a mapping such as {{ip: 10.9.0.1}}"
            )


def _read_all(fields: Fields, texts: Iterable[str], maps: Iterable[str]) -> None:
    for name in texts:
        fields.string(name)
    for name in maps:
        fields.string_map(name)
