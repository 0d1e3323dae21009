# SPDX-License-Identifier: GPL-3.0-or-later
"""Which address: the rules in `allocator`, who holds what in `book`, the next free one in `space`.

(pools, who holds what, a request) ──> Allocation, or a Refusal with a name
"""

from vipcast.ipam.allocator import Allocator
from vipcast.ipam.request import Allocation, Holder, Refusal, Request, Sharing

__all__ = ["Allocation", "Allocator", "Holder", "Refusal", "Request", "Sharing"]
