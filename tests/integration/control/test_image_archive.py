# SPDX-License-Identifier: GPL-3.0-or-later
"""The module image_archive: made, found again, repaired; and what cannot be made."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Json = dict[str, Any]
Make = Callable[..., Json]


@pytest.fixture
def make(call: Any, tmp_path: Path) -> Make:
    """``make(check=..., option=...)``: an image of one program, at tmp_path/image.tar."""
    (tmp_path / "program").write_text("#!/bin/sh\n")
    layers = [
        {"src": str(tmp_path / "program"), "dest": "/bin/program", "mode": "0755"},
        {"content": "hello\n", "dest": "/etc/motd"},
        {"dest": "/var/empty", "mode": "0700"},
    ]

    def called(*, check: bool = False, **options: Any) -> Json:
        given = {"path": str(tmp_path / "image.tar"), "name": "x:1-{digest}", "layers": layers}
        result: Json = call("image_archive", {**given, **options}, check=check)
        return result

    return called


def inside(path: Path) -> tuple[Json, Json, list[dict[str, tarfile.TarInfo]]]:
    """Return manifest, configuration and the members of each layer."""
    with tarfile.open(path) as archive:

        def read(name: str) -> Any:
            file = archive.extractfile(name)
            assert file is not None
            return file

        (manifest,) = json.load(read("manifest.json"))
        layers = []
        for name in manifest["Layers"]:
            with tarfile.open(fileobj=read(name)) as layer:
                layers.append({member.name: member for member in layer})
        return manifest, json.load(read(manifest["Config"])), layers


def test_an_archive_is_tried_made_and_found(make: Make, tmp_path: Path) -> None:
    path = tmp_path / "image.tar"
    tried = make(check=True)
    assert (tried["changed"], path.exists()) == (True, False)
    made = make()
    assert made["changed"]
    assert made["name"] == f"x:1-{made['image_id'].removeprefix('sha256:')[:12]}" == tried["name"]
    assert [each["found"] for each in made["drift"]] == ["absent"]
    written = path.read_bytes()
    again = make()
    assert (again["changed"], again["drift"]) == (False, [])
    assert path.read_bytes() == written
    assert [entry.name for entry in tmp_path.iterdir() if "partial" in entry.name] == []


def test_what_is_inside_is_what_was_asked_for(make: Make, tmp_path: Path) -> None:
    made = make(
        entrypoint=["/bin/program"], cmd=["-v"], env={"A": "b"}, user="65534:65534", architecture="arm64"
    )
    manifest, config, layers = inside(tmp_path / "image.tar")
    assert manifest["RepoTags"] == [made["name"]]
    assert (config["architecture"], config["os"]) == ("arm64", "linux")
    asked = {key: config["config"][key] for key in ("Entrypoint", "Cmd", "Env", "User")}
    assert asked == {"Entrypoint": ["/bin/program"], "Cmd": ["-v"], "Env": ["A=b"], "User": "65534:65534"}
    assert config["rootfs"]["diff_ids"] == [each["digest"] for each in made["layers"]]
    program, motd, empty = layers[0]["bin/program"], layers[1]["etc/motd"], layers[2]["var/empty"]
    assert (program.mode, motd.mode, empty.mode, empty.isdir()) == (0o755, 0o644, 0o700, True)
    assert {(each.uid, each.gid, each.mtime) for each in (program, motd, empty)} == {(0, 0, 0)}


def test_another_image_or_half_of_one_is_replaced_and_named(make: Make, tmp_path: Path) -> None:
    path = tmp_path / "image.tar"
    first = make()
    second = make(user="1000")
    assert second["changed"]
    assert second["name"] != first["name"]
    assert second["drift"][0]["found"].startswith(first["name"])
    path.write_bytes(path.read_bytes()[:3000])
    assert make(user="1000", check=True)["drift"][0]["found"] == "not a whole image archive"
    assert make(user="1000")["changed"]
    assert not make(user="1000")["changed"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": [{"src": "/nowhere"}]}, "layer source /nowhere: does not exist"),
        (
            {"layers": [{"content": "x", "dest": "/x", "mode": "rwx"}]},
            "mode 'rwx' of /x: expected octal digits",
        ),
        ({"layers": [{"src": "/etc", "content": "x"}]}, "mutually exclusive"),
        ({"path": "/nowhere/image.tar"}, "/nowhere"),
    ],
)
def test_what_cannot_be_made_is_told_in_one_line(make: Make, options: Json, message: str) -> None:
    result = make(**options)
    assert result["failed"]
    assert message in result["msg"]
    assert "\n" not in result["msg"]
