# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The protocol between the BFD agent and its clients: JSON lines over an abstract Unix socket.

client -> process   {"want": {NAME: settings, ...}}       the whole set, each time
process -> client   {"sessions": {NAME: status, ...}}     the whole set, after changes and now and then

successor -> process     {"take_over": 1, ...}                 see vipcast.agent.handover

Both say {"versions": [least, most]} of this protocol with it (`vipcast.net.ipc.check`); words, fields and
counters that are not known are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from ipaddress import ip_address
from typing import Any

from vipcast.bfd.fsm import BfdState, Diagnostic
from vipcast.bfd.settings import BadSettingsError, BfdCounters, BfdSettings, BfdStatus
from vipcast.model.addresses import IPAddress
from vipcast.net.ipc import Json, ProtocolError

# A line of 256 sessions is about 200 kB; more is somebody else's mistake.
MAX_LINE = 1 << 20
MAX_SESSIONS = 256
"""Of a node: a bound for memory and for what a hand-over has to carry."""

_SETTINGS = frozenset(field.name for field in fields(BfdSettings))
_STATUS = frozenset(field.name for field in fields(BfdStatus))
_COUNTERS = frozenset(field.name for field in fields(BfdCounters))


def control_name(namespace: str) -> str:
    """The abstract socket's name, as ``connect`` and ``bind`` take it."""
    return f"\0vipcast-bfd/{namespace}"


def read_want(written: object) -> dict[str, BfdSettings]:
    """Raises ProtocolError."""
    if not isinstance(written, dict) or not all(isinstance(value, dict) for value in written.values()):
        raise ProtocolError("want: an object of settings by name would be right")
    if len(written) > MAX_SESSIONS:
        raise ProtocolError(f"{len(written)} sessions: at most {MAX_SESSIONS}")
    try:
        return {name: read_settings(settings) for name, settings in written.items()}
    except BadSettingsError as error:
        raise ProtocolError(str(error)) from error


def write_settings(settings: BfdSettings) -> Json:
    written = asdict(settings)
    written["peer"] = str(settings.peer)
    written["local"] = None if settings.local is None else str(settings.local)
    return written


def read_settings(written: Mapping[str, Any]) -> BfdSettings:
    """Raises ProtocolError, or BadSettingsError for settings that cannot work."""
    try:
        known = {name: value for name, value in written.items() if name in _SETTINGS}
        known["peer"] = _address(known["peer"])
        known["local"] = None if known.get("local") is None else _address(known["local"])
        settings = BfdSettings(**known)
    except (KeyError, TypeError, AttributeError) as error:
        raise ProtocolError(f"settings of a session: {error!r}") from error
    for name, kinds in _KINDS.items():
        if type(value := getattr(settings, name)) not in kinds:
            raise ProtocolError(f"settings of a session: {name} {value!r}")
    return settings


def _address(text: object) -> IPAddress:
    try:
        return ip_address(str(text))
    except ValueError as error:
        raise ProtocolError(f"settings of a session: {error}") from error


# JSON has one kind of number, and Python takes truth for one.
_KINDS: dict[str, tuple[type, ...]] = {
    "interface": (str, type(None)),
    "multihop": (bool,),
    "transmit_interval": (int, float),
    "receive_interval": (int, float),
    "detect_multiplier": (int,),
    "echo_interval": (int, float, type(None)),
    "passive": (bool,),
    "minimum_ttl": (int,),
    "vrf": (str, type(None)),
}


def write_status(status: BfdStatus) -> Json:
    return asdict(status)


def read_status(written: Mapping[str, Any]) -> BfdStatus:
    """Read a status, of a newer agent too: what is not known here is left out. Raises ProtocolError."""
    try:
        known = {name: value for name, value in written.items() if name in _STATUS}
        for name in ("state", "remote_state"):
            known[name] = BfdState(known[name])
        for name in ("diagnostic", "remote_diagnostic"):
            known[name] = Diagnostic.read(known[name])
        counters = known["counters"].items()
        known["counters"] = BfdCounters(**{name: value for name, value in counters if name in _COUNTERS})
        return BfdStatus(**known)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ProtocolError(f"status of a session: {error!r}") from error
