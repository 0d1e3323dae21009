# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The AS numbers that a speaker can have."""

from __future__ import annotations

MAX_ASN = 2**32 - 1
AS_TRANS = 23456  # RFC 6793: in the place of a number that an old speaker cannot read; nobody has it
# RFC 7300: the last one of each size is reserved. Objects may have them, as MetalLB's may; an inventory not.
LAST_ASNS = (65535, MAX_ASN)


def asn_problem(number: int) -> str | None:
    """Return why nobody can have this number, or None."""
    if not 1 <= number <= MAX_ASN:
        return f"is no AS number; expected 1 to {MAX_ASN}"
    if number == AS_TRANS:
        return "is AS_TRANS (RFC 6793), which nobody has; write the real number"
    return None
