# SPDX-License-Identifier: GPL-3.0-or-later
"""MetalLB's old ConfigMap as a live source of configuration, beside the objects.

    legacy = LegacySource(client, options, on_change=changed)
    for informer in legacy.informers: ...                 # none where no ConfigMap is to be looked at
    parse_both(objects, legacy.conversion, ...)

What it said last stays while it can't be read or has a mistake. The controller writes it down in its
ConfigurationState (`vipcast.model.legacy_memory`), so whoever starts then knows it too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from vipcast.daemon.options import Options
from vipcast.k8s import Client, Informer, Json, Key, Recorder, key_of
from vipcast.k8s.resource import CONFIG_MAPS, CONFIGURATION_STATES
from vipcast.model.legacy import convert
from vipcast.model.legacy_memory import recall
from vipcast.model.legacy_objects import Conversion, unreadable
from vipcast.model.problems import ObjectRef, Problem
from vipcast.yamltext import NotYamlError, read_yaml

__all__ = ["KEY", "STATE_NAME", "LegacySource", "read_config_map"]

KEY = "config"
STATE_NAME = "controller"  # of the ConfigurationState that the controller writes


class LegacySource:
    """`conversion` is what the ConfigMap says; None where there is none."""

    def __init__(
        self, client: Client, options: Options, *, on_change: Callable[[Key, Json | None], None]
    ) -> None:
        self.conversion: Conversion | None = None
        self.informers: tuple[Informer, ...] = ()
        self._item: Json | None = None
        self._memory: Any = None  # what the ConfigurationState has
        self._alone = False  # whether the text was read without knowing what it said before
        self._told: frozenset[Problem] = frozenset()
        self._on_change = on_change
        if options.config_map:
            state = Informer(
                client,
                CONFIGURATION_STATES,
                on_change=self._remembered,
                namespace=options.namespace,
                field_selector=f"metadata.name={STATE_NAME}",
                optional=True,
                on_listed=self._memory_listed,
            )
            self.informers = (state, self._informer(client, options.namespace, options.config_map))

    def _informer(self, client: Client, namespace: str, name: str) -> Informer:
        return Informer(
            client,
            CONFIG_MAPS,
            on_change=self._changed,
            namespace=namespace,
            field_selector=f"metadata.name={name}",
            trim=_trim,
        )

    @property
    def doubtful(self) -> bool:
        """Tell whether the text has a mistake, and what it said before it is not known."""
        return self._alone and self.conversion is not None and bool(self.conversion.problems)

    @property
    def needed(self) -> tuple[Informer, ...]:
        """Return what has to be read: what was written down only where the text alone does not tell."""
        return self.informers if self.doubtful else self.informers[1:]

    def _memory_listed(self) -> None:
        """Report a change if the text is doubtful: nothing written down tells what it said before.

        That is an answer, too: nobody waits for it any more.
        """
        if self._item is not None and self.doubtful:
            self._on_change(key_of(self._item), self._item)

    def _changed(self, key: Key, item: Json | None) -> None:
        before, self._item = self.conversion, item
        known = before if before is not None or item is None else self._recalled(item)
        self._alone = known is None
        self.conversion = read_config_map(item, known) if item is not None else None
        if self.conversion != before:
            self._on_change(key, item)

    def _remembered(self, key: Key, item: Json | None) -> None:
        """Take what the controller wrote down.

        It counts for a text that was read without knowing what the text said before.
        """
        self._memory = ((item or {}).get("status") or {}).get("configMap")
        known = self._recalled(self._item) if self._item is not None and self._alone else None
        if self._item is None or known is None:
            return
        before, self._alone = self.conversion, False
        self.conversion = read_config_map(self._item, known)
        if self.conversion != before:
            self._on_change(key, self._item)

    def _recalled(self, item: Json) -> Conversion | None:
        metadata = item["metadata"]
        ref = ObjectRef("ConfigMap", metadata.get("namespace", ""), metadata["name"], "v1")
        return recall(ref, metadata.get("uid", ""), self._memory)

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
    """Return what a ConfigMap says; where that can't be read, what it said before."""
    return replace(_read(item, previous, rename), uid=item["metadata"].get("uid", ""))


def _read(item: Json, previous: Conversion | None, rename: Callable[[str], str]) -> Conversion:
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


def _trim(item: Json) -> Json:
    """Return what is read, and what an event needs to name the ConfigMap."""
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    metadata = {name: item["metadata"][name] for name in kept if name in item["metadata"]}
    data = {name: text for name, text in (item.get("data") or {}).items() if name == KEY}
    return {"apiVersion": item["apiVersion"], "kind": item["kind"], "metadata": metadata, "data": data}
