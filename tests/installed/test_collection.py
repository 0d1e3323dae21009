# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as its users have it: built, installed in a home of its own, run by its name on a lab.

The steps follow each other, as README has them. Nothing of the checkout is used but the archive built of it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(900)

ROOT = Path(__file__).resolve().parents[2]
# What README tells users to install, and nothing of the checkout.
ENVIRONMENT = ROOT / ".cache/user"
BIN = ENVIRONMENT / "bin"
PACKAGES = ("ansible-core", "kubernetes", "PyYAML")
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
NAME = "ansible_collections/vipcast/baremetal"


@dataclass(frozen=True)
class User:
    """A user with an empty home, in which the collection is installed.

    The cache of built programs is shared.
    """

    home: Path
    archive: Path

    @property
    def collection(self) -> Path:
        return self.home / ".ansible/collections" / NAME

    def run(self, *command: str, status: int = 0) -> str:
        """Return what a program of Ansible prints, run in the home; fail where it ends in another way."""
        kept = {name: os.environ[name] for name in ("LANG", "TERM") if name in os.environ}
        own = {
            "HOME": str(self.home),
            "XDG_CACHE_HOME": str(CACHE),
            "PATH": f"{BIN}:/usr/sbin:/usr/bin:/sbin:/bin",
        }
        done = subprocess.run(
            [BIN / command[0], *command[1:]],
            cwd=self.home,
            env={**kept, **own, "ANSIBLE_NOCOLOR": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=800,
            check=False,
        )
        assert done.returncode == status, f"{' '.join(command)}: {done.returncode}\n{done.stdout}"
        return done.stdout

    def play(self, name: str, *arguments: str, status: int = 0) -> str:
        """Run a playbook of the collection by its name, with the installed lab's inventory."""
        inventory = f"-i{self.collection}/inventories/lab"
        return self.run("ansible-playbook", inventory, f"vipcast.baremetal.{name}", *arguments, status=status)


def make_environment() -> None:
    """Make the virtual environment of a user where it is not there yet."""
    if (BIN / "ansible-galaxy").exists():
        return
    subprocess.run([sys.executable, "-m", "venv", ENVIRONMENT], check=True, timeout=120)
    pip = [BIN / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    # A user installs by name; the versions are those that everything else is tested with. With their hashes
    # pip would demand one for every package.
    lock = (ROOT / "requirements/lock.txt").read_text()
    pins = ENVIRONMENT / "pins.txt"
    pins.write_text("\n".join(re.findall(r"^[a-z0-9][^ ;]*==[^ ;]+", lock, re.MULTILINE)) + "\n")
    subprocess.run([*pip, "-c", pins, *PACKAGES], check=True, timeout=600)


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    make_environment()
    home = tmp_path_factory.mktemp("home")
    copy = subprocess.run(
        [ROOT / ".ci/collection-copy"], capture_output=True, text=True, check=True, timeout=120
    )
    build = ["ansible-galaxy", "collection", "build", copy.stdout.strip(), "--output-path", str(home)]
    subprocess.run([BIN / build[0], *build[1:]], capture_output=True, check=True, timeout=120)
    (archive,) = home.glob("vipcast-baremetal-*.tar.gz")
    user = User(home, archive)
    user.run("ansible-galaxy", "collection", "install", str(archive), "--offline")
    yield user
    user.play("lab_down")


def changes(output: str) -> dict[str, int]:
    """Return how many tasks changed something on each host, from the last lines of ansible-playbook."""
    return {host: int(number) for host, number in re.findall(r"(?m)^(\S+)\s+: ok=.*?changed=(\d+)", output)}


def test_the_archive_has_what_is_deployed_and_nothing_of_development(user: User) -> None:
    with tarfile.open(user.archive) as archive:
        names = archive.getnames()
    tops = {name.partition("/")[0] for name in names}
    assert {"plugins", "roles", "playbooks", "inventories", "src", "docs", "meta"} <= tops
    assert tops.isdisjoint({"tests", "molecule", ".ci", "Makefile", ".venv", ".cache", "report"})
    assert "src/vipcast/cli/__init__.py" in names


def test_vipcast_judges_objects_from_the_installed_collection(user: User) -> None:
    """The lines of docs/migrating-from-metallb.md need nothing but Python and PyYAML."""
    wrong = user.home / "pool.yml"
    wrong.write_text(
        "{apiVersion: metallb.io/v1beta1, kind: IPAddressPool, spec: {addresses: [10.9.0.0/33]}, "
        "metadata: {name: a, namespace: metallb-system}}"
    )
    page = (user.collection / "docs/migrating-from-metallb.md").read_text()
    lines = [
        line.strip() for line in page.splitlines() if line.strip().startswith(("source=~", "vipcast() {"))
    ]
    assert len(lines) == 2
    script = "\n".join(["unset -f vipcast", *lines, f"vipcast check {wrong}"])
    done = subprocess.run(
        ["bash", "-c", script],
        env={"HOME": str(user.home), "PATH": f"{BIN}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "10.9.0.0/33" in done.stdout + done.stderr


def test_the_lab_is_started_and_rolled_out_by_the_collections_name(user: User) -> None:
    user.play("lab_up")
    user.play("lab_services")
    report = user.home / "verify.json"
    user.play("site", "-e", json.dumps({"verify_report_path": str(report)}))
    found = json.loads(report.read_text())
    assert found["ok"] and len(found["sessions"]) == 3 and found["routes"]


def test_a_second_rollout_changes_nothing(user: User) -> None:
    counted = changes(user.play("site"))
    assert "localhost" in counted and set(counted.values()) == {0}


def test_the_report_of_drift_is_empty(user: User) -> None:
    report = user.home / "drift.json"
    user.play("drift", "-e", json.dumps({"drift_report_path": str(report)}))
    assert json.loads(report.read_text())["drift"] == []


def test_the_example_inventory_is_refused_by_name_until_it_is_filled_in(user: User) -> None:
    """Its hosts cannot be reached, and the list of what is wrong names them."""
    inventory = f"-i{user.collection}/inventories/example"
    output = user.run(
        "ansible-playbook", inventory, "vipcast.baremetal.site", "--tags", "preflight", status=2
    )
    assert "Nothing was changed" in output or "cannot" in output, output


def test_it_is_removed_again(user: User) -> None:
    user.play("remove", "-e", "remove_confirmed=true")
    counted = changes(user.play("remove", "-e", "remove_confirmed=true"))
    assert set(counted.values()) == {0}
