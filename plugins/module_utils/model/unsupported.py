# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the speakers do not do yet: the one table of it.

Such an object is right and is accepted; what is missing is said by name.
"""

from __future__ import annotations

from collections.abc import Mapping

from .fields import Fields
from .reasons import Reason

# By kind and field of `spec`; "" is the whole object. What follows from that it has no effect.
GAPS: Mapping[tuple[str, str], str] = {
    ("L2Advertisement", ""): "no speaker answers ARP or NDP for the addresses",
}


def name_gaps(kind: str, spec: Fields) -> None:
    """Report what is set and has no effect."""
    for (of, name), why in GAPS.items():
        if of == kind and (not name or spec.is_set(name)):
            path = spec.path(name) if name else "spec"
            spec.report.ignore(path, Reason.UNSUPPORTED, f"is not supported yet: {why}")


__all__ = ["GAPS", "name_gaps"]
