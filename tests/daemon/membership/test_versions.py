# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases on one segment: what the one before wrote is read and written, a fleet of both loses nothing."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest
from daemon.membership.release_0_1_0 import reads, recorded
from daemon.membership.scenarios import ALL, ONE, THREE, all_owned
from daemon.membership.simulation import KEY, Segment, want

from vipcast.membership import Drop, Membership, entries_v1
from vipcast.membership import packet as packet_module
from vipcast.membership import versions as module
from vipcast.membership.entries import Hold, Kind, Opaque, Ownership
from vipcast.membership.packet import Packet, decode
from vipcast.membership.types import PROFILES
from vipcast.membership.versions import SUPPORTED
from vipcast.versions import Versions

OLD, NEW, LATER = Versions(1, 1), SUPPORTED, Versions(1, 3)
TWELVE = tuple(f"node-{number:02d}" for number in range(12))

# ---- what release 0.1.0 wrote ----


def all_packets() -> list[bytes]:
    return [bytes.fromhex(octets) for some in recorded()["packets"].values() for _from, _to, octets in some]


@pytest.mark.parametrize("versions", [OLD, NEW])
def test_packets_of_the_release_are_read_and_written_to_the_octet(versions: Versions) -> None:
    key, kinds = bytes.fromhex(recorded()["key"]), set()
    for data in all_packets():
        assert reads(data)
        packet = decode(data, (key,), versions)
        assert isinstance(packet, Packet)
        assert (packet.version, packet.understands) == (1, OLD)
        assert packet.encode(key) == data
        found = entries_v1.read(packet.body).entries
        assert b"".join(entries_v1.write(each, value) for each, value in found) == packet.body
        kinds |= {each[0] for each, _value in found}
    assert kinds == {Kind.NODE, Kind.VOTES, Kind.CLAIM}, "all that it has were recorded"


@pytest.mark.parametrize("name", ["node-a", "node-b"])
def test_a_state_of_the_release_is_taken_and_would_be_given(name: str) -> None:
    written: dict[str, Any] = recorded()["estates"][name]
    members = Membership(name, PROFILES["default"], 50.0, random=lambda: 7)
    members.restore(written, 50.0)
    found = entries_v1.read(b64decode(written["entries"])).entries
    owners = {
        key[1]: value.owner
        for key, value in found
        if isinstance(value, Ownership) and value.hold is not Hold.RELEASED
    }
    assert {address: claim.owner for address, claim in members.claims.items()} == owners
    again = members.export(1)
    assert entries_v1.read(b64decode(again.pop("entries"))).entries == found
    for link in again["links"].values():
        link["asks"] -= 1  # it wants to be told what the process before did not understand
    assert again == {word: value for word, value in written.items() if word != "entries"}


# ---- fleets ----


def fleet(names: tuple[str, ...], versions: Versions, profile: str = "default") -> Segment:
    made = Segment(names, profile)
    made.versions = dict.fromkeys(names, versions)
    made.want({address: want(address, names) for address in ALL})
    made.start()
    made.run(3.0)
    assert all_owned(made)
    return made


class Looking:
    """Looks at every moment whether each address has one owner, and what an old node cannot read.

    That is counted in ``unreadable``: packets that the node is sent and cannot read.
    """

    def __init__(self, made: Segment) -> None:
        self.made, self.moves = made, len(made.moves())
        self.bad: list[str] = []
        self.unreadable = 0
        self._held: list[frozenset[Any]] = []
        made.trace, made.watch = [], self.look

    def look(self) -> None:
        held = [node.members.held for node in self.made.nodes.values()]
        if held != self._held:
            self._held = held
            for address in ALL:
                if len(owners := self.made.owners(address)) != 1:
                    self.bad.append(f"{self.made.now:.3f} {address}: {owners}")
        for _at, _sender, receiver, data in self.made.trace or ():
            if self.made.versions[receiver] == OLD:
                assert data[2] != 1 or reads(data), data.hex()
                self.unreadable += not reads(data)
        self.made.trace = []

    def assert_nothing_happened(self) -> None:
        assert not self.bad
        assert len(self.made.moves()) == self.moves
        deaths = {
            event.why
            for node in [*self.made.nodes.values(), *self.made.former]
            for _at, event in node.events
            if getattr(getattr(event, "new", None), "value", None) == "dead"
        }
        assert not deaths


@pytest.mark.parametrize("profile", ["default", "fast"])
@pytest.mark.parametrize("names", [THREE, TWELVE])
def test_a_fleet_is_upgraded_and_rolled_back_without_a_move(
    names: tuple[str, ...], profile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Version 3 stands for the next one: it has octets like those of version 2."""
    monkeypatch.setitem(module._CODECS, 3, module.codec(2))
    monkeypatch.setitem(packet_module._LEAST, 3, packet_module._LEAST[2])
    made = fleet(names, OLD, profile)
    looking = Looking(made)
    for versions in (NEW, OLD, LATER, NEW):
        for name in names:
            made.replace(name, versions)
            made.run(0.4)
            looking.assert_nothing_happened()
        made.run(1.0)
        spoken = {link.version for node in made.nodes.values() for link in links(node.members)}
        assert spoken == {versions.most}
    looking.assert_nothing_happened()
    assert all_owned(made)


def links(members: Membership) -> list[Any]:
    return list(members._gossip.told.values())


def test_an_old_node_is_sent_next_to_nothing_that_it_cannot_read() -> None:
    """Such packets come only after its roll-back, until the others have heard that it is an old node."""
    made = fleet(THREE, NEW)
    looking = Looking(made)
    made.replace("node-a", OLD)
    made.run(5.0)
    assert looking.unreadable <= 4
    assert made.nodes["node-a"].members.dropped[Drop.BAD_VERSION] == looking.unreadable


def test_a_node_that_starts_again_in_another_version_is_heard() -> None:
    made = fleet(THREE, NEW)
    for versions in (OLD, NEW):
        made.kill("node-b")
        made.run(1.0)
        made.versions["node-b"] = versions
        made.start("node-b")
        made.run(1.0)
        assert {each.state.value for each in made.nodes["node-a"].members.members.values()} == {"alive"}
        assert {each.state.value for each in made.nodes["node-b"].members.members.values()} == {"alive"}
        assert all_owned(made)


@pytest.mark.parametrize("which", range(3))
def test_in_a_mixed_fleet_a_dead_owner_is_followed_by_one(which: int) -> None:
    made = fleet(THREE, OLD)
    made.replace(THREE[which], NEW)
    made.run(1.0)
    made.kill(THREE[(which + 1) % 3])
    made.run_until(lambda: all_owned(made), 0.6)
    made.run(2.0)
    assert all_owned(made)


def test_those_who_have_no_version_in_common_are_strangers_and_say_so() -> None:
    made = Segment(THREE)
    made.versions = {"node-a": Versions(2, 2), "node-b": OLD, "node-c": OLD}
    made.want({address: want(address, THREE) for address in ALL})
    made.start()
    made.run(2.0)
    for name in THREE:
        assert made.nodes[name].members.dropped[Drop.BAD_VERSION] > 5


# ---- what a later program says ----


def say(made: Segment, name: str, key: Any, value: Any) -> None:
    made.do(name, lambda members, _now: members._state.merge(key, value))
    made.run(1.0)


def known(made: Segment, name: str, key: Any) -> Any:
    return made.nodes[name].members._state.entries.get(key)


def taken_with(made: Segment, reason: int) -> tuple[Any, Ownership]:
    """An address that node-b takes, as a later program would."""
    key = (Kind.CLAIM, ONE)
    term = known(made, "node-b", key).term + 1
    return key, Ownership(term, "node-b", Hold.HELD, reason, 5, 3, b"later")


def test_a_later_programs_entries_reach_everyone_who_can_be_told() -> None:
    """A later program's entries come back to it: those in between have kept what they do not understand."""
    made = fleet(THREE, NEW)
    key, claim = taken_with(made, 200)
    more = {(6, "node-b"): Opaque(b"\1of node-b"), (100, ONE): Opaque(b"\1of the address")}
    say(made, "node-b", key, claim)
    for each, value in more.items():
        say(made, "node-b", each, value)
    made.run(100.0)
    for name in THREE:
        assert known(made, name, key) == claim
        assert {each: known(made, name, each) for each in more} == more
        assert made.owners(ONE) == ["node-b"]
        assert "reason 200" in made.nodes[name].members.claims[ONE].why
    made.kill("node-a")
    made.run(1.0)
    made.start("node-a")
    made.run(1.0)
    assert {each: known(made, "node-a", each) for each in more} == more
    made.replace("node-a", OLD)
    made.run(1.0)
    assert known(made, "node-a", key) == claim._replace(reason=known(made, "node-a", key).reason, extra=b"")
    made.replace("node-a", NEW)
    made.run(1.0)
    assert known(made, "node-a", key) == claim
    assert {each: known(made, "node-a", each) for each in more} == more


def test_an_unknown_reason_costs_nobody_a_packet() -> None:
    """The same is true of old nodes: they are told another reason, and all else that goes with it."""
    made = fleet(THREE, OLD)
    made.replace("node-b", NEW)
    made.run(1.0)
    looking = Looking(made)
    key, claim = taken_with(made, 12)
    say(made, "node-b", key, claim)
    made.kill("node-c")
    made.run(3.0)
    assert all_owned(made)
    assert known(made, "node-a", key)[:3] == claim[:3]
    assert looking.unreadable == 0
    for node in made.nodes.values():
        assert not node.members.dropped[Drop.BAD_CONTENT]


def test_what_cannot_be_used_is_counted_and_costs_nothing_else() -> None:
    made = fleet(THREE, NEW)
    link = made.nodes["node-a"].members._gossip.links["node-b"]
    packet = Packet("node-b", link.generation, link.theirs, link.mine, link.highest + 1, link.number)
    odd = replace(packet, body=b"\xff\0\2\0\1" + b"\x06\0\4\0\2xy")
    made.do("node-a", lambda members, now: members.receive(odd.encode(KEY), (ip_address("10.0.0.2"), 1), now))
    assert made.nodes["node-a"].members.dropped == {Drop.UNKNOWN_ENTRY: 1}
    assert known(made, "node-a", (6, "xy")) == Opaque(b"")
