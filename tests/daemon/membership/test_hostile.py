# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that forged, replayed, damaged and meaningless packets change nothing, and are counted by name."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from daemon.membership.simulation import KEY, Cable, Segment, addresses, endpoint, want
from daemon.membership.strategies import entries
from hypothesis import given, settings
from hypothesis import strategies as st

from vipcast.membership import Drop, gossip, replicated_state
from vipcast.membership.entries import Condition, Hold, Kind, Node, Ownership, Reason
from vipcast.membership.entries_v2 import write
from vipcast.membership.packet import MAX_LENGTH, TAG, Flag, Packet, decode
from vipcast.membership.replicated_state import FORGET_AFTER, SWEEP_INTERVAL
from vipcast.versions import Versions

TWO = ("node-a", "node-b")
ALL = addresses(6)
OTHER = b"another key of thirty-two octets"
PACKET = Packet("node-a", 1, 2, 3, 4, 5, 6, 7, 8, Flag.ALL, b"")
numbers = st.integers(0, 2**64 - 1)


def segment(names: tuple[str, ...] = TWO, **options: tuple[bytes, ...]) -> Segment:
    made = Segment(names)
    made.want({address: want(address, names) for address in ALL})
    made.start(**options)
    made.run(1)
    return made


def picture(made: Segment) -> object:
    return [
        (name, node.members.held, dict(node.members.claims), [m.state for m in node.members.members.values()])
        for name, node in made.nodes.items()
    ]


def give(made: Segment, name: str, data: bytes) -> Drop | None:
    """Give a packet to a node; its answers go nowhere."""
    node = made.nodes[name]
    drop = node.members.receive(data, endpoint(77), made.time(node))
    node.members.output()
    return drop


# ---- octets ----


def test_the_octets_are_those_of_the_description() -> None:
    data = PACKET.encode(KEY)
    fields = b"".join(number.to_bytes(8, "big") for number in (1, 2, 3, 4, 5, 6))
    fields += b"\0\0\0\x07" + b"\x08" + b"\x06node-a"
    assert data[:-TAG] == b"vL\x02\x02" + b"\1\2\0\x44" + fields
    assert data[-TAG:] == hmac.new(KEY, data[:-TAG], hashlib.sha256).digest()[:16]
    first = replace(PACKET, version=1).encode(KEY)
    assert first[:-TAG] == b"vL\x01\x82" + fields
    assert replace(PACKET, version=1, understands=Versions(1, 1)).encode(KEY)[:4] == b"vL\x01\x02"


def test_what_a_later_program_has_added_to_the_head_is_skipped() -> None:
    data = PACKET.encode(KEY)[:-TAG]
    longer = data[:6] + (0x44 + 5).to_bytes(2) + data[8:] + b"later" + write((Kind.NODE, "x"), Node(1, 0))
    packet = decode(longer + hmac.digest(KEY, longer, "sha256")[:TAG], (KEY,))
    assert isinstance(packet, Packet) and packet.name == "node-a"
    assert packet.body == write((Kind.NODE, "x"), Node(1, 0))


@given(
    st.builds(
        Packet,
        st.text(min_size=1, max_size=60),
        numbers.filter(bool),
        numbers.filter(bool),
        numbers,
        numbers,
        numbers,
        numbers,
        st.integers(0, 2**32 - 1),
        st.integers(0, 255),
        st.integers(0, 7),
        st.binary(max_size=50),
        st.sampled_from([1, 2]),
    )
)
def test_what_is_written_is_read_with_any_of_the_keys(packet: Packet) -> None:
    assert decode(packet.encode(KEY), (OTHER, KEY)) == packet
    assert decode(packet.encode(KEY), (OTHER,)) is Drop.BAD_TAG
    assert decode(packet.encode(KEY), ()) is Drop.NO_KEY


@settings(max_examples=300)
@given(st.binary(max_size=150))
def test_any_octets_with_a_good_tag_are_a_packet_or_have_a_name(data: bytes) -> None:
    for content in (data, b"vL\x01" + data, b"vL\x02\0\1\2\0\x44" + data):
        found = decode(content + hmac.digest(KEY, content, "sha256")[:TAG], (KEY,))
        assert isinstance(found, Drop) or decode(found.encode(KEY), (KEY,)) == found


def test_each_damage_has_a_name() -> None:
    data = PACKET.encode(KEY)
    assert decode(data[:-1], (KEY,)) is Drop.BAD_TAG
    assert decode(data[:40], (KEY,)) is Drop.TOO_SHORT
    assert decode(b"XX" + data[2:], (KEY,)) is Drop.BAD_MAGIC
    assert decode(data[:2] + b"\x03" + data[3:], (KEY,)) is Drop.BAD_VERSION
    assert decode(data, (KEY,), Versions(1, 1)) is Drop.BAD_VERSION
    assert decode(data + bytes(MAX_LENGTH), (KEY,)) is Drop.TOO_LONG
    assert decode(Packet("node-a", 0, 2, 3, 4).encode(KEY), (KEY,)) is Drop.BAD_CONTENT


@pytest.mark.parametrize("at", range(0, len(PACKET.encode(KEY)), 5))
def test_each_octet_is_under_the_tag(at: int) -> None:
    data = bytearray(PACKET.encode(KEY))
    data[at] ^= 1
    assert decode(bytes(data), (KEY,)) in (Drop.BAD_TAG, Drop.BAD_MAGIC, Drop.BAD_VERSION)


# ---- keys ----


def test_without_a_key_nothing_is_sent_believed_or_owned() -> None:
    made = segment(keys=())
    made.run(3)
    assert made.sent.total() == 0
    assert made.owners(ALL[0]) == []
    assert give(made, "node-a", PACKET.encode(KEY)) is Drop.NO_KEY
    for name in TWO:
        made.do(name, lambda members, now: members.set_keys([KEY], now))
    made.run(1)
    assert all(len(made.owners(address)) == 1 for address in ALL)
    for name in TWO:
        made.do(name, lambda members, now: members.set_keys([b""], now))
    assert made.owners(ALL[0]) == []


def test_a_key_is_changed_without_anybody_noticing() -> None:
    """Both are believed, then the new one signs, then the old one goes; one after the other is told."""
    made = segment()
    before, moves = picture(made), len(made.moves())
    for keys in ([KEY, OTHER], [OTHER, KEY], [OTHER]):
        for name in TWO:
            made.do(name, lambda members, now, keys=keys: members.set_keys(keys, now))
            made.run(2)
    assert picture(made) == before
    assert len(made.moves()) == moves
    assert made.nodes["node-a"].members.dropped.total() == 0


def test_those_of_different_keys_are_strangers() -> None:
    made = segment()
    made.do("node-b", lambda members, now: members.set_keys([OTHER], now))
    made.run(2)
    assert made.owners(ALL[0]) != made.owners(ALL[1]) or len(made.owners(ALL[0])) == 2
    assert made.nodes["node-a"].members.dropped[Drop.BAD_TAG] > 10


# ---- recordings ----


def test_a_recording_of_this_life_is_dropped() -> None:
    made = segment()
    made.trace = []
    made.run(2)
    before = picture(made)
    found = {give(made, receiver, data) for _at, _sender, receiver, data in made.trace}
    assert found == {Drop.REPLAYED}
    assert picture(made) == before


@pytest.mark.parametrize("who", [("node-a",), ("node-b",), TWO])
def test_a_recording_of_an_earlier_life_moves_nothing_and_keeps_nobody_alive(who: tuple[str, ...]) -> None:
    """A generation ended: the receiver's, the sender's, or both."""
    made = Segment(TWO)
    made.want({address: want(address, TWO) for address in ALL})
    made.trace = []
    made.start()
    made.run(1)
    recording, made.trace = made.trace, None
    for name in who:
        made.kill(name)
    made.run(1)
    made.start(*who)
    made.run(2)
    before = picture(made)
    found = {give(made, receiver, data) for _at, _sender, receiver, data in recording}
    assert found <= {Drop.OTHER_GENERATION, Drop.REPLAYED, None}, "None: a handshake, which is not believed"
    assert picture(made) == before
    made.run(2)
    assert picture(made) == before, "and those that are alive still hear each other"
    made.kill("node-b")
    for step, (_at, _sender, receiver, data) in enumerate(recording[:400]):
        if receiver == "node-a":
            made.at(made.now + step * 0.005, lambda data=data: give(made, "node-a", data))
    made.run_until(lambda: all(made.owners(address) == ["node-a"] for address in ALL), 0.5)


def test_a_beginning_under_a_rain_of_old_greetings_succeeds() -> None:
    made = Segment(TWO)
    made.trace = []
    made.start()
    made.run(0.5)
    recording, made.trace = made.trace, None
    made.kill("node-b")
    made.run(1)
    made.start("node-b")
    for step in range(3000):
        _at, _sender, receiver, data = recording[step % len(recording)]
        made.at(
            made.now + step * 0.001,
            lambda receiver=receiver, data=data: made.deliver(receiver, data, endpoint(9)),
        )
    made.run(2)
    states = {member.state.value for node in made.nodes.values() for member in node.members.members.values()}
    assert states == {"alive"}


def test_a_greeting_is_not_answered_more_often_than_needed() -> None:
    made = segment()
    node = made.nodes["node-a"]
    for number in range(1, 1000):
        stranger = Packet("node-b", 77, 88, 0, number).encode(KEY)
        node.members.receive(stranger, endpoint(2), made.time(node))
    assert len(node.members.output()) <= 1


# ---- nonsense of those that have the key ----


def test_a_stranger_is_not_listened_to_before_it_has_proved_itself() -> None:
    made = segment()
    claim = write((Kind.CLAIM, ALL[0]), Ownership(99, "node-x", Hold.HELD, Reason.VACANT, 0))
    before = picture(made)
    for number in range(3):
        packet = Packet("node-x", 1, 2, 3, 4 + number, body=claim)
        assert give(made, "node-a", packet.encode(KEY)) is Drop.OTHER_GENERATION
    assert picture(made) == before


def test_strangers_that_do_not_prove_themselves_take_no_more_than_a_bounded_room() -> None:
    made = segment()
    for number in range(5000):
        give(made, "node-a", Packet(f"node-{number}", 1, 2, 3, 4).encode(KEY))
    node = made.nodes["node-a"].members
    assert len(node._gossip.links) <= 1 + gossip.MAX_GUESTS
    assert node.dropped[Drop.UNKNOWN_SENDER] >= 5000 - gossip.MAX_GUESTS
    made.run(2 * gossip.GUEST_SECONDS)
    assert set(node._gossip.links) == {"node-b"}
    assert set(node.members) == {"node-a", "node-b"}


def test_what_is_sent_in_our_own_name_or_is_nonsense_is_dropped() -> None:
    made = segment()
    assert give(made, "node-a", Packet("node-a", 1, 2, 3, 4).encode(KEY)) is Drop.OURSELVES
    assert give(made, "node-a", Packet("node-b", 1, 2, 3, 4, body=b"\xff").encode(KEY)) is Drop.BAD_CONTENT


def speak(made: Segment, body: bytes) -> None:
    """Return a packet as node-b, which is known to node-a, would send it."""
    link = made.nodes["node-a"].members._gossip.links["node-b"]
    number = link.highest + 1
    packet = Packet("node-b", link.generation, link.theirs, link.mine, number, link.number, 0, body=body)
    assert give(made, "node-a", packet.encode(KEY)) is None


def test_who_is_said_to_own_what_it_does_not_want_gives_it_up() -> None:
    """A member with the key may say that; the one that it is said of refutes it."""
    made = segment()
    strange = IPv4Address("192.0.2.99")
    nonsense = Ownership(7, "node-a", Hold.HELD, Reason.VACANT, 0)
    speak(made, write((Kind.CLAIM, strange), nonsense))
    made.run(1)
    assert strange not in made.nodes["node-a"].members.claims
    assert strange not in made.nodes["node-b"].members.claims


def test_who_is_said_to_be_dead_is_back_at_once() -> None:
    made = segment()
    held = made.nodes["node-a"].members.held
    speak(made, write((Kind.NODE, "node-a"), Node(900, Condition.DEAD)))
    made.run(1)
    assert made.nodes["node-a"].members.held == held
    assert made.nodes["node-b"].members.members["node-a"].state.value == "alive"


@settings(max_examples=25, deadline=None)
@given(st.lists(entries, max_size=8))
def test_any_entries_of_a_known_member_leave_a_segment_that_comes_to_rest(drawn: list) -> None:  # type: ignore[type-arg]
    made = segment()
    speak(made, b"".join(write(key, value) for key, value in drawn))
    made.run(4)
    assert all(len(made.owners(address)) == 1 for address in ALL)


def test_a_flood_of_entries_ends_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicated_state, "ROOM", 2000)
    made = segment()
    for block in range(40):
        body = b"".join(
            write(
                (Kind.CLAIM, IPv4Address(0x0B000000 + block * 100 + number)),
                Ownership(1, "node-b", Hold.HELD, Reason.VACANT, 0),
            )
            for number in range(100)
        )
        link = made.nodes["node-a"].members._gossip.links["node-b"]
        packet = Packet("node-b", link.generation, link.theirs, link.mine, link.highest + 1, body=body)
        node = made.nodes["node-a"]
        found = node.members.receive(packet.encode(KEY), endpoint(2), made.time(node))
        assert found in (None, Drop.TOO_MANY)
        node.members.output()
    assert made.nodes["node-a"].members.dropped[Drop.TOO_MANY] > 0
    assert len(made.nodes["node-a"].members._state.entries) == 2000


def test_names_that_come_and_go_leave_nothing() -> None:
    made = segment()
    members = made.nodes["node-a"].members
    for number in range(60):
        name, address = f"node-x{number}", IPv4Address(0x0B000000 + number)
        speak(made, write((Kind.NODE, name), Node(1, Condition.ALIVE)))
        speak(made, write((Kind.CLAIM, address), Ownership(1, name, Hold.HELD, Reason.VACANT, 0)))
    assert len(members._state.entries) > 120 and len(members.claims) > 60
    made.run(2 * (FORGET_AFTER + 2 * SWEEP_INTERVAL))  # first the names, then what they had
    assert set(members._log.members) == set(TWO)
    assert set(members.claims) == set(ALL)


def test_packets_fit_into_a_frame_however_much_there_is_to_tell() -> None:
    made = Segment(TWO, cable=Cable(loss=0.05))
    many = addresses(3000)
    made.want({address: want(address, TWO) for address in many})
    made.trace = []
    made.start("node-a")
    made.run(1)
    made.start("node-b")
    took = made.run_until(lambda: len(made.nodes["node-b"].members.claims) == len(many), 3)
    assert took < 2
    made.run(2)
    assert max(len(data) for _at, _sender, _receiver, data in made.trace) <= 1232, (
        "IPv6's least MTU, with headers"
    )
    assert len(made.moves()) == len(many)
