# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules that Kubernetes is built from: those in files/kubernetes/go.mod, or another version's.

k8s.io/kubernetes replaces its staging modules by folders of its own repository, and a replace counts only in
the main module. For another version than the pinned one, the main module follows from that version's go.mod.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path

from shell import LabError, run

ETCD = "go.etcd.io/etcd/server/v3"
KUBERNETES = "k8s.io/kubernetes"
COMMANDS = f"{KUBERNETES}/cmd"
# Kubernetes runs with the defaults of the Go that it was written for; there is no such choice for older ones.
OLDEST_GODEBUG = (1, 21)


class Pins:
    """The modules of one version of Kubernetes, and how programs are built from them."""

    def __init__(self, folder: Path, version: str) -> None:
        self._folder = folder
        self.version = version
        self._mod = (folder / "go.mod").read_text()

    @property
    def is_pinned(self) -> bool:
        """Return whether it is the version whose modules are in this repository, with their checksums."""
        return _required(self._mod, KUBERNETES) == self.version

    @property
    def pinned_etcd(self) -> str:
        """The version of etcd that the pinned Kubernetes is built with."""
        return _required(self._mod, ETCD)

    @property
    def packages(self) -> dict[str, str]:
        """The Go package of each program."""
        names = re.findall(rf"^\t{COMMANDS}/(\S+)$", self._mod, re.MULTILINE)
        return {**{name: f"{COMMANDS}/{name}" for name in names}, "etcd": ETCD}

    @property
    def mode(self) -> str:
        """The word for what a build may do with go.mod and go.sum: nothing to those of the pinned version."""
        return "readonly" if self.is_pinned else "mod"

    @property
    def flags(self) -> str:
        """The linker's flags: programs name their version as those of a release do."""
        major, minor = self.version.removeprefix("v").split(".")[:2]
        base = "k8s.io/component-base/version"
        values = {"gitVersion": self.version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
        settings = [f"-X {base}.{name}={value}" for name, value in values.items()]
        return " ".join(["-s -w", *settings, f"-X k8s.io/client-go/pkg/version.gitVersion={self.version}"])

    @property
    def digest(self) -> str:
        """The digest of all that decides what is built."""
        if self.is_pinned:
            parts = [self._mod, (self._folder / "go.sum").read_text()]
        else:  # it follows from the version and from the code below
            parts = [self.version, Path(__file__).read_text()]
        return hashlib.sha256(json.dumps([*parts, self.flags]).encode()).hexdigest()[:12]

    def write(self, go: str, work: Path) -> None:
        """Make `work` a main module."""
        work.mkdir(parents=True, exist_ok=True)
        if self.is_pinned:
            for name in ("go.mod", "go.sum"):
                shutil.copyfile(self._folder / name, work / name)
            return
        marker = f"// {self.digest}\n"
        mod = work / "go.mod"
        if mod.exists() and mod.read_text().startswith(marker):
            return  # with what Go has added to it
        (work / "go.sum").unlink(missing_ok=True)
        mod.write_text(marker + main_module(self.version, _published(go, self.version)))


def _published(go: str, version: str) -> str:
    """Return the go.mod of that version of Kubernetes."""
    wanted = f"{KUBERNETES}@{version}"
    answer = json.loads(run(go, "mod", "download", "-json", wanted, check=False) or "{}")
    if "GoMod" not in answer:
        raise LabError(f"Go's module proxy has no {wanted}: {answer.get('Error', 'no answer')}")
    return Path(answer["GoMod"]).read_text()


def main_module(version: str, published: str) -> str:
    """Return a go.mod that requires Kubernetes and etcd, and has what Kubernetes' own go.mod replaces."""
    staging = version.replace("v1.", "v0.", 1)
    names = sorted(set(re.findall(r"^\s*(\S+) => \./staging/src/", published, re.MULTILINE)))
    replaced = "".join(f"\t{name} => {name} {staging}\n" for name in names)
    etcd = _required(published, "go.etcd.io/etcd/client/v3")
    go, debug = _go(published)
    return (
        f"module vipcast.invalid/lab/kubernetes\n\ngo {go}\n\ngodebug default=go{debug}\n\n"
        f"require (\n\t{KUBERNETES} {version}\n\t{ETCD} {etcd}\n)\n\nreplace (\n{replaced})\n"
    )


def _go(published: str) -> tuple[str, str]:
    """Return the Go that the main module names, and the one whose behavior the programs are to have."""
    found = re.search(r"^go (\d+)\.(\d+)(\S*)$", published, re.MULTILINE)
    if found is None:
        raise LabError("the go.mod of Kubernetes names no version of Go")
    own = (int(found[1]), int(found[2]))
    needed = f"{own[0]}.{own[1]}{found[3]}" if own >= (1, 24) else "1.24.0"
    debug = max(own, OLDEST_GODEBUG)
    return needed, f"{debug[0]}.{debug[1]}"


def _required(mod: str, module: str) -> str:
    found = re.search(rf"^\s*(?:require )?{re.escape(module)} (v\S+)", mod, re.MULTILINE)
    if found is None:
        raise LabError(f"go.mod requires no {module}")
    return found[1]
