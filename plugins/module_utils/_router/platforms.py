# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the systems that FRR runs on install packages, keep services and persist sysctls: tables and one
probe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .intent import Reason, Refusal
from .shell import Shell

# Package sets: OpenWrt splits FRR by daemon, and frr-bgpd alone pulls neither zebra nor watchfrr up to 24.10.
_OPENWRT = ("frr", "frr-zebra", "frr-watchfrr", "frr-staticd", "frr-bgpd", "frr-vtysh")
_WHOLE = ("frr",)


@dataclass(frozen=True)
class Manager:
    """Commands of a package manager; C({packages}) stands for the names."""

    install: str
    refresh: str
    known: str = "true"


MANAGERS: Mapping[str, Manager] = {
    "apt": Manager(
        install="DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 -q -y "
        "--no-install-recommends install {packages} </dev/null",
        refresh="apt-get -q update",
    ),
    "dnf": Manager(install="dnf -q -y install {packages} </dev/null", refresh="true"),
    "yum": Manager(install="yum -q -y install {packages} </dev/null", refresh="true"),
    "opkg": Manager(
        install="opkg install {packages}",
        refresh="opkg update",
        known="opkg info {package} | grep -q ^Package",
    ),
    "apk": Manager(
        install="apk add {packages}", refresh="apk update", known='[ -n "$(apk search -e {package})" ]'
    ),
}


@dataclass(frozen=True)
class Service:
    """Commands that keep FRR running; each ends with 0 for yes or done."""

    start: str
    restart: str
    enable: str
    is_enabled: str
    is_running: str


_PROCESS = "pidof watchfrr >/dev/null"
SERVICES: Mapping[str, Service] = {
    "systemd": Service(
        start="systemctl start frr",
        restart="systemctl restart frr",
        enable="systemctl -q enable frr",
        is_enabled="systemctl is-enabled -q frr",
        is_running="systemctl is-active -q frr",
    ),
    "openwrt": Service(
        start="/etc/init.d/frr start",
        restart="/etc/init.d/frr restart",
        enable="/etc/init.d/frr enable",
        is_enabled="/etc/init.d/frr enabled",
        is_running=_PROCESS,
    ),
    "openrc": Service(
        start="rc-service frr start",
        restart="rc-service frr restart",
        enable="rc-update -q add frr default",
        is_enabled="rc-update show default | grep -qw frr",
        is_running="rc-service -q frr status",
    ),
    # No service manager runs: FRR's own script, and nothing that could start it with the machine.
    "script": Service(
        start="/usr/lib/frr/frrinit.sh start",
        restart="/usr/lib/frr/frrinit.sh restart",
        enable="true",
        is_enabled="true",
        is_running=_PROCESS,
    ),
}


@dataclass(frozen=True)
class Platform:
    """What the probe found on a router. C(manager) and C(service) are keys of the tables; C(manager) may be
    empty."""

    manager: str
    service: str
    openwrt: bool
    vtysh: bool
    quagga: bool

    @property
    def packages(self) -> tuple[str, ...]:
        """Names of FRR's packages here."""
        return _OPENWRT if self.openwrt else _WHOLE

    @property
    def sysctl_file(self) -> str:
        """Where a sysctl survives a restart. OpenWrt reads the folder too, and keeps only the file on
        upgrades."""
        return "/etc/sysctl.conf" if self.openwrt else "/etc/sysctl.d/99-vipcast.conf"


_PROBE = {
    "manager": "for m in apt-get dnf yum opkg apk; do "
    "command -v $m >/dev/null 2>&1 && { echo ${m%-get}; break; }; done",
    "openwrt": "[ -f /etc/openwrt_release ] && echo yes",
    "service": "if [ -d /run/systemd/system ]; then echo systemd; "
    "elif [ -f /etc/rc.common ]; then echo openwrt; "
    "elif command -v rc-service >/dev/null 2>&1; then echo openrc; else echo script; fi",
    "vtysh": "command -v vtysh >/dev/null 2>&1 && echo yes",
    "quagga": "[ -d /etc/quagga ] && [ ! -d /etc/frr ] && echo yes",
}


def probe(shell: Shell) -> Platform:
    """Look at a router; Refusal when no shell answers."""
    answers = shell.batch({"shell": "echo vipcast-shell", **_PROBE})
    if answers["shell"].stdout.strip() != "vipcast-shell":
        raise Refusal(
            Reason.NO_SHELL, f"no POSIX shell answers on the router: {answers['shell'].text or 'no output'}"
        )
    found = {name: answer.stdout.strip() for name, answer in answers.items()}
    return Platform(
        manager=found["manager"],
        service=found["service"],
        openwrt=found["openwrt"] == "yes",
        vtysh=found["vtysh"] == "yes",
        quagga=found["quagga"] == "yes",
    )
