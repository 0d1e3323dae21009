# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The check of a whole configuration before any of it is entered, which tells our lines from other people's.

A build's C(vtysh -C) may refuse a line that its own daemons show: that must not stand in the way of ours.
"""

from __future__ import annotations

import re

from .errors import Refusal
from .shell import Vtysh


def check(vtysh: Vtysh, text: str, lines: list) -> list[str]:
    """Sentences on what is refused anyway. A Refusal where a line of ours, or one after it, is."""
    present = [line for line in text.splitlines() if line.strip() != "end"]
    try:
        vtysh.check_syntax("\n".join([*present, *lines, ""]))
    except Refusal as refusal:
        with_ours = refusal
    else:
        return []
    try:
        vtysh.check_syntax("\n".join([*present, ""]))
    except Refusal as refusal:
        anyway = _complaints(str(refusal))
        if _complaints(str(with_ours)) <= anyway:
            return [
                "vtysh -C refuses lines that run on the router already, which were not counted: "
                + "; ".join(sorted(anyway))
            ]
    raise with_ours


def _complaints(message: str) -> set[str]:
    """The lines that vtysh named, by number and reason; all of the message where it named none."""
    found = re.findall(r"line \d+ \('.*?'\)[^;]*", message)
    return {one.strip() for one in found} or {message}
