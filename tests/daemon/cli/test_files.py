# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that somebody else wrote: whatever is in them, a command ends with a line and a status."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vipcast.cli import main

ESCAPE = "\x1b]0;owned\x07\x1b[2J"
COMMANDS = ("check", "plan", "convert")


def pool(name: str, *addresses: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "metallb-system"}
    spec = {"addresses": list(addresses)}
    return {"apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool", "metadata": metadata, "spec": spec}


def nested(depth: int) -> Any:
    found: Any = "x"
    for _level in range(depth):
        found = [found]
    return found


UNREADABLE: dict[str, str] = {
    "brackets": "[" * 100_000,
    "brackets that end": "[" * 100_000 + "]" * 100_000,
    "mappings": '{"a":' * 100_000,
    "YAML lists": "- " * 100_000,
    "half a character": '{"kind": "IPAddressPool", "metadata": {"name": "\\ud800"}}',
    "half a character in YAML": 'kind: IPAddressPool\nmetadata: {name: "\\ud800"}',
    "a key twice": '{"kind": "List", "kind": "List", "items": []}',
    "a key twice, deeper": '{"kind": "List", "items": [{"metadata": {"name": "a", "name": "b"}}]}',
    "no number": '{"kind": "List", "x": NaN}',
    "items that are text": '{"kind": "List", "items": "abc"}',
    "items that are one object": '{"kind": "List", "items": {"kind": "IPAddressPool"}}',
    "an item that is text": '{"kind": "List", "items": ["abc"]}',
    "a list": "[1, 2]",
    "a large text": json.dumps(["x" * 1_000_000]),
    "a long line": "x" * 1_000_000,
    "escape sequences": json.dumps([ESCAPE]),
    "a NUL": "a: \0",
    "lists in a list": json.dumps({"kind": "List", "items": nested(40)}),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("what", UNREADABLE)
def test_what_is_no_object_is_refused_in_one_line(
    command: str, what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "given.yml"
    file.write_bytes(UNREADABLE[what].encode())
    status = main([command, str(file)])
    out, err = capsys.readouterr()
    assert status == 2, out + err
    assert len(err) < 2000 and len(err.splitlines()) == 1
    assert not out
    assert err.startswith(str(file)) and "\x1b" not in err


@pytest.mark.parametrize("name", ["missing.yml", "a\0b", "."])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_that_can_not_be_read_is_named(
    command: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, f"{tmp_path}/{name}"]) == 2
    assert capsys.readouterr().err.startswith(str(tmp_path))


def test_names_are_printed_so_that_they_do_nothing_to_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metadata = {"name": f"web{ESCAPE}", "namespace": f"shop{ESCAPE}"}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": metadata}
    service["spec"] = {"type": "LoadBalancer", "ports": [{"port": 80}]}
    bad = {**pool(f"p{ESCAPE}", "10.9.0.0/24", ESCAPE), f"x{ESCAPE}": 1}
    file = tmp_path / "given.json"
    items = [service, bad, pool(f"q{ESCAPE}", "10.8.0.0/24"), {**service, "kind": f"Service{ESCAPE}"}]
    file.write_text(json.dumps({"kind": "List", "items": items}))
    for command in ("check", "plan"):
        assert main([command, str(file)]) == 1
        out, err = capsys.readouterr()
        assert "\x1b" not in out + err and "\x07" not in out + err
        assert "\\x1b" in out


def test_a_nested_list_in_a_field_costs_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "given.json"
    file.write_text(json.dumps(pool("p", nested(50))))
    assert main(["check", str(file)]) == 1
    out, _err = capsys.readouterr()
    assert "lists and mappings in each other" in out and len(out) < 2000


def test_a_list_without_items_is_empty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "given.yml"
    file.write_text("kind: List\nitems:\n")
    assert main(["check", str(file)]) == 0
    assert capsys.readouterr().err.startswith("0 objects")
