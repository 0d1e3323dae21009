# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""FRR that is not this system's: in a container, a network namespace or a path of its own.

It is looked at, and nothing is installed beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from . import facts
from .errors import Reason, Refusal
from .shell import Shell, Vtysh

OWN_COMMAND = "vtysh"
# A socket that listens (state 0A) on port 179, in any family, of this network namespace; or a program that
# usually does, in any.
_BUSY = """command -v vtysh >/dev/null 2>&1 && exit 0
cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | grep -q ':00B3 [0-9A-F]*:0000 0A' &&
  echo "TCP port 179 is answered"
for name in bgpd bird gobgpd; do pidof $name >/dev/null 2>&1 && echo "$name runs"; done
exit 0"""
# Programs of FRR that speak no protocol with others.
_SILENT = ("zebra", "staticd", "mgmtd", "watchfrr", "bfdd", "bgpd", "pbrd", "sharpd")


def check_free(shell: Shell) -> None:
    """Refuse to install FRR where something speaks BGP already, and there is no vtysh to ask it."""
    found = shell.run(_BUSY).stdout.split("\n")
    signs = [line for line in found if line.strip()]
    if signs:
        raise Refusal(
            Reason.OTHER_DAEMON,
            f"there is no vtysh on the router, and {', '.join(signs)}: FRR in a container, or another "
            "program. Nothing is installed beside it. If it is FRR, say how its vtysh is called "
            "(router_vtysh_command, for example 'docker exec -i frr vtysh')",
        )


def look(vtysh: Vtysh, command: str, daemons: Iterable[str]) -> None:
    """Refuse where FRR does not answer as C(command) calls it, or lacks a daemon."""
    answered = vtysh.show("show daemons")["show daemons"].stdout.split()
    vtysh.demand_input()
    missing = [daemon for daemon in daemons if daemon not in answered]
    if missing:
        raise Refusal(
            Reason.NOT_STARTED,
            f"{', '.join(missing)} does not run where '{command}' gets (running: "
            f"{' '.join(answered) or 'none'}): switch it on where that FRR is configured",
        )


_SUMMARY = "show bgp summary json"


def check_restart(vtysh: Vtysh, ours: Sequence[str]) -> None:
    """Refuse a restart of FRR that ends sessions of others, of BGP or of another protocol."""
    try:
        answered = vtysh.show("show daemons", _SUMMARY)
    except Refusal:
        # Nothing answers: there are no sessions.
        return
    running = answered["show daemons"].stdout.split()
    others = [name for name in running if name not in _SILENT]
    sessions = _established(answered[_SUMMARY].stdout) if "bgpd" in running else []
    strangers = [address for address in sessions if address not in ours]
    if strangers or others:
        raise Refusal(
            Reason.RESETS,
            f"FRR has to be restarted, which ends what is not ours: {', '.join([*strangers, *others])}. Set "
            "reset_sessions to true if that may be",
        )


def _established(text: str) -> list[str]:
    summary = facts.parse(text, _SUMMARY)
    return sorted(
        {
            address
            for part in summary.values()
            if isinstance(part, dict)
            for address, peer in part.get("peers", {}).items()
            if peer.get("state") == "Established"
        }
    )
