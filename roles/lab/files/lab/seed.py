# SPDX-License-Identifier: GPL-3.0-or-later
"""The seed of a host: what distinguishes it from the tree that it boots.

templates/host/KIND is copied over its disk before the first boot. A file that ends in .j2 is a Jinja template
that knows `lab` and `host`; each systemd unit in etc/systemd/system is enabled.
"""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import hosts
from credentials import Credentials
from jinja2 import Environment, StrictUndefined
from shell import run
from topology import Host, Lab

UNITS = Path("etc/systemd/system")
# As trees/any.sh made it.
OPERATOR, OPERATOR_ID = "operator", 1000
# A kind that shares none of the others' files: no systemd, OpenSSH or sudo.
OPENWRT = "openwrt"


def seed(lab: Lab, host: Host, credentials: Credentials) -> None:
    """Write a host's own files on its mounted disk."""
    root = hosts.disk(lab, host)
    for kind in _kinds(host):
        _copy(lab.templates / "host" / kind, root, lab, host)
    for path, content in credentials.files[host.name].items():
        _write(root / path, content, 0o600)
    if host.kind == OPENWRT:
        _let_root_in(root, host, credentials)
    else:
        _let_in(lab, host, root, credentials)


def _let_in(lab: Lab, host: Host, root: Path, credentials: Credentials) -> None:
    """Give a Debian its identity, its key, and those who may log in."""
    # A host without one takes this for its first boot and switches every unit to its default.
    _write(root / "etc/machine-id", f"{uuid.uuid4().hex}\n", 0o444)
    own = credentials.hosts[host.name]
    _write(root / "etc/ssh/ssh_host_ed25519_key", own.key, 0o600)
    _write(root / "etc/ssh/ssh_host_ed25519_key.pub", own.certificate + "\n", 0o644)
    _write(root / "root/.ssh/authorized_keys", credentials.user.certificate + "\n", 0o600)
    _let_the_operator_in(lab, root, credentials)


def _let_root_in(root: Path, host: Host, credentials: Credentials) -> None:
    """Give a router with dropbear its key, which has a format of its own, and root the user's."""
    _write(root / "etc/dropbear/authorized_keys", credentials.user.certificate + "\n", 0o600)
    _write(root / "etc/dropbear/openssh", credentials.hosts[host.name].key, 0o600)
    convert = ("/usr/bin/dropbearconvert", "openssh", "dropbear")
    run("chroot", str(root), *convert, "/etc/dropbear/openssh", "/etc/dropbear/dropbear_ed25519_host_key")
    (root / "etc/dropbear/openssh").unlink()


def _let_the_operator_in(lab: Lab, root: Path, credentials: Credentials) -> None:
    """Give the user who is not root the same key, and the password with which sudo makes root of it."""
    keys = root / "home" / OPERATOR / ".ssh" / "authorized_keys"
    _write(keys, credentials.user.certificate + "\n", 0o600)
    for path in (keys.parent, keys):
        os.chown(path, OPERATOR_ID, -1)
    if lab.operator_password:
        line = f"{OPERATOR}:{lab.operator_password}\n"
        run("chroot", str(root), "/usr/sbin/chpasswd", "--crypt-method", "SHA512", stdin=line)


def _kinds(host: Host) -> list[str]:
    kinds = [host.kind] if host.kind == OPENWRT else ["any", host.kind]
    kinds += ["control_plane"] if host.control_plane and host.kind != "control_plane" else []
    return [*kinds, "virtual"] if host.virtual else kinds


def _copy(source: Path, root: Path, lab: Lab, host: Host) -> None:
    environment = Environment(
        undefined=StrictUndefined, keep_trailing_newline=True, trim_blocks=True, autoescape=False
    )
    for path in sorted(path for path in source.rglob("*") if path.is_file()):
        content = path.read_text()
        if path.suffix == ".j2":
            content = environment.from_string(content).render(lab=lab, host=host)
        relative = path.relative_to(source)
        target = relative.with_suffix("") if path.suffix == ".j2" else relative
        _write(root / target, content, _mode(target))
        if target.parent == UNITS and target.suffix == ".service":
            _enable(root, target)


def _mode(path: Path) -> int:
    """Return a file's mode by its folder: a program's, that of OpenWrt's configuration, any other's."""
    return {"sbin": 0o755, "config": 0o600}.get(path.parent.name, 0o644)


def _write(path: Path, content: str, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    path.chmod(mode)


def _enable(root: Path, unit: Path) -> None:
    link = root / UNITS / "multi-user.target.wants" / unit.name
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(f"/{unit}")
