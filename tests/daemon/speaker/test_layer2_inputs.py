# SPDX-License-Identifier: GPL-3.0-or-later
"""What layer 2 reads besides: keys from a folder, MetalLB's excluded interfaces."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vipcast.speaker.layer2_copies import read_excluded
from vipcast.speaker.members_keys import MembersKeys

ONE, TWO = b"1" * 32, b"2" * 32


def mounted(folder: Path, **files: bytes) -> Path:
    """As the kubelet does it: a folder with a version, and links into it."""
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
    keys = MembersKeys(str(mounted(tmp_path, key=TWO + b"\n", before=ONE)))
    assert (keys.read(), keys.problem) == ((TWO, ONE), None)
    mounted(tmp_path, key=TWO)
    assert keys.read() == (TWO,)


def test_while_the_folder_says_nothing_the_last_keys_stay(tmp_path: Path) -> None:
    keys = MembersKeys(str(mounted(tmp_path, key=ONE)))
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
    keys = MembersKeys(str(mounted(tmp_path, **files)))
    assert keys.read() == ()
    assert problem in str(keys.problem)


def test_a_short_key_beside_a_good_one_is_left_out_and_named(tmp_path: Path) -> None:
    keys = MembersKeys(str(mounted(tmp_path, key=ONE, next=b"x")))
    assert keys.read() == (ONE,)
    assert "the key next" in str(keys.problem)


def test_without_a_folder_there_is_no_key(tmp_path: Path) -> None:
    for folder in (None, str(tmp_path / "gone")):
        keys = MembersKeys(folder)
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
