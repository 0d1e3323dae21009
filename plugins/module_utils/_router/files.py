# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Edits of the files around FRR, as pure functions from text to text, and the one way in which files are
written."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping

from .errors import Reason
from .shell import Shell

# Names of the router itself, as C(-A) takes them.
_LOOPBACK = re.compile(r"127(\.\d+){3}|::1|localhost|ip6-localhost")
# What a shell reads as one word: quoted parts go over several lines, and so does a continued line.
_WORD = r"""(?:"(?:[^"\\]|\\.)*"|'[^']*'|\\.|[^\s"'\\;#])*"""


def enable_daemons(text: str, daemons: Iterable[str]) -> str:
    """FRR's C(daemons) file with these daemons on and everything else as it was."""
    for daemon in daemons:
        last = _last(text, daemon)
        if last is None or _inside(last.group("value")) != "yes":
            text = _assign(text, daemon, "yes")
    return text


def bind_to_loopback(text: str, daemons: Iterable[str]) -> str:
    """The C(daemons) file with the terminals of these daemons on a loopback address, or off where they were
    off.

    Without C(-A) a daemon listens for terminals (TCP 2601, 2605, ...) on every address of the router.
    """
    for daemon in daemons:
        last = _last(text, f"{daemon}_options")
        word = last.group("value") if last else ""
        options = _inside(word)
        if not _is_local(options):
            kept = re.sub(r"(^|\s)(-A|--vty_addr)[ =]?\S+", "", options)
            mark = "'" if word.startswith("'") else '"'
            text = _assign(text, f"{daemon}_options", f"{mark}{f'{kept} -A 127.0.0.1'.strip()}{mark}")
    return text


def _is_local(options: str) -> bool:
    address = re.findall(r"(?:^|\s)(?:-A|--vty_addr)[ =]?(\S+)", options)
    disabled = re.search(r"(?:^|\s)(?:-P|--vty_port)[ =]?0(?:\s|$)", options)
    return bool(disabled) or (bool(address) and bool(_LOOPBACK.fullmatch(address[-1])))


def _last(text: str, name: str) -> re.Match[str] | None:
    """The last assignment of a name is the one that counts."""
    pattern = rf"^[ \t]*(?:export[ \t]+)?{re.escape(name)}=(?P<value>{_WORD})"
    found = list(re.finditer(pattern, text, re.MULTILINE | re.DOTALL))
    return found[-1] if found else None


def _inside(word: str) -> str:
    """Return a word without its quotes and continued lines; what a shell would replace stays."""
    if len(word) > 1 and word[0] == word[-1] == "'":
        return word[1:-1]
    joined = word.replace("\\\n", "")
    return joined[1:-1] if len(joined) > 1 and joined[0] == joined[-1] == '"' else joined


def _assign(text: str, name: str, word: str) -> str:
    """The last assignment is changed; a missing one is added."""
    last = _last(text, name)
    if last is None:
        return f"{text.rstrip()}\n{name}={word}\n" if text.strip() else f"{name}={word}\n"
    return text[: last.start("value")] + word + text[last.end() :]


def set_sysctls(text: str, values: Mapping[str, str]) -> str:
    """A sysctl file with these values; other lines and comments stay."""
    for name, value in values.items():
        place = _sysctl(text, name)
        if place is None:
            text = f"{text.rstrip()}\n{name} = {value}\n" if text.strip() else f"{name} = {value}\n"
        elif place.group(1) != value:
            text = text[: place.start()] + f"{name} = {value}" + text[place.end() :]
    return text


def sysctl(text: str, name: str) -> str | None:
    """The value that a sysctl file has for this name, or None where it has none."""
    place = _sysctl(text, name)
    return place.group(1) if place else None


def _sysctl(text: str, name: str) -> re.Match | None:
    """The last line of a name counts."""
    pattern = rf"^[ \t]*{re.escape(name).replace('/', '[./]')}[ \t]*=[ \t]*(.*?)[ \t]*$"
    places = list(re.finditer(pattern, text, re.MULTILINE))
    return places[-1] if places else None


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


def write(shell: Shell, path: str, text: str, mode: str, is_script: bool = False) -> None:
    """Replace a file in one step. One that exists keeps its owner and mode; a new one gets C(mode).

    What a shell would not read (C(is_script)) is not put in place.
    """
    check = 'sh -n "$n" && ' if is_script else ""
    script = (
        f'f={shlex.quote(path)}; if [ -L "$f" ]; then f=$(readlink -f "$f") || exit 1; fi; '
        'mkdir -p "${f%/*}"; n="$f.vipcast-new"; trap \'rm -f "$n"\' EXIT; '
        "trap 'exit 1' HUP INT TERM PIPE; umask 077; "
        f'if [ -e "$f" ]; then cp -p "$f" "$n"; else : > "$n" && chmod {mode} "$n"; fi && '
        f'cat > "$n" && {check}mv -f "$n" "$f"'
    )
    shell.check(script, Reason.NOT_SAVED, f"{path} cannot be written", text)
