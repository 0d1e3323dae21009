# SPDX-License-Identifier: GPL-3.0-or-later
"""Says what changed: which addresses are announced or no longer, which objects are unusable, which sessions
came and went. In the log always, as Events on services and peers.

That something is not announced is told after it was so for `SETTLE_SECONDS`: a new service has no endpoints
for a moment, and that is nobody's fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Generic, Protocol, TypeVar

from vipcast.daemon.log import log_for
from vipcast.k8s import Json, Key, Recorder
from vipcast.model.addresses import IPAddress
from vipcast.model.problems import Problem
from vipcast.net.bfd import BfdStatus
from vipcast.net.status import PeerStatus
from vipcast.speaker.drain import Drain, Phase
from vipcast.speaker.reasons import NotAnnounced

__all__ = ["BfdReporter", "DrainReporter", "ProblemReporter", "SessionReporter", "VerdictReporter"]

SETTLE_SECONDS = 2.0
_log = log_for("speaker")
_Subject = tuple[Key, str]  # a service and one of its addresses, as text
_News = tuple[str, str]  # the name of the reason, and words
_Matter = tuple[str, str]  # what about a peer, and its name
_ANNOUNCED = "announced"


class _Verdict(Protocol):
    """The common part of verdicts on an address, by BGP and at layer 2."""

    @property
    def address(self) -> IPAddress | None: ...
    @property
    def reason(self) -> NotAnnounced | None: ...
    @property
    def message(self) -> str: ...
    @property
    def announced(self) -> bool: ...
    @property
    def usual(self) -> bool: ...


V = TypeVar("V", bound=_Verdict)


class VerdictReporter(Generic[V]):
    """Verdicts on services, as to one protocol."""

    def __init__(
        self,
        recorder: Recorder,
        node_name: str,
        find: Callable[[Key], Json | None],
        *,
        protocol: str = "bgp",
        details: Callable[[V], Mapping[str, object]] = lambda _: {},
    ) -> None:
        self._recorder, self._node, self._find = recorder, node_name, find
        self._protocol, self._details = protocol, details
        self._sent: Callable[[V], bool] = lambda _: True
        self._told: dict[_Subject, str] = {}
        self._waiting: dict[_Subject, tuple[str, float]] = {}  # the reason and when to tell it

    def update(
        self,
        verdicts: Mapping[Key, tuple[V, ...]],
        now: float,
        *,
        sent: Callable[[V], bool] = lambda _: True,
    ) -> float | None:
        """Tell what is new. Returns when to come again for what has to settle (the clock of `now`).

        An announcement is told once a peer was `sent` it; whether sessions come and go is told of the peers.
        """
        self._sent = sent
        pairs = ((key, each) for key, every in verdicts.items() for each in every)
        subjects = {(key, str(verdict.address)): verdict for key, verdict in pairs}
        for gone in self._told.keys() - subjects.keys():
            self._forget(gone)
        self._waiting = {subject: what for subject, what in self._waiting.items() if subject in subjects}
        for subject, verdict in subjects.items():
            self._look(subject, verdict, now)
        return min((when for _reason, when in self._waiting.values()), default=None)

    def _forget(self, subject: _Subject) -> None:
        if self._told.pop(subject) == _ANNOUNCED:
            _log.info("withdrawn", service="/".join(subject[0]), ip=subject[1], reason="gone")

    def _look(self, subject: _Subject, verdict: V, now: float) -> None:
        state = verdict.reason.value if verdict.reason else _ANNOUNCED
        if self._told.get(subject) == state:
            self._waiting.pop(subject, None)
            return
        if verdict.announced and not self._sent(verdict):
            return
        if verdict.reason:
            waiting, when = self._waiting.get(subject, ("", 0.0))
            if waiting != state:
                self._waiting[subject] = state, now + SETTLE_SECONDS
                return
            if now < when:
                return
        self._waiting.pop(subject, None)
        self._tell(subject, verdict, before=self._told.get(subject))
        self._told[subject] = state

    def _tell(self, subject: _Subject, verdict: V, before: str | None) -> None:
        service, ip = "/".join(subject[0]), subject[1]
        if verdict.reason is None:
            _log.info("announced", service=service, ip=ip, protocol=self._protocol, **self._details(verdict))
            # MetalLB's reason and words: people's alerts look for them.
            message = f'announcing from node "{self._node}" with protocol "{self._protocol}"'
            because = f": {verdict.message}" if verdict.message else ""
            self._record(subject[0], "nodeAssigned", message + because)
            return
        _log.info("not_announced", service=service, ip=ip, reason=verdict.reason.value, why=verdict.message)
        if before != _ANNOUNCED and verdict.usual:
            return
        message = f'not announcing{_of(verdict)} from node "{self._node}": {verdict.message}'
        self._record(subject[0], verdict.reason.value, message, warning=not verdict.usual)

    def _record(self, key: Key, reason: str, message: str, *, warning: bool = False) -> None:
        item = self._find(key)
        if item:
            self._recorder.record(item, reason, message, warning=warning)


def _of(verdict: _Verdict) -> str:
    return f" {verdict.address}" if verdict.address else ""


class ProblemReporter:
    """Problems of the objects that the configuration is made of: logged here, and shown by /status.

    The Events and conditions on those objects are the controller's: it judges them with the same code, once.
    """

    def __init__(self) -> None:
        self._told: frozenset[Problem] = frozenset()

    def update(self, problems: Iterable[Problem]) -> None:
        """Tell of those that are new, and of those that have gone."""
        now = frozenset(problems)
        for problem in sorted(now - self._told, key=str):
            _log.warning("configuration_problem", object=str(problem.object), why=str(problem))
        for problem in sorted(self._told - now, key=str):
            _log.info("configuration_problem_solved", object=str(problem.object), was=str(problem))
        self._told = now


class SessionReporter:
    """Sessions with peers."""

    def __init__(self, recorder: Recorder, node_name: str, find: Callable[[str], Json | None]) -> None:
        self._recorder, self._node, self._find = recorder, node_name, find
        self._told: dict[_Matter, _News] = {}

    def update(self, statuses: Mapping[str, PeerStatus], refused: Mapping[str, tuple[str, str]]) -> None:
        """`refused`: what is wrong with a peer's settings, with the name of the reason and words.

        Such a peer may have a session all the same, with the settings that it had before.
        """
        now = {("refused", name): why for name, why in refused.items()}
        for name, status in statuses.items():
            now |= {(what, name): news for what, news in _session_news(status).items()}
        for matter, news in now.items():
            if self._told.get(matter) != news:
                self._tell(matter[1], *news)
        self._told = now

    def _tell(self, name: str, reason: str, message: str) -> None:
        warning = reason != "sessionUp"
        (_log.warning if warning else _log.info)("session", peer=name, reason=reason, why=message)
        if item := self._find(name):
            self._recorder.record(item, reason, f'node "{self._node}": {message}', warning=warning)


def _session_news(status: PeerStatus) -> dict[str, _News]:
    """Return the session's state, and the problem that every attempt meets, which stays between attempts."""
    news = {}
    if status.established:
        news["session"] = "sessionUp", "the session is established"
    elif status.last_error:
        news["session"] = "sessionDown", status.last_error
    if status.problem:
        news["problem"] = "sessionProblem", status.problem
    return news


class DrainReporter:
    """The reporter of a drain's phases, as Events on the Node."""

    def __init__(self, recorder: Recorder, find: Callable[[], Json | None]) -> None:
        self._recorder, self._find = recorder, find
        self._told: Phase | None = None

    def update(self, drain: Drain | None) -> None:
        """Tell of a new phase, and that it is over."""
        phase = drain.phase if drain else None
        if phase == self._told:
            return
        self._told = phase
        problem = f" ({drain.problem})" if drain and drain.problem else ""
        if item := self._find():
            reason, message = _PHASES[phase]
            self._recorder.record(item, reason, f"{message}{problem}", warning=bool(problem))


_PHASES = {
    Phase.SHUTTING_DOWN: ("drainShuttingDown", "the routers are asked to look for other ways than this node"),
    Phase.WITHDRAWN: ("drainWithdrawn", "nothing is announced from this node any more"),
    Phase.ENDED: ("drainEnded", "the BGP sessions of this node have ended: it may go"),
    None: ("drainOver", "this node announces again"),
}


class BfdReporter:
    """BFD of the peers that have a profile."""

    def __init__(self, recorder: Recorder, node_name: str, find: Callable[[str], Json | None]) -> None:
        self._recorder, self._node, self._find = recorder, node_name, find
        self._told: dict[str, _News] = {}

    def update(self, statuses: Mapping[str, BfdStatus], problems: Mapping[str, str]) -> None:
        """Tell what has changed; of a session that never was up there is nothing to tell but problems."""
        now = {name: _bfd_news(status) for name, status in statuses.items()}
        now |= {name: ("bfdProblem", why) for name, why in problems.items()}
        for name, news in now.items():
            if news and self._told.get(name) != news:
                self._tell(name, *news)
        known = {name: news or self._told.get(name) for name, news in now.items()}
        self._told = {name: news for name, news in known.items() if news}

    def _tell(self, name: str, reason: str, message: str) -> None:
        warning = reason != "bfdUp"
        (_log.warning if warning else _log.info)("bfd", peer=name, reason=reason, why=message)
        if item := self._find(name):
            self._recorder.record(item, reason, f'node "{self._node}": {message}', warning=warning)


def _bfd_news(status: BfdStatus) -> _News | None:
    if status.problem:
        return "bfdProblem", status.problem
    if status.up:
        return "bfdUp", "BFD is up"
    return ("bfdDown", f"BFD is {status.state}: {status.diagnostic}") if status.counters.up_events else None
