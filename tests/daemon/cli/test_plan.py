# SPDX-License-Identifier: GPL-3.0-or-later
"""`vipcast plan` shows what would happen; the rules themselves are tested with `ipam`."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from vipcast.cli import main

DOCUMENTATION = Path(__file__).parents[3] / "docs/allocation.md"
NOW = """
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Namespace
  metadata: {name: shop, uid: n1}
- apiVersion: metallb.io/v1beta1
  kind: IPAddressPool
  metadata: {name: public, namespace: metallb-system, uid: p1}
  spec: {addresses: [203.0.113.0/29]}
- apiVersion: v1
  kind: Service
  metadata:
    name: web
    namespace: shop
    uid: s1
    creationTimestamp: 2026-01-01T00:00:00Z
    annotations: {metallb.io/ip-allocated-from-pool: public}
  spec: {type: LoadBalancer, clusterIPs: [10.96.0.1], ports: [{port: 80}]}
  status: {loadBalancer: {ingress: [{ip: 203.0.113.5}]}}
"""
SMALLER = """
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: public}
spec: {addresses: [203.0.113.0/31]}
"""
OTHER = SMALLER.replace("name: public", "name: other").replace(".0/31", ".8/31")

NEW = """
apiVersion: v1
kind: Service
metadata: {name: new, annotations: {}}
spec: {type: LoadBalancer, ports: [{port: 80}]}
"""

Write = Callable[[str], str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """The path of a file with this content; files are named a.yml, b.yml, ... in order."""

    def written(content: str) -> str:
        path = tmp_path / f"{chr(ord('a') + len(list(tmp_path.iterdir())))}.yml"
        path.write_text(content)
        return str(path)

    return written


def test_all_is_well_is_0(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", write(NOW)]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "SERVICE   NOW          THEN         POOL          WHY",
        "shop/web  203.0.113.5  203.0.113.5  public  kept  Kept: has it and may keep it",
        "",
        "POOL    FAMILY  USED  FREE",
        "public  IPv4    1     7",
        "",
        "1 services: 1 kept; 0 problems",
    ]
    assert err == ""


def test_a_later_file_overrides_and_a_move_is_1(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    now, smaller = write(NOW), write(SMALLER)
    assert main(["plan", now, smaller]) == 1
    out, err = capsys.readouterr()
    (line,) = [line for line in out.splitlines() if line.startswith("shop/web")]
    assert "203.0.113.5  203.0.113.0  public  moved" in line
    assert err == f"note: IPAddressPool metallb-system/public: as in {smaller}, not as in {now}\n"


def test_pools_of_other_files_add_up_or_are_gone(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    now, other = write(NOW), write(OTHER)
    assert main(["plan", now, other]) == 0
    assert main(["plan", now, "--pools", other, "-o", "json"]) == 1
    document = json.loads(capsys.readouterr().out.split("problems\n", 1)[1])
    (row,) = document["services"]
    assert (row["happens"], row["after"]) == ("moved", {"addresses": ["203.0.113.8"], "pool": "other"})
    assert [each["pool"] for each in document["pools"]] == ["other"]


def test_a_service_that_would_wait_is_1(write: Write) -> None:
    assert main(["plan", write(NOW), write(NEW)]) == 0
    assert main(["plan", write(NOW), write(NEW.replace("{}", "{metallb.io/address-pool: none}"))]) == 1


def test_a_problem_is_1_and_is_printed(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", write(NOW), write(OTHER.replace("203.0.113.8/31", "203.0.113.1-203.0.113.2"))]) == 1
    out = capsys.readouterr().out
    assert "IPAddressPool other: spec.addresses" in out
    assert "1 services: 1 kept; 1 problems" in out


def test_the_class_and_the_namespace_are_the_controllers(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    now = write(NOW)
    assert main(["plan", now, "--lb-class", "mine"]) == 0
    assert "not ours" in capsys.readouterr().out
    assert main(["plan", now, "--namespace", "elsewhere"]) == 1
    assert "No IPAddressPool is in force." in capsys.readouterr().out


def test_standard_input_is_a_file_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(NOW))
    assert main(["plan", "-"]) == 0
    assert "shop/web" in capsys.readouterr().out


def test_what_can_not_be_read_is_2(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", write(NOW), "--pools", "/nowhere.yml"]) == 2
    assert "/nowhere.yml: No such file" in capsys.readouterr().err


def test_the_documentation_shows_what_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = DOCUMENTATION.read_text(encoding="utf-8")
    for name, text in re.findall(r"^```yaml\n# (\w+\.yml)\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    examples = re.findall(r"^```console\n\$ vipcast ([^\n]*)\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert len(examples) >= 3
    for command, printed in examples:
        main(command.split())
        assert "".join(capsys.readouterr()) == printed, command
