# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Notes of what was on a router before it was changed: kept on the router itself, so that whoever removes us
puts it back from any control node.

A note is a JSON file in a folder of ours, written with the first change and removed when that is undone.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from . import files
from .errors import Reason, Refusal
from .shell import Shell

FOLDER = "/etc/vipcast-before"
# The note of daemons, their files and their service.
DAEMON = "daemon"
# The line of an assignment as it was found (None: there was none), and as it was written.
Lines = dict[str, list]


def path(name: str) -> str:
    """The file of a note."""
    return f"{FOLDER}/{name}.json"


def read(shell: Shell, name: str) -> dict[str, Any] | None:
    """A note, or None where nothing was changed; Refusal where it cannot be read."""
    text = files.read(shell, path(name))
    if text is None:
        return None
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Refusal(
            Reason.UNREADABLE,
            f"{path(name)} says what was on the router before, and is no JSON object: put it right, or "
            "remove it, and nothing is put back",
        )
    return found


def write(shell: Shell, name: str, note: Mapping[str, Any]) -> None:
    """Keep a note; one that says the same is not written again, for the router's flash."""
    if read(shell, name) != note:
        text = json.dumps(note, indent=1, sort_keys=True) + "\n"
        files.write(shell, path(name), text, "0600")


def forget(shell: Shell, name: str) -> None:
    """Remove a note, and the folder with the last one."""
    file, folder = shlex.quote(path(name)), shlex.quote(FOLDER)
    shell.check(
        f"rm -f {file}; rmdir {folder} 2>/dev/null; [ ! -e {file} ]",
        Reason.NOT_SAVED,
        f"{path(name)} cannot be removed",
    )


def lines(before: str, after: str, known: Mapping[str, list]) -> Lines:
    """The assignments that differ, each as it was found and as it is written. What C(known) says of the
    first time stays."""
    old, noted = _last(before), {name: list(pair) for name, pair in known.items()}
    for name, line in _last(after).items():
        if name in noted:
            noted[name][1] = line
        elif old.get(name) != line:
            noted[name] = [old.get(name), line]
    return noted


def put_back(text: str, noted: Mapping[str, list]) -> str:
    """The text with those lines as they were found. One that somebody has changed since stays."""
    rows = text.split("\n")
    for found, written in noted.values():
        places = [number for number, row in enumerate(rows) if row == written]
        if not places:
            continue
        rows[places[-1] : places[-1] + 1] = [] if found is None else [found]
    return "\n".join(rows)


def _last(text: str) -> dict[str, str]:
    """The line of the last assignment to each name: that one counts, in a shell and in sysctl."""
    rows = (row for row in text.split("\n") if "=" in row and not row.lstrip().startswith(("#", ";")))
    return {row.partition("=")[0].strip(): row for row in rows}
