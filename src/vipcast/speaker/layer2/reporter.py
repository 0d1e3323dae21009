# SPDX-License-Identifier: GPL-3.0-or-later
"""Says what happened at layer 2: in the log always, as Events on the services that have the address.

That this node answers, or does not, is told by `VerdictReporter` as for BGP. Here is what goes beyond: who
else answers, and that a network was split.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from vipcast.daemon.log import log_for
from vipcast.k8s import Json, Key, Recorder
from vipcast.layer2.api import OFFERED, Holding, Move, MoveKind
from vipcast.model.addresses import IPAddress
from vipcast.speaker.layer2.verdicts import Layer2Verdict

__all__ = ["Layer2Reporter"]

# Whoever answers wrongly does so for every question; one Event tells it, and another one if it goes on.
FOREIGN_SECONDS = 300.0
_log = log_for("speaker")
_Verdicts = Mapping[Key, tuple[Layer2Verdict, ...]]


class Layer2Reporter:
    """`moves` counts them by kind."""

    def __init__(
        self, recorder: Recorder, node: str, find: Callable[[Key], Json | None], *, preempt: bool = False
    ) -> None:
        self._preempt = preempt  # then a healthy owner is relieved, and that is no split
        self.moves: dict[str, int] = {kind.value: 0 for kind in MoveKind}
        self.splits = 0
        self._recorder, self._node, self._find = recorder, node, find
        self._owned: frozenset[IPAddress] = frozenset()  # and was not about to give away
        self._foreign: dict[tuple[IPAddress, str], float] = {}  # when it was told
        self._problems: frozenset[str] = frozenset()

    def update(self, verdicts: _Verdicts, moves: Iterable[Move], problems: Iterable[str], now: float) -> None:
        """Tell what is new; `now` in seconds of any clock. `problems`: of the process as a whole."""
        users: dict[IPAddress, list[Key]] = {}
        holdings: dict[IPAddress, Holding] = {}
        for key, every in verdicts.items():
            for each in every:
                users.setdefault(each.address, []).append(key)
                if each.status:
                    holdings[each.address] = each.status.holding
        for move in moves:
            self._look(move, users.get(move.address, []), holdings.get(move.address), now)
        self._owned = frozenset(each for each, holding in holdings.items() if holding is Holding.OWNER)
        self._tell_problems(frozenset(problems))

    def _look(self, move: Move, users: list[Key], holding: Holding | None, now: float) -> None:
        self.moves[move.kind.value] += 1
        tell = _log.info if move.kind in (MoveKind.GAINED, MoveKind.LOST) else _log.warning
        tell(
            "layer2", ip=str(move.address), what=move.kind.value, owner=move.owner, mac=move.mac, why=move.why
        )
        if move.kind is MoveKind.FOREIGN:
            self._warn_of_foreign(move, users, now)
        elif move.kind is MoveKind.LOST and self._was_taken(move, holding):
            self.splits += 1
            message = (
                f'node "{self._node}": node "{move.owner}" answered for {move.address} too, and keeps it: '
                "the network between them was split, or this node was kept from running"
            )
            self._record(users, "ownedTwice", message)

    def _was_taken(self, move: Move, holding: Holding | None) -> bool:
        """Return whether a healthy owner lost it: not leaving, still a candidate, and without an offer."""
        healthy = move.address in self._owned and holding is Holding.STANDBY
        intended = self._preempt or move.why == OFFERED
        return healthy and not intended and move.owner not in (None, self._node)

    def _warn_of_foreign(self, move: Move, users: list[Key], now: float) -> None:
        self._foreign = {what: when for what, when in self._foreign.items() if now - when < FOREIGN_SECONDS}
        what = move.address, move.mac or ""
        if what not in self._foreign:
            self._foreign[what] = now
            message = f'node "{self._node}" answers for {move.address}, and so does {move.mac}, a stranger'
            self._record(users, "foreignAnswer", message)

    def _record(self, users: Iterable[Key], reason: str, message: str) -> None:
        for key in users:
            if item := self._find(key):
                self._recorder.record(item, reason, message, warning=True)

    def _tell_problems(self, problems: frozenset[str]) -> None:
        for problem in sorted(problems - self._problems):
            _log.warning("layer2_problem", why=problem)
        for problem in sorted(self._problems - problems):
            _log.info("layer2_problem_solved", was=problem)
        self._problems = problems
