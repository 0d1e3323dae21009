# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that what a connection adds to a router's answer is taken off before anyone reads it."""

from __future__ import annotations

from typing import Any

from ansible_collections.vipcast.baremetal.plugins.module_utils._router.connection import shell_of


class Action:
    """An action on a connection that gives a terminal where no input is sent, as ssh does."""

    class _connection:  # noqa: N801 - the attribute's name is Ansible's
        has_pipelining = True

    def __init__(self, stdout: str, stderr: str = "") -> None:
        self.stdout, self.stderr = stdout, stderr

    def _low_level_execute_command(self, script: str, in_data: bytes | None = None) -> dict[str, Any]:
        end = "\r\n" if in_data is None else "\n"
        return {"rc": 0, "stdout": self.stdout.replace("\n", end), "stderr": self.stderr.replace("\n", end)}


def test_a_file_that_is_read_through_a_terminal_has_its_own_line_ends() -> None:
    assert shell_of(Action("bgpd=no\nospfd=no\n")).run("cat daemons").stdout == "bgpd=no\nospfd=no\n"


def test_a_carriage_return_of_the_file_itself_stays() -> None:
    assert shell_of(Action("bgpd=no\r\n")).run("cat daemons").stdout == "bgpd=no\r\n"
    assert shell_of(Action("bgpd=no\r\n")).run("cat", "input").stdout == "bgpd=no\r\n"


def test_what_the_ssh_client_says_of_itself_is_no_output_of_the_router() -> None:
    shell = shell_of(Action("", "no such file\nShared connection to 192.0.2.1 closed.\n"))
    assert shell.run("cat daemons").stderr == "no such file\n"
