# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubernetes' and etcd's programs in the cache: official release files, or built from source.

Its folder has a note for each program: what it was made from. One with another note, or none, is missing.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pins
from fetching import Patience
from releases import ARCHITECTURES, Releases
from shell import LabError, run

NOTES = "made.json"
SOURCES = ("auto", "download", "build")
# What an API server needs comes first: tests begin with it.
API = ("etcd", "kube-apiserver", "kubectl")
REST = ("kube-controller-manager", "kube-proxy", "kube-scheduler", "kubelet")
# Go names a program by the last part of its package.
BUILT_AS = {"etcd": "server"}
# Seconds. Five minutes on two cores that have nothing else to do; a small or a busy machine takes hours.
BUILD_LIMIT = 6 * 3600


@dataclass(frozen=True)
class Wanted:
    """The request of the role.

    `source` is auto, download or build; `part` is all or api.
    """

    folder: Path
    source: str
    part: str
    releases: Releases
    pins: pins.Pins
    patience: Patience

    @property
    def programs(self) -> tuple[str, ...]:
        """The programs that are asked for, in the order in which they are made."""
        return API if self.part == "api" else API + REST

    def accepted(self, program: str) -> tuple[str, ...]:
        """Return the notes with which a program is one that was asked for."""
        notes = {"download": [self.downloaded(program)], "build": [self.built]}
        return tuple(notes.get(self.source, [self.downloaded(program), self.built]))

    def downloaded(self, program: str) -> str:
        """Return the note of a release file."""
        return f"downloaded {self.releases.version(program)} {self.releases.architecture}"

    @property
    def built(self) -> str:
        """The note of a program that was built from these pins."""
        return f"built {self.pins.digest}"


def load(text: str) -> Wanted:
    """Return what the role's JSON asks for."""
    data = json.loads(text)
    if data["source"] not in SOURCES:
        raise LabError(f"lab_kubernetes_source is {data['source']!r}; it must be one of {', '.join(SOURCES)}")
    made = pins.Pins(Path(data["pins"]), data["version"])
    mirrors = {f"{name}_mirror": data["mirrors"][name].rstrip("/") for name in ("kubernetes", "etcd")}
    machine = data.get("machine") or platform.machine()
    return Wanted(
        folder=Path(data["folder"]),
        source=data["source"],
        part=data["part"],
        releases=Releases(data["version"], made.pinned_etcd, ARCHITECTURES.get(machine, machine), **mirrors),
        pins=made,
        patience=Patience(**data.get("patience", {})),
    )


def look(wanted: Wanted) -> dict[str, Any]:
    """Return which programs are missing, and whether they will be downloaded; where not, the reason."""
    lacking = missing(wanted)
    if not lacking or wanted.source == "build":
        return {"missing": lacking, "download": False, "reason": ""}
    reason = ""
    try:
        wanted.releases.check(wanted.patience)
    except LabError as exc:
        reason = _instead(wanted, exc)
    return {"missing": lacking, "download": not reason, "reason": reason}


def fetch(wanted: Wanted, program: str) -> dict[str, Any]:
    """Download a program that is missing; where that fails and it may be built instead, return the reason."""
    with _alone(wanted.folder):
        if program not in missing(wanted):
            return {"changed": False, "reason": ""}
        try:
            wanted.releases.fetch(program, wanted.folder, _hurried(wanted))
        except LabError as exc:
            return {"changed": False, "reason": _instead(wanted, exc)}
        except OSError as exc:  # no room, or no right to write: a build would meet the same
            raise LabError(f"{wanted.folder}: {exc}") from exc
        _note(wanted.folder, {program: wanted.downloaded(program)})
        return {"changed": True, "reason": ""}


def build(wanted: Wanted, go: str, work: Path) -> dict[str, Any]:
    """Build the programs that are missing, all with one call: their common packages are compiled once."""
    with _alone(wanted.folder):
        lacking = missing(wanted)
        if lacking:
            wanted.pins.write(go, work)
            _build(wanted, go, work, lacking)
        return {"changed": bool(lacking)}


def missing(wanted: Wanted) -> list[str]:
    """Return the programs that are not there as they are asked for."""
    notes = _notes(wanted.folder)
    return [
        name
        for name in wanted.programs
        if not (wanted.folder / name).is_file() or notes.get(name) not in wanted.accepted(name)
    ]


def _instead(wanted: Wanted, exc: LabError) -> str:
    """Return why programs are built; LabError where they must not be."""
    if wanted.source == "download":
        raise LabError(f"{exc} (lab_kubernetes_source is download: nothing is built instead)") from exc
    return str(exc)


def _hurried(wanted: Wanted) -> Patience:
    """Return the patience with a download: any rate will do where nothing can be built instead."""
    return replace(wanted.patience, rate=0) if wanted.source == "download" else wanted.patience


def _build(wanted: Wanted, go: str, work: Path, names: list[str]) -> None:
    partial = wanted.folder / "build.partial"
    shutil.rmtree(partial, ignore_errors=True)
    flags = ("-trimpath", "-ldflags", wanted.pins.flags, "-o", f"{partial}/")
    packages = [wanted.pins.packages[name] for name in names]
    partial.mkdir()
    command = (go, "build", "-C", str(work), f"-mod={wanted.pins.mode}", *flags, *packages)
    run("env", "CGO_ENABLED=0", *command, limit=BUILD_LIMIT)
    for name in names:
        (partial / BUILT_AS.get(name, name)).rename(wanted.folder / name)
    shutil.rmtree(partial)
    _note(wanted.folder, dict.fromkeys(names, wanted.built))


def _notes(folder: Path) -> dict[str, str]:
    try:
        notes: dict[str, str] = json.loads((folder / NOTES).read_text())
    except (OSError, ValueError):
        return {}
    return notes


def _note(folder: Path, notes: dict[str, str]) -> None:
    partial = folder / f"{NOTES}.partial"
    partial.write_text(json.dumps({**_notes(folder), **notes}, indent=1, sort_keys=True))
    partial.replace(folder / NOTES)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait for whoever else makes programs in this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
