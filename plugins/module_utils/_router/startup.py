# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files that the daemons start from, as opposed to those that C(write memory) writes.

A daemon of FRR reads no file of its own where the integrated one exists (lib/vty.c, vty_read_config): C(vtysh
-b) enters that. vtysh writes the integrated file unless C(no service integrated-vtysh-config) is set, or
neither it nor the file is there (vtysh/vtysh.c, vtysh_write_config).
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from .shell import Vtysh

INTEGRATED = "frr.conf"
# What the daemons' own files are called; the settings of one are in no other.
_OWN = ("zebra.conf", "bgpd.conf", "staticd.conf", "bfdd.conf")
_COMMAND = "pid=$(cat {run}/bgpd.pid) && tr '\\000' ' ' < /proc/$pid/cmdline"
_FILE = re.compile(r"(?:^|\s)(?:-f\s*|--config_file[= ])(\S+)")


@dataclass(frozen=True)
class Startup:
    """C(text) is what the daemons start from, None where nothing is there; C(files) where they find it, and
    C(written) where C(write memory) puts it."""

    text: str | None
    files: tuple[str, ...]
    written: tuple[str, ...]

    @property
    def is_kept(self) -> bool:
        """Return whether what is saved is what a start finds."""
        return set(self.written) <= set(self.files)


def look(vtysh: Vtysh, running: str) -> Startup:
    """Find out both for a router whose running configuration is C(running)."""
    commands = {
        name: f"cat {shlex.quote(f'{vtysh.folder}/{name}')} 2>/dev/null" for name in (INTEGRATED, *_OWN)
    }
    commands["command"] = _COMMAND.format(run=vtysh.run_folder) + " 2>/dev/null"
    results = vtysh.batch(commands)
    texts = {name: result.stdout for name, result in results.items() if result.rc == 0}
    own = _FILE.search(texts.pop("command", ""))
    return _with_own_file(vtysh, texts, own.group(1)) if own else judge(texts, running, vtysh.folder)


def judge(texts: dict[str, str], running: str, folder: str) -> Startup:
    """C(texts) has the files that are there, by name."""
    starts = (INTEGRATED,) if INTEGRATED in texts else tuple(name for name in _OWN if name in texts)
    lines = [line.strip() for line in running.splitlines()]
    split = "no service integrated-vtysh-config" in lines
    whole = "service integrated-vtysh-config" in lines or INTEGRATED in texts
    written = (INTEGRATED,) if whole and not split else ("bgpd.conf",)
    return Startup(
        text="\n".join(texts[name] for name in starts) if starts else None,
        files=tuple(f"{folder}/{name}" for name in starts or written),
        written=tuple(f"{folder}/{name}" for name in written),
    )


def _with_own_file(vtysh: Vtysh, texts: dict[str, str], path: str) -> Startup:
    """bgpd was started with a file that it is told; the others' may be anywhere."""
    result = vtysh.batch({"file": f"cat {shlex.quote(path)}"})["file"]
    others = [text for name, text in texts.items() if name != "bgpd.conf"]
    text = "\n".join([result.stdout, *others]) if result.rc == 0 else None
    return Startup(text, (path,), (path,))


def not_kept(found: Startup) -> list[dict[str, str]]:
    """The difference that no saving mends: a start would find another configuration."""
    if found.is_kept:
        return []
    return [
        {
            "what": "saved configuration",
            "where": "startup file",
            "expected": f"in {', '.join(found.files)}, which the daemons start from",
            "found": f"in {', '.join(found.written)}, where 'write memory' puts it: remove "
            f"{', '.join(found.files)}, or 'no service integrated-vtysh-config'",
        }
    ]
