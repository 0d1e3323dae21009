# SPDX-License-Identifier: GPL-3.0-or-later
"""Reduce a Service to what is read of it, with a bound on each part that a user of the cluster can fill.

An object of the API has up to 1.5 MiB, and whoever may make Services may make thousands. Of those that are no
load balancers next to nothing is kept; of the others what decides, and of annotations only those that are
read.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from vipcast.ipam import service

__all__ = ["MAX_KEPT", "MAX_VALUE", "TOO_LARGE", "WRITER", "trim_service"]

Json = dict[str, Any]

MAX_VALUE = 1024  # characters of an annotation; a pool's name has up to 253, an address up to 39
# Bytes (as JSON) of a load balancer's spec and labels. One of 500 ports has 50 KiB.
MAX_KEPT = 64 * 1024
_FEW = 64  # labels, ports and so on: so few are not measured
TOO_LARGE = "tooLarge"  # the bytes of a service of which neither spec nor labels are kept
WRITER = "statusWriter"  # who wrote status.loadBalancer last, by the name in metadata.managedFields
_OWN_CONDITIONS = "vipcast.io/"
_ASKED = ("loadBalancerIPs", "address-pool", "allow-shared-ip")
_GIVEN = (service.ALLOCATED_FROM, service.OLD_ALLOCATED_FROM)
_READ = (*_GIVEN, *(f"{prefix}{name}" for prefix in (service.PREFIX, service.OLD_PREFIX) for name in _ASKED))


def trim_service(item: Json) -> Json:
    """Return what is kept of a Service of the API."""
    writer = _writer(item)
    kept = service.trim(item)
    balances = kept["spec"].get("type") == "LoadBalancer"
    _cut_metadata(kept["metadata"], balances=balances)
    kept["status"] = _status(kept["status"])
    if writer:
        kept[WRITER] = writer
    if balances and (size := _size(kept)) > MAX_KEPT:
        spec = {name: kept["spec"][name] for name in ("type", "loadBalancerClass") if name in kept["spec"]}
        kept["metadata"].pop("labels", None)
        kept.update({"spec": spec, TOO_LARGE: size})
    return kept


def _cut_metadata(metadata: Json, *, balances: bool) -> None:
    if not balances:
        metadata.pop("labels", None)
    annotations = metadata.pop("annotations", {})
    names = _READ if balances else _GIVEN
    if found := {name: _cut(annotations[name]) for name in names if name in annotations}:
        metadata["annotations"] = found


def _cut(value: str) -> str:
    """Return a value that means the same: it names no pool and no address, and a key stays unique."""
    if len(value) <= MAX_VALUE:
        return value
    digest = hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{value[: MAX_VALUE // 2]}... ({len(value)} characters, SHA-256 {digest})"


def _status(status: Json) -> Json:
    conditions = status.get("conditions") or ()
    ours = [each for each in conditions if str(each.get("type", "")).startswith(_OWN_CONDITIONS)]
    kept = {"loadBalancer": status["loadBalancer"]} if status.get("loadBalancer") else {}
    return {**kept, "conditions": ours} if ours else kept


def _size(kept: Json) -> int:
    parts = (kept["metadata"].get("labels"), kept["spec"].get("selector"), kept["spec"].get("ports"))
    if sum(len(part) for part in parts if part) <= _FEW:
        return 0
    return len(json.dumps(parts, ensure_ascii=False).encode("utf-8", "replace"))


def _writer(item: Json) -> str | None:
    fields = [each for each in item["metadata"].get("managedFields") or () if _owns_addresses(each)]
    latest = max(fields, key=lambda each: each.get("time") or "", default=None)
    return str(latest.get("manager") or "")[:128] if latest else None


def _owns_addresses(entry: Json) -> bool:
    status = (entry.get("fieldsV1") or {}).get("f:status")
    return isinstance(status, dict) and "f:loadBalancer" in status
