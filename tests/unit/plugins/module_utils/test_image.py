# SPDX-License-Identifier: GPL-3.0-or-later
"""The same content gives the same image, whatever the times, owners and places of its sources."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import tarfile
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.vipcast.baremetal.plugins.module_utils._image.archive import (
    ImageError,
    Source,
    image_config,
    plan,
    read_identity,
    write_archive,
)
from ansible_collections.vipcast.baremetal.plugins.module_utils._image.layer import write_layer

CONFIG = image_config(architecture="amd64", entrypoint=["/x"], user="65534")


def tree(folder: Path, *, mtime: int = 1) -> Path:
    """A folder with a program, a link, a hidden file and something to leave out."""
    (folder / "bin").mkdir(parents=True)
    (folder / "bin/x").write_text("program")
    (folder / "bin/x").chmod(0o700)
    (folder / "bin/link").symlink_to("x")
    (folder / ".hidden").write_text("h")
    (folder / "cache/deep").mkdir(parents=True)
    (folder / "cache/deep/file").write_text("c")
    for path in folder.rglob("*"):
        os.utime(path, (mtime, mtime), follow_symlinks=False)
    return folder


def members(source: Source) -> dict[str, tarfile.TarInfo]:
    stream = io.BytesIO()
    write_layer(source, stream.write)
    stream.seek(0)
    with tarfile.open(fileobj=stream) as layer:
        return {member.name: member for member in layer}


def test_times_and_places_do_not_count(tmp_path: Path) -> None:
    one, two = tree(tmp_path / "one", mtime=1), tree(tmp_path / "two", mtime=99999)
    ids = {plan([Source(src=str(each))], CONFIG, "x:1").id for each in (one, two)}
    assert len(ids) == 1


def test_content_modes_links_and_configuration_count(tmp_path: Path) -> None:
    folder = tree(tmp_path / "one")
    seen = {plan([Source(src=str(folder))], CONFIG, "x:1").id}
    (folder / "bin/x").write_text("Program")
    seen.add(plan([Source(src=str(folder))], CONFIG, "x:1").id)
    (folder / "bin/x").chmod(0o600)
    seen.add(plan([Source(src=str(folder))], CONFIG, "x:1").id)
    seen.add(plan([Source(src=str(folder))], dict(CONFIG, created="2020-01-01T00:00:00Z"), "x:1").id)
    seen.add(plan([Source(src=str(folder), dest="/srv")], CONFIG, "x:1").id)
    seen.add(plan([Source(src=str(folder), dereference=True)], CONFIG, "x:1").id)
    assert len(seen) == 6


def test_a_folder_becomes_members_of_root_with_plain_modes(tmp_path: Path) -> None:
    found = members(Source(src=str(tree(tmp_path / "t")), dest="/srv/", exclude=("/cache",)))
    assert list(found) == ["srv", "srv/.hidden", "srv/bin", "srv/bin/link", "srv/bin/x"]
    assert {(each.uid, each.gid, each.uname, each.mtime) for each in found.values()} == {(0, 0, "", 0)}
    assert (found["srv/bin/x"].mode, found["srv/.hidden"].mode) == (0o755, 0o644)
    assert found["srv/bin/link"].linkname == "x"


def test_a_link_can_be_replaced_by_what_it_points_to(tmp_path: Path) -> None:
    found = members(Source(src=str(tree(tmp_path / "t")), dereference=True))
    assert found["bin/link"].isreg()


@pytest.mark.parametrize(
    ("pattern", "left"),
    [
        ("*/deep", ["cache"]),
        ("/cache/*", ["cache"]),
        ("*e", []),
        ("/nothing", ["cache", "cache/deep", "cache/deep/file"]),
    ],
)
def test_what_a_pattern_matches_takes_all_below_along(tmp_path: Path, pattern: str, left: list[str]) -> None:
    found = members(Source(src=str(tree(tmp_path / "t")), exclude=(pattern,)))
    assert [name for name in found if name.startswith("cache")] == left


def test_a_tar_file_keeps_owners_and_moves_hard_links(tmp_path: Path) -> None:
    path = tmp_path / "base.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, kind in (("./", tarfile.DIRTYPE), ("./a", tarfile.REGTYPE), ("./b", tarfile.LNKTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.uid, member.mtime, member.linkname = (
                kind,
                42,
                7,
                "./a" if name == "./b" else "",
            )
            archive.addfile(member)
    found = members(Source(src=str(path), dest="/opt"))
    assert list(found) == ["opt/a", "opt/b"]
    assert (found["opt/a"].uid, found["opt/a"].mtime) == (42, 0)
    assert found["opt/b"].linkname == "opt/a"
    with pytest.raises(ImageError, match="b is a hard link to a, which is excluded"):
        members(Source(src=str(path), exclude=("/a",)))


def test_a_single_file_a_text_and_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("abc")
    assert members(Source("/bin/y", src=str(tmp_path / "x")))["bin/y"].mode == 0o644
    assert members(Source("/etc/passwd", content="x:x:1:1::/:/x\n"))["etc/passwd"].size == 14
    assert members(Source("/tmp", mode=0o1777))["tmp"].isdir()


def archive_of(tmp_path: Path) -> tuple[t.Any, Path]:
    image = plan(
        [Source(src=str(tree(tmp_path / "t"))), Source("/etc/x", content="y")], CONFIG, "x:1-{digest}"
    )
    path = tmp_path / "image.tar"
    write_archive(image, str(path))
    return image, path


def test_the_archive_is_what_its_manifest_says(tmp_path: Path) -> None:
    image, path = archive_of(tmp_path)
    with tarfile.open(path) as archive:
        (entry,) = json.load(t.cast(t.Any, archive.extractfile("manifest.json")))
        config = t.cast(t.Any, archive.extractfile(entry["Config"])).read()
        layers = [t.cast(t.Any, archive.extractfile(name)).read() for name in entry["Layers"]]
    assert entry["RepoTags"] == [f"x:1-{image.id[:12]}"]
    assert entry["Config"] == hashlib.sha256(config).hexdigest() + ".json"
    digests = ["sha256:" + hashlib.sha256(layer).hexdigest() for layer in layers]
    assert json.loads(config)["rootfs"]["diff_ids"] == digests
    assert read_identity(str(path)) == (image.manifest, image.layers)


def test_an_archive_that_is_not_whole_is_told(tmp_path: Path) -> None:
    _image, path = archive_of(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert read_identity(str(path)) is None
    path.write_bytes(whole.replace(b"program", b"Program"))
    assert read_identity(str(path)) is None
    assert read_identity(str(tmp_path / "nothing")) is None


@pytest.mark.parametrize("name", ["x", "x:", ":1", "X:1", "x:a b", "host:5000/x"])
def test_a_name_that_no_registry_would_take_is_refused(name: str) -> None:
    with pytest.raises(ImageError, match="image name"):
        plan([], CONFIG, name)


def _recipe_of_the_load_balancer() -> dict[str, t.Any]:
    path = Path(__file__).parents[4] / "roles/load_balancer/vars/main.yml"

    class Loader(yaml.SafeLoader):
        """Return the text with Ansible's tag for text that is no template."""

    Loader.add_constructor("!unsafe", lambda loader, node: node.value)
    return yaml.load(path.read_text(encoding="utf-8"), Loader)["_load_balancer_image_recipe"]


def test_the_load_balancers_image_has_two_programs_and_their_libraries(tmp_path: Path) -> None:
    recipe = _recipe_of_the_load_balancer()
    programs = ["python3", "python3.11", "openssl"]
    others = [
        "sh",
        "bash",
        "perl",
        "pydoc3",
        "py3compile",
        "pygettext3",
        "c_rehash",
        "od",
        "openvt",
        "pkill",
        "x86_64",
    ]
    kept = ["usr/lib/x/libyaml-0.so.2", "usr/lib/python3/dist-packages/yaml/loader.py", "etc/ssl/openssl.cnf"]
    left_out = [
        "usr/share/doc/openssl/NEWS",
        "usr/lib/ssl/misc/CA.pl",
        "bin/sh",
        "usr/sbin/x",
        "var/lib/dpkg/status",
    ]
    for name in [*(f"usr/bin/{each}" for each in (*programs, *others)), *kept, *left_out]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = members(Source(src=str(tmp_path), exclude=tuple(recipe["exclude"])))
    files = {name for name, member in found.items() if member.isfile()}
    assert files == {*(f"usr/bin/{each}" for each in programs), *kept}
    assert {"python3-h11", "python3-yaml", "openssl"} <= set(recipe["packages"])


def test_the_containerfile_has_what_the_recipe_has() -> None:
    root = Path(__file__).parents[4]
    text = (root / "roles/load_balancer/files/Containerfile").read_text(encoding="utf-8")
    assert set(_recipe_of_the_load_balancer()["packages"]) - set(text.split()) == set()
    links = [path for path in (root / "src").rglob("*.py") if path.is_symlink()]
    folders = {path.resolve().parent.relative_to(root.resolve()) for path in links}
    assert folders
    assert {str(folder) for folder in folders} == set(re.findall(r"^COPY (plugins/\S+)", text, re.MULTILINE))


def test_what_cannot_be_in_an_image_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ImageError, match="pipe: neither a file, a folder nor a link"):
        members(Source(src=str(tmp_path)))
