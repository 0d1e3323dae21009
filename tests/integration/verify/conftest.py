# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts in network namespaces, and modules that run on the one that asks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from integration.namespaces import named
from support.modules import ModuleServer

CLIENT, SERVER = named("client"), named("server")
ADDRESS, ADDRESS6 = "192.0.2.10", "2001:db8::10"


def run(*command: str, check: bool = True) -> str:
    """A command's output; one that fails shows what it said."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def _namespaces() -> None:
    for name in (CLIENT, SERVER):
        run("ip", "netns", "add", name)
        run("ip", "-n", name, "link", "set", "lo", "up")
    run("ip", "-n", CLIENT, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", SERVER)
    for name, last in ((CLIENT, "1"), (SERVER, "10")):
        run("ip", "-n", name, "link", "set", "eth0", "up")
        run("ip", "-n", name, "addr", "add", f"192.0.2.{last}/24", "dev", "eth0")
        run("ip", "-n", name, "addr", "add", f"2001:db8::{last}/64", "dev", "eth0", "nodad")
    # Packets to this one vanish, as they do where no route leads.
    run("ip", "-n", SERVER, "route", "add", "blackhole", "192.0.2.66/32")
    run("ip", "-n", CLIENT, "route", "add", "192.0.2.66/32", "via", ADDRESS)
    run("ip", "netns", "exec", SERVER, "sysctl", "-qw", "net.ipv4.ip_forward=1")


def _remove() -> None:
    for name in (CLIENT, SERVER):
        run("ip", "netns", "del", name, check=False)


@pytest.fixture(scope="session")
def servers() -> Iterator[None]:
    """The servers of `servers`, on both addresses."""
    if os.geteuid() != 0:
        pytest.fail("network namespaces need root: run these tests as root")
    program = str(Path(__file__).with_name("servers.py"))
    running: list[subprocess.Popen[str]] = []
    try:
        _namespaces()
        for address in (ADDRESS, ADDRESS6):
            # The kernel ends it when we end, however that happens.
            command = [
                "setpriv",
                "--pdeathsig",
                "KILL",
                "ip",
                "netns",
                "exec",
                SERVER,
                sys.executable,
                program,
                address,
            ]
            running.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        for process in running:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        yield
    finally:
        for process in running:
            process.kill()
            process.wait(10)
        _remove()


class Played:
    """Runs a module on a host as a playbook does. `python` is the host's, ours unless another is set."""

    def __init__(self, folder: Path, module: str, host: str) -> None:
        self.folder, self.module, self.python = folder, module, sys.executable
        self.shell = folder / "client-shell"
        self.shell.write_text(f'#!/bin/sh\nexec ip netns exec {host} /bin/sh "$@"\n')
        self.shell.chmod(0o755)

    def __call__(self, *, check: bool = False, **options: Any) -> dict[str, Any]:
        """Return the module's result, whether it failed or not."""
        task = {f"vipcast.baremetal.{self.module}": options, "register": "answer", "ignore_errors": True}
        copy = {"content": "{{ answer | to_json }}", "dest": str(self.folder / "answer.json")}
        keep = {"ansible.builtin.copy": copy, "delegate_to": "localhost", "check_mode": False}
        client = {"ansible_connection": "local", "ansible_shell_executable": str(self.shell)}
        hosts = {"client": {**client, "ansible_python_interpreter": self.python}}
        self._write("inventory.yml", {"all": {"hosts": hosts}})
        self._write("play.yml", [{"hosts": "client", "gather_facts": False, "tasks": [task, keep]}])
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        flags = ["--check"] if check else []
        run(program, *flags, "-i", str(self.folder / "inventory.yml"), str(self.folder / "play.yml"))
        return dict(json.loads((self.folder / "answer.json").read_text()))

    def _write(self, name: str, content: Any) -> None:
        (self.folder / name).write_text(yaml.safe_dump(content))


class Probe:
    """Runs a module in the network namespace of a host, without a playbook around it."""

    def __init__(self, server: ModuleServer, module: str) -> None:
        self._server, self._module = server, module

    def __call__(self, *, check: bool = False, **options: Any) -> dict[str, Any]:
        """Return the module's result, whether it failed or not, as a task registers it."""
        return {"failed": False, "changed": False, **self._server(self._module, options, check=check)}


def modules_on(host: str) -> Iterator[ModuleServer]:
    """Run modules in the namespace of a host."""
    server = ModuleServer(enter=("ip", "netns", "exec", host))
    yield server
    server.close()


@pytest.fixture(scope="session")
def client(servers: None) -> Iterator[ModuleServer]:
    """The client's modules."""
    yield from modules_on(CLIENT)


@pytest.fixture
def probe(client: ModuleServer) -> Probe:
    """vip_probe on the client."""
    return Probe(client, "vip_probe")


@pytest.fixture
def played(servers: None, tmp_path: Path) -> Played:
    """vip_probe on the client, by ansible-playbook."""
    return Played(tmp_path, "vip_probe", CLIENT)
