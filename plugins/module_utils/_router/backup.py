# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keep what was on a router before the first change: there, once, for people and for the way back."""

from __future__ import annotations

import shlex

from .errors import Reason
from .shell import Shell

FOLDER = "/etc/vipcast-before"
RUNNING, DAEMONS, SYSCTLS = "running.conf", "daemons", "sysctls"

_KEEP = """f={path}; [ -e "$f" ] && exit 0; umask 077; mkdir -p "${{f%/*}}" && n="$f.new" || exit 1
trap 'rm -f "$n"' EXIT; trap 'exit 1' HUP INT TERM PIPE; cat > "$n" && mv -f "$n" "$f"
"""


def path_of(name: str) -> str:
    """Return the path of what is kept under a name."""
    return f"{FOLDER}/{name}"


def keep(shell: Shell, name: str, text: str) -> None:
    """Keep C(text) unless something is kept under that name already; only root can read it."""
    script = _KEEP.format(path=shlex.quote(path_of(name)))
    shell.check(script, Reason.NOT_SAVED, f"{path_of(name)} cannot be written", text)


def kept(shell: Shell, name: str) -> str | None:
    """Read what is kept under a name; None where nothing can be read."""
    quoted = shlex.quote(path_of(name))
    result = shell.run(f"[ -e {quoted} ] || exit 3; cat {quoted}")
    return result.stdout if result.rc == 0 else None


def forget(shell: Shell, *names: str) -> None:
    """Keep these no longer: what comes next is the first change again."""
    paths = " ".join(shlex.quote(path_of(name)) for name in names)
    shell.run(f"rm -f {paths}; rmdir {FOLDER} 2>/dev/null; true")
