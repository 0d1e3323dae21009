# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The router software that can be managed: a file for each, and the table that finds it by its name.

docs/design/0023-router-software.md says what a dialect is, and what another one takes.
"""

from __future__ import annotations

from ..errors import Reason, Refusal
from ..shell import Vtysh
from .base import Dialect
from .frr import Frr
from .quagga import Quagga

# By the name in "show version".
_DIALECTS = {"FRRouting": Frr, "Quagga": Quagga}
# More next hops than any build has.
_ANY_LIMIT = 65535


def of(vtysh: Vtysh) -> Dialect:
    """The dialect of the software that answers; a Refusal where it is none that can be managed."""
    version = vtysh.version
    dialect = _DIALECTS[version.name](vtysh, version.multipath)
    if version.numbers < dialect.since:
        raise Refusal(Reason.NOT_FRR, f"{version.name} {version.text} is not supported: {dialect.why_since}")
    return dialect


def expected(vtysh: Vtysh) -> Dialect:
    """The dialect of a router that cannot be asked: of the software that it is known to have, or FRR."""
    if vtysh.known:
        return of(vtysh)
    return Frr(vtysh, _ANY_LIMIT)
