# SPDX-License-Identifier: GPL-3.0-or-later
"""MetalLB's old ConfigMap as a live source of configuration, beside the objects.

    legacy = LegacySource(client, options, on_change=changed)
    for informer in legacy.informers: ...                 # none where no ConfigMap is to be looked at
    parse_both(objects, legacy.conversion, ...)

What it said last stays while it can't be read. That is kept in memory only: a ConfigMap has no status.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from vipcast.daemon.options import Options
from vipcast.daemon.yamltext import NotYamlError, read_yaml
from vipcast.k8s import Client, Informer, Json, Key, Recorder
from vipcast.k8s.resource import CONFIG_MAPS
from vipcast.model.legacy import convert
from vipcast.model.legacy_objects import Conversion, unreadable
from vipcast.model.problems import ObjectRef, Problem

__all__ = ["KEY", "LegacySource", "read_config_map"]

KEY = "config"


class LegacySource:
    """`conversion` is what the ConfigMap says; None where there is none."""

    def __init__(
        self, client: Client, options: Options, *, on_change: Callable[[Key, Json | None], None]
    ) -> None:
        self.conversion: Conversion | None = None
        self.informers: tuple[Informer, ...] = ()
        self._item: Json | None = None
        self._told: frozenset[Problem] = frozenset()
        self._on_change = on_change
        if options.config_map:
            self.informers = (self._informer(client, options.namespace, options.config_map),)

    def _informer(self, client: Client, namespace: str, name: str) -> Informer:
        return Informer(
            client,
            CONFIG_MAPS,
            on_change=self._changed,
            namespace=namespace,
            field_selector=f"metadata.name={name}",
            slim=_slim,
        )

    def _changed(self, key: Key, item: Json | None) -> None:
        before, self._item = self.conversion, item
        self.conversion = read_config_map(item, before) if item is not None else None
        if self.conversion != before:
            self._on_change(key, item)

    def tell(self, problems: Iterable[Problem], recorder: Recorder) -> None:
        """An event on the ConfigMap for each of its problems that was not told yet."""
        if self._item is None or self.conversion is None:
            self._told = frozenset()
            return
        ours = frozenset(problem for problem in problems if problem.object == self.conversion.ref)
        for problem in sorted(ours - self._told, key=str):
            recorder.record(self._item, problem.reason.value, problem.note, warning=True)
        self._told = ours


def read_config_map(
    item: Json, previous: Conversion | None = None, *, rename: Callable[[str], str] = str
) -> Conversion:
    """What a ConfigMap says; where that can't be read, what it said before."""
    metadata = item["metadata"]
    name, namespace = metadata["name"], metadata.get("namespace", "")
    text = (item.get("data") or {}).get(KEY)
    try:
        if not isinstance(text, str):
            raise NotYamlError(f"is missing: the configuration is expected in the key {KEY}")
        documents = read_yaml(text)
        if len(documents) > 1:
            raise NotYamlError(f"has {len(documents)} documents, should be one")
    except NotYamlError as error:
        return unreadable(ObjectRef("ConfigMap", namespace, name, "v1"), KEY, str(error), previous)
    return convert(
        documents[0] if documents else None,
        name=name,
        namespace=namespace,
        created=metadata.get("creationTimestamp", ""),
        previous=previous,
        rename=rename,
    )


def _slim(item: Json) -> Json:
    """What is read, and what an event needs to name the ConfigMap."""
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    metadata = {name: item["metadata"][name] for name in kept if name in item["metadata"]}
    data = {name: text for name, text in (item.get("data") or {}).items() if name == KEY}
    return {"apiVersion": item["apiVersion"], "kind": item["kind"], "metadata": metadata, "data": data}
