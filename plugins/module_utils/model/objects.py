# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One object of the API, read: what it says now, and what it said when it was in force last.

What was in force comes from the configuration until now. Where that does not know the object (after a
restart), it comes from the object's status, which the controller writes: ``inForce`` is the ``spec`` that
stays in force while the present one is refused, and the condition ``Accepted`` says that the present one is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Callable, Union

from .advertisements import BGPAdvertisement, read_bgp_advertisement
from .bfd import BfdProfile, read_bfd_profile
from .communities import Community, read_community
from .fields import Fields, nearest
from .layer2 import L2Advertisement, read_l2_advertisement
from .peers import Peer, read_peer
from .pools import Pool, read_pool
from .problems import ObjectRef, Report
from .reasons import Reason
from .texts import echo

GROUP = "metallb.io"
VERSIONS = {
    "IPAddressPool": f"{GROUP}/v1beta1",
    "BGPPeer": f"{GROUP}/v1beta2",
    "BGPAdvertisement": f"{GROUP}/v1beta1",
    "L2Advertisement": f"{GROUP}/v1beta1",
    "BFDProfile": f"{GROUP}/v1beta1",
    "Community": f"{GROUP}/v1beta1",
}
# Versions that are read besides: with the same fields, of the same objects.
OLD_VERSIONS = {"BGPPeer": f"{GROUP}/v1beta1"}
# Kinds of the group that the load balancer writes: they say nothing of what is wanted.
REPORTS = ("BGPSessionState", "ConfigurationState", "ServiceBGPStatus", "ServiceL2Status")
# The condition of an object that is in force as it is written.
ACCEPTED = "Accepted"

Part = Union[Pool, Peer, BGPAdvertisement, L2Advertisement, BfdProfile, Community]

_READERS: Mapping[str, Callable[..., Part | None]] = {
    "IPAddressPool": read_pool,
    "BGPPeer": read_peer,
    "BGPAdvertisement": read_bgp_advertisement,
    "L2Advertisement": read_l2_advertisement,
    "BFDProfile": read_bfd_profile,
    "Community": read_community,
}


@dataclass(frozen=True)
class AcceptedSpec:
    """The form of an object, now or before: read, and the ``spec`` as it was written."""

    part: Part
    spec: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    uid: str = field(default="", compare=False)  # of the object; another one is another object


@dataclass
class Entry:
    """An object on its way into the configuration."""

    ref: ObjectRef
    report: Report
    form: AcceptedSpec | None  # what counts; None: nothing of this object
    created: str = ""
    before: AcceptedSpec | None = None
    generation: int | None = None  # of the object that was read

    @property
    def part(self) -> Part | None:
        """Return what is in force of the object, as far as is known yet."""
        return self.form.part if self.form is not None else None

    @property
    def age(self) -> tuple[str, str]:
        """The older first, then by name."""
        return self.created or "9", self.ref.name

    @property
    def rank(self) -> tuple[bool, bool, str, str]:
        """Return who goes first where two can not both be: in force as it is, then before, older, by name."""
        return (self.form != self.before, self.before is None, *self.age)

    @property
    def stale(self) -> bool:
        """Return whether the object is in force in an earlier form than the one that is written."""
        return self.report.refused and self.form is not None

    def demote(self) -> None:
        """Back to how it was before, if it was and if that is something else."""
        self.form = None if self.form == self.before else self.before


def read_object(item: Mapping[str, Any], forms: Mapping[ObjectRef, AcceptedSpec], report: Report) -> Entry:
    """An object of a known kind; ``forms`` is what was in force until now."""
    root = Fields(item, "", report)
    for name in ("apiVersion", "kind", "status"):
        root.has(name)
    metadata = root.mapping("metadata") or Fields({}, "metadata", report)
    labels = metadata.string_map("labels")
    metadata.required("name", "the object's name")
    spec = root.mapping("spec") or Fields({}, "spec", report)
    root.done()
    uid, created = metadata.string("uid") or "", metadata.string("creationTimestamp") or ""
    form = read_form(report.ref, labels, spec, uid)
    before = _known_form(forms.get(report.ref), uid, labels)
    if before is None:
        before = _remembered(item, None if report.refused else form, uid, labels, report.ref)
    entry = Entry(report.ref, report, form, created, before, _generation(item))
    _refuse_change(entry, spec)
    return entry


def read_form(ref: ObjectRef, labels: Mapping[str, str], spec: Fields, uid: str = "") -> AcceptedSpec | None:
    """Return what a ``spec`` says; None where the essential is missing."""
    part = _READERS[ref.kind](ref.name, ref.namespace, labels, spec)
    return None if part is None else AcceptedSpec(part, spec.data, uid)


def _known_form(form: AcceptedSpec | None, uid: str, labels: Mapping[str, str]) -> AcceptedSpec | None:
    """Labels can not be wrong, so those of now count."""
    if form is None or (form.uid and uid and form.uid != uid):
        return None
    return form if form.part.labels == labels else replace(form, part=replace(form.part, labels=labels))


def _remembered(
    item: Mapping[str, Any], form: AcceptedSpec | None, uid: str, labels: Mapping[str, str], ref: ObjectRef
) -> AcceptedSpec | None:
    quiet = Report(ref)
    status = Fields(item, "", quiet).mapping("status") or Fields({}, "status", quiet)
    if _accepted(item, status):
        return form
    spec = status.mapping("inForce")
    found = None if spec is None else read_form(ref, labels, spec, uid)
    return None if quiet.refused else found


def _accepted(item: Mapping[str, Any], status: Fields) -> bool:
    """Return whether the controller said that this very ``spec`` is in force."""
    generation = _generation(item)
    wanted = (ACCEPTED, "True", generation)
    told = (condition.data for condition in status.mappings("conditions"))
    return generation is not None and any(
        (each.get("type"), each.get("status"), each.get("observedGeneration")) == wanted for each in told
    )


def _generation(item: Mapping[str, Any]) -> int | None:
    metadata = item.get("metadata")
    found = metadata.get("generation") if isinstance(metadata, Mapping) else None
    return found if isinstance(found, int) else None


def _refuse_change(entry: Entry, spec: Fields) -> None:
    """A restart of the session is announced when it begins, so whether it is graceful can not change."""
    before = entry.before.part if entry.before is not None else None
    if not isinstance(before, Peer) or not isinstance(entry.part, Peer):
        return
    if before.graceful_restart != entry.part.graceful_restart:
        was = str(before.graceful_restart).lower()
        message = f"can not be changed and was {was}; delete the BGPPeer and create it anew"
        entry.report.refuse(spec.path("enableGracefulRestart"), Reason.IMMUTABLE_FIELD, message)


def known_kind(ref: ObjectRef, report: Report) -> bool:
    """Return whether the object is one of ours; otherwise it is refused."""
    wanted = VERSIONS.get(ref.kind)
    if wanted is not None and ref.api_version in (wanted, OLD_VERSIONS.get(ref.kind)):
        return True
    if wanted is not None:
        report.refuse("apiVersion", Reason.UNSUPPORTED, f"is {echo(ref.api_version)}, should be {wanted}")
    else:
        hint = nearest(ref.kind, list(VERSIONS))
        report.refuse("kind", Reason.UNKNOWN_KIND, f"is not a kind of {GROUP}{hint}")
    return False


__all__ = [
    "ACCEPTED",
    "GROUP",
    "OLD_VERSIONS",
    "REPORTS",
    "VERSIONS",
    "AcceptedSpec",
    "Entry",
    "Part",
    "known_kind",
    "read_form",
    "read_object",
]
