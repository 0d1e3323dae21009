# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs of a lab. Each makes something true and says whether it had to change anything."""

from __future__ import annotations

import shutil
from pathlib import Path

import cables
import cluster
import credentials
import hosts
import seed
from shell import each, run
from topology import Host, Lab, Site

# Written last: a lab without it was interrupted while it was made.
COMPLETE = "complete"


def up(lab: Lab) -> bool:
    """Make this very lab run, with every host powered on and every cable plugged in."""
    changed = not _is_complete(lab)
    if changed:
        hosts.clear(lab)
        _prepare(lab)
    changed |= cables.build_switch(lab)
    changed |= any(each(lambda host: hosts.power_on(lab, host), lab.hosts))
    changed |= any(cables.plug(lab, host, host.cables, plugged=True) for host in lab.hosts)
    if changed:
        cluster.wait_for_api(lab)
        cluster.install(lab)
        cluster.wait_until_ready(lab)
    _marker(lab).write_text(lab.identity)
    return changed


def down(lab: Site) -> bool:
    """Remove the lab and its state; what was built for it stays in the cache."""
    _hang_up(lab)
    return hosts.clear(lab)


def power(lab: Lab, name: str, state: str) -> bool:
    """`off`, `on`, `cut` or `restore` for one host."""
    host = lab.host(name)
    return {"off": hosts.power_off, "on": _switch_on, "cut": _cut, "restore": _restore}[state](lab, host)


def _switch_on(lab: Lab, host: Host) -> bool:
    return hosts.power_on(lab, host)


def _cut(lab: Lab, host: Host) -> bool:
    """All cables but management's: like a console, that one still shows what the host thinks of it."""
    return cables.plug(lab, host, host.interfaces, plugged=False)


def _restore(lab: Lab, host: Host) -> bool:
    return cables.plug(lab, host, host.cables, plugged=True)


def _marker(lab: Lab) -> Path:
    return lab.folder / COMPLETE


def _is_complete(lab: Lab) -> bool:
    return _marker(lab).exists() and _marker(lab).read_text() == lab.identity


def _prepare(lab: Lab) -> None:
    """A new lab's state: keys, access, and each host's disk."""
    lab.folder.mkdir(parents=True, exist_ok=True)
    lab.folder.chmod(0o700)
    _keep(lab, hosts.TOPOLOGY, lab.text)
    made = credentials.make(lab)
    _keep(lab, "kubeconfig", made.kubeconfig)
    _keep(lab, "ssh_key", made.user.key)
    known = [
        f"{name},{lab.host(name).management.address.ip} {pair.certificate}\n"
        for name, pair in made.hosts.items()
    ]
    _keep(lab, "known_hosts", "".join(known))
    _keep(lab, "ssh_config", _ssh_config(lab))
    (lab.folder / "cp").mkdir(exist_ok=True)
    for host in lab.hosts:
        hosts.mount(lab, host)
        seed.seed(lab, host, made)


def _keep(lab: Lab, name: str, content: str) -> None:
    (lab.folder / name).write_text(content)
    (lab.folder / name).chmod(0o600)


def _ssh_config(lab: Lab) -> str:
    names = [f"Host {host.name}\n    HostName {host.management.address.ip}\n" for host in lab.hosts]
    # A host that loses its power must not hang whoever is connected to it; an emulated one is only slow.
    patience = 60 if any(host.virtual for host in lab.hosts) else 10
    settings = ["User root", f"IdentityFile {lab.folder}/ssh_key", "IdentitiesOnly yes"]
    settings += [
        f"UserKnownHostsFile {lab.folder}/known_hosts",
        f"ConnectTimeout {patience}",
        f"ServerAliveInterval {patience // 2}",
        "ServerAliveCountMax 3",
    ]
    return "".join(names) + "Host *\n" + "".join(f"    {line}\n" for line in settings)


def _hang_up(lab: Site) -> None:
    """End the shared ssh connections that Ansible keeps for a while after a play."""
    if shutil.which("ssh") and (lab.folder / "cp").is_dir():
        for socket in (lab.folder / "cp").iterdir():
            run("ssh", "-o", f"ControlPath={socket}", "-O", "exit", "any", check=False)
