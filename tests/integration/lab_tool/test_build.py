# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs built from source by a real Go, from modules of the same names and a few lines each."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

LAB = Path(__file__).parents[3] / "roles" / "lab" / "files"
sys.path.insert(0, str(LAB / "lab"))

import pins  # noqa: E402
import programs  # noqa: E402
import shell  # noqa: E402
from shell import LabError  # noqa: E402

GO = shutil.which("go") or "/usr/local/go/bin/go"
ALL = programs.API + programs.REST
MAIN = 'package main\n\nimport "k8s.io/component-base/version"\n\nfunc main() { println(version.Of(%r)) }\n'
LIBRARY = """package version

var gitVersion = "?"

func Of(name string) string { return name + " " + gitVersion }
"""


def _module(folder: Path, name: str, files: dict[str, str]) -> str:
    """Write a module; return the lines of a go.mod that take it from there."""
    for path, content in {"go.mod": f"module {name}\n\ngo 1.24.0\n", **files}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)
    return f"replace {name} => {folder}\n"


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """The pins of seven small programs."""
    commands = [name for name in ALL if name != "etcd"]
    version = _module(tmp_path / "version", "k8s.io/component-base", {"version/version.go": LIBRARY})
    files = {f"cmd/{name}/main.go": MAIN.replace("%r", f'"{name}"') for name in commands}
    kubernetes = _module(tmp_path / "kubernetes", pins.KUBERNETES, files)
    etcd = _module(tmp_path / "etcd", pins.ETCD, {"main.go": MAIN.replace("%r", '"etcd"')})
    tools = "".join(f"\t{pins.COMMANDS}/{name}\n" for name in commands)
    needed = f"\t{pins.KUBERNETES} v1.34.4\n\t{pins.ETCD} v3.6.4\n\tk8s.io/component-base v0.34.4\n"
    head = f"module test.invalid/kubernetes\n\ngo 1.24.0\n\ntool (\n{tools})\n\nrequire (\n{needed})\n\n"
    folder = tmp_path / "pins"
    folder.mkdir()
    (folder / "go.mod").write_text(head + version + kubernetes + etcd)
    (folder / "go.sum").write_text("")
    return folder


@pytest.fixture
def request_of(tmp_path: Path, sources: Path) -> dict[str, Any]:
    nowhere = "http://127.0.0.1:9"
    return {
        "folder": str(tmp_path / "made"),
        "version": "v1.34.4",
        "source": "auto",
        "part": "all",
        "pins": str(sources),
        "mirrors": {"kubernetes": nowhere, "etcd": nowhere},
    }


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOPROXY", "off")
    monkeypatch.setenv("GOFLAGS", "-buildvcs=false")


def build(request_of: dict[str, Any]) -> bool:
    """Build what is missing; return whether there was anything."""
    made: bool = programs.build(
        programs.load(json.dumps(request_of)), GO, Path(request_of["folder"]).with_name("work")
    )["changed"]
    return made


def says(folder: str, program: str) -> str:
    done = subprocess.run([Path(folder, program)], capture_output=True, text=True, timeout=10, check=True)
    return done.stderr.strip()


def test_all_programs_are_built_and_name_their_version(request_of: dict[str, Any]) -> None:
    assert build(request_of)
    for program in ALL:
        assert says(request_of["folder"], program) == f"{program} v1.34.4"
    assert {path.name for path in Path(request_of["folder"]).iterdir()} == {*ALL, "made.json"}
    assert not build(request_of)


def test_what_an_api_server_needs_can_be_built_first(request_of: dict[str, Any]) -> None:
    api = {**request_of, "part": "api"}
    assert build(api)
    folder = Path(request_of["folder"])
    assert {path.name for path in folder.iterdir()} == {*programs.API, "made.json"}
    first = (folder / "kubectl").stat().st_ino
    assert build(request_of)
    assert (folder / "kubectl").stat().st_ino == first
    assert says(request_of["folder"], "kubelet") == "kubelet v1.34.4"


def test_a_build_has_a_limit_of_its_own(request_of: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Kubernetes takes a slow machine longer than anything else that the tool runs."""
    assert programs.BUILD_LIMIT > shell.LIMIT
    monkeypatch.setattr(programs, "BUILD_LIMIT", 0.01)
    with pytest.raises(LabError, match=r"no end after 0\.01 s"):
        build(request_of)


def test_a_failed_build_leaves_what_was_there_and_no_half(request_of: dict[str, Any], sources: Path) -> None:
    api = {**request_of, "part": "api"}
    build(api)
    broken = sources.with_name("kubernetes") / "cmd" / "kubelet" / "main.go"
    broken.write_text("package main\n\nfunc main() { nonsense }\n")
    with pytest.raises(LabError, match="undefined: nonsense"):
        build(request_of)
    assert programs.missing(programs.load(json.dumps(request_of))) == list(programs.REST)
    made = {path.name for path in Path(request_of["folder"]).iterdir() if path.is_file()}
    assert made == {*programs.API, "made.json"}
    broken.write_text(MAIN.replace("%r", '"mended"'))
    assert build(request_of)
    assert says(request_of["folder"], "kubelet") == "mended v1.34.4"


@pytest.mark.parametrize("pin", ["go.mod", "go.sum"])
def test_other_pins_are_built_anew(request_of: dict[str, Any], sources: Path, pin: str) -> None:
    build(request_of)
    main = sources.with_name("kubernetes") / "cmd" / "kubectl" / "main.go"
    main.write_text(MAIN.replace("%r", '"another"'))
    assert not build(request_of)  # these sources are not what decides: published modules never change
    with (sources / pin).open("a") as file:
        file.write("\n")
    assert build(request_of)
    assert says(request_of["folder"], "kubectl") == "another v1.34.4"


def test_other_flags_are_built_anew(request_of: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    build(request_of)
    other = "-X k8s.io/component-base/version.gitVersion=v1.34.4-other"
    monkeypatch.setattr(pins.Pins, "flags", other)
    assert build(request_of)
    assert says(request_of["folder"], "etcd") == "etcd v1.34.4-other"


def test_a_built_program_is_none_where_a_downloaded_one_is_wanted(request_of: dict[str, Any]) -> None:
    build(request_of)
    assert programs.missing(programs.load(json.dumps({**request_of, "source": "build"}))) == []
    wanted = programs.load(json.dumps({**request_of, "source": "download"}))
    assert programs.missing(wanted) == list(ALL)


def test_the_main_module_of_another_version_follows_from_its_own(tmp_path: Path) -> None:
    published = tmp_path / "go.mod"
    published.write_text(
        "module k8s.io/kubernetes\n\ngo 1.19\n\nrequire (\n\tgo.etcd.io/etcd/client/v3 v3.5.0\n)\n\n"
        "replace (\n"
        "\tgithub.com/x/y => github.com/x/y v1.0.0\n\tk8s.io/api => ./staging/src/k8s.io/api\n)\n"
    )
    assert pins.main_module("v1.23.17", published.read_text()) == (
        "module vipcast.invalid/lab/kubernetes\n\ngo 1.24.0\n\ngodebug default=go1.21\n\n"
        "require (\n\tk8s.io/kubernetes v1.23.17\n\tgo.etcd.io/etcd/server/v3 v3.5.0\n)\n\n"
        "replace (\n\tk8s.io/api => k8s.io/api v0.23.17\n)\n"
    )


def test_a_version_that_does_not_exist_is_named(request_of: dict[str, Any]) -> None:
    with pytest.raises(LabError, match=r"Go's module proxy has no k8s.io/kubernetes@v1\.99\.0"):
        build({**request_of, "version": "v1.99.0"})
