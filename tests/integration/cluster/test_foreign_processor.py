# SPDX-License-Identifier: GPL-3.0-or-later
"""The image for a processor that this machine has not, run instruction by instruction by qemu.

Nothing of this machine is in it but the kernel: its own interpreter, its own libraries. A controller and a
speaker out of it work with a real API server.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from integration.control.image_role import FOREIGN, PROCESSORS, play, unpacked
from support.apiserver import ApiServer
from support.controllers import NAMESPACE, Controller, prepare, rbac, until

pytestmark = [pytest.mark.thorough, pytest.mark.timeout(900)]
# Seconds that a daemon has to start in: qemu takes twenty times as long as the processor.
PATIENCE = 180.0
ENTRY = "import sys; from vipcast.cli import main; sys.exit(main())"
NODE = "foreign"


@pytest.fixture(scope="module")
def qemu() -> Path:
    """The program that plays the processor; it is linked statically, so that it runs in any tree."""
    found = shutil.which(f"qemu-{PROCESSORS[FOREIGN][1]}-static")
    assert found, "there is no qemu-user-static: make processors installs it"
    return Path(found)


@pytest.fixture(scope="module")
def tree(qemu: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image's file tree, with qemu in it."""
    archive = play(tmp_path_factory.mktemp("foreign"), load_balancer_image_architecture=FOREIGN)
    root = unpacked(archive, tmp_path_factory.mktemp("foreign-root"))
    shutil.copy(qemu, root / "qemu")
    return root


@pytest.fixture(scope="module")
def command(qemu: Path, tree: Path) -> list[str]:
    """The start of a call of vipcast that sees this machine's files, where the tree has none of the name."""
    return [str(qemu), "-L", str(tree), str(tree / "usr/bin/python3"), "-c", ENTRY]


@pytest.fixture(scope="module")
def api(api_server: ApiServer) -> ApiServer:
    """A cluster with a node, and the rights that the role gives to controller and speaker."""
    prepare(api_server)
    rights = rbac("speaker", load_balancer_secret_names=[])
    api_server.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}}, *rights)
    return api_server


@pytest.fixture
def controller(api: ApiServer, command: list[str], tmp_path: Path) -> Iterator[Controller]:
    """The image's controller."""
    found = Controller(api, tmp_path, command=command)
    found.start()
    yield found
    found.stop()


@pytest.fixture
def speaker(api: ApiServer, command: list[str], tmp_path: Path) -> Iterator[Controller]:
    """The image's speaker."""
    found = Controller(api, tmp_path, "speaker", account="speaker", command=command)
    found.start(f"--node-name={NODE}", program="speaker")
    yield found
    found.stop()


@pytest.mark.parametrize("program", [(), ("controller",), ("speaker",), ("bfd",), ("layer2",), ("status",)])
def test_every_program_starts_in_the_image_with_nothing_of_this_machine(
    tree: Path, program: tuple[str, ...]
) -> None:
    enter = ["/usr/sbin/chroot", "--userspec=65534:65534", str(tree), "/qemu", "/usr/bin/python3"]
    done = subprocess.run(
        [*enter, "/usr/bin/vipcast", *program, "--help"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={},
    )
    assert done.returncode == 0, done.stderr
    assert "usage: vipcast" in done.stdout


def test_it_is_the_foreign_processor_and_its_bytecode_is_believed(command: list[str]) -> None:
    look = "import platform, vipcast.cli as cli; print(platform.machine(), cli.__cached__)"
    done = subprocess.run(
        [*command[:-1], look], capture_output=True, text=True, timeout=120, check=False, env={}
    )
    assert done.returncode == 0, done.stderr
    machine, cached = done.stdout.split()
    assert machine == PROCESSORS[FOREIGN][1]
    assert Path(cached).is_file(), "it would be compiled anew whenever a container starts"


def pool() -> dict[str, Any]:
    metadata = {"name": "foreign", "namespace": NAMESPACE}
    spec = {"addresses": ["10.9.77.0/24"]}
    return {"apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool", "metadata": metadata, "spec": spec}


def test_its_controller_gives_a_service_an_address(
    api: ApiServer, controller: Controller, namespace: str
) -> None:
    spec = {"type": "LoadBalancer", "ports": [{"port": 80}]}
    metadata = {"name": "web", "namespace": namespace}
    api.apply(pool(), {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})

    def address() -> list[str]:
        found = json.loads(api.kubectl("get", "service", "web", "-n", namespace, "-o", "json"))
        return [one["ip"] for one in found["status"].get("loadBalancer", {}).get("ingress", [])]

    assert until(address, PATIENCE)[0].startswith("10.9.77.")
    api.kubectl("delete", "service", "web", "-n", namespace)
    api.kubectl("delete", "ipaddresspool", "foreign", "-n", NAMESPACE)


def test_its_speaker_hears_the_cluster_and_says_how_it_is(speaker: Controller, command: list[str]) -> None:
    until(speaker.ready, PATIENCE)
    address = f"127.0.0.1:{speaker.health}"
    done = subprocess.run(
        [*command, "status", "--health-address", address],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert NODE in done.stdout
    assert "vipcast_" in speaker.metrics() or "metallb_" in speaker.metrics()
