# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's machines: a disk, which is an overlay over a tree, and the power switch, which is podman (or the
emulator: see machines.py).

A disk outlives the power: what a host wrote is there when it boots again. Its cards do not (see cables.py): a
real machine loses its addresses and routes with its power too.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import cables
import machines
import store
from shell import LabError, run
from topology import Host, Lab, Site

# Written first, so that a folder with it is a lab's, and may be removed.
TOPOLOGY = "topology.json"
CGROUPS = Path("/sys/fs/cgroup")
# The machine may not be allowed to give more than it has; these are enough for a node.
LIMITS = ("--ulimit", "nofile=20000:20000", "--ulimit", "nproc=20000:20000")
# What a first process finds mounted: systemd its own, busybox's init /tmp, which is memory on OpenWrt.
SYSTEMD = ("--systemd=always",)
INITS = {"openwrt": ("--systemd=false", "--tmpfs", "/tmp:rw,exec,mode=1777")}
# Seconds. A first process that cannot work on this machine ends within some hundredths.
BORN = 0.5
INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")


def runtime(lab: Site) -> Path:
    """Return the folder where podman keeps what must not survive a reboot of the machine."""
    return Path(f"/run/{lab.name}-lab")


@contextlib.contextmanager
def alone(lab: Site) -> Iterator[None]:
    """Wait for whoever works on this lab: the tool of an interrupted playbook goes on for a while.

    The lock is a file beside the lab's folder, which comes and goes; other labs there have their own.
    """
    lab.folder.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(lab.folder.with_name(f"{lab.folder.name}.lock"), os.O_RDONLY | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def disk(lab: Lab, host: Host) -> Path:
    """The root folder of a host's file system, where it is mounted."""
    return lab.folder / "hosts" / host.name / "root"


def mount(lab: Lab, host: Host) -> bool:
    """Mount a host's disk; False where it is mounted."""
    root = disk(lab, host)
    if root.is_mount():
        return False
    parts = {name: root.with_name(name) for name in ("root", "upper", "work", "containerd", "kubelet")}
    for part in parts.values():
        part.mkdir(parents=True, exist_ok=True)
    options = f"lowerdir={lab.trees[host.tree]},upperdir={parts['upper']},workdir={parts['work']}"
    run("mount", "-t", "overlay", f"{lab.name}-{host.name}", "-o", options, str(root))
    return True


def _podman(lab: Site) -> tuple[str, ...]:
    """podman with a store of the lab's own: the user's containers and ours do not see each other."""
    places = (
        "--root",
        str(store.folder(lab.folder)),
        "--runroot",
        f"{runtime(lab)}/podman",
        "--tmpdir",
        f"{runtime(lab)}/libpod",
    )
    settings = ("--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--events-backend", "none")
    # crun refuses the hybrid of cgroup v1 and v2 that some machines have.
    return ("podman", "--runtime", "runc", *places, *settings)


def running(lab: Site) -> set[str]:
    """Names of the containers that are powered on."""
    said = run(*_podman(lab), "ps", "--format", "{{.Names}}")
    return set(said.split())


def _volumes(lab: Lab, host: Host) -> list[str]:
    """Return the volumes of a host. overlayfs cannot lie on overlayfs, so a node's containers live beside
    it; a client has the program that asks all the time."""
    home, programs = disk(lab, host).parent, ("-v", f"{lab.kubernetes.programs}:/opt/kubernetes:ro")
    containers = ("-v", f"{home}/containerd:/var/lib/containerd", "-v", f"{home}/kubelet:/var/lib/kubelet")
    volumes = {
        "client": ("-v", f"{lab.tools}/load:/usr/local/bin/load:ro"),
        "control_plane": programs,
        "node": (*programs, *containers, "-v", f"{lab.images}:/opt/lab/images:ro"),
    }
    return list(volumes.get(host.kind, ()))


def power_on(lab: Lab, host: Host) -> bool:
    """Boot a host; False where it runs. Whatever is left of its last run is removed first."""
    if _is_on(lab, host):
        return False
    power_off(lab, host)
    mount(lab, host)
    if host.virtual:
        machines.boot(lab, host, disk(lab, host))
    else:
        _boot(lab, host)
    return True


def _is_on(lab: Lab, host: Host) -> bool:
    if host.virtual:
        return machines.is_on(disk(lab, host).parent)
    return cables.namespace(lab, host) in running(lab)


def _boot(lab: Lab, host: Host) -> None:
    name = cables.namespace(lab, host)
    cables.wire(lab, host)
    machine = (
        "--privileged",
        *INITS.get(host.kind, SYSTEMD),
        "--cgroup-parent",
        f"/{lab.name}-lab",
        *LIMITS,
        "--log-driver",
        "none",
    )
    network = (
        "--network",
        f"ns:{cables.NAMESPACES}/{name}",
        "--hostname",
        host.name,
        "--no-hosts",
        "--dns",
        "none",
    )
    volumes = _volumes(lab, host)
    run(
        *_podman(lab),
        "run",
        "-d",
        "--name",
        name,
        *machine,
        *network,
        *volumes,
        "--rootfs",
        str(disk(lab, host)),
        "/sbin/init",
    )
    _demand_life(name, host)


def _demand_life(name: str, host: Host) -> None:
    """LabError where the host's first process has ended already, which podman takes for a success."""
    time.sleep(BORN)
    if run("ip", "netns", "pids", name).split():
        return
    raise LabError(
        f"{host.name} was switched on, and its first process ended at once; systemd does that where too many "
        f"files are watched on this machine: fs.inotify.max_user_instances is {INOTIFY.read_text().strip()}, "
        "and each host of each lab takes up to twenty"
    )


def power_off(lab: Lab, host: Host) -> bool:
    """Take a host's power away: cables first, so that nobody hears it die. False where it was off."""
    was_on = _is_on(lab, host)
    if was_on:
        cables.plug(lab, host, host.cables, plugged=False)
    if host.virtual:
        machines.kill(disk(lab, host).parent)
    else:
        _kill(lab, cables.namespace(lab, host), was_on=was_on)
    cables.unwire(lab, host)
    return was_on


def _kill(lab: Lab, name: str, *, was_on: bool) -> None:
    if was_on:
        run(*_podman(lab), "kill", "--signal", "KILL", name)
    run(*_podman(lab), "rm", "-f", "-t", "0", "--ignore", name)


def clear(lab: Site) -> bool:
    """Remove every trace of this lab, or of what an interrupted one left; False where there is none."""
    traces = [lab.folder, runtime(lab), *(cables.NAMESPACES / name for name in cables.namespaces(lab))]
    if not any(path.exists() for path in traces):
        return False
    _check_folder(lab.folder)
    _stop_everything(lab)
    for name in cables.namespaces(lab):
        run("ip", "netns", "del", name)
    cables.remove_switch(lab)
    for point in sorted(_mounts_below(lab.folder) + _mounts_below(runtime(lab)), reverse=True):
        run("umount", "-l", point)
    _remove_cgroups(lab)
    shutil.rmtree(runtime(lab), ignore_errors=True)
    shutil.rmtree(lab.folder, ignore_errors=True)
    return True


def _check_folder(folder: Path) -> None:
    """LabError where a folder that is to be removed is not a lab's.

    Ansible may have made `cp` in it, and podman an empty store after its lab was removed.
    """
    found = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if store.is_empty(store.folder(folder)):
        found.discard(store.folder(folder).name)
    if found - {"cp"} and TOPOLOGY not in found:
        raise LabError(
            f"{folder} has files, but no {TOPOLOGY}, so it is no lab's: give lab_folder a new folder"
        )


def _stop_everything(lab: Site) -> None:
    """Stop the containers, and the processes in the lab's namespaces that podman does not know."""
    if store.folder(lab.folder).exists():
        run(*_podman(lab), "rm", "-f", "-a", "-t", "0", check=False)
    for name in cables.namespaces(lab):
        for pid in run("ip", "netns", "pids", name, check=False).split():
            run("kill", "-KILL", pid, check=False)
    store.wait_until_unused(store.folder(lab.folder))


def _mounts_below(folder: Path) -> list[str]:
    found = json.loads(run("findmnt", "-J", "-l", "-o", "TARGET"))["filesystems"]
    return [entry["target"] for entry in found if entry["target"].startswith(f"{folder}/")]


def _others(lab: Site) -> list[Path]:
    """Return the folders of other labs that run on this machine."""
    return [path for path in runtime(lab).parent.glob("*-lab") if path != runtime(lab)]


def _remove_cgroups(lab: Site) -> None:
    """Remove control groups, which outlive what ran in them; one that is in use stays.

    k8s.io is where containerd puts pods whose kubelet names no group, which is so without cgroupsPerQOS. It
    is left to the last lab on this machine: another one may just have made a group that is empty yet.
    """
    shared = () if _others(lab) else ("k8s.io",)
    for name in (f"{lab.name}-lab", *shared):
        for top in [CGROUPS / name, *CGROUPS.glob(f"*/{name}")]:
            for folder, _folders, _files in os.walk(top, topdown=False):
                with contextlib.suppress(OSError):
                    Path(folder).rmdir()
