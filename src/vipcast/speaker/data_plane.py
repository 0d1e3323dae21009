# SPDX-License-Identifier: GPL-3.0-or-later
"""The judgment of whether this node passes packets on: what kube-proxy says of itself. Pure.

    answer   counts
    WORKS    for it; two in a row end what was wrong
    FAILS    against it: after FAIL_SECONDS without another word nothing is announced
    SILENT   as FAILS: it takes the connection and says nothing
    ABSENT   against it where an answer is demanded; otherwise not at all, since not every cluster has
             somebody who listens there. After FORGET_SECONDS of it nothing is known any more

Until something is wrong for long enough, everything is announced: so it is when the speaker starts.
"""

from __future__ import annotations

from enum import Enum

__all__ = ["FAIL_SECONDS", "FORGET_SECONDS", "GOOD_ANSWERS", "Answer", "Judgement"]

# kube-proxy is restarted in less, and what it has written into the kernel works meanwhile.
FAIL_SECONDS = 30.0
GOOD_ANSWERS = 2
FORGET_SECONDS = 300.0


class Answer(Enum):
    """The outcome of one question; the value is for people."""

    WORKS = "it works"
    FAILS = "it says that it does not work"
    SILENT = "it takes connections and does not answer"
    ABSENT = "nobody answers"


class Judgement:
    """The answers so far, judged. ``problem``: why nothing should be announced, in words, or None.

    ``demanded``: that nobody listens counts as a failure.
    """

    def __init__(self, *, demanded: bool) -> None:
        self.problem: str | None = None
        self._demanded = demanded
        self._bad_since: float | None = None
        self._absent_since: float | None = None
        self._good = 0

    def hear(self, answer: Answer, now: float) -> None:
        """Take an answer; ``now`` in seconds of any clock that is not set."""
        absent = answer is Answer.ABSENT and not self._demanded
        if not absent:
            self._absent_since = None
        elif self._absent_since is None:
            self._absent_since = now
        if answer is Answer.WORKS:
            self._well()
        elif not absent:
            self._ill(answer, now)
        elif self._absent_since is not None and now - self._absent_since >= FORGET_SECONDS:
            self._forget()

    def _well(self) -> None:
        self._bad_since = None
        self._good += 1
        if self._good >= GOOD_ANSWERS:
            self.problem = None

    def _ill(self, answer: Answer, now: float) -> None:
        self._good = 0
        if self._bad_since is None:
            self._bad_since = now
        if now - self._bad_since >= FAIL_SECONDS:
            self.problem = f"this node's service proxy (kube-proxy) is not well: {answer.value}"

    def _forget(self) -> None:
        self.problem = self._bad_since = None
        self._good = 0
