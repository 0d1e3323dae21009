# SPDX-License-Identifier: GPL-3.0-or-later
"""The effect of other pools on the services of a cluster, which is read from its API."""

from __future__ import annotations

import contextlib
import typing as t

# A kubeconfig is YAML: without this package no module gets this far.
with contextlib.suppress(ImportError):
    import yaml

from ..ipam.preview import Change, Preview, Row, preview
from ..ipam.snapshot import KEY, Snapshot, Source, combine
from ..model.legacy import convert
from ..model.legacy_objects import Conversion, unreadable
from ..model.problems import reference
from ..model.texts import cut
from .api import Api, Json
from .sets import SET_LABEL

POOLS = "metallb.io/v1beta1"
DECLARED = "the declared objects"


def read_cluster(api: Api, namespace: str, config_map: str) -> list[Json]:
    """Services, namespaces, and what has pools in one namespace; a kind that is not served has no objects."""
    found = api.find(f"/api/v1/namespaces/{namespace}/configmaps/{config_map}") if config_map else None
    return [
        *([found] if found else []),
        *_items(api, "v1", "Service", "/api/v1/services"),
        *_items(api, "v1", "Namespace", "/api/v1/namespaces"),
        *_items(api, POOLS, "IPAddressPool", f"/apis/{POOLS}/namespaces/{namespace}/ipaddresspools"),
    ]


def _items(api: Api, api_version: str, kind: str, path: str) -> t.Iterator[Json]:
    """A list's items do not say what they are."""
    for item in (api.find(path) or {}).get("items") or ():
        yield {"apiVersion": api_version, "kind": kind, **item}


def read_config_map(item: Json, previous: Conversion | None) -> Conversion:
    """Return what MetalLB's old ConfigMap says."""
    metadata = item["metadata"]
    try:
        document = yaml.safe_load(str(item["data"][KEY]))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        return unreadable(reference(item), KEY, f"is not YAML: {cut(' '.join(str(error).split()))}", previous)
    return convert(
        document,
        name=metadata["name"],
        namespace=metadata.get("namespace", ""),
        created=metadata.get("creationTimestamp", ""),
        previous=previous,
    )


def snapshot(live: list[Json], declared: list[Json], params: t.Mapping[str, t.Any]) -> Snapshot:
    """The cluster as it would be; a set removes only what it created."""
    prune = params["prune"]

    def stays(item: t.Mapping[str, t.Any]) -> bool:
        labels = item["metadata"].get("labels") or {}
        return prune != "all" and labels.get(SET_LABEL) != params["set_name"]

    sources = [Source("the cluster", live), Source(DECLARED, declared, whole=prune != "none")]
    return combine(sources, config_map=(params["namespace"], params["config_map"] or ""), stays=stays)


def plan(live: list[Json], declared: list[Json], params: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The result of the module; `params` are its options."""
    found = preview(
        snapshot(live, declared, params),
        lb_class=params["lb_class"] or None,
        namespace=params["namespace"],
        within_namespace=params["within_namespace"],
        read=read_config_map,
    )
    return {
        "changed": False,
        **found.document(),
        "moved": names(found, Change.MOVED),
        "lost": names(found, Change.LOST),
        "waiting": names(found, Change.WAITS),
        "story": [story(row) for row in found.with_(Change.MOVED, Change.LOST)],
        "diff": diff(found),
    }


def names(found: Preview, change: Change) -> list[str]:
    """``namespace/name`` of the services to which this happens."""
    return [row.name for row in found.with_(change)]


def story(row: Row) -> str:
    """One line about a service that loses an address."""
    after = ", ".join(row.after) or "nothing"
    return f"{row.name}: {', '.join(row.before)} -> {after}: {row.why}"


def diff(found: Preview) -> dict[str, str]:
    """Return who has which address, before and after, for Ansible's --diff."""
    ours = [row for row in found.rows if row.change is not Change.FOREIGN]
    return {
        "before_header": "addresses of services",
        "after_header": "addresses of services",
        "before": "".join(_line(row, row.before, row.pool_before) for row in ours),
        "after": "".join(_line(row, row.after, row.pool) for row in ours),
    }


def _line(row: Row, addresses: tuple[str, ...], pool: str | None) -> str:
    return f"{row.name} {', '.join(addresses) or '-'} {pool or '-'}\n"


__all__ = ["plan", "read_cluster", "read_config_map", "snapshot"]
