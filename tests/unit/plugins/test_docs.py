# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation names what is there: links, variables, reasons, commands."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.errors import Reason as RouterReason
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.facts import Health
from ansible_collections.vipcast.baremetal.plugins.module_utils.model.reasons import Reason, RefusalReason

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *DOCS.rglob("*.md"), *ROOT.glob("roles/*/README.md")]
PREFIXES = "|".join(["vipcast", *(path.name for path in (ROOT / "roles").iterdir() if path.is_dir())])
# Variables of playbooks, which have no argument specs.
OF_PLAYBOOKS = {"drift_report_path", "remove_confirmed"}
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def _anchors(page: Path) -> set[str]:
    """Return the anchors of the headings, as they are made from them: small letters, hyphens for spaces."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _words(text: str) -> set[str]:
    """All that stands in backticks, one by one."""
    return {word for code in re.findall(r"`([^`\n]+)`", text) for word in re.split(r"[\s,]+", code)}


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!\w+:)([^)#]*)(?:#([^)]*))?\)", page.read_text(encoding="utf-8"))
    for path, anchor in links:
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), path
        assert not anchor or anchor in _anchors(target), f"{path}#{anchor}"


@each_page
def test_yaml_can_be_read(page: Path) -> None:
    for block in re.findall(
        r"^```yaml\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    ):
        assert list(yaml.safe_load_all(block))


@each_page
def test_playbooks_and_commands_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"\bplaybooks/(\w+\.yml)", text):
        assert (ROOT / "playbooks" / name).exists(), name
    for name in re.findall(r"ansible-playbook [^\n]*\bvipcast\.baremetal\.(\w+)", text):
        assert (ROOT / f"playbooks/{name}.yml").exists(), name
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([a-z-]+)", text, re.MULTILINE)) <= targets


def _options() -> set[str]:
    """Every variable of every role."""
    found: set[str] = set()
    for path in ROOT.glob("roles/*/meta/argument_specs.yml"):
        for spec in yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"].values():
            found.update(spec.get("options", {}))
    return found


def _of_the_inventory() -> set[str]:
    """Return what the declaration knows, and what the lab reads of a host, are in the inventories."""
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "inventories").rglob("*.yml")]
    return {name for text in texts for name in re.findall(r"\b((?:vipcast|lab)_\w+):", text)}


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_variables_exist(page: Path) -> None:
    named = {
        match.group(1)
        for word in _words(page.read_text(encoding="utf-8"))
        if (match := re.fullmatch(rf"((?:{PREFIXES})_[a-z_]+)(?:[:=].*)?", word))
    }
    assert named - _options() - _of_the_inventory() - _others() == set()


def _others() -> set[str]:
    """Other names that look like variables: facts, playbooks and their variables, modules, metrics."""
    facts = {f"{path.name}_drift" for path in (ROOT / "roles").iterdir()} | {"verify_result"}
    playbooks = {path.stem for path in (ROOT / "playbooks").glob("*.yml")}
    modules = {
        path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "plugins/modules").glob("*.py")
    }
    options = {name for text in modules.values() for name in re.findall(r"^  (\w+):$", text, re.MULTILINE)}
    daemons = [path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py")]
    metrics = {name for text in daemons for name in re.findall(r'"(vipcast_\w+)"', text)}
    return OF_PLAYBOOKS | facts | playbooks | set(modules) | options | metrics


def _not_announced() -> list[str]:
    """The speaker's reasons; its package is not importable where plugins are tested."""
    text = (ROOT / "src/vipcast/speaker/reasons.py").read_text(encoding="utf-8")
    return re.findall(r'^    [A-Z_]+ = "(\w+)"$', text, re.MULTILINE)


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("troubleshooting.md", [each.value for each in Reason]),
        ("troubleshooting.md", [each.value for each in RefusalReason]),
        ("troubleshooting.md", [each.value for each in Health]),
        ("troubleshooting.md", _not_announced()),
        ("observability.md", _not_announced()),
        ("router.md", [each.value for each in RouterReason]),
        ("router.md", [each.value for each in Health]),
    ],
    ids=["objects", "services", "sessions", "speaker", "status", "router", "info"],
)
def test_every_reason_is_explained(page: str, names: Iterable[str]) -> None:
    words = _words((DOCS / page).read_text(encoding="utf-8"))
    assert list(names)
    assert [name for name in names if name not in words] == []
