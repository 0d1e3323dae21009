# SPDX-License-Identifier: GPL-3.0-or-later
"""The file systems that hosts boot: Debian, made by mmdebstrap, kept by a digest of what went in."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shell import each, run

# Nobody reads manuals in a lab; this halves the time that unpacking takes.
EXCLUDED = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")


@dataclass(frozen=True)
class Tree:
    """One file system. `variant` is mmdebstrap's word; `hooks` are scripts that get its folder at the end,
    `layout` one that makes another system's of it when it is finished."""

    kind: str
    release: str
    mirror: str
    variant: str
    packages: tuple[str, ...]
    hooks: tuple[Path, ...]
    layout: tuple[Path, ...] = ()

    def path(self, folder: Path) -> Path:
        """Return its folder in the cache. Packages get no newer there, unless somebody empties the folder."""
        parts = [
            self.release,
            self.mirror,
            self.variant,
            *self.packages,
            *EXCLUDED,
            *(h.read_text() for h in self.hooks),
            *(text for script in self.layout for text in _texts(script)),
        ]
        return folder / f"{self.kind}-{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]}"


def _texts(script: Path) -> list[str]:
    """Return the script, and the files in the folders beside it that begin with its name."""
    folders = sorted(script.parent.glob(f"{script.stem}*/"))
    files = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    return [script.read_text(), *(f"{path.relative_to(script.parent)}\n{path.read_text()}" for path in files)]


def build(text: str, hooks: Path) -> tuple[bool, dict[str, str]]:
    """Make the trees that are missing, all at once. Whether there were any, and each kind's folder."""
    data = json.loads(text)
    folder = Path(data["folder"])
    trees = [_tree(kind, tree, data, hooks) for kind, tree in data["trees"].items()]
    missing = [tree for tree in trees if not tree.path(folder).exists()]
    each(lambda tree: _build(tree, folder), missing)
    return bool(missing), {tree.kind: str(tree.path(folder)) for tree in trees}


def _tree(kind: str, data: dict[str, list[str]], common: dict[str, Any], hooks: Path) -> Tree:
    return Tree(
        kind=kind,
        release=common["releases"].get(kind, common["release"]),
        mirror=common["mirror"],
        variant="minbase" if data.get("boots", True) else "extract",
        packages=tuple(data["packages"]),
        hooks=tuple(hooks / hook for hook in data.get("hooks", [])),
        layout=tuple(hooks / script for script in data.get("layout", [])),
    )


def _build(tree: Tree, folder: Path) -> None:
    """Build next to the final place and move: an interrupted build is never taken for a tree."""
    final = tree.path(folder)
    partial = final.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    excluded = [f"--dpkgopt=path-exclude={pattern}" for pattern in EXCLUDED]
    # Packages that are only extracted are never customized.
    end = "customize" if tree.variant == "minbase" else "extract"
    hooks = [f'--{end}-hook=sh "{hook}" "$1"' for hook in tree.hooks]
    # The lists that a hook leaves are meant to stay.
    fixed = ("mmdebstrap", "--format=directory", f"--variant={tree.variant}", "--skip=cleanup/apt/lists")
    packages = f"--include={','.join(tree.packages)}"
    run(*fixed, packages, *excluded, *hooks, tree.release, str(partial), *filter(None, [tree.mirror]))
    for script in tree.layout:
        run("sh", str(script), str(partial))
    partial.rename(final)
