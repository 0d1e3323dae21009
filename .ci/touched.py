# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell which modules, action plugins and filters of the collection a run of playbooks did not use.

    python .ci/touched.py FILE

FILE is what tests/support/callbacks/touched.py wrote. A filter counts as used where a task ran out of a file
that names it, or of a role whose defaults or variables do. The exit status is 0 where everything was used.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
NAMESPACE = "vipcast.baremetal"


def plugins(kind: str) -> set[str]:
    """Return the names of the plugins in a folder."""
    return {path.stem for path in (CHECKOUT / "plugins" / kind).glob("[!_]*.py")}


def read(path: Path) -> tuple[set[str], set[Path]]:
    """Return the collection's actions that ran, and the files of all tasks that did."""
    rows = [line.partition(" ") for line in path.read_text(encoding="utf-8").splitlines()]
    actions = {action.rpartition(".")[2] for action, _space, _file in rows if action.startswith(NAMESPACE)}
    return actions, {Path(file) for _action, _space, file in rows if file}


def with_variables(files: Iterable[Path]) -> set[Path]:
    """Return the files, and with each of a role's tasks the role's defaults and variables."""
    found = set(files)
    for path in files:
        if "roles" in path.parts and "tasks" in path.parts:
            role = path.parents[len(path.parts) - 1 - path.parts.index("tasks")]
            found |= {role / "defaults/main.yml", role / "vars/main.yml"}
    return {path for path in found if path.is_file()}


def named(files: Iterable[Path]) -> set[str]:
    """Return the names of the collection that are in the files."""
    word = re.compile(rf"{re.escape(NAMESPACE)}\.(\w+)")
    return {name for path in files for name in word.findall(path.read_text(encoding="utf-8"))}


def main() -> int:
    """Compare, and say what is missing."""
    actions, files = read(Path(sys.argv[1]))
    filters = plugins("filter")
    wanted = {"module": plugins("modules"), "action plugin": plugins("action")}
    missing = [f"{kind} {name}" for kind, names in wanted.items() for name in sorted(names - actions)]
    missing += [f"filter {name}" for name in sorted(filters - named(with_variables(files)))]
    if missing:
        print(f"vipcast: no playbook used {', '.join(missing)}", file=sys.stderr)
        return 1
    print(f"vipcast: used were {len(wanted['module'])} modules and {len(filters)} filters: all")
    return 0


if __name__ == "__main__":
    sys.exit(main())
