# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's tool, for the role's tasks.

What it prints is JSON, with `changed`. Where it cannot do what it was asked, it says why on standard error
and its exit status is 1.

    programs look           says which of Kubernetes' programs are missing, and whether they can be downloaded
    programs fetch NAME     downloads one of them
    programs build GO WORK  builds what is missing; what they are is described on standard input
    trees                   makes the trees that standard input describes; says where they are
    up                      makes the lab run that standard input describes (templates/topology.json.j2)
    down NAME FOLDER        removes that lab, or what is left of it
    power FOLDER HOST STATE switches a host off or on, pulls its cables (cut) or plugs them in (restore)
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import hosts
import programs
import topology
import trees
import verbs
from shell import LabError


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="lab")
    commands = parser.add_subparsers(dest="verb", required=True)
    _add_programs(commands.add_parser("programs").add_subparsers(dest="verb", required=True))
    commands.add_parser("trees").set_defaults(act=_trees)
    commands.add_parser("up").set_defaults(act=_up)
    down = commands.add_parser("down")
    down.add_argument("name")
    down.add_argument("folder", type=Path)
    down.set_defaults(act=_down)
    power = commands.add_parser("power")
    power.add_argument("folder", type=Path)
    power.add_argument("host")
    power.add_argument("state", choices=("off", "on", "cut", "restore"))
    power.set_defaults(act=_power)
    return parser.parse_args()


def _add_programs(commands: Any) -> None:
    commands.add_parser("look").set_defaults(act=_look)
    fetch = commands.add_parser("fetch")
    fetch.add_argument("program")
    fetch.set_defaults(act=_fetch)
    build = commands.add_parser("build")
    build.add_argument("go")
    build.add_argument("work", type=Path)
    build.set_defaults(act=_build)


def _look(_options: argparse.Namespace) -> dict[str, Any]:
    return {"changed": False, **programs.look(programs.load(sys.stdin.read()))}


def _fetch(options: argparse.Namespace) -> dict[str, Any]:
    return programs.fetch(programs.load(sys.stdin.read()), options.program)


def _build(options: argparse.Namespace) -> dict[str, Any]:
    return programs.build(programs.load(sys.stdin.read()), options.go, options.work)


def _trees(_options: argparse.Namespace) -> dict[str, Any]:
    changed, paths = trees.build(sys.stdin.read(), Path(__file__).parents[1] / "trees")
    return {"changed": changed, "paths": paths}


def _up(_options: argparse.Namespace) -> dict[str, Any]:
    lab = topology.load(sys.stdin.read())
    with hosts.alone(lab):
        return {"changed": verbs.up(lab)}


def _down(arguments: argparse.Namespace) -> dict[str, Any]:
    site = topology.Site(arguments.name, arguments.folder)
    with hosts.alone(site):
        return {"changed": verbs.down(site)}


def _power(arguments: argparse.Namespace) -> dict[str, Any]:
    stored = arguments.folder / hosts.TOPOLOGY
    if not stored.exists():
        raise LabError(f"there is no lab in {arguments.folder}; start it with playbooks/lab_up.yml")
    lab = topology.load(stored.read_text())
    with hosts.alone(lab):
        return {"changed": verbs.power(lab, arguments.host, arguments.state)}


def main() -> int:
    """The program."""
    arguments = _arguments()
    try:
        print(json.dumps(arguments.act(arguments)))
    except LabError as exc:
        print(exc, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
