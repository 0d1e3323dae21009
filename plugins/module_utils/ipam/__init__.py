# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IP address management: which address for which service. Pure; for controller, modules and command line.

Reading order: `request` (what a service asks for, and the two answers), `service` (the same from an object of
the API), `allocator` (the rules; `allocations` who holds what, `free_addresses` the next one, `index` whose
pool an address is of, `explain` refusals in words), `decide` (what should be true of every service),
`pending` (who gets what is freed).
"""

from .allocator import Allocator
from .request import Allocation, Holder, Refusal, Request, Sharing

__all__ = ["Allocation", "Allocator", "Holder", "Refusal", "Request", "Sharing"]
