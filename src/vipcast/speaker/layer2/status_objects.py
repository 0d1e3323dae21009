# SPDX-License-Identifier: GPL-3.0-or-later
"""The object in which the owner of a service's addresses says so: MetalLB's ServiceL2Status. Pure.

There is one for a service, and not one for each node: on a move the new owner writes over it, so that nobody
reads of two where the old one lost its power. Should the addresses of a service have different owners, that
of the first one writes.
"""

from __future__ import annotations

from vipcast.k8s import Json, Key
from vipcast.k8s.resource import SERVICE_L2_STATUSES
from vipcast.layer2.api import AddressStatus, InterfaceStatus
from vipcast.speaker.bgp.session_status import when
from vipcast.speaker.layer2.verdicts import Layer2Verdict
from vipcast.speaker.reporting.status_objects import (
    NAMESPACE_LABEL,
    NODE_LABEL,
    SERVICE_LABEL,
    Owner,
    create,
    label_value,
    object_name,
)

__all__ = ["layer2_address_status", "layer2_name", "layer2_object"]


def layer2_name(key: Key) -> str:
    """Return the name of the object, the same on every node."""
    return object_name("l2", *key)


def layer2_object(owner: Owner, key: Key, verdicts: tuple[Layer2Verdict, ...]) -> Json | None:
    """The ServiceL2Status of a service; None where it is not this node's to write."""
    first = next((each for each in verdicts if each.owner), None)
    if first is None or first.owner != owner.node or not first.announced:
        return None
    namespace, name = key
    names = sorted({each.name for verdict in verdicts for each in _interfaces(verdict)})
    status = {
        "node": owner.node,
        "serviceName": name,
        "serviceNamespace": namespace,
        "interfaces": [{"name": each} for each in names],
        "addresses": [_address(each) for each in verdicts],
    }
    labels = {NODE_LABEL: label_value(owner.node), SERVICE_LABEL: name, NAMESPACE_LABEL: namespace}
    return create(SERVICE_L2_STATUSES, owner, layer2_name(key), labels, status)


def _interfaces(verdict: Layer2Verdict) -> tuple[InterfaceStatus, ...]:
    return verdict.status.interfaces if verdict.announced and verdict.status else ()


def _address(verdict: Layer2Verdict) -> Json:
    """One address, whoever owns it."""
    entry: Json = {"address": str(verdict.address)}
    if verdict.status and verdict.status.owner:
        entry |= _owned(verdict.status)
    if verdict.announced:
        entry["interfaces"] = [{"name": each.name, "mac": each.mac} for each in _interfaces(verdict)]
    elif not verdict.owner and verdict.reason:
        entry |= {"reason": verdict.reason.value, "message": verdict.message}
    return entry


def _owned(status: AddressStatus) -> Json:
    told: Json = {"node": status.owner}
    if since := when(status.since_wall or None):
        told["since"] = since
    if status.why:
        told["why"] = status.why
    if status.foreign:
        told["foreign"] = list(status.foreign)
    return told


def layer2_address_status(verdict: Layer2Verdict) -> Json:
    """Return what becomes of one address here, for the status of this node."""
    entry: Json = {"announced": verdict.announced, **_address(verdict)}
    if verdict.reason:
        entry |= {"reason": verdict.reason.value, "message": verdict.message}
    elif verdict.message:
        entry["message"] = verdict.message
    if verdict.status:
        entry["holding"] = verdict.status.holding.value
    return entry
