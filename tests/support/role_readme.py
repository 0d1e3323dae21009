# SPDX-License-Identifier: GPL-3.0-or-later
"""roles/*/README.md, made from what each role says of itself: its argument specs, defaults and tasks.

`PYTHONPATH=tests python -m support.role_readme --write` writes them, `--check` names those that are old.
The example of a README is written by hand: the text below its heading stays as it is.
"""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROLES = Path(__file__).parents[2] / "roles"
EXAMPLE = "## Example\n"
WIDTH = 110
# A default longer than this is shown below the table, not in it.
LONGEST_DEFAULT = 34

# What plays and other roles read. `*_drift` has one shape everywhere (docs/design/0001-declaration.md).
DRIFT = (
    "what differed from the declaration, found before it was put right: "
    "a list of `where`, `what`, `expected`, `found`"
)
FACTS = {
    "verify_result": "the report: `ok`, `sessions`, `routes`, `hash_policy`, `probes`, `differences`, "
    "`notes`, `texts`, `lines`"
}

Spec = Mapping[str, Any]


class IncompleteError(Exception):
    """A role that does not say what its README needs."""


def roles() -> list[Path]:
    """The folders of all roles, by name."""
    return sorted(path.parents[1] for path in ROLES.glob("*/meta/argument_specs.yml"))


def specs_of(role: Path) -> dict[str, Spec]:
    """Entry point to its spec, `main` first."""
    found = yaml.safe_load((role / "meta/argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
    return dict(sorted(found.items(), key=lambda item: (item[0] != "main", item[0])))


def options_of(role: Path) -> dict[str, Spec]:
    """The options of all entry points together; what `main` says of one comes first."""
    found: dict[str, Spec] = {}
    for spec in specs_of(role).values():
        for name, option in spec.get("options", {}).items():
            found.setdefault(name, option)
    return found


def defaults_of(role: Path) -> dict[str, Any]:
    """Return what defaults/main.yml says; an expression is a string with `{{` in it."""
    return yaml.safe_load((role / "defaults/main.yml").read_text(encoding="utf-8")) or {}


def is_expression(value: object) -> bool:
    """Return whether a default follows from something else."""
    return isinstance(value, str) and "{{" in value


def facts_of(role: Path) -> list[str]:
    """Names of the facts that the role leaves for others; its own begin with an underscore."""
    names: set[str] = set()
    for path in sorted(role.glob("tasks/*.yml")):
        names.update(_facts(yaml.safe_load(path.read_text(encoding="utf-8"))))
    return sorted(name for name in names if not name.startswith("_"))


def _facts(tasks: Any) -> Iterator[str]:
    for task in tasks or []:
        yield from (name for name in task.get("ansible.builtin.set_fact", {}) if name != "cacheable")
        for inner in ("block", "rescue", "always"):
            yield from _facts(task.get(inner))


# -- text ----------------------------------------------------------------------------------------------------


def plain(text: str | list[str]) -> str:
    """Ansible's markup as Markdown's: C(x), V(x), O(x), E(x) and P(x#type) become `x`."""
    joined = " ".join(text) if isinstance(text, list) else text
    found = re.sub(r"\b[CVOEP]\(([^()#]*(?:\([^()]*\))?[^()#]*)(?:#\w+)?\)", r"`\1`", joined)
    return " ".join(found.split())


def sentences(text: str) -> tuple[str, str]:
    """The first sentence without its full stop, and the rest."""
    first, _end, rest = re.sub(r"\.\s+(?=[A-Z`])", ".\n", text).partition("\n")
    return first.rstrip("."), " ".join(rest.split())


def paragraphs(spec: Spec) -> list[str]:
    """A description's paragraphs; what the facts are stands in a section of its own."""
    given = spec.get("description", [])
    each = [given] if isinstance(given, str) else given
    return [wrapped(text) for text in map(plain, each) if not re.match(r"Leaves .*\bfact\b", text)]


def wrapped(text: str, *, first: str = "", rest: str = "") -> str:
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Markdown, with the columns aligned but for the last one, which may be long."""
    widths = [max(len(row[column]) for row in [heads, *rows]) for column in range(len(heads) - 1)]
    rule = ("-" * width for width in (*widths, len(heads[-1])))

    def line(cells: tuple[str, ...]) -> str:
        padded = [cell.ljust(width) for cell, width in zip(cells, widths)]  # noqa: B905
        return "| " + " | ".join((*padded, cells[-1])) + " |"

    return "\n".join((line(heads), line(tuple(rule)), *map(line, rows)))


# -- the parts of a README -----------------------------------------------------------------------------------


def kind(option: Spec) -> str:
    """An option's type in words."""
    elements = option.get("elements")
    return f"list of {elements}" if elements else str(option.get("type", "str"))


def shown_default(name: str, option: Spec, defaults: Mapping[str, Any]) -> str:
    """A default as the table shows it."""
    if option.get("required"):
        return "required"
    if name not in defaults:
        return "none"
    value = defaults[name]
    if is_expression(value):
        return "follows"
    text = "(empty)" if value == "" else yaml.safe_dump(value, default_flow_style=True, width=10**6)
    short = text.strip().removesuffix("...").strip()
    return short if short == "(empty)" else f"`{short}`" if len(short) <= LONGEST_DEFAULT else "below"


def _row(name: str, option: Spec, defaults: Mapping[str, Any]) -> tuple[str, ...]:
    meaning = sentences(plain(option["description"]))[0]
    return f"`{name}`", kind(option), shown_default(name, option, defaults), meaning


def _more(name: str, option: Spec) -> str:
    """Return what the table has no room for."""
    rest = sentences(plain(option["description"]))[1]
    choices = [str(choice) or "(empty)" for choice in option.get("choices", [])]
    if choices:
        rest = f"{rest} One of {', '.join(choices)}.".strip()
    return wrapped(f"`{name}`: {rest}", first="- ", rest="  ") if rest else ""


def _variables(role: Path) -> Iterator[str]:
    options, defaults = options_of(role), defaults_of(role)
    rows = [_row(name, option, defaults) for name, option in options.items()]
    yield "## Variables"
    if any(row[2] == "follows" for row in rows):
        yield wrapped("`follows`: computed, as a rule from the declaration in the inventory.")
    yield table(("variable", "type", "default", "meaning"), rows)
    notes = [note for name, option in options.items() if (note := _more(name, option))]
    if notes:
        yield "\n".join(notes)
    long = {name: defaults[name] for name, row in zip(options, rows) if row[2] == "below"}  # noqa: B905
    if long:
        yield f"```yaml\n{yaml.safe_dump(long, sort_keys=False, width=WIDTH)}```"


def _entry_points(role: Path) -> Iterator[str]:
    others = {name: spec for name, spec in specs_of(role).items() if name != "main"}
    if not others:
        return
    yield "## Other entry points"
    for name, spec in others.items():
        yield wrapped(f"**`tasks_from: {name}`**: {plain(spec['short_description'])}.")
        yield from paragraphs(spec)
        if set(spec.get("options", {})) != set(options_of(role)):
            names = ", ".join(f"`{option}`" for option in spec.get("options", {})) or "none"
            yield wrapped(f"Variables: {names}.")


def _facts_section(role: Path) -> Iterator[str]:
    names = facts_of(role)
    if not names:
        return
    yield "## Facts"
    yield "\n".join(wrapped(f"`{name}`: {_fact(role, name)}.", first="- ", rest="  ") for name in names)


def _fact(role: Path, name: str) -> str:
    if name == f"{role.name}_drift":
        return DRIFT
    if name not in FACTS:
        raise IncompleteError(
            f"roles/{role.name}: leaves the fact {name}, which support.role_readme.FACTS lacks"
        )
    return FACTS[name]


def example_of(role: Path) -> str:
    """The example of the README that is there."""
    path = role / "README.md"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    _before, found, example = text.partition(EXAMPLE)
    if not found or not example.strip():
        raise IncompleteError(
            f"roles/{role.name}/README.md: has no section '{EXAMPLE.strip()}' at its end; write one"
        )
    return example.strip()


def readme(role: Path) -> str:
    """The README as it should be. Raises IncompleteError."""
    main = specs_of(role)["main"]
    parts = [
        f"# vipcast.baremetal.{role.name}",
        wrapped(f"{plain(main['short_description'])}."),
        *paragraphs(main),
        *_variables(role),
        *_entry_points(role),
        *_facts_section(role),
        EXAMPLE.strip(),
        example_of(role),
    ]
    return "\n\n".join(parts) + "\n"


def out_of_date() -> list[Path]:
    """The READMEs that are not as they should be."""
    paths = {role / "README.md": readme(role) for role in roles()}
    return [path for path, text in paths.items() if path.read_text(encoding="utf-8") != text]


def main() -> int:
    parser = argparse.ArgumentParser(description="READMEs of the roles, from their argument specs.")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--check", action="store_true", help="name those that are out of date; exit status 1")
    what.add_argument("--write", action="store_true", help="write them")
    options = parser.parse_args()
    try:
        old = out_of_date()
        for path in old:
            if options.write:
                path.write_text(readme(path.parent), encoding="utf-8")
            print(f"{path.relative_to(ROLES.parent)}: {'written' if options.write else 'is out of date'}")
    except IncompleteError as error:
        print(error, file=sys.stderr)
        return 2
    return 1 if old and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
