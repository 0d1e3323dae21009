# SPDX-License-Identifier: GPL-3.0-or-later
"""Gathers what the roles found into one report. It compares nothing itself. **PRIVATE** to the collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

LOCAL = "localhost"
# Which roles leave the fact ROLE_drift on which hosts. Where it is missing, the role did not get to its end.
ROLES_OF_THE_CLUSTER = ("kube_proxy", "load_balancer")
ROLES_OF_A_ROUTER = ("router",)
# On a node it imports an image, or finds nothing to do there: `_drift_compared` says that it came to its end.
ROLE_OF_A_NODE = "load_balancer"
KEYS = ("what", "where", "expected", "found")


def gather(hostvars: Mapping[str, Any], groups: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """`{drift[{host, role, where, what, expected, found}], errors[{host, role, message}], lines[]}`."""
    demanded = [(LOCAL, role) for role in ROLES_OF_THE_CLUSTER]
    demanded += [(str(host), role) for host in groups.get("routers", ()) for role in ROLES_OF_A_ROUTER]
    demanded += [(str(host), ROLE_OF_A_NODE) for host in groups.get("nodes", ())]
    drift: list[dict[str, str]] = []
    errors: list[dict[str, str]] = []
    for host, role in demanded:
        found = _variables(hostvars, host)
        mistakes = [{"host": host, **one} for one in found.get("_drift_errors", ()) if one["role"] == role]
        entries = found.get(f"{role}_drift")
        if entries is None and not mistakes and not found.get("_drift_compared"):
            mistakes = [{"host": host, "role": role, "message": "the host was not reached"}]
        errors += mistakes
        drift += [_entry(host, role, one) for one in entries or ()]
    return {"drift": drift, "errors": errors, "lines": lines(drift, errors)}


def _variables(hostvars: Mapping[str, Any], host: str) -> Mapping[str, Any]:
    """hostvars answers for localhost also where the inventory does not have it, but does not list it."""
    try:
        return hostvars[host]
    except KeyError:
        return {}


def _entry(host: str, role: str, one: Mapping[str, Any]) -> dict[str, str]:
    return {"host": host, "role": role, **{key: str(one[key]) for key in KEYS}}


def lines(drift: Sequence[Mapping[str, str]], errors: Sequence[Mapping[str, str]]) -> list[str]:
    """The report for people: one line for each difference and for each thing that could not be asked."""
    texts = [f"{_place(one)}: expected {one['expected']}, found {one['found']}" for one in drift]
    texts += [f"{one['host']}: role {one['role']}: NOT COMPARED: {one['message']}" for one in errors]
    return texts or ["no drift"]


def _place(one: Mapping[str, str]) -> str:
    """A difference. In a cluster `what` is an object and `where` its field; on a host, a part of it."""
    if one["host"] == LOCAL:
        return f"{one['what']}: {one['where']}"
    where = one["host"] if one["where"] == one["host"] else f"{one['host']}, {one['where']}"
    return f"{where}: {one['what']}"
