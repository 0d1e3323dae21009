# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The counters of a peer's sessions: a reconnect resets nothing here but ``retries``."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from vipcast.bgp.framing import MessageType
from vipcast.bgp.messages import Update


@dataclass(slots=True)
class Counters:
    messages_in: Counter[MessageType] = field(default_factory=Counter)
    messages_out: Counter[MessageType] = field(default_factory=Counter)
    bytes_in: int = 0
    bytes_out: int = 0
    connects: int = 0
    """TCP connections that came up."""
    established: int = 0
    """Times the session reached Established."""
    retries: int = 0
    """RFC 4271's ConnectRetryCounter: failures since the session was started."""
    prefixes_sent: int = 0
    withdrawals_sent: int = 0
    prefixes_received: int = 0
    withdrawals_received: int = 0
    update_problems: int = 0
    """Errors in received UPDATEs that needed no reset (RFC 7606)."""
    last_update_problem: str = ""

    def count_received(self, update: Update) -> None:
        """Nothing is installed: what a peer announces is counted and forgotten."""
        announced, withdrawn = update.counts
        self.prefixes_received += announced
        self.withdrawals_received += withdrawn
        self.update_problems += len(update.problems)
        if update.problems:
            problem = update.problems[0]
            self.last_update_problem = f"{problem.what} ({problem.treatment.value})"

    def count_sent(self, update: Update) -> None:
        announced, withdrawn = update.counts
        self.prefixes_sent += announced
        self.withdrawals_sent += withdrawn

    def received(self, message_type: MessageType) -> None:
        self.messages_in[message_type] += 1

    def sent(self, message_type: MessageType) -> None:
        self.messages_out[message_type] += 1
