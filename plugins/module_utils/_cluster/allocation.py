# SPDX-License-Identifier: GPL-3.0-or-later
"""What other pools would do to the services of a cluster, which is read from its API."""

from __future__ import annotations

import typing as t

from ..ipam.preview import TROUBLE, Happening, Preview, Row, preview
from ..ipam.snapshot import Snapshot, Source, combine
from .api import Api, Json
from .sets import SET_LABEL

POOLS = "metallb.io/v1beta1"
DECLARED = "the declared objects"


def read_cluster(api: Api, namespace: str) -> list[Json]:
    """Services, namespaces, and the pools of one namespace; a kind that is not served has no objects."""
    return [
        *_items(api, "v1", "Service", "/api/v1/services"),
        *_items(api, "v1", "Namespace", "/api/v1/namespaces"),
        *_items(api, POOLS, "IPAddressPool", f"/apis/{POOLS}/namespaces/{namespace}/ipaddresspools"),
    ]


def _items(api: Api, api_version: str, kind: str, path: str) -> t.Iterator[Json]:
    """A list's items do not say what they are."""
    for item in (api.find(path) or {}).get("items") or ():
        yield {"apiVersion": api_version, "kind": kind, **item}


def snapshot(live: list[Json], declared: list[Json], prune: str, set_name: str) -> Snapshot:
    """The cluster as it would be.

    `prune` is none, set or all; the set named `set_name` removes only what it created.
    """

    def stays(pool: Json) -> bool:
        labels = pool["metadata"].get("labels") or {}
        return prune != "all" and labels.get(SET_LABEL) != set_name

    sources = [Source("the cluster", live), Source(DECLARED, declared, whole=prune != "none")]
    return combine(sources, stays=stays)


def plan(live: list[Json], declared: list[Json], params: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The result of the module; `params` are its options."""
    namespace = params["namespace"]
    found = preview(
        snapshot(live, declared, params["prune"], params["set_name"]),
        lb_class=params["lb_class"] or None,
        namespace=namespace,
    )
    return {
        "changed": False,
        **found.document(),
        "moved": names(found, Happening.MOVED),
        "lost": names(found, Happening.LOST),
        "waiting": names(found, Happening.WAITS),
        "story": [story(row) for row in found.rows if row.happening in TROUBLE],
        "diff": diff(found),
    }


def names(found: Preview, happening: Happening) -> list[str]:
    """``namespace/name`` of the services to which this happens."""
    return [row.name for row in found.with_(happening)]


def story(row: Row) -> str:
    """One line about a service that loses or lacks an address."""
    after = ", ".join(row.after) or "nothing"
    if row.happening is Happening.WAITS:
        return f"{row.name} waits: {row.why}"
    return f"{row.name}: {', '.join(row.before)} -> {after}: {row.why}"


def diff(found: Preview) -> dict[str, str]:
    """Who has which address, before and after, for Ansible's --diff."""
    ours = [row for row in found.rows if row.happening is not Happening.FOREIGN]
    return {
        "before_header": "addresses of services",
        "after_header": "addresses of services",
        "before": "".join(_line(row, row.before, row.pool_before) for row in ours),
        "after": "".join(_line(row, row.after, row.pool) for row in ours),
    }


def _line(row: Row, addresses: tuple[str, ...], pool: str | None) -> str:
    return f"{row.name} {', '.join(addresses) or '-'} {pool or '-'}\n"


__all__ = ["plan", "read_cluster", "snapshot"]
