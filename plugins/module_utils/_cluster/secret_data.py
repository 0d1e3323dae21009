# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts that are put into Secrets, and kept out of logs. Pure."""

from __future__ import annotations

import base64
import typing as t

from .api import ClusterError, Json

Data = t.Mapping[str, t.Mapping[str, t.Any]]


def with_data(manifests: t.Sequence[Json], data: Data) -> list[Json]:
    """Return the manifests with the texts of their Secrets; raises ClusterError for one that is none of them.

    A text is encoded here and not by the API server (`stringData`), which would not give back what it was
    sent, so that a later comparison has something to compare.
    """
    named = {_name(each) for each in manifests if _is_secret(each)}
    unknown = sorted(set(data) - named)
    if unknown:
        known = ", ".join(sorted(named)) or "none"
        raise ClusterError(
            f"secret_data: no Secret of objects is called {', '.join(unknown)}; they are {known}"
        )
    return [
        _filled(each, data[_name(each)]) if _is_secret(each) and _name(each) in data else each
        for each in manifests
    ]


def _is_secret(manifest: t.Any) -> bool:
    return isinstance(manifest, dict) and (manifest.get("apiVersion"), manifest.get("kind")) == (
        "v1",
        "Secret",
    )


def _name(manifest: Json) -> str:
    return str((manifest.get("metadata") or {}).get("name"))


def _filled(secret: Json, texts: t.Mapping[str, t.Any]) -> Json:
    encoded = {key: base64.b64encode(str(text).encode()).decode() for key, text in texts.items()}
    return {**secret, "data": {**(secret.get("data") or {}), **encoded}}


def texts_in(value: t.Any) -> set[str]:
    """Return every text inside of an option that is not to be shown."""
    if isinstance(value, t.Mapping):
        return set().union(*(texts_in(each) for each in value.values()))
    if isinstance(value, (list, tuple)):
        return set().union(*(texts_in(each) for each in value))
    return set() if value is None or isinstance(value, bool) or value == "" else {str(value)}


def passwords_of(manifests: t.Iterable[t.Any]) -> set[str]:
    """Return the passwords that objects show in their spec, as MetalLB's BGPPeer may."""
    specs = [each.get("spec") for each in manifests if isinstance(each, dict)]
    return texts_in([spec.get("password") for spec in specs if isinstance(spec, dict)])


__all__ = ["passwords_of", "texts_in", "with_data"]
