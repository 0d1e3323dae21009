# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the speakers do not do yet: the one table of it.

Such an object is right and is accepted. What is missing is said by name, and where a session or a route would
be a wrong one without it, there is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .fields import Fields
from .reasons import Reason


@dataclass(frozen=True)
class Gap:
    """Something that has no effect, and what follows from that."""

    why: str
    blocks: bool = False  # there is no session or route without it


# By kind and field of `spec`; "" is the whole object.
GAPS: Mapping[tuple[str, str], Gap] = {
    ("L2Advertisement", ""): Gap("no speaker answers ARP or NDP for the addresses"),
    ("BGPPeer", "interface"): Gap("there is no session; write the router's address", blocks=True),
    ("BGPPeer", "enableGracefulRestart"): Gap("routes are withdrawn when the speaker stops"),
}


def name_gaps(kind: str, spec: Fields) -> tuple[str, ...]:
    """Report what is set and has no effect; the names of those fields without which there is no session."""
    whole = GAPS.get((kind, ""))
    if whole is not None:
        spec.report.ignore("spec", Reason.UNSUPPORTED, f"is not supported yet: {whole.why}")
    found = {name: gap for (of, name), gap in GAPS.items() if of == kind and name and spec.is_set(name)}
    for name, gap in found.items():
        spec.report.ignore(spec.path(name), Reason.UNSUPPORTED, f"is not supported yet: {gap.why}")
    return tuple(sorted(name for name, gap in found.items() if gap.blocks))


__all__ = ["GAPS", "Gap", "name_gaps"]
