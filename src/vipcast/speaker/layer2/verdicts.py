# SPDX-License-Identifier: GPL-3.0-or-later
"""The verdicts on addresses at layer 2 on this node, from who may answer and what the agent says. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vipcast.election import Electorate, order
from vipcast.k8s import Key
from vipcast.layer2.api import AddressStatus, Holding
from vipcast.model.addresses import IPAddress
from vipcast.speaker.layer2.decide import Candidacy, Layer2Decision, why_not
from vipcast.speaker.reasons import NotAnnounced
from vipcast.speaker.rules import Refusal

__all__ = ["NAMED", "Layer2Verdict", "answering", "candidates", "layer2_verdicts", "others", "standby"]

NAMED = 8  # nodes by name; of more, their number
# Of more candidates nobody computes an order for people to look at: it is a hash for each of them.
ORDERED = 100


@dataclass(frozen=True, slots=True)
class Layer2Verdict:
    """`status`: what the process says, None where it says nothing. `usual`: nothing to warn of here."""

    address: IPAddress
    reason: NotAnnounced | None = None  # None: this node answers
    message: str = ""
    status: AddressStatus | None = None
    usual: bool = False

    @property
    def announced(self) -> bool:
        """Return whether this node answers."""
        return self.reason is None

    @property
    def owner(self) -> str | None:
        """Return who does, as far as this node knows."""
        return self.status.owner if self.status else None


def answering(status: AddressStatus | None) -> bool:
    """Return whether the process answers for the address."""
    return status is not None and status.holding in (Holding.OWNER, Holding.YIELDING)


def layer2_verdicts(
    decision: Layer2Decision,
    node: str,
    statuses: Mapping[IPAddress, AddressStatus],
    *,
    absent: str | None = None,
) -> dict[Key, tuple[Layer2Verdict, ...]]:
    """A verdict for each candidacy. `absent`: why the process has not been heard for too long."""
    spokesman = min(decision.nodes - decision.unfit.keys() or decision.nodes, default=node)
    return {
        key: tuple(
            _verdict(decision, each, node, statuses.get(each.address), absent, speaks=node == spokesman)
            for each in candidacies
        )
        for key, candidacies in decision.candidacies.items()
    }


def _verdict(
    decision: Layer2Decision,
    candidacy: Candidacy,
    node: str,
    status: AddressStatus | None,
    absent: str | None,
    *,
    speaks: bool,
) -> Layer2Verdict:
    """`speaks`: what is true of the whole cluster is told by one node, not by each."""
    address, owner = candidacy.address, status.owner if status else None
    if candidacy.refusal and not (answering(status) and candidacy.refusal[0] == _NOBODY_ELSE):
        return Layer2Verdict(address, *candidacy.refusal, status, usual=not speaks)
    if status and answering(status) and not absent:
        return Layer2Verdict(address, None, _yields(decision, candidacy, node, status), status)
    if refusal := why_not(decision, candidacy, node):
        return Layer2Verdict(address, *refusal, status, usual=refusal[0].usual or owner is not None)
    reason, message = _held(status, absent)
    return Layer2Verdict(address, reason, message, status, usual=_is_usual(reason, owner, node))


_NOBODY_ELSE = NotAnnounced.NO_CANDIDATE  # who answers goes on, as long as there is nobody to relieve it


def _is_usual(reason: NotAnnounced, owner: str | None, node: str) -> bool:
    """Return whether another node answers, so that nothing is wrong for those who ask."""
    return reason.usual or (reason is NotAnnounced.NO_INTERFACE and owner not in (None, node))


def _yields(decision: Layer2Decision, candidacy: Candidacy, node: str, status: AddressStatus) -> str:
    if status.holding is not Holding.YIELDING:
        return status.why
    refusal = why_not(decision, candidacy, node)
    because = f": {refusal[1]}" if refusal else ""
    return f"answers until another node does{because}"


def _held(status: AddressStatus | None, absent: str | None) -> Refusal:
    if absent:
        return NotAnnounced.NO_PROCESS, absent
    if status is None:
        return NotAnnounced.STARTING, "the process has said nothing of it yet"
    reason, message = _HOLDINGS[status.holding]
    stranger = ", ".join(status.foreign) or "somebody"
    return reason, message.format(owner=status.owner or "another node", stranger=stranger)


_HOLDINGS: dict[Holding, Refusal] = {
    Holding.STANDBY: (NotAnnounced.NOT_OWNER, "{owner} answers"),
    # For a moment: the process has not heard yet that this node may.
    Holding.NOT_CANDIDATE: (NotAnnounced.NOT_OWNER, "{owner} answers"),
    Holding.NO_INTERFACE: (
        NotAnnounced.NO_INTERFACE,
        "no interface is there, up and meant for it: see the one of its network, interfaces of its "
        "L2Advertisements, and those that are excluded",
    ),
    Holding.WAITING: (NotAnnounced.STARTING, "the process has started and hears the other nodes out first"),
    Holding.NO_KEY: (NotAnnounced.NO_KEY, "there is no key for the nodes' heartbeats"),
    Holding.PROBING: (NotAnnounced.PROBING, "it looks whether somebody else has the address"),
    Holding.DUPLICATE: (NotAnnounced.DUPLICATE, "{stranger} has the address already"),
    Holding.UNKNOWN: (NotAnnounced.STARTING, "the process is of a later release than this speaker"),
}


# ---- the other nodes, for people ----


def candidates(decision: Layer2Decision, candidacy: Candidacy) -> int:
    """Return how many there are."""
    want = decision.addresses.get(candidacy.address)
    return sum(len(names) for _weight, names in want.electorate) if want else 0


def standby(decision: Layer2Decision, candidacy: Candidacy, owner: str | None) -> list[str]:
    """The candidates besides the owner, who comes first before who comes next; the first few. None of them
    where they are too many to be put in order."""
    want = decision.addresses.get(candidacy.address)
    if want is None or candidates(decision, candidacy) > ORDERED:
        return []
    return [name for name in _first(want.key, want.electorate, NAMED + 1) if name != owner][:NAMED]


def _first(key: str, electorate: Electorate, count: int) -> list[str]:
    found: list[str] = []
    for _weight, names in electorate:
        if len(found) >= count:
            break
        found += order(key, names)
    return found[:count]


def others(decision: Layer2Decision, candidacy: Candidacy) -> dict[str, list[str]]:
    """Return why not the other nodes: names by the reason, the first few, then how many more there are."""
    if candidacy.refusal and candidacy.refusal[0] is not NotAnnounced.NO_CANDIDATE:
        return {}
    selected = candidacy.selected
    within = selected if candidacy.local is None else selected & candidacy.local
    groups = {
        NotAnnounced.NOT_OWNER.value: decision.nodes - selected,
        NotAnnounced.NO_LOCAL_ENDPOINTS.value: selected - within,
    }
    for name, (reason, _message) in decision.unfit.items():
        if name in within and why_not(decision, candidacy, name):
            groups[reason.value] = groups.get(reason.value, frozenset()) | {name}
    return {reason: _named(names) for reason, names in groups.items() if names}


def _named(names: frozenset[str]) -> list[str]:
    few = sorted(names)[:NAMED]
    return few if len(names) <= NAMED else [*few, f"{len(names) - NAMED} more"]
