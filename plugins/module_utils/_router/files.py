# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Edits of the files around FRR, as pure functions from text to text, and the one way in which files are
written."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping

from .intent import Reason
from .shell import Shell

_LOOPBACK = ("127.0.0.1", "::1")


def enable_daemons(text: str, daemons: Iterable[str]) -> str:
    """FRR's C(daemons) file with these daemons on and everything else as it was."""
    for daemon in daemons:
        text = _assign(text, daemon, "yes", quoted=False)
    return text


def bind_to_loopback(text: str, daemons: Iterable[str]) -> str:
    """The C(daemons) file with the terminals of these daemons on a loopback address, or off where they were
    off.

    Without C(-A) a daemon listens for terminals (TCP 2601, 2605, ...) on every address of the router.
    """
    for daemon in daemons:
        found = re.findall(rf'^{daemon}_options\s*=\s*"([^"\n]*)"', text, re.MULTILINE)
        options = found[-1] if found else ""
        if not _is_local(options):
            kept = re.sub(r"(^|\s)(-A|--vty_addr)[ =]?\S+", "", options)
            text = _assign(text, f"{daemon}_options", f"{kept} -A 127.0.0.1".strip(), quoted=True)
    return text


def _is_local(options: str) -> bool:
    address = re.findall(r"(?:^|\s)(?:-A|--vty_addr)[ =]?(\S+)", options)
    disabled = re.search(r"(?:^|\s)(?:-P|--vty_port)[ =]?0(?:\s|$)", options)
    return bool(disabled) or (bool(address) and address[-1] in _LOOPBACK)


def _assign(text: str, name: str, value: str, quoted: bool) -> str:
    """A shell assignment: the last one of its name decides, so that one is changed; a missing one is
    added."""
    line = f'{name}="{value}"' if quoted else f"{name}={value}"
    places = list(re.finditer(rf"^{name}[ \t]*=.*$", text, re.MULTILINE))
    if not places:
        return f"{text.rstrip()}\n{line}\n" if text.strip() else f"{line}\n"
    last = places[-1]
    if not quoted and re.fullmatch(rf"""{name}=["']?{value}["']?\s*""", last.group()):
        return text
    return text[: last.start()] + line + text[last.end() :]


def set_sysctls(text: str, values: Mapping[str, str]) -> str:
    """A sysctl file with these values; other lines and comments stay."""
    for name, value in values.items():
        pattern = re.compile(
            rf"^[ \t]*{re.escape(name).replace('/', '[./]')}[ \t]*=[ \t]*(.*?)[ \t]*$", re.MULTILINE
        )
        places = list(pattern.finditer(text))
        if not places:
            text = f"{text.rstrip()}\n{name} = {value}\n" if text.strip() else f"{name} = {value}\n"
        elif places[-1].group(1) != value:
            text = text[: places[-1].start()] + f"{name} = {value}" + text[places[-1].end() :]
    return text


def read(shell: Shell, path: str) -> str | None:
    """The text of a file, or None where there is none."""
    quoted = shlex.quote(path)
    result = shell.run(f"[ -e {quoted} ] || exit 3; cat {quoted}")
    if result.rc == 3:
        return None
    if result.rc != 0:
        # Nothing to go on with: say so as a refusal.
        shell.check(f"cat {quoted} >/dev/null", Reason.UNREADABLE, f"{path} cannot be read")
    return result.stdout


def write(shell: Shell, path: str, text: str, mode: str) -> None:
    """Replace a file in one step. One that exists keeps its owner and mode; a new one gets C(mode)."""
    script = (
        f'f={shlex.quote(path)}; if [ -L "$f" ]; then f=$(readlink -f "$f") || exit 1; fi; '
        'mkdir -p "${f%/*}"; n="$f.vipcast-new"; trap \'rm -f "$n"\' EXIT; umask 077; '
        f'if [ -e "$f" ]; then cp -p "$f" "$n"; else : > "$n" && chmod {mode} "$n"; fi && '
        'cat > "$n" && mv -f "$n" "$f"'
    )
    shell.check(script, Reason.NOT_SAVED, f"{path} cannot be written", text)
