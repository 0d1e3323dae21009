# SPDX-License-Identifier: GPL-3.0-or-later
"""The paths of objects by apiVersion and kind: the API's discovery, asked once for each group."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .api import Api, ClusterError, Json
from .kinds import SCHEMAS


class UnknownKindError(ClusterError):
    """The API server does not serve this kind (yet)."""


@dataclass(frozen=True, order=True)
class Kind:
    """One collection of objects."""

    api_version: str
    name: str
    plural: str
    namespaced: bool

    @property
    def group(self) -> str:
        return self.api_version.rpartition("/")[0]

    @property
    def root(self) -> str:
        return f"/apis/{self.api_version}" if self.group else f"/api/{self.api_version}"

    def collection(self, namespace: str | None = None) -> str:
        """The path of all objects, or of those of a namespace."""
        if self.namespaced and namespace:
            return f"{self.root}/namespaces/{namespace}/{self.plural}"
        return f"{self.root}/{self.plural}"

    def path(self, namespace: str | None, name: str) -> str:
        return f"{self.collection(namespace)}/{name}"


class Kinds:
    """The kinds that the API server serves, plus those that the CustomResourceDefinitions of a set add."""

    def __init__(self, api: Api, *, lenient: bool = False) -> None:
        """`lenient` takes for coming what is not served yet, as check mode has to: our own kinds, of which an
        older version of the collection has fewer, and a group that is not served at all."""
        self._api = api
        self._lenient = lenient
        self._served: dict[str, dict[str, Kind]] = {}
        self._coming: dict[tuple[str, str], Kind] = {}
        if lenient:
            for each in SCHEMAS:
                kind = Kind(each.api_version, each.kind, each.plural, True)
                self._coming[each.api_version, each.kind] = kind

    def expect(self, definition: Json) -> None:
        """Learn the kinds of a CustomResourceDefinition that may not be applied yet."""
        spec = definition["spec"]
        names, namespaced = spec["names"], spec.get("scope") == "Namespaced"
        for version in spec["versions"]:
            api_version = f"{spec['group']}/{version['name']}"
            kind = Kind(api_version, names["kind"], names["plural"], namespaced)
            self._coming[api_version, kind.name] = kind

    def find(self, api_version: str, kind: str) -> Kind | None:
        """The kind where the API server serves it."""
        if api_version not in self._served:
            self._served[api_version] = self._ask(api_version)
        return self._served[api_version].get(kind)

    def get(self, api_version: str, kind: str) -> Kind:
        """The kind, served or coming; raises UnknownKindError."""
        found = self.find(api_version, kind) or self._coming.get((api_version, kind))
        if found is None and self._lenient and not self._served[api_version]:
            return Kind(api_version, kind, kind.lower() + "s", True)
        if found is None:
            raise UnknownKindError(f"the API server does not serve {kind} of {api_version}")
        return found

    def forget(self) -> None:
        """Ask again from now on: a new CustomResourceDefinition was established."""
        self._served.clear()

    def _ask(self, api_version: str) -> dict[str, Kind]:
        root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        answer = self._api.find(root) or {}
        return {each.name: each for each in _kinds(api_version, answer.get("resources") or ())}


def _kinds(api_version: str, resources: t.Iterable[Json]) -> t.Iterator[Kind]:
    for resource in resources:
        if "/" not in resource["name"]:  # a slash is a subresource, such as deployments/status
            yield Kind(api_version, resource["kind"], resource["name"], resource["namespaced"])


__all__ = ["Kind", "Kinds", "UnknownKindError"]
