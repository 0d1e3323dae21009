# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A router's shell: commands, files and vtysh, with nothing on the other side but a POSIX shell.

What is written goes through standard input where the connection can do that, so that no secret shows up in
the
process list of either machine; else through a quoted argument of limited length.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .errors import Reason, Refusal
from .syntax import mask, mask_text
from .version import Version, parse_version

# Non-login shells of sudo and dropbear often lack the system folders.
_PATH = 'PATH="$PATH:/usr/sbin:/sbin:/usr/local/sbin:/usr/local/bin"; export PATH; '
# vtysh would add each of its commands to a file in root's home: on a flash, at each look.
_HISTORY = "VTYSH_HISTFILE=/dev/null; export VTYSH_HISTFILE; "
# Linux takes 128 KiB per argument (MAX_ARG_STRLEN); a quoted quote takes five bytes.
_CHUNK = 20000


@dataclass(frozen=True)
class Result:
    """The result of a command."""

    rc: int
    stdout: str
    stderr: str

    @property
    def text(self) -> str:
        """Both outputs, for messages: vtysh explains itself on either."""
        return "\n".join(part.strip() for part in (self.stdout, self.stderr) if part.strip())


Execute = Callable[[str, "bytes | None"], Result]


class Shell:
    """Runs scripts through C(execute); C(takes_input) says whether the connection passes standard input
    on."""

    def __init__(self, execute: Execute, takes_input: bool) -> None:
        self._execute = execute
        self._takes_input = takes_input

    def run(self, script: str, data: str | None = None) -> Result:
        """Run a shell script, with C(data) as its standard input."""
        # Ansible writes "&& ..." behind what it runs.
        body = _PATH + _HISTORY + script.rstrip()
        if data is None:
            return self._execute(body, None)
        if self._takes_input:
            return self._execute(body, data.encode())
        if mask_text(data) != data:
            raise Refusal(
                Reason.NO_INPUT,
                "this connection passes no standard input on, and a password would be seen in the list of "
                "processes: use the connection ssh (ansible_connection), which does",
            )
        return self._run_with_arguments(body, data)

    def _run_with_arguments(self, body: str, data: str) -> Result:
        """Send data without standard input: into a private file, chunk by chunk, and redirect from that."""
        made = self._execute("umask 077; mktemp /tmp/vipcast.XXXXXX", None)
        path = shlex.quote(made.stdout.strip())
        if made.rc != 0 or path == "''":
            return made
        try:
            for start in range(0, len(data), _CHUNK):
                chunk = shlex.quote(data[start : start + _CHUNK])
                self._execute(f"printf %s {chunk} >> {path}", None)
            return self._execute(f"{{ {body}\n}} < {path}", None)
        finally:
            self._execute(f"rm -f {path}", None)

    def check(self, script: str, reason: Reason, problem: str, data: str | None = None) -> str:
        """Like L(run), but a failure is a Refusal that begins with C(problem)."""
        result = self.run(script, data)
        if result.rc != 0:
            raise Refusal(
                reason, f"{problem} (exit status {result.rc}): {mask_text(result.text) or 'no output'}"
            )
        return result.stdout

    def batch(self, commands: Mapping) -> dict:
        """Run several commands in one round trip; a Result for each name."""
        mark = "==vipcast=="
        parts = [
            f"{{ {text}\n}} 2>&1; printf '\\n{mark} %s {name}\\n' \"$?\"" for name, text in commands.items()
        ]
        output = self.run("\n".join(parts)).stdout
        return _results(output, mark, list(commands))


def _results(output: str, mark: str, names: list) -> dict:
    results: dict[str, Result] = {}
    lines: list[str] = []
    for line in output.split("\n"):
        if line.startswith(f"{mark} "):
            _mark, rc, name = line.split(" ", 2)
            results[name] = Result(int(rc), "\n".join(lines).rstrip("\n"), "")
            lines = []
        else:
            lines.append(line)
    missing = Result(255, "", "the connection gave no answer")
    return {name: results.get(name, missing) for name in names}


@dataclass(frozen=True)
class Place:
    """The place where vtysh runs: C(prefix) is what enters it, such as C(docker exec -i frr), and empty on
    the router itself; C(pathspace) is the name that C(-N) gives."""

    prefix: str = ""
    pathspace: str = ""

    def wrap(self, script: str) -> str:
        """C(script) as a command of the router's that runs there."""
        return f"{self.prefix} sh -c {shlex.quote(script)} </dev/null" if self.prefix else script


def place_of(command: str) -> Place:
    """Read the place from a vtysh command: what stands before the program, and its C(-N)."""
    words = shlex.split(command)
    at = next((i for i, word in enumerate(words) if word.rpartition("/")[2] == "vtysh"), 0)
    before, after = words[:at], words[at + 1 :]
    spaces = [value for name, value in zip(after, after[1:]) if name in ("-N", "--pathspace")]
    # Another user is no other place.
    here = not before or before[0].rpartition("/")[2] in ("sudo", "doas")
    return Place("" if here else shlex.join(before), spaces[0] if spaces else "")


class Vtysh:
    """FRR's and quagga's configuration shell on a router."""

    def __init__(self, shell: Shell, command: str = "vtysh") -> None:
        self.shell = shell
        self._command = command
        self._version: Version | None = None
        self._is_heard = False
        self.place = place_of(command)

    @property
    def folder(self) -> str:
        """The folder of FRR's configuration files, as FRR sees it."""
        return "/".join(part for part in ("/etc/frr", self.place.pathspace) if part)

    @property
    def run_folder(self) -> str:
        """The folder of the daemons' process ids, as FRR sees it."""
        return "/".join(part for part in ("/var/run/frr", self.place.pathspace) if part)

    def batch(self, commands: Mapping) -> dict:
        """Run commands where FRR is, which may be a container or a network namespace."""
        return self.shell.batch({name: self.place.wrap(text) for name, text in commands.items()})

    @property
    def version(self) -> Version:
        """The daemon's version, asked once."""
        if self._version is None:
            self._version = self._ask_version()
        return self._version

    @property
    def known(self) -> bool:
        """Return whether the daemon was there to be asked."""
        return self._version is not None

    def _ask_version(self) -> Version:
        alive = self.shell.run("echo vipcast-shell")
        if alive.rc != 0 or "vipcast-shell" not in alive.stdout:
            raise Refusal(
                Reason.NO_SHELL, f"no POSIX shell answers on the router: {alive.text or 'no output'}"
            )
        result = self.shell.run(
            f"command -v {self._command.split()[0]} >/dev/null || exit 127; {self.one('show version')}"
        )
        if result.rc == 127:
            raise Refusal(
                Reason.NO_DAEMON,
                f"{self._command} is not on the router: install FRR or quagga, or say where it is",
            )
        if result.rc != 0 and "failed to connect to any daemons" in result.text:
            raise Refusal(Reason.DAEMON_DOWN, "no daemon of FRR or quagga runs on the router; start it first")
        if result.rc != 0:
            raise Refusal(
                Reason.UNREADABLE, f"'show version' failed: {mask_text(result.text) or 'no output'}"
            )
        return parse_version(result.stdout)

    @property
    def command(self) -> str:
        """Return how vtysh is called."""
        return self._command

    def one(self, command: str, daemon: str = "") -> str:
        """A shell command that has vtysh run one of its own, with one daemon alone where it is named."""
        alone = f"-d {daemon} " if daemon else ""
        return f"{self._command} {alone}-c {shlex.quote(command)}"

    def show(self, *commands: str, last: int = 0) -> dict:
        """Results of show commands, or the C(last) lines of each; one that is not known to be safe on this
        version is a programming error."""
        unsafe = [command for command in commands if not self.version.allows(command)]
        if unsafe:
            raise ValueError(
                f"not known to be safe on {self.version.name} {self.version.text}: {', '.join(unsafe)}"
            )
        end = f" | tail -n {last}" if last else ""
        scripts = {str(number): self.one(command) + end for number, command in enumerate(commands)}
        results = self.shell.batch(scripts)
        return {command: results[str(number)] for number, command in enumerate(commands)}

    def running(self) -> str:
        """The running configuration. A Refusal when bgpd does not answer: its part would be missing from
        the text."""
        results = self.show("show running-config", "show daemons")
        daemons = results["show daemons"].stdout.split()
        if "bgpd" not in daemons:
            names = " ".join(daemons) or "none"
            raise Refusal(
                Reason.DAEMON_DOWN, f"bgpd is not running on the router (running: {names}); enable it first"
            )
        result = results["show running-config"]
        if result.rc != 0 or "Current configuration:" not in result.stdout:
            raise Refusal(
                Reason.UNREADABLE, f"'show running-config' failed: {mask_text(result.text) or 'no output'}"
            )
        return result.stdout.partition("Current configuration:")[2]

    def check_syntax(self, text: str) -> None:
        """Let the router's own vtysh parse a whole configuration; needs no daemon and changes nothing."""
        self.demand_input()
        result = self._with_file("-C -f", text)
        if _failed(result):
            raise Refusal(
                Reason.SYNTAX,
                f"vtysh does not accept the configuration; nothing was changed. {_why(result, text)}",
            )

    def demand_input(self) -> None:
        """A Refusal where vtysh runs elsewhere and hears nothing there: it would call any text right."""
        if not self.place.prefix or self._is_heard:
            return
        said = self._with_file("-C -f", "vipcast: no such command\n").text
        if "% Unknown command" not in said:
            raise Refusal(
                Reason.NO_INPUT,
                f"standard input does not get to '{self._command}' ({said or 'it says nothing'}); docker and "
                "podman pass it on with -i",
            )
        self._is_heard = True

    def apply(self, lines: list) -> None:
        """Enter configuration lines. vtysh goes on after a line that is refused, so the caller has to
        undo."""
        text = "".join(f"{line}\n" for line in lines)
        result = self._with_file("-f", text)
        if _failed(result):
            raise Refusal(Reason.REFUSED, _why(result, text))

    def _with_file(self, options: str, text: str) -> Result:
        # dash ends by a signal without its trap for EXIT.
        script = (
            "umask 077; f=$(mktemp /tmp/vipcast.XXXXXX) || exit 99; trap 'rm -f \"$f\"' EXIT; "
            "trap 'exit 1' HUP INT TERM PIPE; cat > \"$f\"; " + self._reading(options, '"$f"')
        )
        return self.shell.run(script, text)

    def _reading(self, options: str, path: str) -> str:
        """A command that has vtysh read a file of the router's: through standard input where vtysh runs in
        a place with files of its own."""
        if self.place.prefix:
            return f"{self._command} {options} /dev/stdin < {path}"
        return f"{self._command} {options} {path}"

    def entering(self, path: str) -> str:
        """A command that enters the lines in a file. C(path) is quoted already."""
        return self._reading("-f", path)

    def save(self) -> None:
        """Write the running configuration to the file that the daemon starts from, as the daemon does it."""
        result = self.shell.run(self.one("write memory"))
        if result.rc != 0 or not ("saved to" in result.stdout or "[OK]" in result.stdout):
            raise Refusal(Reason.NOT_SAVED, f"'write memory' failed: {mask_text(result.text) or 'no output'}")


# What begins like an error, and is none: the line was taken.
_REMARKS = ("% Echo mode works correctly for IPv4",)


def _failed(result: Result) -> bool:
    """vtysh's exit status depends on its version; what it says does not."""
    marks = ("% ", "line ")
    said = (result.stdout + "\n" + result.stderr).splitlines()
    lines = [line for line in said if not line.startswith(_REMARKS)]
    refused = any(line.startswith(marks[0]) or (line.startswith(marks[1]) and ": " in line) for line in lines)
    return result.rc != 0 or refused


def _why(result: Result, text: str) -> str:
    """vtysh's reason, with the line it means; secrets masked."""
    source = text.splitlines()
    reasons = []
    for line in (result.stdout + "\n" + result.stderr).splitlines():
        if not line.strip() or line.startswith("vtysh_pam"):
            continue
        reasons.append(_with_source(line.strip(), source))
    return "; ".join(dict.fromkeys(reasons)) or f"exit status {result.rc}"


def _with_source(line: str, source: list) -> str:
    """Return where vtysh names a line by its number: that line, and the reason.

    A secret ends the line it is in.
    """
    head, _colon, rest = line.partition(":")
    words = head.split()
    if len(words) == 2 and words[0] == "line" and words[1].isdigit() and 0 < int(words[1]) <= len(source):
        meant = mask(source[int(words[1]) - 1].strip())
        return f"line {words[1]} ('{meant}'): {mask(rest.strip().split(', line:')[0])}"
    return mask(line)
