# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual machines: hosts with a kernel of their own, for what this machine's kernel has not.

The processor is emulated (TCG), so that they run everywhere, also where this machine is a virtual one itself.
The kernel is the tree's. A disk is made of the host's mounted root folder before the first boot, and lives on
from there.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import time
from pathlib import Path

import cables
from shell import LabError, run
from topology import Host, Interface, Lab

# The disk's file takes only what is written on it.
DISK_SIZE = "8G"
MEMORY = "1536M"
# Each device that nobody needs is a driver that the machine looks for, and loads, while it boots.
MACHINE = "q35,sata=off,smbus=off,i8042=off,vmport=off,hpet=off,usb=off"
# One level of page tables less is less to emulate, and nobody attacks a lab.
PROCESSOR = "max,la57=off"
# The processor's clock is right. Without the word Linux distrusts a slow one, and reads a much slower.
KERNEL_LINE = "root=/dev/vda rw console=ttyS0 net.ifnames=0 mitigations=off tsc=reliable"
KILL_LIMIT = 10


def is_on(home: Path) -> bool:
    """Return whether the machine whose things are in the folder `home` runs."""
    return _pid(home) is not None


def boot(lab: Lab, host: Host, root: Path) -> None:
    """Switch a machine on; `root` is its root folder, of which its disk is made where it has none."""
    home = root.parent
    if not _disk(home).exists():
        _make_disk(lab, root)
    ports = cables.wire_machine(lab, host)
    # Taps are opened by name, and their names are the switch's.
    inside = ("nsenter", f"--net={cables.NAMESPACES / cables.switch(lab)}")
    run(*inside, "qemu-system-x86_64", *_hardware(lab, host, home), *_cards(host, ports))


def kill(home: Path) -> None:
    """Take a machine's power away; nothing to do where it is off."""
    pid = _pid(home)
    if pid is None:
        return
    os.kill(pid, signal.SIGKILL)
    end = time.monotonic() + KILL_LIMIT
    while is_on(home):
        if time.monotonic() > end:
            raise LabError(
                f"process {pid}, the virtual machine of {home.name}, is not gone after {KILL_LIMIT} s"
            )
        time.sleep(0.05)


def _disk(home: Path) -> Path:
    return home / "disk.img"


def _pid(home: Path) -> int | None:
    """The emulator locks this file for as long as it lives: a number alone may be another's by now."""
    try:
        with (home / "machine.pid").open("r+") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(file.read())
    except FileNotFoundError:
        pass
    return None


def _make_disk(lab: Lab, root: Path) -> None:
    """Return no volumes: what a container gets as a volume is on a machine's own disk."""
    final = _disk(root.parent)
    partial = final.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    (root / "opt/kubernetes").mkdir(parents=True, exist_ok=True)
    shutil.copy(lab.kubernetes.programs / "kubelet", root / "opt/kubernetes")
    shutil.copytree(lab.images, root / "opt/lab/images", dirs_exist_ok=True)
    settings = ("-t", "ext4", "-E", "assume_storage_prezeroed=1", "-J", "size=16")
    run("mke2fs", "-q", *settings, "-d", str(root), str(partial), DISK_SIZE)
    partial.rename(final)


def _hardware(lab: Lab, host: Host, home: Path) -> list[str]:
    tree = lab.trees[host.tree]
    return [
        *("-name", cables.namespace(lab, host), "-pidfile", f"{home}/machine.pid", "-daemonize"),
        *("-nodefaults", "-display", "none", "-serial", f"file:{home}/console.log"),
        *("-machine", MACHINE, "-accel", "tcg", "-cpu", PROCESSOR, "-m", MEMORY, "-device", "virtio-rng-pci"),
        *("-kernel", f"{tree}/vmlinuz", "-initrd", f"{tree}/initrd.img", "-append", KERNEL_LINE),
        # The host's cache outlives the machine, so its power cut loses nothing that it has written.
        *("-drive", f"file={_disk(home)},if=virtio,format=raw,cache=unsafe"),
    ]


def _cards(host: Host, ports: list[str]) -> list[str]:
    """Management last: then the kernel's eth0, eth1, ... are the inventory's, and one name is to give."""
    plugged = dict(zip(host.cables, ports, strict=True))
    cards = (*host.interfaces, host.management)
    return [word for card in cards for word in _card(host, card, plugged[card])]


def _card(host: Host, card: Interface, port: str) -> tuple[str, ...]:
    tap = f"tap,id={card.name},ifname={port},script=no,downscript=no"
    return "-netdev", tap, "-device", f"virtio-net-pci,netdev={card.name},mac={host.mac(card)},romfile="
