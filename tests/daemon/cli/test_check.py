# SPDX-License-Identifier: GPL-3.0-or-later
"""`vipcast check` judges files as the daemons would."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from vipcast.cli import main

GOOD = """
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: one, namespace: metallb-system}
spec: {addresses: [10.9.0.0/16]}
---
# nothing here
---
apiVersion: v1
kind: Namespace
metadata: {name: metallb-system}
"""
OVERLAP = """
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: two, namespace: metallb-system}
spec: {addresses: [10.9.4.0-10.9.4.9]}
"""


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.yml"
    path.write_text(GOOD)
    return path


def test_good_files_are_0_and_say_what_was_looked_at(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(good)]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "1 objects of metallb.io, 0 problems, 1 of other groups not looked at\n"


def test_problems_between_files_are_1_and_name_file_object_and_field(
    good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.yml"
    bad.write_text(OVERLAP)
    assert main(["check", str(good), str(bad)]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{bad}: IPAddressPool metallb-system/two: spec.addresses")
    assert "10.9.0.0/16" in line


def test_a_list_in_json_is_its_items(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "list.json"
    peer = {
        "apiVersion": "metallb.io/v1beta2",
        "kind": "BGPPeer",
        "metadata": {"name": "tor", "namespace": "metallb-system"},
        "spec": {"myASN": 64513, "peerAddress": "10.0.0.1"},
    }
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": [peer]}))
    assert main(["check", str(path)]) == 1
    assert "spec.peerASN" in capsys.readouterr().out


def test_standard_input_is_a_file_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(GOOD))
    assert main(["check", "-", "--namespace", "elsewhere"]) == 1
    assert capsys.readouterr().out.startswith("-: IPAddressPool metallb-system/one: metadata.namespace")


@pytest.mark.parametrize(
    ("content", "word"),
    [("a: [", "not YAML"), ("- just\n- words\n", "object of the API"), (None, "No such file")],
)
def test_what_cannot_be_read_is_2(
    content: str | None, word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "file.yml"
    if content is not None:
        path.write_text(content)
    assert main(["check", str(path)]) == 2
    assert word in capsys.readouterr().err


METALLB = """
apiVersion: metallb.io/v1beta1
kind: L2Advertisement
metadata: {name: all, namespace: metallb-system}
---
apiVersion: metallb.io/v1beta1
kind: BFDProfile
metadata: {name: fast, namespace: metallb-system}
spec: {receiveInterval: 100}
---
apiVersion: metallb.io/v1beta1
kind: Community
metadata: {name: names, namespace: metallb-system}
spec: {communities: [{name: no-transit, value: "64512:7"}]}
---
apiVersion: metallb.io/v1beta1
kind: BGPPeer
metadata: {name: tor, namespace: metallb-system}
spec: {myASN: 64513, peerASN: 64512, peerAddress: 10.0.0.1, peerPort: 0, bfdProfile: fast}
---
apiVersion: metallb.io/v1beta1
kind: BGPAdvertisement
metadata: {name: all, namespace: metallb-system}
spec: {communities: [no-transit]}
"""


def test_the_manifests_of_metallbs_own_documentation_have_no_problem(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "metallb.yml"
    path.write_text(METALLB)
    assert main(["check", str(path)]) == 0
    assert capsys.readouterr() == ("", "5 objects of metallb.io, 0 problems\n")


def test_a_community_that_nothing_defines_is_a_problem(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "metallb.yml"
    path.write_text(METALLB.replace("[no-transit]", "[no-transfer]"))
    assert main(["check", str(path)]) == 1
    assert "no Community names no-transfer; did you mean no-transit?" in capsys.readouterr().out
