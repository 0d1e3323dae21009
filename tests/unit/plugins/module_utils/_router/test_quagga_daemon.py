# SPDX-License-Identifier: GPL-3.0-or-later
"""quagga is switched on where a router has it, and put there where its packages are named."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from ansible_collections.vipcast.baremetal.plugins.module_utils._router import (
    original,
    platforms,
    quagga_daemon,
    record,
)
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.daemon import State, Wanted
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.daemon_removal import put_back
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.errors import Reason, Refusal

from .local_shell import local_shell

WANTED = Wanted(
    daemons=("bgpd", "bfdd"),
    install=True,
    packages=None,
    ip_full=False,
    daemons_file="/etc/frr/daemons",
    service="script",
    local_terminals=True,
    timeout=3,
    check=False,
)
QUAGGA = platforms.Platform(manager="", service="script", openwrt=False, vtysh=True, quagga=True)
BARE = dataclasses.replace(QUAGGA, vtysh=False, quagga=False)

VTYSH = """#!/bin/sh
[ -e {folder}/runs ] || exit 1
case "$2" in
    'show daemons') cat {folder}/runs ;;
    'show running-config') [ ! -e {folder}/running ] || cat {folder}/running ;;
esac
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Debian of old: a folder for /etc/quagga, and a service that is a file."""
    (tmp_path / "daemons").write_text("zebra=no\nbgpd=no\nospfd=no\n")
    (tmp_path / "debian.conf").write_text(
        'zebra_options=" --daemon -A 127.0.0.1"\nbgpd_options=" --daemon"\n'
    )
    (tmp_path / "zebra.conf").write_text("password zebra\n")
    vtysh = tmp_path / "vtysh"
    vtysh.write_text(VTYSH.format(folder=tmp_path))
    vtysh.chmod(0o755)
    service = platforms.quagga_service("script")
    commands = {
        "start": f"echo zebra bgpd > {tmp_path}/runs",
        "stop": f"rm {tmp_path}/runs",
        "restart": f"[ -e {tmp_path}/may-restart ] && echo zebra > {tmp_path}/runs",
        "is_running": f"grep -q bgpd {tmp_path}/runs",
    }
    monkeypatch.setattr(record, "FOLDER", str(tmp_path / "before"))
    monkeypatch.setattr(original, "_FILE", str(tmp_path / "frr.conf"))
    monkeypatch.setattr(
        quagga_daemon, "quagga_service", lambda _name: dataclasses.replace(service, **commands)
    )
    monkeypatch.setattr(quagga_daemon, "FOLDER", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return tmp_path


def converge(check: bool = False) -> State:
    wanted = dataclasses.replace(WANTED, check=check)
    return quagga_daemon.converge(local_shell(True, []), QUAGGA, wanted, State())


def test_daemons_are_switched_on_and_listen_at_home(folder: Path) -> None:
    state = converge()

    assert (folder / "daemons").read_text() == "zebra=yes\nbgpd=yes\nospfd=no\n"
    assert (folder / "debian.conf").read_text().count("-A 127.0.0.1") == 2
    assert (folder / "bgpd.conf").read_text() == ""
    assert (folder / "runs").exists() and not state.restarted
    assert {"bgpd", "zebra", "quagga"} == {entry["what"] for entry in state.drift}
    assert state.warnings == ["quagga has no bfdd; the router goes without."]

    again = converge()
    assert (again.changed, again.drift) == (False, [])


def test_check_mode_touches_nothing(folder: Path) -> None:
    before = {path.name: path.read_text() for path in folder.iterdir()}
    state = converge(check=True)

    assert state.changed and state.drift
    assert {path.name: path.read_text() for path in folder.iterdir()} == before


def kept(folder: Path) -> dict[str, str]:
    """Return every file of the folder but the program."""
    return {
        path.name: path.read_text() for path in folder.iterdir() if path.is_file() and path.name != "vtysh"
    }


def remove(check: bool = False) -> State:
    return put_back(local_shell(True, []), dataclasses.replace(WANTED, check=check))


def test_a_removal_switches_off_what_was_switched_on(folder: Path) -> None:
    before = kept(folder)
    converge()
    # What bgpd writes of itself.
    (folder / "bgpd.conf").write_text("hostname bgpd\npassword x\n!\nline vty\n access-class A\n!\n")
    looked, back, again = remove(check=True), remove(), remove()

    assert looked.drift == back.drift
    assert {(each["what"], each["expected"]) for each in back.drift} >= {
        ("bgpd", "no"),
        ("zebra", "no"),
        ("bgpd", "missing"),
        ("quagga", "stopped"),
    }
    assert kept(folder) == before
    assert not (folder / "before").exists() and not again.changed


def test_a_zebra_that_ran_goes_on_without_our_bgpd(folder: Path) -> None:
    """It has routes that are not ours."""
    (folder / "daemons").write_text("zebra=yes\nbgpd=no\nospfd=no\n")
    (folder / "runs").write_text("zebra\n")
    before = kept(folder)
    converge()
    (folder / "may-restart").touch()
    back = remove()
    (folder / "may-restart").unlink()

    assert back.restarted
    assert kept(folder) == before


def test_a_file_in_which_others_have_lines_stays(folder: Path) -> None:
    (folder / "zebra.conf").unlink()
    converge()
    theirs = "hostname r\nip route 192.0.2.0/24 10.31.8.1\n"
    (folder / "zebra.conf").write_text(theirs)
    back = remove()

    assert (folder / "zebra.conf").read_text() == theirs
    assert [text for text in back.warnings if "zebra.conf stays" in text and "192.0.2.0/24" in text]


def test_what_others_need_by_now_stays(folder: Path) -> None:
    converge()
    after = kept(folder)
    (folder / "running").write_text("router bgp 64999\n neighbor 192.0.2.1 remote-as 1\n")
    back = remove()
    (folder / "running").unlink()

    assert back.in_use and not back.changed
    assert kept(folder) == after


def test_a_daemon_that_does_not_come_up(folder: Path) -> None:
    (folder / "vtysh").write_text("#!/bin/sh\necho ' zebra'\n")
    with pytest.raises(Refusal, match="zebra, bgpd did not answer within 3 seconds") as refused:
        converge()
    assert refused.value.reason is Reason.NOT_STARTED


@pytest.mark.parametrize(
    ("platform", "packages", "meant"),
    [
        (QUAGGA, None, True),
        (BARE, ("quagga", "quagga-bgpd"), True),
        (BARE, None, False),
        (BARE, ("frr",), False),
        (dataclasses.replace(BARE, vtysh=True), ("quagga",), False),
    ],
)
def test_where_quagga_is_meant(
    platform: platforms.Platform, packages: tuple[str, ...] | None, meant: bool
) -> None:
    wanted = dataclasses.replace(WANTED, packages=packages)
    assert quagga_daemon.is_meant(platform, wanted) is meant


def test_the_services_of_a_system() -> None:
    found = {name: platforms.quagga_service(name) for name in platforms.SERVICES}

    assert found["systemd"].restart == "systemctl restart quagga"
    assert found["openwrt"].start == found["script"].start == "/etc/init.d/quagga start"
    assert found["openwrt"].is_enabled == "/etc/init.d/quagga enabled"
    assert {service.is_running for service in found.values()} == {"pidof bgpd >/dev/null"}
    assert not [text for service in found.values() for text in vars(service).values() if "frr" in text]


def test_a_router_without_a_package_manager() -> None:
    bare = dataclasses.replace(QUAGGA, vtysh=False)
    with pytest.raises(Refusal, match="no vtysh on the router") as refused:
        quagga_daemon.converge(local_shell(True, []), bare, WANTED, State())
    assert refused.value.reason is Reason.NO_DAEMON
