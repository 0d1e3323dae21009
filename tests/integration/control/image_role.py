# SPDX-License-Identifier: GPL-3.0-or-later
"""The role's image, built by a play."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]


ROLE = "vipcast.baremetal.load_balancer"


Json = dict[str, Any]


# A processor in Go's words, its number in an ELF header (e_machine), and qemu's word for it.
PROCESSORS = {"amd64": (62, "x86_64"), "arm64": (183, "aarch64")}


FOREIGN = "amd64" if platform.machine() == "aarch64" else "arm64"


def play(folder: Path, **variables: Any) -> Path:
    """Return the archive that the role makes in the folder; variables take the place of the role's own."""
    tasks: list[Json] = [
        {"ansible.builtin.include_role": {"name": ROLE, "tasks_from": "image_name", "public": True}}
    ]
    tasks.append({"ansible.builtin.include_role": {"name": ROLE, "tasks_from": "image_build"}})
    archive = folder / "image.tar"
    given = {
        "_load_balancer_archive": str(archive),
        "ansible_python_interpreter": sys.executable,
        **variables,
    }
    (folder / "play.yml").write_text(
        json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}])
    )
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    done = subprocess.run(
        [
            program,
            "-i",
            "localhost,",
            "-c",
            "local",
            "--extra-vars",
            json.dumps(given),
            str(folder / "play.yml"),
        ],
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return archive


def unpacked(archive: Path, root: Path) -> Path:
    """Return the folder, with the layers of the archive in it."""
    root.chmod(0o755)
    with tarfile.open(archive) as packed:
        for name in manifest(archive)["Layers"]:
            with tarfile.open(fileobj=packed.extractfile(name)) as layer:
                layer.extractall(root, filter="tar")
    return root


def manifest(archive: Path) -> Json:
    with tarfile.open(archive) as packed:
        file = packed.extractfile("manifest.json")
        assert file is not None
        (found,) = json.load(file)
    return dict(found)
