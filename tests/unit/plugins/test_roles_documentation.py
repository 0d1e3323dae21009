# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that argument specs, defaults and README of a role say the same."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

TESTS = Path(__file__).parents[2]
# Options without a default that a task of the role asks for, because its other entry points need none.
ASKED_FOR_BY_TASKS = {"lab_segments"}


def _support() -> ModuleType:
    """tests/support/role_readme.py, which ansible-test does not have on its path."""
    spec = importlib.util.spec_from_file_location("role_readme", TESTS / "support/role_readme.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


readmes = _support()
ROLES = readmes.roles()
each_role = pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)


def test_every_role_has_argument_specs() -> None:
    assert [role.name for role in ROLES] == sorted(
        path.name for path in readmes.ROLES.iterdir() if path.is_dir()
    )


@each_role
def test_readme_is_up_to_date(role: Path) -> None:
    remedy = "PYTHONPATH=tests python -m support.role_readme --write"
    assert (role / "README.md").read_text(encoding="utf-8") == readmes.readme(role), remedy


@each_role
def test_every_default_is_an_option(role: Path) -> None:
    assert set(readmes.defaults_of(role)) - set(readmes.options_of(role)) == set()


@each_role
def test_every_option_with_a_default_has_it_in_defaults(role: Path) -> None:
    specs = {
        name: option["default"] for name, option in readmes.options_of(role).items() if "default" in option
    }
    defaults = readmes.defaults_of(role)
    assert {name: defaults.get(name, "(missing)") for name in specs} == specs


@each_role
def test_every_option_without_a_default_is_derived_or_asked_for(role: Path) -> None:
    defaults = readmes.defaults_of(role)
    bare = {
        name
        for name, option in readmes.options_of(role).items()
        if "default" not in option and not option.get("required") and name not in defaults
    }
    assert bare <= ASKED_FOR_BY_TASKS


@each_role
def test_short_literal_defaults_are_in_the_specs_too(role: Path) -> None:
    """ansible-doc shows the specs only. What follows from an expression is said there in words."""
    options = readmes.options_of(role)
    untold = {
        name
        for name, value in readmes.defaults_of(role).items()
        if not readmes.is_expression(value) and value and not isinstance(value, (dict, list))
        if "default" not in options[name]
    }
    assert untold == set()


@each_role
def test_entry_points_agree_on_the_defaults_of_an_option(role: Path) -> None:
    for spec in readmes.specs_of(role).values():
        for name, option in spec.get("options", {}).items():
            assert option.get("default") == readmes.options_of(role)[name].get("default"), name


@each_role
def test_every_entry_point_has_its_tasks(role: Path) -> None:
    assert [name for name in readmes.specs_of(role) if not (role / f"tasks/{name}.yml").exists()] == []


@each_role
def test_example_is_a_play_with_variables_that_exist(role: Path) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", readmes.example_of(role), re.DOTALL)
    assert blocks
    used: set[str] = set()
    for play in [play for block in blocks for play in yaml.safe_load(block)]:
        used.update(_variables(play))
    assert used - set(readmes.options_of(role)) == set()


def _variables(part: Any) -> set[str]:
    """Names below any `vars` of a play."""
    if isinstance(part, list):
        return {name for item in part for name in _variables(item)}
    if not isinstance(part, dict):
        return set()
    return set(part.get("vars", {})) | {name for value in part.values() for name in _variables(value)}
