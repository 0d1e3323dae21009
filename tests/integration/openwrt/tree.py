# SPDX-License-Identifier: GPL-3.0-or-later
"""The tree of a router like OpenWrt, made as the lab makes it: Debian's packages, and the lab's script."""

from __future__ import annotations

from pathlib import Path

from integration.router.machine import ROUTER
from integration.router.tree import run, unpack
from support.lab import CHECKOUT

PACKAGES = ("frr", "busybox", "iproute2", "libpam-modules", "dropbear-bin", "nftables")
# Seconds, on a disk that others use too.
SLOW = 300
SCRIPT = CHECKOUT / "roles/lab/files/trees/openwrt.sh"
# The interfaces, as the wizard of a fresh OpenWrt would have made them for these segments.
_NETWORK = """
config device
\toption name 'br-nodes'
\toption type 'bridge'
\tlist ports 'eth0'

config interface 'nodes'
\toption device 'br-nodes'
\toption proto 'static'
\toption ipaddr '{router}/16'

"""


def build(root: Path, debian: Path, release: str) -> None:
    """Make the router's tree at C(root) of what is unpacked at C(debian); C(release) is 24.10 or 25.12."""
    # Links are enough: the script makes files, and changes none.
    run("cp", "-al", str(debian), str(root), timeout=SLOW)
    run("sh", str(SCRIPT), str(root), timeout=SLOW)
    if list(root.glob("**/python*")) or (root / "bin/bash").exists():
        raise RuntimeError("the router's tree has Python, or bash")
    if release == "25.12":
        run("sh", str(root / "usr/share/lab/release"), str(root))
    network = root / "etc/config/network"
    network.write_text(network.read_text() + _NETWORK.format(router=ROUTER))
    for device in ("null", "zero", "random", "urandom", "tty"):
        run("cp", "-a", f"/dev/{device}", f"{root}/dev/{device}")
    (root / "dev/pts").mkdir()
    (root / "dev/ptmx").symlink_to("pts/ptmx")


def unpacked(root: Path, packages: list[Path]) -> Path:
    """Unpack Debian's packages at C(root)."""
    unpack(root, packages)
    return root
