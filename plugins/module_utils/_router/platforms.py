# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The platforms of routers: how they install packages, keep services and persist sysctls: tables and one
probe."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .errors import Reason, Refusal
from .shell import Shell

# FRR of most systems is one package. OpenWrt has one for each daemon, and up to 24.10 none of them pulls
# zebra or watchfrr (net/frr/Makefile of openwrt/packages). Its first installation brings staticd too, whose
# absence the init script takes for an error.
_WHOLE = "frr"
_NEEDED = ("vtysh", "watchfrr", "zebra")
_AT_FIRST = ("staticd",)
# Programs that are in the package frr itself; vtysh was in frr-vtysh up to 22.03.
_IN_FRR = ("vtysh", "mgmtd")
_OLD_VTYSH = "frr-vtysh"
# busybox's ip prints no next hops of a route that has several.
IP_FULL = "ip-full"
# Where the systems put FRR's programs; only the last two are in a path.
_FOLDERS = "/usr/lib/frr /usr/libexec/frr /usr/sbin /usr/bin"


@dataclass(frozen=True)
class Manager:
    """Commands of a package manager; C({packages}) stands for the names. C(known) says whether C({package})
    is in the lists that are there, without asking anybody."""

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
    """Commands that keep FRR running; each ends with 0 for yes or done. C(add) lets those daemons run too
    that were switched on since FRR started, and leaves the others alone; empty: that cannot be."""

    start: str
    stop: str
    restart: str
    enable: str
    disable: str
    is_enabled: str
    is_running: str
    add: str = ""


# FRR's own functions for its daemons, which its packages put here or there.
_FUNCTIONS = "/usr/lib/frr /usr/libexec/frr /usr/sbin"
GROWS = f"for d in {_FUNCTIONS}; do [ -r $d/frrcommon.sh ] && break; done; [ -r $d/frrcommon.sh ]"
# As the first half of 'frrinit.sh reload', whose second half would make the saved configuration the running
# one. watchfrr takes over the daemons that run, and starts the others of its list. systemd ends a watchfrr
# that does not know how often it has to report.
_ADD = rf"""log_success_msg() {{ :; }}
log_warning_msg() {{ echo "$@" >&2; }}
log_failure_msg() {{ echo "$@" >&2; }}
for d in {_FUNCTIONS}; do [ -r $d/frrcommon.sh ] && break; done
. $d/frrcommon.sh
was=$(tr "\0" "\n" < "/proc/$(cat "$V_PATH/watchfrr.pid")/environ" | sed -n "s/^WATCHDOG_USEC=//p")
[ -z "$was" ] || {{ WATCHDOG_USEC=$was; export WATCHDOG_USEC; }}
daemon_list daemons
watchfrr_options="$watchfrr_options $daemons"
daemon_stop watchfrr && daemon_start watchfrr
"""
# FRR's functions are bash's, as far as there is one.
_SHELL = "$(command -v bash || command -v sh)"
_BY_SHELL = f"{_SHELL} -c {shlex.quote(_ADD)}"
# Only what systemd itself starts for a reload may take the place of a service's first process.
_BY_SYSTEMD = rf"""d=/run/systemd/system/frr.service.d; f=$d/vipcast-add.conf; s=/run/vipcast-add-daemons
mkdir -p $d && cat > $s <<'ADD' &&
{_ADD}ADD
printf '[Service]\nExecReload=\nExecReload=%s %s\n' "{_SHELL}" $s > $f &&
systemctl daemon-reload && systemctl reload frr
r=$?
rm -f $f $s; rmdir $d 2>/dev/null
systemctl daemon-reload && [ $r = 0 ]"""
_PROCESS = "pidof watchfrr >/dev/null"
SERVICES: Mapping[str, Service] = {
    "systemd": Service(
        start="systemctl start frr",
        stop="systemctl stop frr",
        restart="systemctl restart frr",
        enable="systemctl -q enable frr",
        disable="systemctl -q disable frr",
        is_enabled="systemctl is-enabled -q frr",
        is_running="systemctl is-active -q frr",
        add=_BY_SYSTEMD,
    ),
    "openwrt": Service(
        start="/etc/init.d/frr start",
        stop="/etc/init.d/frr stop",
        restart="/etc/init.d/frr restart",
        enable="/etc/init.d/frr enable",
        disable="/etc/init.d/frr disable",
        is_enabled="/etc/init.d/frr enabled",
        is_running=_PROCESS,
        add=_BY_SHELL,
    ),
    "openrc": Service(
        start="rc-service frr start",
        stop="rc-service frr stop",
        restart="rc-service frr restart",
        enable="rc-update -q add frr default",
        disable="rc-update -q del frr default",
        is_enabled="rc-update show default | grep -qw frr",
        is_running="rc-service -q frr status",
    ),
    # No service manager runs: FRR's own script, and nothing that could start it with the machine.
    "script": Service(
        start="/usr/lib/frr/frrinit.sh start",
        stop="/usr/lib/frr/frrinit.sh stop",
        restart="/usr/lib/frr/frrinit.sh restart",
        enable="true",
        disable="true",
        is_enabled="true",
        is_running=_PROCESS,
        add=_BY_SHELL,
    ),
}


@dataclass(frozen=True)
class Platform:
    """The platform that the probe found. C(manager) and C(service) are keys of the tables; C(manager) may be
    empty."""

    manager: str
    service: str
    openwrt: bool
    vtysh: bool
    quagga: bool

    def programs(self, daemons: Sequence[str]) -> tuple[str, ...]:
        """The programs that these daemons need on this system. Where FRR is one package, vtysh stands for all
        of it."""
        if not self.openwrt:
            return ("vtysh",)
        first = () if self.vtysh else _AT_FIRST
        return tuple(dict.fromkeys((*_NEEDED, *first, *daemons)))

    def packages(self, programs: Sequence[str]) -> tuple[str, ...]:
        """The packages that bring these programs here."""
        if not self.openwrt:
            return (_WHOLE,)
        return tuple(dict.fromkeys("frr" if name in _IN_FRR else f"frr-{name}" for name in programs))

    @property
    def packages_of_old(self) -> tuple[str, ...]:
        """Packages that only some releases have: taken where they are known."""
        return (_OLD_VTYSH,) if self.openwrt and not self.vtysh else ()

    @property
    def sysctl_file(self) -> str:
        """The file in which a sysctl survives a restart."""
        return "/etc/sysctl.d/99-vipcast.conf"

    @property
    def later_sysctl_file(self) -> str | None:
        """A file that is read after all of that folder, and so counts for more."""
        return "/etc/sysctl.conf" if self.openwrt else None


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


# quagga: OpenWrt has a package for each program, others one for all of them. Its script in /etc/init.d starts
# the daemons that have a configuration file.
QUAGGA_PACKAGES: Mapping[bool, tuple[str, ...]] = {
    True: ("quagga", "quagga-zebra", "quagga-bgpd", "quagga-vtysh"),
    False: ("quagga",),
}


def quagga_service(name: str) -> Service:
    """Return the service that keeps quagga running where FRR would be kept by the service of that name."""
    commands = dataclasses.asdict(SERVICES[name])
    old = "/usr/lib/frr/frrinit.sh" if name == "script" else "frr"
    new = "/etc/init.d/quagga" if name == "script" else "quagga"
    service = Service(**{field: text.replace(old, new) for field, text in commands.items()})
    return dataclasses.replace(service, is_running="pidof bgpd >/dev/null", add="")


def missing_programs(shell: Shell, names: Sequence[str]) -> list[str]:
    """Return those of FRR's programs that are nowhere on the router."""
    script = (
        f"for p in {' '.join(names)}; do command -v $p >/dev/null 2>&1 && continue; "
        f"for d in {_FOLDERS}; do [ -x $d/$p ] && continue 2; done; echo $p; done"
    )
    return shell.run(script).stdout.split()


def lacks_ip(shell: Shell, platform: Platform) -> bool:
    """Return whether C(ip) of this OpenWrt is one that does not tell a route's next hops."""
    return platform.openwrt and shell.run("ip -j route show >/dev/null 2>&1").rc != 0
