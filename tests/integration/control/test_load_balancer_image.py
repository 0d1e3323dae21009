# SPDX-License-Identifier: GPL-3.0-or-later
"""The load balancer's image, as the role makes it: what is in it, that it runs, that it is reproducible."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from integration.control.image_role import FOREIGN, PROCESSORS, ROOT, Json, manifest, play, unpacked

PACKAGE = "usr/lib/python3/dist-packages/vipcast"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vipcast/images"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive."""
    return play(tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive for a processor that this machine has not."""
    return play(tmp_path_factory.mktemp("foreign"), load_balancer_image_architecture=FOREIGN)


@pytest.fixture(scope="module")
def tree(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file tree of a container of it."""
    return unpacked(archive, tmp_path_factory.mktemp("root"))


@pytest.fixture(scope="module")
def foreign_tree(foreign: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for the other processor."""
    return unpacked(foreign, tmp_path_factory.mktemp("foreign-root"))


def configuration(archive: Path) -> Json:
    with tarfile.open(archive) as packed:
        file = packed.extractfile(manifest(archive)["Config"])
        assert file is not None
        return dict(json.load(file))


@pytest.mark.timeout(600)
def test_it_runs_as_nobody_and_has_a_name_that_no_registry_serves(archive: Path) -> None:
    (name,) = manifest(archive)["RepoTags"]
    assert name.startswith("localhost/vipcast:")
    config = configuration(archive)["config"]
    assert (config["User"], config["Entrypoint"]) == ("65534:65534", ["/usr/bin/vipcast"])
    assert set(config["Env"]) == {"PYTHONDONTWRITEBYTECODE=1", "PYTHONUNBUFFERED=1"}


@pytest.mark.timeout(600)
def test_the_programs_of_the_source_run_in_it(tree: Path) -> None:
    """The tree's own interpreter runs them, as nobody, with nothing of this machine."""
    enter = ["/usr/sbin/chroot", "--userspec=65534:65534", str(tree), "/usr/bin/vipcast"]
    for arguments in (["--version"], ["speaker", "--help"], ["controller", "--help"], ["bfd", "--help"]):
        done = subprocess.run(
            [*enter, *arguments], capture_output=True, text=True, timeout=60, check=False, env={}
        )
        assert done.returncode == 0, done.stderr
        assert "vipcast" in done.stdout


@pytest.mark.timeout(600)
def test_all_of_the_source_is_in_it_with_bytecode(tree: Path) -> None:
    source = ROOT / "src/vipcast"
    names = {path.relative_to(source) for path in source.rglob("*.py")}
    assert {path.relative_to(tree / PACKAGE) for path in (tree / PACKAGE).rglob("*.py")} >= names
    assert (tree / PACKAGE / "cli").exists() or (tree / PACKAGE / "cli.py").exists()
    for name in names:
        compiled = list((tree / PACKAGE / name.parent / "__pycache__").glob(f"{name.stem}.*.pyc"))
        assert len(compiled) == 1, name


@pytest.mark.timeout(600)
def test_no_bytecode_is_compared_with_times_that_the_image_does_not_keep(tree: Path) -> None:
    """PEP 552: hash-based, unchecked. Else the interpreter compiles it again whenever a container starts."""
    compiled = list(tree.rglob("*.pyc"))
    assert len(compiled) > 500
    timed = [path.name for path in compiled if int.from_bytes(path.read_bytes()[4:8], "little") != 1]
    assert timed == []


@pytest.mark.timeout(600)
def test_there_is_no_shell_no_package_manager_and_nothing_with_the_powers_of_root(tree: Path) -> None:
    programs = [
        path for folder in ("bin", "sbin", "usr/bin", "usr/sbin") for path in (tree / folder).glob("*")
    ]
    names = {path.name for path in programs}
    assert {"python3", "openssl", "vipcast"} <= names
    assert not names & {"sh", "bash", "dash", "apt", "apt-get", "dpkg", "perl", "su", "mount"}
    assert not (tree / "usr/lib/dpkg").exists()
    assert [path for path in tree.rglob("*") if path.is_file() and path.lstat().st_mode & 0o6000] == []


@pytest.mark.timeout(600)
def test_a_copy_of_the_source_elsewhere_gives_the_same_image(archive: Path, tmp_path: Path) -> None:
    """Other times, another path, bytecode beside it: the name and every byte are the same."""
    copy = tmp_path / "elsewhere"
    shutil.copytree(ROOT / "src/vipcast", copy, ignore=shutil.ignore_patterns("__pycache__"))
    for path in copy.rglob("*"):
        os.utime(path, (1, 1), follow_symlinks=False)
    again = play(tmp_path, _load_balancer_source=str(copy))
    assert manifest(again)["RepoTags"] == manifest(archive)["RepoTags"]
    assert configuration(again)["rootfs"] == configuration(archive)["rootfs"]
    assert again.read_bytes() == archive.read_bytes()


@pytest.mark.timeout(600)
def test_another_source_gives_another_name(archive: Path, tmp_path: Path) -> None:
    copy = tmp_path / "other"
    shutil.copytree(ROOT / "src/vipcast", copy, ignore=shutil.ignore_patterns("__pycache__"))
    with (copy / "__init__.py").open("a") as source:
        source.write("# another\n")
    other = play(tmp_path, _load_balancer_source=str(copy))
    assert manifest(other)["RepoTags"] != manifest(archive)["RepoTags"]


@pytest.mark.timeout(600)
def test_a_version_of_somebodys_own_makes_a_name_that_runtimes_take(tmp_path: Path) -> None:
    """PEP 440, local version identifiers: 0.1.0+ours.7. A tag has no plus sign."""
    copy = tmp_path / "ours"
    shutil.copytree(ROOT / "src/vipcast", copy, ignore=shutil.ignore_patterns("__pycache__"))
    start = copy / "__init__.py"
    text, count = re.subn(
        r'^__version__ = "[^"]+"$', '__version__ = "0.1.0+ours.7"', start.read_text(), flags=re.M
    )
    assert count == 1
    start.write_text(text)
    (name,) = manifest(play(tmp_path, _load_balancer_source=str(copy)))["RepoTags"]
    assert re.fullmatch(r"localhost/vipcast:0\.1\.0_ours\.7-[0-9a-f]{12}", name)


@pytest.mark.timeout(600)
def test_an_image_for_another_processor_has_the_same_name(archive: Path, foreign: Path) -> None:
    """The pods of one DaemonSet run on nodes of both, and name one image."""
    assert manifest(foreign)["RepoTags"] == manifest(archive)["RepoTags"]
    assert configuration(foreign)["architecture"] == FOREIGN
    assert configuration(archive)["architecture"] != FOREIGN


@pytest.mark.timeout(600)
def test_its_programs_are_for_that_processor(foreign_tree: Path) -> None:
    """The tree is for that processor; `make processors` runs it."""
    machine = PROCESSORS[FOREIGN][0]
    interpreter = foreign_tree / "usr/bin/python3"
    header = (
        interpreter.resolve().read_bytes()[:20] if interpreter.is_symlink() else interpreter.read_bytes()[:20]
    )
    assert (header[:4], int.from_bytes(header[18:20], "little")) == (b"\x7fELF", machine)


@pytest.mark.timeout(600)
def test_its_python_and_bytecode_are_those_of_the_native_image(tree: Path, foreign_tree: Path) -> None:
    """PEP 3147: bytecode is of a version of Python. A node with the slowest processor compiles nothing."""
    packages = "usr/lib/python3/dist-packages"
    names = {path.relative_to(tree) for path in (tree / packages).rglob("*.py*") if path.is_file()}
    assert sum(name.suffix == ".pyc" for name in names) > 100
    differing = [
        str(name)
        for name in sorted(names)
        if name.suffix in (".py", ".pyc") and (tree / name).read_bytes() != (foreign_tree / name).read_bytes()
    ]
    assert differing == []


@pytest.mark.timeout(600)
def test_a_base_tree_of_somebody_elses_making_is_taken_and_is_in_the_name(
    archive: Path, tree: Path, tmp_path: Path
) -> None:
    """The tree is as podman export writes one: names begin without a dot, and there is a folder dev."""
    native = configuration(archive)["architecture"]
    base, source = tmp_path / "base.tar", next(iter(CACHE.glob(f"bookworm-{native}-*.tar")))
    with tarfile.open(source) as given, tarfile.open(base, "w") as made:
        for member in given:
            member.name = member.name.removeprefix("./") or "."
            if member.linkname.startswith("./"):
                member.linkname = member.linkname.removeprefix("./")
            made.addfile(member, given.extractfile(member) if member.isreg() else None)
    ours = play(tmp_path, load_balancer_image_bases={native: str(base)})
    assert manifest(ours)["RepoTags"] != manifest(archive)["RepoTags"]
    assert configuration(ours)["rootfs"] == configuration(archive)["rootfs"]


def test_a_base_tree_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        AssertionError, match=r"load_balancer_image_bases: /nowhere/a.tar for amd64 is not there"
    ):
        play(
            tmp_path,
            load_balancer_image_bases={"amd64": "/nowhere/a.tar"},
            load_balancer_image_architecture="amd64",
        )
