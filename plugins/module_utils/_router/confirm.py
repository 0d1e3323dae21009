# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A change that the router takes back by itself unless it is confirmed: by a shell in the background, so that
it happens where the change cut Ansible off, too."""

from __future__ import annotations

import shlex

from .dialects.base import Dialect
from .errors import Reason, Refusal
from .settings import ROUTER, Settings

# Whoever renames the folder first decides. What runs there must outlive the connection.
_START = """umask 077; d=$(mktemp -d /tmp/vipcast-undo.XXXXXX) || exit 99; cat > "$d/lines" || exit 98
(
  trap '' HUP INT TERM PIPE; i=0
  while [ $i -lt {seconds} ]; do sleep 1; [ -d "$d" ] || exit 0; i=$((i+1)); done
  mv "$d" "$d.late" 2>/dev/null || exit 0
  {enter}
  rm -rf "$d.late"
) </dev/null >/dev/null 2>&1 &
echo "$d"
"""


def undo(dialect: Dialect, text: str, before: Settings, target: Settings) -> list[str]:
    """Lines that lead back. An instance that was replaced comes back from its text: not all of it is
    understood."""
    if before.get(ROUTER) == target.get(ROUTER) or ROUTER not in before:
        return dialect.commands(target, before)
    gone = [f"no router bgp {target[ROUTER]}"] if ROUTER in target else []
    return gone + [line for line in text.splitlines() if line.strip() not in ("", "end")]


class Timer:
    """Runs on the router from C(start) until C(confirm)."""

    def __init__(self, dialect: Dialect, seconds: int) -> None:
        self._dialect = dialect
        self._vtysh = dialect.vtysh
        self._seconds = seconds
        self._folder = ""

    def start(self, lines: list[str]) -> None:
        """Enter C(lines) after so many seconds; a Refusal where that cannot be arranged."""
        if not self._seconds or not lines:
            return
        script = _START.format(seconds=self._seconds, enter=self._dialect.entering('"$d.late/lines"'))
        data = "".join(f"{line}\n" for line in lines)
        said = self._vtysh.shell.check(
            script, Reason.NOT_CONFIRMED, "a timer that takes the change back cannot be started", data
        )
        self._folder = said.strip().rpartition("\n")[2]

    def confirm(self) -> None:
        """Let the change stay; a Refusal where the router has just taken it back."""
        if not self._folder:
            return
        path, self._folder = shlex.quote(self._folder), ""
        result = self._vtysh.shell.run(f"mv {path} {path}.kept && rm -rf {path}.kept")
        if result.rc != 0:
            raise Refusal(
                Reason.NOT_CONFIRMED,
                f"the change was not confirmed within {self._seconds} seconds, so the router took it back",
            )

    def left(self) -> str:
        """Return the end of a sentence: what the router is still going to do."""
        return f". The router takes it back within {self._seconds} seconds" if self._folder else ""

    def cancel(self) -> None:
        """End it where the change was undone already."""
        if self._folder:
            path = shlex.quote(self._folder)
            self._vtysh.shell.run(f"mv {path} {path}.kept && rm -rf {path}.kept")
            self._folder = ""
