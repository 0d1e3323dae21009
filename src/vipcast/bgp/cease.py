# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The NOTIFICATION at the end of a session: the peer forgets our routes, or keeps them until we are back."""

from __future__ import annotations

from vipcast.bgp.error_codes import WITH_MESSAGE, Cease, ErrorCode, encode_shutdown_message
from vipcast.bgp.fsm import Action
from vipcast.bgp.messages import Notification
from vipcast.bgp.negotiation import Negotiated

HOLD_TIMER_NOTIFICATIONS = {
    Action.NOTIFY_HOLD_TIMER: Notification(ErrorCode.HOLD_TIMER_EXPIRED, 0),
    Action.NOTIFY_SEND_HOLD_TIMER: Notification(ErrorCode.SEND_HOLD_TIMER_EXPIRED, 0),
}
"""What is said to a peer that has not spoken, or not read, for too long."""


def cease_notification(
    negotiated: Negotiated | None, subcode: Cease, message: str, *, preserve: bool
) -> Notification | None:
    """A Cease; None: nothing, the connection is just closed.

    Who keeps routes after a NOTIFICATION (RFC 8538 section 4) forgets them after a Hard Reset, which has the
    true reason inside. Others with graceful restart forget them after any NOTIFICATION, and keep them where
    TCP ends without one (RFC 4724 section 4.2).
    """
    # RFC 9003 section 2: only these two have room for words.
    reason = encode_shutdown_message(message) if (ErrorCode.CEASE, subcode) in WITH_MESSAGE else b""
    restart = negotiated is not None and negotiated.graceful_restart is not None
    if negotiated is None or not restart:
        return Notification(ErrorCode.CEASE, subcode, reason)
    if not negotiated.keeps_after_notification:
        return None if preserve else Notification(ErrorCode.CEASE, subcode, reason)
    if preserve:
        return Notification(ErrorCode.CEASE, subcode, reason)
    return Notification(ErrorCode.CEASE, Cease.HARD_RESET, bytes((ErrorCode.CEASE, subcode)) + reason)
