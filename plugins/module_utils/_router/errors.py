# SPDX-License-Identifier: GPL-3.0-or-later
"""The refusals of everything that works on a router: a named reason, and a sentence for people."""

from __future__ import annotations

import enum


class Reason(str, enum.Enum):
    """The reason why a router's configuration was not changed: stable names for people, tests and reports."""

    BAD_OPTION = "bad_option"
    NO_SHELL = "no_shell"
    NO_DAEMON = "no_daemon"
    NO_PACKAGES = "no_packages"
    NOT_STARTED = "not_started"
    NO_SYSCTL = "no_sysctl"
    NO_ZONE = "no_zone"
    PENDING = "pending_changes"
    NOT_FRR = "not_frr"
    DAEMON_DOWN = "daemon_down"
    OTHER_AS = "other_as"
    IN_PEER_GROUP = "in_peer_group"
    GROUP_DIFFERS = "group_differs"
    NAME_TAKEN = "name_taken"
    RESETS = "resets_sessions"
    SYNTAX = "syntax_refused"
    REFUSED = "refused_by_daemon"
    NOT_TAKEN = "not_taken"
    NOT_SAVED = "not_saved"
    UNREADABLE = "unreadable"
    NOT_SUPPORTED = "not_supported"
    NO_INPUT = "no_input"
    NOT_CONFIRMED = "not_confirmed"
    OTHER_DAEMON = "other_daemon"
    VRF_ONLY = "vrf_only"


class Refusal(Exception):  # noqa: N818 - a decision with a name, not a failure of ours
    """A named reason with a message for people: what is wrong, where, and what would be right."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason

    def as_result(self) -> dict:
        """Return what a module returns that was refused: the message, and the reason by its name."""
        return {"failed": True, "changed": False, "msg": str(self), "reason": self.reason.value}
