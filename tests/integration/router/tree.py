# SPDX-License-Identifier: GPL-3.0-or-later
"""A router's file tree, made of Debian's FRR packages, busybox and nothing else.

apt downloads the packages and nobody installs them, so that no service starts on this machine. Every tool
that busybox
has is busybox's: what works here works with ash. There is no Python in the tree.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

PACKAGES = ("frr", "busybox-static", "iproute2", "libpam-modules", "bash")
# Numeric, because the accounts exist in the tree only.
FRR = 101
_PASSWD = f"root:x:0:0:root:/root:/bin/sh\nfrr:x:{FRR}:{FRR}::/nonexistent:/bin/false\n"
_GROUP = f"root:x:0:\nfrr:x:{FRR}:\nfrrvty:x:102:frr\n"
_FOLDERS = ("dev", "proc", "root", "run/frr", "sys", "tmp", "var/log/frr", "var/tmp/frr")


def run(*command: str, check: bool = True, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """A command with its output; the error of one that fails shows what it said."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def download(folder: Path, packages: tuple[str, ...] = PACKAGES) -> list[Path]:
    """Packages and all that they depend on, as files; the machine's own packages are not touched."""
    (folder / "archives/partial").mkdir(parents=True, exist_ok=True)
    (folder / "status").touch()
    options = (
        f"Dir::State::status={folder}/status",
        f"Dir::Cache::archives={folder}/archives",
        "Debug::NoLocking=1",
    )
    flags = [flag for option in options for flag in ("-o", option)]
    command = ("apt-get", "-qy", "--no-install-recommends", "--download-only", *flags, "install", *packages)
    if run(*command, check=False, timeout=300).returncode != 0:
        run("apt-get", "-q", "update", timeout=300)
        run(*command, timeout=300)
    return sorted((folder / "archives").glob("*.deb"))


def build(root: Path, packages: list[Path]) -> None:
    """Unpack the packages, and let busybox be every tool that it can be."""
    unpack(root, packages)
    if list(root.glob("usr/*bin/python*")):
        raise RuntimeError("a package brought Python into the router's tree")
    _link_busybox(root)
    configure(root)


def unpack(root: Path, packages: list[Path]) -> None:
    """Unpack packages at C(root), with /usr as the only place of programs."""
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for package in packages:
        archive = subprocess.run(
            ["dpkg-deb", "--fsys-tarfile", str(package)], capture_output=True, timeout=60, check=True
        )
        command = ["tar", "-x", "--keep-directory-symlink", "-C", str(root)]
        subprocess.run(command, input=archive.stdout, timeout=60, check=True)


def _link_busybox(root: Path) -> None:
    ip = next(
        path
        for path in (root / "usr/sbin/ip", root / "usr/bin/ip")
        if path.is_file() and not path.is_symlink()
    )
    shutil.copy(ip, root / "usr/lib/ip-full")
    busybox = root / "busybox"
    shutil.copy(root / "usr/bin/busybox", busybox)
    for name in run(str(busybox), "--list").stdout.split():
        for folder in ("usr/bin", "usr/sbin"):
            (root / folder / name).unlink(missing_ok=True)
        (root / "usr/bin" / name).symlink_to("/busybox")


def choose_ip(root: Path, full: bool) -> None:
    """The C(ip) of the router: iproute2's, or busybox's without JSON and next hops.

    busybox's shell prefers its own tools whatever the path says, so that iproute2's comes with another shell.
    """
    for name, other in (("ip", "/usr/lib/ip-full"), ("sh", "/usr/bin/bash")):
        (root / "usr/bin" / name).unlink()
        (root / "usr/bin" / name).symlink_to(other if full else "/busybox")


def configure(root: Path) -> None:
    """Make the folders, devices and accounts that FRR wants."""
    for folder in _FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True)
    shutil.rmtree(root / "var/run", ignore_errors=True)
    (root / "var/run").unlink(missing_ok=True)
    (root / "var/run").symlink_to("/run")
    (root / "etc/passwd").write_text(_PASSWD)
    (root / "etc/group").write_text(_GROUP)
    # vtysh asks PAM even where there are no accounts; Debian's file leaves the answer to packages that are
    # not here.
    for service in ("frr", "other"):
        kinds = ("auth", "account", "session", "password")
        (root / "etc/pam.d" / service).write_text(
            "".join(f"{kind} required pam_permit.so\n" for kind in kinds)
        )
    for device in ("null", "zero", "random", "urandom"):
        run("cp", "-a", f"/dev/{device}", f"{root}/dev/{device}")
    for folder in ("etc/frr", "run/frr", "var/log/frr", "var/tmp/frr"):
        run("chown", "-R", f"{FRR}:{FRR}", str(root / folder))
    run("chmod", "750", str(root / "etc/frr"))
    for path in (root / "etc/frr").iterdir():
        path.chmod(0o640)
