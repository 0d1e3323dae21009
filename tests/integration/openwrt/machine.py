# SPDX-License-Identifier: GPL-3.0-or-later
"""A router like OpenWrt in a namespace, with three speakers on its segment: reached by ssh, with dropbear.

Its first process waits, and the links in /etc/rc.d boot it, as init would have them do. ssh comes in through
the router's own loopback, so that no cable is needed for it.
"""

from __future__ import annotations

import hashlib
import shutil
import stat
import subprocess
from pathlib import Path

from integration.router.machine import HASH_POLICIES, NODES, WAIT, Machine
from integration.router.tree import run

# What is on the flash of a real one. All else is memory, or the kernel's.
_FLASH = ("bin", "etc", "root", "sbin", "srv", "usr")
# What packages brought stays, with what is noted of them, and the empty history that FRR's start makes.
_OF_PACKAGES = ("usr/lib/opkg", "root/.history_frr")


class OpenWrt(Machine):
    """The router: its flash, and what was there at first."""

    kind = "openwrt"

    def __init__(self, root: Path, work: Path, speakers: Path) -> None:
        super().__init__(root, work, speakers)
        self.key = work / "key"
        self._first = work / "first"

    @property
    def first_process(self) -> str:
        """The script of the process that everything on the router ends with."""
        mounts = ("proc proc {}/proc", "sysfs sysfs {}/sys", "tmpfs tmpfs {}/tmp -o mode=1777")
        terminals = "devpts devpts {}/dev/pts -o newinstance,ptmxmode=0666"
        # proc comes last: it is what says that all of them are there.
        wanted = [*mounts[1:], terminals, mounts[0]]
        return " && ".join(f"mount -t {one.format(self.root)}" for one in wanted) + f" && {WAIT}"

    def start(self) -> None:
        """Switch the router on, with a key of ours that may log in."""
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key))
        keys = self.root / "etc/dropbear/authorized_keys"
        shutil.copy(f"{self.key}.pub", keys)
        keys.chmod(0o600)
        host_key = "/etc/dropbear/dropbear_ed25519_host_key"
        run("chroot", str(self.root), "/usr/bin/dropbearkey", "-t", "ed25519", "-f", host_key)
        self._first.mkdir()
        for name in _FLASH:
            run("cp", "-a", str(self.root / name), str(self._first / name))
        self._connect()
        self._enter()
        self.boot()

    def sh(self, script: str, check: bool = True) -> str:
        """Run a shell script on the router; what a test types into vtysh is no history of the router's."""
        return super().sh(f"export VTYSH_HISTFILE=/dev/null; {script}", check)

    def _connect(self) -> None:
        """The segment is a switch of its own; what the router makes of its card there is its own affair."""
        for name in ("router", "segment"):
            run("ip", "netns", "add", self.named(name))
        self._add_bridge("segment")
        self._cable("router", "", "segment")
        for name, address in NODES.items():
            self._cable(name, f"{address}/16", "segment")

    def boot(self) -> None:
        """Do what init does."""
        self.sh("/etc/init.d/rcS S boot", check=False)

    def as_fresh(self) -> None:
        """Make the flash what it was, and boot."""
        self.sh("nft delete table inet fw4; kill -9 -1", check=False)
        for name in _FLASH:
            shutil.rmtree(self.root / name)
            run("cp", "-a", str(self._first / name), str(self.root / name))
        self.sh("rm -rf /tmp/* /tmp/.uci")
        # busybox's ip would flush all routes.
        for what in (("route", "flush", "proto", "186"), ("nexthop", "flush", "proto", "11")):
            run("ip", "-n", self.named("router"), *what, check=False)
        self.sh(f"for name in {' '.join(HASH_POLICIES)}; do echo 0 > $name; done")
        self.boot()

    def flash(self) -> dict[str, tuple[str, int, int, int]]:
        """Every file: what is in it, its mode, and its owners."""
        found = {}
        for top in _FLASH:
            for path in sorted((self.root / top).rglob("*")):
                name = str(path.relative_to(self.root))
                if not name.startswith(_OF_PACKAGES):
                    found[name] = _described(path)
        return found

    def routes(self) -> str:
        """The kernel's routes, whichever C(ip) the router has."""
        return run("ip", "-n", self.named("router"), "route").stdout

    def forget_lists(self) -> None:
        """Be without lists of packages, as after each boot."""
        self.sh("rm -rf /var/opkg-lists /var/cache/apk")

    def install(self, *packages: str) -> None:
        """Install packages by hand."""
        manager, verb = ("opkg", "install") if self.sh("command -v opkg", check=False) else ("apk", "add")
        self.sh(f"{manager} update; {manager} {verb} {' '.join(packages)}")

    def brought(self) -> set[str]:
        """Files and folders of installed packages."""
        files = self.sh("cat /usr/lib/opkg/info/*.list").split()
        found = {file.lstrip("/") for file in files}
        return found | {str(folder) for file in found for folder in Path(file).parents}

    def packed(self, package: str, file: str) -> str:
        """A file as its package has it."""
        return run("tar", "-xOf", str(self.root / f"srv/feed/{package}.tar"), f"./{file}").stdout

    def reaches(self, node: str, port: int) -> bool:
        """Return whether the filter lets a node's TCP connection to the router through."""
        script = f"import socket; socket.create_connection(('10.31.254.251', {port}), 2)"
        command = ("ip", "netns", "exec", self.named(node), "python3", "-c", script)
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _described(path: Path) -> tuple[str, int, int, int]:
    about = path.lstat()
    if path.is_symlink():
        content = str(path.readlink())
    else:
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
    return content, stat.S_IMODE(about.st_mode), about.st_uid, about.st_gid
