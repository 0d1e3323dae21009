# SPDX-License-Identifier: GPL-3.0-or-later
"""Run what one wants after each edit: lint, types, layers, and the units of what changed (``make check``).

What changed is everything since the branch left ``origin/main`` (or the commit that ``--base`` names), and
what is not committed yet. The units are tests without an API server, a router or a network namespace. A path
that no rule names has none, which is said: only ``make test`` decides.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

CHECKOUT = Path(__file__).resolve().parents[1]
# Seconds that one command may take.
LIMIT = 600
SUITES = ("tests/unit/", "tests/daemon/", "tests/integration/")
PURE = ("-m", "not apiserver and not netns")

# The tests for a path that begins so; the first rule that fits counts. `None`: the test file itself.
_DAEMON = "tests/daemon/"
RULES: tuple[tuple[str, tuple[str, ...] | None], ...] = (
    ("tests/unit/", None),
    ("tests/daemon/", None),
    ("tests/integration/stages/", None),
    ("tests/support/", ("tests/daemon/ipam", "tests/daemon/layer2")),
    ("tests/", ()),
    ("src/vipcast/bgp/", (f"{_DAEMON}bgp", f"{_DAEMON}fuzz/test_bgp.py")),
    ("src/vipcast/__init__.py", ()),
    ("src/vipcast/bfd/", tuple(f"{_DAEMON}bfd/test_{name}.py" for name in ("session", "packet", "fsm"))),
    ("src/vipcast/bfd_agent/", ()),
    ("src/vipcast/cli/", (f"{_DAEMON}cli",)),
    ("src/vipcast/controller/", (f"{_DAEMON}controller",)),
    ("src/vipcast/daemon/", (f"{_DAEMON}cli",)),
    ("src/vipcast/election.py", (f"{_DAEMON}membership/test_election.py",)),
    ("src/vipcast/ipam/", (f"{_DAEMON}ipam",)),
    ("src/vipcast/k8s/", (f"{_DAEMON}k8s",)),
    ("src/vipcast/jsontext.py", (f"{_DAEMON}cli/test_files.py", f"{_DAEMON}cli/test_yamltext.py")),
    ("src/vipcast/layer2/", (f"{_DAEMON}layer2", f"{_DAEMON}fuzz/test_layer2.py")),
    ("src/vipcast/layer2_agent/",
     tuple(f"{_DAEMON}layer2_agent/test_{name}.py"
           for name in ("client_requests", "protocol", "server", "status_publisher"))),
    ("src/vipcast/membership/", (f"{_DAEMON}membership",)),
    ("src/vipcast/model/", (f"{_DAEMON}model",)),
    ("src/vipcast/net/", (f"{_DAEMON}bgp",)),
    ("src/vipcast/agent/", ()),
    ("src/vipcast/speaker/", (f"{_DAEMON}speaker",)),
    ("src/vipcast/versions.py", (f"{_DAEMON}membership/test_versions.py", f"{_DAEMON}agent")),
    ("src/vipcast/yamltext.py", (f"{_DAEMON}cli/test_files.py", f"{_DAEMON}cli/test_yamltext.py")),
    ("plugins/module_utils/ipam/", (f"{_DAEMON}ipam", "tests/unit")),
    ("plugins/module_utils/model/", (f"{_DAEMON}model", "tests/unit")),
    ("plugins/", ("tests/unit",)),
    ("roles/", ("tests/unit",)),
    ("playbooks/", ("tests/unit",)),
    ("docs/", ("tests/unit/plugins/test_docs.py", "tests/unit/plugins/filter/test_inventory_page.py")),
    ("README.md", ("tests/unit/plugins/test_docs.py",)),
    (".ci/", ("tests/integration/stages",)),
)  # fmt: skip


def git(*arguments: str) -> list[str]:
    """Return the lines that git prints; none where it fails."""
    command = ["git", "-C", str(CHECKOUT), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout.splitlines() if done.returncode == 0 else []


def changed(base: str | None) -> list[str]:
    """Return the paths that differ from where the branch began, and those that are not committed."""
    began = base or next(iter(git("merge-base", "HEAD", "origin/main")), "HEAD")
    untracked = git("ls-files", "--others", "--exclude-standard")
    return sorted({*git("diff", "--name-only", began), *untracked})


def tests_of(path: str) -> tuple[str, ...] | None:
    """Return the tests of a changed path, or None where no rule names it."""
    for beginning, tests in RULES:
        if path.startswith(beginning):
            return _itself(path) if tests is None else tests
    return None


def _itself(path: str) -> tuple[str, ...]:
    """Return a test file that still exists, or the folder of a helper beside tests."""
    if PurePosixPath(path).suffix != ".py" or not (CHECKOUT / path).exists():
        return ()
    return (path,) if PurePosixPath(path).name.startswith("test_") else (str(PurePosixPath(path).parent),)


def selected(paths: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the tests of all paths, without those below another one, and the paths that have none."""
    found = {path: tests_of(path) for path in paths}
    chosen = {test for tests in found.values() for test in tests or ()}
    outer = [test for test in chosen if not any(test != one and test.startswith(f"{one}/") for one in chosen)]
    return sorted(outer), sorted(path for path, tests in found.items() if not tests)


def run(*command: str) -> bool:
    """Run a command in the checkout; return whether it succeeded."""
    print(f"$ {' '.join(command)}", flush=True)
    return subprocess.run(command, cwd=CHECKOUT, check=False, timeout=LIMIT).returncode == 0


def main() -> int:
    """Check the whole tree statically, then run the units of what changed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--base", help="what to compare with (default: where the branch left origin/main)")
    paths = changed(parser.parse_args().base)
    tests, without = selected(paths)
    yaml = [path for path in paths if path.endswith((".yml", ".yaml")) and (CHECKOUT / path).exists()]
    passed = [
        run("ruff", "check", "."),
        run("ruff", "format", "--check", "."),
        run("mypy"),
        run("lint-imports"),
    ]
    passed += [run("yamllint", *yaml)] if yaml else []
    for suite in SUITES:
        ours = [test for test in tests if f"{test}/".startswith(suite)]
        passed += [run("pytest", "-q", "-n", "2", *PURE, *ours)] if ours else []
    if without:
        print(f"no units for {', '.join(without)}: make test has what shows whether they work")
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
