# SPDX-License-Identifier: GPL-3.0-or-later
"""The cache for layer 2: all nodes of the cluster, and the interfaces that MetalLB leaves out.

Nothing of it is followed before there is an L2Advertisement: in a large cluster the nodes say something all
the time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from vipcast.daemon.options import Options
from vipcast.k8s import Client, Informer, Json, Key
from vipcast.k8s import resource as resources
from vipcast.model.texts import echo
from vipcast.speaker.kube_types import Node, read_node, trim_node
from vipcast.yamltext import NotYamlError, read_yaml

__all__ = ["EXCLUDED_INTERFACES", "Layer2Cache", "read_excluded"]

EXCLUDED_INTERFACES = "metallb-excludel2"  # the ConfigMap, its key, and what is in it
_KEY, _LIST = "excludel2.yaml", "announcedInterfacesToExclude"
_OS = "kubernetes.io/os"


class Layer2Cache:
    """`nodes`: those that may run the program. Calls `on_change` when something that matters changed."""

    def __init__(self, client: Client, options: Options, on_change: Callable[[], None]) -> None:
        self.nodes: dict[str, Node] = {}
        self.excluded: tuple[str, ...] = ()
        self.problem: str | None = None  # with the ConfigMap
        self._selector, self._on_change = dict(options.layer2_node_selector), on_change
        self.informers = (
            Informer(client, resources.NODES, on_change=self._node, trim=trim_node),
            Informer(
                client,
                resources.CONFIG_MAPS,
                on_change=self._config_map,
                namespace=options.namespace,
                field_selector=f"metadata.name={EXCLUDED_INTERFACES}",
            ),
        )

    @property
    def synced(self) -> bool:
        """Return whether everything was read once."""
        return all(each.synced.is_set() for each in self.informers)

    def node_item(self, name: str) -> Json | None:
        """Return a Node, for Events on it."""
        return next(
            (each for (_space, known), each in self.informers[0].items.items() if known == name), None
        )

    def _node(self, key: Key, item: Json | None) -> None:
        name = key[1]
        before, node = self.nodes.pop(name, None), read_node(item) if item else None
        if node and self._runs(node):
            # Equal sets of labels are one object: in a large cluster they are the bulk of this.
            self.nodes[name] = node if before is None else _sharing(before, node)
        if self.nodes.get(name) != before:
            self._on_change()

    def _runs(self, node: Node) -> bool:
        labels = node.labels
        return labels.get(_OS, "linux") == "linux" and self._selector.items() <= labels.items()

    def _config_map(self, _key: Key, item: Json | None) -> None:
        before = self.excluded
        try:
            self.excluded, self.problem = tuple(read_excluded(item)) if item else (), None
        except ValueError as error:
            self.problem = f"ConfigMap {EXCLUDED_INTERFACES}: {error}; what it said before stays"
        if self.excluded != before or self.problem:
            self._on_change()


def _sharing(before: Node, node: Node) -> Node:
    return replace(node, labels=before.labels) if before.labels == node.labels else node


def read_excluded(item: Json) -> Iterator[str]:
    """The regular expressions in MetalLB's ConfigMap. Raises ValueError."""
    text = (item.get("data") or {}).get(_KEY)
    if text is None:
        raise ValueError(f"has no key {_KEY}")
    try:
        (document,) = read_yaml(text) or [{}]
    except NotYamlError as error:
        raise ValueError(f"{_KEY}: {error}") from error
    listed = document.get(_LIST) if isinstance(document, Mapping) else None
    for each in listed or ():
        try:
            re.compile(each)
        except (re.error, TypeError) as error:
            raise ValueError(f"{_LIST}: {echo(each)} is no regular expression: {error}") from error
        yield each
