# SPDX-License-Identifier: GPL-3.0-or-later
"""Daemons that were switched on for us are switched off again with us; those that were found on stay."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import pytest
from ansible_collections.vipcast.baremetal.plugins.module_utils._router import original, platforms, record
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.daemon import State, Wanted, converge
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.daemon_removal import put_back

from .local_shell import local_shell

# FRR as far as this needs it: the service runs what the file says, and vtysh says what runs.
VTYSH = """#!/bin/sh
[ -e {folder}/runs ] || exit 1
case "$2" in
    'show daemons') cat {folder}/runs ;;
    'show running-config') cat {folder}/running ;;
esac
"""
RUN = "sed -n 's/^\\([a-z]*d\\)=yes$/\\1/p' {folder}/daemons > {folder}/runs"
FOUND = "# of the package\nbgpd=no\nospfd=no\nbfdd=no\n"


@dataclass(frozen=True)
class Router:
    """A folder in the place of a router, and what would be seen on it."""

    folder: Path

    def write(self, daemons: str, *, runs: bool, at_boot: bool) -> None:
        """Make the router what it was before us."""
        (self.folder / "daemons").write_text(daemons)
        on = [line.removesuffix("=yes") for line in daemons.splitlines() if line.endswith("=yes")]
        if runs:
            (self.folder / "runs").write_text("\n".join(on))
        if at_boot:
            (self.folder / "enabled").touch()

    def run(self, *commands: str) -> None:
        """Let FRR have these lines in its running configuration."""
        (self.folder / "running").write_text("\n".join(commands) + "\n")

    def wanted(self, *daemons: str, check: bool = False) -> Wanted:
        """Return what the role wants of FRR, with the file in this folder."""
        return Wanted(
            daemons=daemons or ("bgpd",),
            install=False,
            packages=None,
            ip_full=False,
            daemons_file=str(self.folder / "daemons"),
            service="script",
            local_terminals=False,
            timeout=3,
            check=check,
        )

    def roll_out(self, *daemons: str) -> State:
        """Switch on what the role needs."""
        return converge(local_shell(True, []), self.wanted(*daemons))

    def remove(self, *daemons: str, check: bool = False) -> State:
        """Take it back."""
        return put_back(local_shell(True, []), self.wanted(*daemons, check=check))

    def state(self) -> dict[str, str]:
        """Return every file: what is said, what runs and what starts with the machine."""
        files = [path for path in self.folder.iterdir() if path.is_file()]
        return {path.name: path.read_text() for path in files if path.name not in ("vtysh", "restarted")}


@pytest.fixture
def router(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Router:
    """A router whose FRR is off."""
    service = platforms.Service(
        start=RUN.format(folder=tmp_path),
        restart=f"{RUN.format(folder=tmp_path)} && touch {tmp_path}/restarted",
        stop=f"rm {tmp_path}/runs",
        enable=f"touch {tmp_path}/enabled",
        disable=f"rm {tmp_path}/enabled",
        is_enabled=f"[ -e {tmp_path}/enabled ]",
        is_running=f"[ -e {tmp_path}/runs ]",
    )
    monkeypatch.setitem(platforms.SERVICES, "script", service)  # type: ignore[arg-type]
    monkeypatch.setattr(record, "FOLDER", str(tmp_path / "before"))
    # A machine that runs tests may have FRR.
    monkeypatch.setattr(original, "_FILE", str(tmp_path / "frr.conf"))
    vtysh = tmp_path / "vtysh"
    vtysh.write_text(VTYSH.format(folder=tmp_path))
    vtysh.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    (tmp_path / "running").write_text("hostname router\n")
    return Router(tmp_path)


def seen(state: State) -> list[tuple[str, str, str, str]]:
    """Return the differences as a report has them."""
    return [(each["what"], each["where"], each["expected"], each["found"]) for each in state.drift]


def test_an_frr_that_was_off_is_off_again(router: Router) -> None:
    router.write(FOUND, runs=False, at_boot=False)
    before = router.state()
    router.roll_out("bgpd", "bfdd")
    assert (router.folder / "runs").read_text().split() == ["bgpd", "bfdd"]
    back = router.remove("bgpd", "bfdd")

    where = str(router.folder / "daemons")
    assert seen(back) == [
        ("bfdd", where, "no", "yes"),
        ("bgpd", where, "no", "yes"),
        ("FRR", "start with the machine", "disabled", "enabled"),
        ("FRR", "services", "stopped", "running"),
    ]
    assert router.state() == before
    assert not (router.folder / "before").exists()
    assert not router.remove("bgpd", "bfdd").changed


def test_a_daemon_that_was_on_stays_on(router: Router) -> None:
    """Its FRR ran, and starts with the machine: it goes on, and without what was switched on in it."""
    router.write(FOUND.replace("bgpd=no", "bgpd=yes"), runs=True, at_boot=True)
    before = router.state()
    assert router.roll_out("bgpd", "bfdd").restarted
    back = router.remove("bgpd", "bfdd")

    assert seen(back) == [("bfdd", str(router.folder / "daemons"), "no", "yes")]
    assert back.restarted
    assert router.state() == {**before, "runs": "bgpd\n"}


def test_where_everything_was_on_nothing_is_done(router: Router) -> None:
    router.write(FOUND.replace("bgpd=no", "bgpd=yes"), runs=True, at_boot=True)
    before = router.state()
    router.roll_out()
    back = router.remove()

    assert (back.changed, back.drift, back.restarted) == (False, [], False)
    assert router.state() == before


def test_an_frr_that_ran_and_did_not_start_with_the_machine_runs_on(router: Router) -> None:
    router.write(FOUND.replace("bgpd=no", "bgpd=yes"), runs=True, at_boot=False)
    before = router.state()
    router.roll_out()
    back = router.remove()

    assert seen(back) == [("FRR", "start with the machine", "disabled", "enabled")]
    assert not back.restarted and not (router.folder / "restarted").exists()
    assert router.state() == before


def test_daemons_of_an_earlier_declaration_are_switched_off_too(router: Router) -> None:
    router.write(FOUND, runs=False, at_boot=False)
    before = router.state()
    router.roll_out("bgpd", "bfdd")
    router.remove("bgpd")

    assert router.state() == before


def test_the_first_rollout_counts(router: Router) -> None:
    """A second one sees what the first made, which is not what was there."""
    router.write(FOUND, runs=False, at_boot=False)
    before = router.state()
    router.roll_out("bgpd")
    router.roll_out("bgpd", "bfdd")
    router.remove("bgpd", "bfdd")

    assert router.state() == before


@pytest.mark.parametrize("line", ["router bgp 64999", "interface eth1\n ip ospf bfd"])
def test_what_others_need_by_now_stays(router: Router, line: str) -> None:
    router.write(FOUND, runs=False, at_boot=False)
    router.roll_out("bgpd", "bfdd")
    after = router.state()
    router.run(line)
    back = router.remove("bgpd", "bfdd")

    assert back.in_use and not back.changed
    assert [text for text in back.warnings if "FRR's daemons stay as they are" in text]
    router.run("hostname router")
    assert router.state() == after
    assert router.remove("bgpd", "bfdd").changed, "what is noted is not forgotten"


def test_an_frr_in_which_others_have_a_daemon_is_not_restarted(router: Router) -> None:
    router.write(FOUND.replace("ospfd=no", "ospfd=yes"), runs=True, at_boot=True)
    router.roll_out()
    (router.folder / "restarted").unlink()
    back = router.remove()

    assert (router.folder / "daemons").read_text() == FOUND.replace("ospfd=no", "ospfd=yes")
    assert back.changed and not back.restarted
    assert [text for text in back.warnings if "FRR is not restarted, for ospfd runs in it" in text]
    assert not (router.folder / "restarted").exists()


def test_a_line_that_somebody_has_changed_since_stays(router: Router) -> None:
    router.write(FOUND, runs=False, at_boot=False)
    router.roll_out()
    theirs = (router.folder / "daemons").read_text().replace("bgpd=yes", 'bgpd="yes"')
    (router.folder / "daemons").write_text(theirs)
    router.remove()

    assert (router.folder / "daemons").read_text() == theirs


def test_check_mode_says_it_and_does_nothing(router: Router) -> None:
    router.write(FOUND, runs=False, at_boot=False)
    router.roll_out()
    before = router.state()
    looked = router.remove(check=True)

    assert router.state() == before
    assert (router.folder / "before").exists()
    assert seen(looked) == seen(router.remove()) != []


def test_without_a_note_nothing_is_ours(router: Router) -> None:
    """The daemons were switched on by hand, and our part is removed that never was there."""
    router.write(FOUND.replace("bgpd=no", "bgpd=yes"), runs=True, at_boot=True)
    before = router.state()
    back = router.remove()

    assert dataclasses.replace(back, platform=None) == State()
    assert router.state() == before
