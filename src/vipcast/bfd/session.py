# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One BFD session: packets and the time in; packets, events and the next timer out (RFC 5880 section 6.8).

The driver's loop: give ``receive`` every packet that has come, then call ``handle_timer`` at ``timer()``;
after each, send ``packets_to_send()`` and look at ``next_event()``. Times are seconds of any monotonic clock.

We never ask for demand mode, and respect it in the peer. The control-plane-independent bit is always set:
whoever drives this goes on when the BGP program ends.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from vipcast.bfd import echo
from vipcast.bfd.fsm import HEARD, BfdState, Diagnostic, Event, transition
from vipcast.bfd.packet import MICROSECOND, ControlPacket, Drop
from vipcast.bfd.settings import BfdCounters, BfdSettings, BfdStatus

# Section 6.8.3: while a session is not Up, nobody sends more often.
SLOW_INTERVAL = 1.0


@dataclass(frozen=True, slots=True)
class StateChanged:
    old: BfdState
    new: BfdState
    diagnostic: Diagnostic


@dataclass(slots=True)
class Variables:
    """Section 6.8.1, and the intervals in force; what another process needs to go on with a session."""

    local_discriminator: int
    state: BfdState = BfdState.DOWN
    diagnostic: Diagnostic = Diagnostic.NONE
    remote_state: BfdState = BfdState.DOWN
    remote_diagnostic: Diagnostic = Diagnostic.NONE
    remote_discriminator: int = 0
    remote_min_tx: float = 0.0
    remote_min_rx: float = MICROSECOND
    remote_min_echo_rx: float = 0.0
    remote_multiplier: int = 0
    remote_demand: bool = False
    remote_independent: bool = False
    announced_tx: float = 0.0
    announced_rx: float = 0.0
    tx_in_force: float = 0.0
    rx_in_force: float = 0.0
    polling: bool = False
    went_down: int = 0
    up_events: int = 0
    down_events: int = 0


class Session:
    """See the module. ``jitter`` gives numbers from 0 to 1."""

    def __init__(
        self,
        settings: BfdSettings,
        variables: Variables,
        now: float,
        *,
        jitter: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.settings = settings
        self.variables = variables
        self.packets_in = self.packets_out = 0
        self.echo = echo.Echo(settings.detect_multiplier)
        self._jitter = jitter
        self._poll_again = False
        self._sent_at: float | None = None
        self._send_at: float | None = None
        self._expire_at: float | None = None
        self._silent_at: float | None = None  # in AdminDown: when enough was said
        self._outbox: list[bytes] = []
        self._echoes: list[bytes] = []
        self._events: deque[StateChanged] = deque()
        self._retime()
        self._listen_from(now)
        self._schedule(now)

    # ---- inputs ----

    def receive(self, packet: ControlPacket, now: float) -> Drop | None:
        """Section 6.8.6 from where the session is found. Why the packet was dropped, or None."""
        v = self.variables
        self.packets_in += 1
        v.remote_state, v.remote_diagnostic = packet.state, packet.diagnostic
        v.remote_discriminator, v.remote_demand = packet.my_discriminator, packet.demand
        v.remote_min_tx, v.remote_min_rx = packet.desired_min_tx, packet.required_min_rx
        v.remote_min_echo_rx, v.remote_multiplier = packet.required_min_echo_rx, packet.detect_multiplier
        v.remote_independent = packet.control_plane_independent
        if v.polling and packet.final:
            self._poll_ended()
        self._listen_from(now)
        if v.state is BfdState.ADMIN_DOWN:
            return Drop.DISABLED
        self._happen(HEARD[packet.state], now)
        self._keep_echo(now)
        self._schedule(now)
        if packet.poll:
            self._send(now, final=True)
        return None

    def echo_returned(self, number: int) -> None:
        """Take note that the echo packet with this number has come back."""
        self.echo.returned(number)

    def handle_timer(self, now: float) -> None:
        if self._expire_at is not None and now >= self._expire_at:
            self._nothing_heard(now)
        if self.echo.expired(now):
            self._happen(Event.ECHO_FAILED, now)
            self._keep_echo(now)
        if self._silent_at is not None and now >= self._silent_at:
            self._silent_at, self._send_at = None, None
        if self._send_at is not None and now >= self._send_at:
            self._send(now)
            self._plan(now)
        if self.echo.due(now, self._factor(self.settings.detect_multiplier)):
            self._echoes.append(echo.encode(self.variables.local_discriminator, self.echo.sent))

    def change(self, settings: BfdSettings, now: float) -> None:
        """Other intervals, multiplier, role or echo: the session goes on (section 6.8.3, poll sequence)."""
        if settings == self.settings:
            return
        self.settings = settings
        self.echo.multiplier = settings.detect_multiplier
        before = self.detection_time
        self._retime()
        self._be_as_patient(before)
        self._keep_echo(now)
        self._schedule(now)
        self._tell(now)

    def disable(self, now: float) -> None:
        """AdminDown (section 6.8.16): said until the peer must have heard it, then silence."""
        # Longer than the peer waits before it gives up: by then it has heard us, or has seen us go.
        slow = max(SLOW_INTERVAL, self._interval())
        self._silent_at = now + self.settings.detect_multiplier * slow
        self._happen(Event.DISABLED, now)
        self._keep_echo(now)

    def enable(self, now: float) -> None:
        self._silent_at = None
        self._happen(Event.ENABLED, now)
        self._schedule(now)

    # ---- outputs ----

    def packets_to_send(self) -> list[bytes]:
        taken, self._outbox = self._outbox, []
        return taken

    def echoes_to_send(self) -> list[bytes]:
        """UDP payloads to our own address, by way of the peer."""
        taken, self._echoes = self._echoes, []
        return taken

    def next_event(self) -> StateChanged | None:
        return self._events.popleft() if self._events else None

    def timer(self) -> float | None:
        times = (self._send_at, self._expire_at, self._silent_at, self.echo.timer())
        return min((at for at in times if at is not None), default=None)

    @property
    def finished(self) -> bool:
        """Disabled, and the peer knows: it has said Down, or enough time has passed."""
        v = self.variables
        heard = v.remote_state in (BfdState.DOWN, BfdState.ADMIN_DOWN)
        return v.state is BfdState.ADMIN_DOWN and (heard or self._silent_at is None)

    @property
    def detection_time(self) -> float | None:
        """Section 6.8.4, asynchronous mode; None where the peer has not been heard."""
        v = self.variables
        return round(v.remote_multiplier * max(v.rx_in_force, v.remote_min_tx), 6) or None

    def status(self, since_wall: float) -> BfdStatus:
        v = self.variables
        known = v.remote_multiplier > 0
        return BfdStatus(
            state=v.state,
            since_wall=since_wall,
            diagnostic=v.diagnostic,
            remote_state=v.remote_state,
            remote_diagnostic=v.remote_diagnostic,
            remote_transmit_interval=v.remote_min_tx if known else None,
            remote_receive_interval=v.remote_min_rx if known else None,
            remote_detect_multiplier=v.remote_multiplier if known else None,
            remote_control_plane_independent=v.remote_independent,
            transmit_interval=self._interval(),
            detection_time=self.detection_time,
            local_discriminator=v.local_discriminator,
            remote_discriminator=v.remote_discriminator,
            echo_active=self.echo.active and self.echo.seen,
            went_down=v.went_down,
            counters=BfdCounters(
                packets_in=self.packets_in,
                packets_out=self.packets_out,
                echo_in=self.echo.received,
                echo_out=self.echo.sent,
                up_events=v.up_events,
                down_events=v.down_events,
            ),
        )

    # ---- state ----

    def _happen(self, event: Event, now: float) -> None:
        v = self.variables
        old = v.state
        new, diagnostic = transition(old, event)
        if diagnostic is not None:
            v.diagnostic = diagnostic
        if new is old:
            return
        v.state = new
        self._count(old, new, event)
        self._events.append(StateChanged(old, new, v.diagnostic))
        self._retime()
        self._tell(now)

    def _count(self, old: BfdState, new: BfdState, event: Event) -> None:
        v = self.variables
        if new is BfdState.UP:
            v.up_events += 1
        elif old is BfdState.UP:
            v.down_events += 1
            v.went_down += event not in (Event.DISABLED, Event.HEARD_ADMIN_DOWN)

    def _nothing_heard(self, now: float) -> None:
        """Section 6.8.4, and 6.8.1: the peer's discriminator is forgotten, and with it what it asked for."""
        v = self.variables
        v.remote_discriminator, v.remote_min_rx, v.remote_demand = 0, MICROSECOND, False
        v.polling = self._poll_again = False
        self._expire_at = None
        self._happen(Event.DETECTION_TIME_EXPIRED, now)
        self._keep_echo(now)
        self._schedule(now)

    def _listen_from(self, now: float) -> None:
        patience = self.detection_time
        self._expire_at = None if patience is None or not self._heard() else now + patience

    def _be_as_patient(self, before: float | None) -> None:
        """A peer that hears that we want less may send less from then on."""
        now = self.detection_time
        if self._expire_at is not None and before is not None and now is not None and now > before:
            self._expire_at += now - before

    def _heard(self) -> bool:
        return self.variables.remote_discriminator != 0

    # ---- intervals ----

    def _retime(self) -> None:
        """Section 6.8.3: what is announced follows state and settings; what is in force follows that,
        in a session that is Up only once the peer knows it where it would be hurt otherwise.
        """
        v = self.variables
        up = v.state is BfdState.UP
        tx = self.settings.transmit_interval if up else max(SLOW_INTERVAL, self.settings.transmit_interval)
        rx = self.settings.receive_interval
        if (tx, rx) == (v.announced_tx, v.announced_rx):
            return
        v.announced_tx, v.announced_rx = tx, rx
        v.tx_in_force = min(tx, v.tx_in_force) if up else tx
        v.rx_in_force = max(rx, v.rx_in_force) if up else rx
        self._poll_again = v.polling
        v.polling = self._heard()

    def _poll_ended(self) -> None:
        v = self.variables
        if self._poll_again:  # the Final may answer what was announced before
            self._poll_again = False
            return
        v.polling = False
        v.tx_in_force, v.rx_in_force = v.announced_tx, v.announced_rx

    def _interval(self) -> float:
        """Section 6.8.7, without jitter."""
        return max(self.variables.tx_in_force, self.variables.remote_min_rx)

    def _factor(self, multiplier: int) -> float:
        """Section 6.8.7: 75 to 100 %; with a multiplier of one never more than 90 %."""
        return 0.75 + self._jitter() * (0.15 if multiplier == 1 else 0.25)

    # ---- sending ----

    def _may_send(self) -> bool:
        """Section 6.8.7, "MUST NOT transmit"."""
        v = self.variables
        if self.settings.passive and not self._heard():
            return False
        if v.state is BfdState.ADMIN_DOWN and self._silent_at is None:
            return False
        both_up = v.state is BfdState.UP and v.remote_state is BfdState.UP
        demanded = v.remote_demand and both_up and not v.polling
        return v.remote_min_rx > 0 and not demanded

    def _plan(self, now: float) -> None:
        factor = self._factor(self.settings.detect_multiplier)
        self._send_at = now + self._interval() * factor if self._may_send() else None

    def _schedule(self, now: float) -> None:
        """Reschedule the next packet after something was received or changed."""
        if not self._may_send():
            self._send_at = None
            return
        last, interval = self._sent_at, self._interval()
        if last is None:
            self._send_at = now
        elif self._send_at is None or not last + 0.75 * interval <= self._send_at <= last + interval:
            self._send_at = max(now, last + interval * self._factor(self.settings.detect_multiplier))

    def _tell(self, now: float) -> None:
        """Section 6.8.7: what has changed is said at once."""
        if self._may_send():
            self._send(now)
            self._plan(now)

    def _send(self, now: float, *, final: bool = False) -> None:
        v = self.variables
        packet = ControlPacket(
            state=v.state,
            diagnostic=v.diagnostic,
            detect_multiplier=self.settings.detect_multiplier,
            my_discriminator=v.local_discriminator,
            your_discriminator=v.remote_discriminator,
            desired_min_tx=v.announced_tx,
            required_min_rx=v.announced_rx,
            required_min_echo_rx=self._echo_wanted() or 0.0,
            poll=v.polling and not final,
            final=final,
            control_plane_independent=True,
        )
        self._outbox.append(packet.encode())
        self.packets_out += 1
        if not final:
            self._sent_at = now

    # ---- echo ----

    def _echo_wanted(self) -> float | None:
        return self.settings.echo_interval if self.settings.may_echo else None

    def _keep_echo(self, now: float) -> None:
        """Sections 6.8.5 and 6.8.9: only while Up, and never more often than the peer takes it."""
        v, wanted = self.variables, self._echo_wanted()
        runs = wanted is not None and v.state is BfdState.UP and v.remote_min_echo_rx > 0
        self.echo.run_at(max(wanted or 0.0, v.remote_min_echo_rx) if runs else None, now)
