# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what a node says of an address at layer 2: to people, in Events and in the object of its owner."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from daemon.speaker.layer2_world import ABC, VIP, on, world
from daemon.speaker.snapshots import WEB, configuration, l2_advertisement, labels, nodes, pool, service

from vipcast.election import order
from vipcast.k8s import Json, Key
from vipcast.layer2.api import AddressStatus, Holding, InterfaceStatus, Move, MoveKind
from vipcast.speaker.layer2.decide import Layer2Decision, decide_layer2
from vipcast.speaker.layer2.reporter import FOREIGN_SECONDS, Layer2Reporter
from vipcast.speaker.layer2.status_objects import layer2_name, layer2_object
from vipcast.speaker.layer2.verdicts import Layer2Verdict, candidates, layer2_verdicts, others, standby
from vipcast.speaker.reasons import NotAnnounced
from vipcast.speaker.reporting.status_objects import Owner, equal_ignoring_time, trim, with_timestamp

MAC = "02:00:00:00:00:0a"
SINCE = 1_767_355_200.0  # 2026-01-02T12:00:00Z
OWNED = AddressStatus(
    Holding.OWNER, "a", 3, SINCE, (InterfaceStatus("eth0", MAC),), why="b is dead: nothing was heard"
)
STANDBY = AddressStatus(Holding.STANDBY, "b", 3, SINCE)


def verdict(
    status: AddressStatus | None, *, node: str = "a", absent: str | None = None, **changes: Any
) -> Layer2Verdict:
    decision = decide_layer2(world(**changes))
    statuses = {VIP: status} if status else {}
    ((found,),) = layer2_verdicts(decision, node, statuses, absent=absent).values()
    return found


HOLDINGS = [
    (Holding.STANDBY, "b", NotAnnounced.NOT_OWNER, True),
    (Holding.NOT_CANDIDATE, "b", NotAnnounced.NOT_OWNER, True),
    (Holding.NO_INTERFACE, None, NotAnnounced.NO_INTERFACE, False),
    (Holding.NO_INTERFACE, "b", NotAnnounced.NO_INTERFACE, True),
    (Holding.WAITING, None, NotAnnounced.STARTING, True),
    (Holding.NO_KEY, None, NotAnnounced.NO_KEY, False),
    (Holding.PROBING, "a", NotAnnounced.PROBING, True),
    (Holding.DUPLICATE, None, NotAnnounced.DUPLICATE, False),
    (Holding.UNKNOWN, None, NotAnnounced.STARTING, True),
]


@pytest.mark.parametrize(("holding", "owner", "reason", "usual"), HOLDINGS)
def test_why_the_process_does_not_answer_has_a_name(
    holding: Holding, owner: str | None, reason: NotAnnounced, usual: bool
) -> None:
    found = verdict(AddressStatus(holding, owner, foreign=(MAC,)))
    assert (found.announced, found.reason, found.usual) == (False, reason, usual)
    assert owner in (None, "a") or reason is NotAnnounced.NO_INTERFACE or owner in found.message
    if holding is Holding.DUPLICATE:
        assert MAC in found.message


def test_every_holding_is_answering_or_has_a_name() -> None:
    assert {each[0] for each in HOLDINGS} | {Holding.OWNER, Holding.YIELDING} == set(Holding)


def test_the_owner_answers_and_says_why_it_is_the_one() -> None:
    found = verdict(OWNED)
    assert (found.announced, found.owner, found.message) == (True, "a", "b is dead: nothing was heard")


def test_a_drained_owner_answers_until_another_one_does_and_says_so() -> None:
    drained = {**ABC, "a": replace(ABC["a"], drain="")}
    found = verdict(replace(OWNED, holding=Holding.YIELDING), nodes=drained)
    assert found.announced
    assert found.message == "answers until another node does: the node is drained"
    gone = verdict(replace(STANDBY, holding=Holding.NOT_CANDIDATE), nodes=drained)
    assert (gone.reason, gone.usual) == (NotAnnounced.NODE_DRAINED, True)


def test_the_last_node_that_is_drained_goes_on_as_nobody_can_take_over() -> None:
    only = {"a": replace(ABC["a"], drain="")}
    assert verdict(replace(OWNED, holding=Holding.YIELDING), nodes=only).announced
    found = verdict(AddressStatus(Holding.NOT_CANDIDATE), nodes=only)
    assert found.reason is NotAnnounced.NO_CANDIDATE


def test_a_process_that_is_not_heard_is_named_where_the_node_could_answer() -> None:
    assert verdict(None, absent="nobody answers").reason is NotAnnounced.NO_PROCESS
    assert verdict(OWNED, absent="nobody answers").reason is NotAnnounced.NO_PROCESS
    assert verdict(None).reason is NotAnnounced.STARTING
    elsewhere = configuration(pool(), l2_advertisement(nodeSelectors=[labels(name="b")]))
    assert verdict(None, absent="nobody answers", configuration=elsewhere).reason is NotAnnounced.NOT_OWNER


def test_that_a_node_is_excluded_is_no_matter_while_another_one_answers() -> None:
    unready = {**ABC, "a": replace(ABC["a"], ready=False)}
    assert verdict(replace(STANDBY, holding=Holding.NOT_CANDIDATE), nodes=unready).usual
    assert not verdict(None, nodes=unready).usual


def test_of_what_is_true_for_the_whole_cluster_one_node_warns() -> None:
    silent: dict[str, Any] = {"endpoints": {}}
    warning = [name for name in ABC if not verdict(None, node=name, **silent).usual]
    assert warning == ["a"]
    drained = {**ABC, "a": replace(ABC["a"], drain="")}
    assert [name for name in ABC if not verdict(None, node=name, nodes=drained, **silent).usual] == ["b"]


# -- the other nodes -----------------------------------------------------------------------------------------


def alternatives(**changes: Any) -> tuple[Layer2Decision, Any]:
    decision = decide_layer2(world(**changes))
    return decision, decision.candidacies[WEB][0]


def test_who_stands_by_comes_in_the_order_in_which_they_would_take_over() -> None:
    assert standby(*alternatives(), "b") == [each for each in order("10.9.0.1", "abc") if each != "b"]
    preferred = {"weight": 9, "preference": labels(name="c")}
    config = configuration(pool(), l2_advertisement(preferredNodeSelectors=[preferred]))
    assert standby(*alternatives(configuration=config), None)[0] == "c"


def test_of_too_many_candidates_there_is_no_order_but_their_number() -> None:
    fleet = nodes(*(f"n{number}" for number in range(101)))
    found = alternatives(nodes=fleet)
    assert (candidates(*found), standby(*found, None)) == (101, [])


def test_why_not_the_others_is_told_by_reason() -> None:
    config = configuration(pool(), l2_advertisement(nodeSelectors=[labels(name=each) for each in "abc"]))
    fleet = {**ABC, "c": replace(ABC["c"], drain=""), **nodes("d")}
    local = service(local=True)
    decision, candidacy = alternatives(
        services={WEB: local}, configuration=config, nodes=fleet, endpoints={WEB: (on("a"), on("c"))}
    )
    assert others(decision, candidacy) == {
        "notOwner": ["d"],
        "noLocalEndpoints": ["b"],
        "nodeDrained": ["c"],
    }


def test_of_many_nodes_a_few_are_named() -> None:
    config = configuration(pool(), l2_advertisement(nodeSelectors=[labels(name="n01")]))
    fleet = nodes(*(f"n{number:02}" for number in range(1, 31)))
    named = others(*alternatives(configuration=config, nodes=fleet))["notOwner"]
    assert named == [*(f"n{number:02}" for number in range(2, 10)), "21 more"]


# -- the object ----------------------------------------------------------------------------------------------

OWNER = Owner("a", "6b8f", "default")


def written(*statuses: tuple[str, AddressStatus | None], node: str = "a") -> Json | None:
    addresses = [address for address, _status in statuses]
    decision = decide_layer2(world(service(*addresses)))
    told = {
        each: status for each, (_text, status) in zip(service(*addresses).addresses, statuses, strict=True)
    }
    known = {address: status for address, status in told.items() if status}
    (found,) = layer2_verdicts(decision, node, known).values()
    return layer2_object(Owner(node, "6b8f", "default"), WEB, found)


def test_the_owner_writes_metallbs_fields_and_who_since_when_where_and_why() -> None:
    item = written(("10.9.0.1", OWNED))
    assert item
    assert item["metadata"]["labels"].items() >= {
        "metallb.io/node": "a", "metallb.io/service-name": "web", "metallb.io/service-namespace": "default",
    }.items()  # fmt: skip
    assert item["status"] == {
        "node": "a",
        "serviceName": "web",
        "serviceNamespace": "default",
        "interfaces": [{"name": "eth0"}],
        "addresses": [
            {
                "address": "10.9.0.1",
                "node": "a",
                "since": "2026-01-02T12:00:00Z",
                "why": "b is dead: nothing was heard",
                "interfaces": [{"name": "eth0", "mac": MAC}],
            }
        ],
    }


def test_the_new_owner_writes_over_the_object_of_the_old_one() -> None:
    mine, other = written(("10.9.0.1", OWNED)), written(("10.9.0.1", replace(OWNED, owner="b")), node="b")
    assert mine and other
    assert mine["metadata"]["name"] == other["metadata"]["name"] == layer2_name(WEB)


@pytest.mark.parametrize("status", [STANDBY, None, AddressStatus(Holding.PROBING, "a")])
def test_who_does_not_answer_writes_nothing(status: AddressStatus | None) -> None:
    assert written(("10.9.0.1", status)) is None


def test_of_addresses_with_two_owners_the_first_ones_writes_for_both() -> None:
    first, second = ("10.9.0.1", OWNED), ("fd09::1", STANDBY)
    item = written(first, second)
    assert item
    assert [each["node"] for each in item["status"]["addresses"]] == ["a", "b"]
    assert "interfaces" not in item["status"]["addresses"][1]
    assert written(("10.9.0.1", STANDBY), ("fd09::1", replace(OWNED, owner="a"))) is None


def test_an_address_that_nobody_answers_for_says_why_beside_one_that_is() -> None:
    item = written(("10.9.0.1", OWNED), ("fd09::1", AddressStatus(Holding.NO_INTERFACE)))
    assert item
    assert item["status"]["addresses"][1]["reason"] == "announceFailed"


def test_since_is_the_owners_and_stays_when_the_object_is_written_again() -> None:
    item = written(("10.9.0.1", OWNED))
    assert item
    stamped = with_timestamp(copy.deepcopy(item), None, "2030-01-01T00:00:00Z")
    assert stamped == item
    assert equal_ignoring_time(
        stamped, trim({**item, "metadata": {**item["metadata"], "resourceVersion": "1"}})
    )


# -- what is told --------------------------------------------------------------------------------------------


class Notes:
    """Takes the place where Events are queued."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str, bool]] = []

    def record(self, item: Json, reason: str, message: str, *, warning: bool = False) -> None:
        self.found.append((reason, message, warning))


SERVICE: Json = {"kind": "Service", "metadata": {"name": "web"}}


def reporter(*, preempt: bool = False) -> tuple[Layer2Reporter, Notes]:
    notes = Notes()
    known: dict[Key, Json] = {WEB: SERVICE}
    return Layer2Reporter(notes, "a", known.get, preempt=preempt), notes  # type: ignore[arg-type]


def told(*statuses: AddressStatus) -> dict[Key, tuple[Layer2Verdict, ...]]:
    return {WEB: tuple(Layer2Verdict(VIP, None, "", each) for each in statuses)}


LOST = Move(VIP, MoveKind.LOST, "b")


def test_a_healthy_owner_that_loses_an_address_says_that_the_network_was_split() -> None:
    found, notes = reporter()
    found.update(told(OWNED), [], [], 0.0)
    found.update(told(STANDBY), [LOST], [], 1.0)
    ((reason, message, warning),) = notes.found
    assert (reason, warning, found.splits) == ("ownedTwice", True, 1)
    assert '"b"' in message and "10.9.0.1" in message


@pytest.mark.parametrize(
    ("before", "after", "move", "preempt"),
    [
        (replace(OWNED, holding=Holding.YIELDING), STANDBY, LOST, False),
        (OWNED, replace(STANDBY, holding=Holding.NOT_CANDIDATE), LOST, False),
        (OWNED, replace(STANDBY, holding=Holding.NO_INTERFACE), LOST, False),
        (OWNED, STANDBY, LOST, True),
        (STANDBY, OWNED, Move(VIP, MoveKind.GAINED, "a"), False),
    ],
    ids=["was leaving", "may not any more", "lost its interface", "by pre-emption", "won it"],
)
def test_every_other_move_is_in_order(
    before: AddressStatus, after: AddressStatus, move: Move, preempt: bool
) -> None:
    found, notes = reporter(preempt=preempt)
    found.update(told(before), [], [], 0.0)
    found.update(told(after), [move], [], 1.0)
    assert notes.found == []
    assert found.moves[move.kind.value] == 1


def test_a_stranger_is_told_of_once_in_a_while_however_often_he_answers() -> None:
    found, notes = reporter()
    stranger = Move(VIP, MoveKind.FOREIGN, "a", mac=MAC)
    for second in range(10):
        found.update(told(OWNED), [stranger, stranger], [], float(second))
    assert [each[0] for each in notes.found] == ["foreignAnswer"]
    assert MAC in notes.found[0][1]
    found.update(told(OWNED), [replace(stranger, mac="02:00:00:00:00:0b")], [], 11.0)
    found.update(told(OWNED), [stranger], [], FOREIGN_SECONDS + 1)
    assert len(notes.found) == 3
    assert found.moves["foreign"] == 22
