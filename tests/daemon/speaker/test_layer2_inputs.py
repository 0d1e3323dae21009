# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what layer 2 reads besides: keys from a folder, MetalLB's excluded interfaces."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from vipcast.daemon.options import Options
from vipcast.election import AddressWant
from vipcast.k8s import Access, Client
from vipcast.layer2.api import Layer2Wants
from vipcast.net import layer2_protocol
from vipcast.speaker.layer2 import manager
from vipcast.speaker.layer2.cache import read_excluded
from vipcast.speaker.layer2.decide import Layer2Decision
from vipcast.speaker.layer2.membership_keys import MembershipKeys

ONE, TWO = b"1" * 32, b"2" * 32


def mounted(folder: Path, **files: bytes) -> Path:
    """Write a folder as the kubelet does it: one with a version, and links into it."""
    version = folder / f"..{sum(path.is_dir() and not path.is_symlink() for path in folder.iterdir())}"
    version.mkdir()
    for path in folder.iterdir():
        if path.is_symlink():
            path.unlink()
    for name, content in files.items():
        (version / name).write_bytes(content)
        (folder / name).symlink_to(Path(version.name) / name)
    return folder


def test_the_key_named_key_signs_and_every_other_is_believed(tmp_path: Path) -> None:
    keys = MembershipKeys(str(mounted(tmp_path, key=TWO + b"\n", before=ONE)))
    assert (keys.read(), keys.problem) == ((TWO, ONE), None)
    mounted(tmp_path, key=TWO)
    assert keys.read() == (TWO,)


def test_while_the_folder_says_nothing_the_last_keys_stay(tmp_path: Path) -> None:
    keys = MembershipKeys(str(mounted(tmp_path, key=ONE)))
    keys.read()
    mounted(tmp_path)
    assert keys.read() == (ONE,)
    assert "no file key" in str(keys.problem)
    mounted(tmp_path, key=TWO)
    assert (keys.read(), keys.problem) == ((TWO,), None)


@pytest.mark.parametrize(
    ("files", "problem"), [({}, "no file key"), ({"key": b"short"}, "the key key has 5 octets")]
)
def test_what_is_no_key_is_named(tmp_path: Path, files: dict[str, bytes], problem: str) -> None:
    keys = MembershipKeys(str(mounted(tmp_path, **files)))
    assert keys.read() == ()
    assert problem in str(keys.problem)


def test_a_short_key_beside_a_good_one_is_left_out_and_named(tmp_path: Path) -> None:
    keys = MembershipKeys(str(mounted(tmp_path, key=ONE, next=b"x")))
    assert keys.read() == (ONE,)
    assert "the key next" in str(keys.problem)


def test_without_a_folder_there_is_no_key(tmp_path: Path) -> None:
    for folder in (None, str(tmp_path / "gone")):
        keys = MembershipKeys(folder)
        assert keys.read() == ()
        assert keys.problem


def config_map(text: str | None) -> dict[str, Any]:
    return {"data": {} if text is None else {"excludel2.yaml": text}}


def test_the_interfaces_that_metallb_leaves_out_are_read() -> None:
    text = "announcedInterfacesToExclude: ['^docker.*', '^veth.*']\n"
    assert list(read_excluded(config_map(text))) == ["^docker.*", "^veth.*"]
    assert list(read_excluded(config_map("{}"))) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "no key excludel2.yaml"),
        ("a: [", "excludel2.yaml"),
        ("announcedInterfacesToExclude: ['(']", "no regular expression"),
        ("announcedInterfacesToExclude: [1]", "no regular expression"),
    ],
)
def test_what_can_not_be_read_is_named(text: str | None, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        list(read_excluded(config_map(text)))


def test_more_addresses_than_the_process_takes_cost_none_that_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """It refuses the whole where there are too many, and a node would answer for nothing any more."""
    monkeypatch.setattr(manager, "MAX_ADDRESSES", 100)
    monkeypatch.setattr(layer2_protocol, "MAX_ADDRESSES", 100)
    client = Client(Access("http://127.0.0.1:9"))

    def nothing(*_: object) -> None:
        return

    callbacks: dict[str, Any] = {"spawn": nothing, "on_input": nothing, "on_status": nothing}
    watch = manager.Layer2Manager(client, Options(), **callbacks)
    want = AddressWant(((0, frozenset({"node"})),), "10.9.0.0")
    first = {ip_address(f"10.9.1.{number}"): want for number in range(90)}
    watch.decision = Layer2Decision(addresses=first)
    assert watch._bounded() == first and watch._too_many() is None
    more = {ip_address(f"10.9.0.{number}"): want for number in range(30)}  # these come first by number
    watch.decision = Layer2Decision(addresses={**more, **first})
    told = watch._bounded()
    assert first.keys() <= told.keys() and len(told) == 100
    assert watch._bounded() == told
    assert watch._too_many() == "20 addresses are not answered for: a node answers for 100 at most"
    written = layer2_protocol.write_wants(Layer2Wants("node", addresses=told))
    assert layer2_protocol.read_wants(written).addresses == told
