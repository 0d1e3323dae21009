# SPDX-License-Identifier: GPL-3.0-or-later
"""`python lab VERB [HOST STATE]`, with a lab's description (templates/topology.json.j2) on standard input;
`python lab trees` takes that of the trees instead, and prints where they are.

Prints {"changed": bool, ...}. Exit status 1 and one line on standard error where it cannot be done.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import topology
import trees
import verbs
from shell import LabError


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="lab")
    commands = parser.add_subparsers(dest="verb", required=True)
    commands.add_parser("trees")
    commands.add_parser("up")
    commands.add_parser("down")
    power = commands.add_parser("power")
    power.add_argument("host")
    power.add_argument("state", choices=("off", "on", "cut", "restore"))
    return parser.parse_args()


def _do(arguments: argparse.Namespace) -> dict[str, Any]:
    if arguments.verb == "trees":
        changed, paths = trees.build(sys.stdin.read(), Path(__file__).parents[1] / "trees")
        return {"changed": changed, "paths": paths}
    lab = topology.load(sys.stdin.read())
    if arguments.verb == "power":
        return {"changed": verbs.power(lab, arguments.host, arguments.state)}
    return {"changed": {"up": verbs.up, "down": verbs.down}[arguments.verb](lab)}


def main() -> int:
    """The program."""
    try:
        print(json.dumps(_do(_arguments())))
    except LabError as exc:
        print(exc, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
