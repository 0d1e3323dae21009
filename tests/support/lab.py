# SPDX-License-Identifier: GPL-3.0-or-later
"""A running lab as a test sees it: playbooks to run, hosts to ask, a cluster to talk to."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from support.shells import Shells

CHECKOUT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
# `host : ok=3 changed=1 unreachable=0 ...`, as ansible-playbook ends.
COUNTS = ("changed", "unreachable", "failed")
RECAP = re.compile(r"^(?P<host>\S+)\s+: ok=.*?" + r"\s+".join(rf"{name}=(?P<{name}>\d+)" for name in COUNTS))

# Each playbook that was run with its arguments, its seconds, and how many seconds a processor worked for it.
PLAYED: list[tuple[str, float, float]] = []


def _environment() -> dict[str, str]:
    """A person's: what molecule says to Ansible (colours, another configuration) is not for the walks."""
    mine = {
        name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "MOLECULE_"))
    }
    return {**mine, "ANSIBLE_NOCOLOR": "1", "PATH": f"{BIN}:{os.environ['PATH']}"}


def _worked() -> float:
    """The processor's seconds for the programs that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def tool(*command: str | Path, timeout: float) -> subprocess.CompletedProcess[str]:
    """Runs one of Ansible's programs in the checkout, without colours; both of its streams as one."""
    return subprocess.run(
        [BIN / command[0], *command[1:]],
        cwd=CHECKOUT,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
    )


@dataclass(frozen=True)
class Run:
    """The result of a finished ansible-playbook."""

    returncode: int
    output: str

    @property
    def recap(self) -> dict[str, dict[str, int]]:
        """Counts per host: ``{host: {"changed": 0, "unreachable": 0, "failed": 0}}``."""
        rows = (RECAP.match(line) for line in self.output.splitlines())
        return {
            row["host"]: {key: int(row[key]) for key in ("changed", "unreachable", "failed")}
            for row in rows
            if row
        }

    @property
    def changed(self) -> dict[str, int]:
        """The hosts on which something changed (or would have, in check mode)."""
        return {host: counts["changed"] for host, counts in self.recap.items() if counts["changed"]}

    def expect(self, returncode: int = 0) -> Run:
        """This run, or a failure that shows all that it printed."""
        assert self.returncode == returncode, (
            f"exit status {self.returncode}, not {returncode}:\n{self.output}"
        )
        return self


@dataclass
class Lab:
    """The lab of one inventory. Nothing is started here: ``playbooks/lab_up.yml`` does that.

    Where the inventory is a topology alone, ``declaration`` is the inventory of what is rolled out on it.
    """

    inventory: Path = field(default_factory=lambda: CHECKOUT / "inventories/lab")
    declaration: Path | None = None

    @property
    def sources(self) -> list[str]:
        """The inventory's sources, as Ansible's programs take them."""
        return [f"-i{path}" for path in (self.inventory, self.declaration) if path]

    def playbook(self, name: str, *arguments: str, timeout: float = 600, **variables: Any) -> Run:
        """Runs ``playbooks/NAME.yml`` with extra variables, to the end."""
        extra = ["--extra-vars", json.dumps(variables)] if variables else []
        command = ["ansible-playbook", *self.sources, f"playbooks/{name}.yml", *arguments, *extra]
        started, worked = time.monotonic(), _worked()
        done = tool(*command, timeout=timeout)
        PLAYED.append((" ".join((name, *arguments)), time.monotonic() - started, _worked() - worked))
        if name == "lab_power":
            self.shells.hang_up(variables["lab_host"])
        return Run(done.returncode, done.stdout)

    @cached_property
    def _inventory(self) -> dict[str, Any]:
        return dict(json.loads(tool("ansible-inventory", *self.sources, "--list", timeout=60).stdout))

    def group(self, name: str) -> list[str]:
        return list(self._inventory[name]["hosts"])

    def variables(self, host: str) -> dict[str, Any]:
        return dict(self._inventory["_meta"]["hostvars"][host])

    @property
    def router(self) -> str:
        return self.group("routers")[0]

    @property
    def client(self) -> str:
        return self.group("clients")[0]

    def node_address(self, host: str) -> str:
        return str(self.variables(host)["vipcast_node_address"])

    def node_name(self, host: str) -> str:
        return str(self.variables(host).get("vipcast_node_name", host))

    @cached_property
    def shells(self) -> Shells:
        """The shells of the lab's hosts."""
        return Shells(self.folder)

    @property
    def ssh(self) -> list[str]:
        """The start of a command with a connection of its own: a host's name and a command come behind it."""
        return self.shells.ssh

    def run(self, host: str, command: str, timeout: float = 60) -> str:
        """Return what a shell command prints on a host of the lab; AssertionError where it fails."""
        return self.shells.run(host, command, timeout)

    def power(self, host: str, state: str) -> bool:
        """Set ``off``, ``on``, ``cut`` or ``restore`` for a host with the tool of playbooks/lab_power.yml.

        True where that changed anything.
        """
        command = [
            *(sys.executable, "-B", str(CHECKOUT / "roles/lab/files/lab")),
            *("power", str(self.folder), host, state),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        self.shells.hang_up(host)
        assert done.returncode == 0, f"power {host} {state}: {done.stderr}"
        return bool(json.loads(done.stdout)["changed"])

    def vtysh(self, *commands: str) -> str:
        return self.run(self.router, "vtysh " + " ".join(f"-c '{command}'" for command in commands))

    @cached_property
    def kubeconfig(self) -> Path:
        debug = ("-m", "ansible.builtin.debug", "-a", "msg={{ vipcast_kubeconfig }}", "-o")
        found = re.search(
            r'"msg": "([^"]+)"',
            tool("ansible", self.group("nodes")[0], *self.sources, *debug, timeout=60).stdout,
        )
        assert found, "the inventory does not say vipcast_kubeconfig"
        return Path(found.group(1)).expanduser()

    @property
    def folder(self) -> Path:
        """The folder in which the running lab keeps its state."""
        return self.kubeconfig.parent

    @cached_property
    def description(self) -> dict[str, Any]:
        """The running lab, as its tool was told."""
        return dict(json.loads((self.folder / "topology.json").read_text()))

    @cached_property
    def _kubectl(self) -> list[str]:
        # The running lab's own: the cache may have other versions.
        programs = Path(self.description["kubernetes"]["programs"])
        return [str(programs / "kubectl"), "--kubeconfig", str(self.kubeconfig)]

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        done = subprocess.run(
            [*self._kubectl, *arguments],
            input=stdin,
            text=True,
            timeout=180,
            check=False,
            capture_output=True,
        )
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def get(self, *arguments: str) -> dict[str, Any]:
        return dict(json.loads(self.kubectl("get", *arguments, "-o", "json")))

    def pods_of(self, service: str, namespace: str = "demo") -> list[str]:
        """The names of the pods that a service selects."""
        selector = self.get("service", service, "-n", namespace)["spec"]["selector"]
        labels = ",".join(f"{key}={value}" for key, value in selector.items())
        return [pod["metadata"]["name"] for pod in self.get("pods", "-n", namespace, "-l", labels)["items"]]

    def sessions(self) -> dict[str, dict[str, Any]]:
        """The router's BGP sessions by the neighbor's address, as FRR describes them."""
        summary = json.loads(self.vtysh("show bgp ipv4 unicast summary json"))
        return dict(summary.get("peers", {}))

    def established(self) -> dict[str, int]:
        """Return since when each Established session is up (Unix seconds), which a reset changes."""
        return {
            peer: facts["peerUptimeEstablishedEpoch"]
            for peer, facts in self.sessions().items()
            if facts["state"] == "Established"
        }

    def next_hops(self, prefix: str) -> set[str]:
        """The next hops of a prefix in the router's kernel."""
        routes = json.loads(self.run(self.router, f"ip -j route show {prefix}") or "[]")
        return {
            hop["gateway"] for route in routes for hop in route.get("nexthops", [route]) if "gateway" in hop
        }

    def address(self, name: str, namespace: str = "demo") -> str | None:
        ingress = self.get("service", name, "-n", namespace)["status"]["loadBalancer"].get("ingress", [])
        return ingress[0]["ip"] if ingress else None


def eventually(condition: Callable[[], Any], timeout: float = 60, interval: float = 0.2) -> Any:
    """The first true result of ``condition``; the last false one after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        result = condition()
        if result or time.monotonic() > deadline:
            return result
        time.sleep(interval)
