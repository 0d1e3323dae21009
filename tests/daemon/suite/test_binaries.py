# SPDX-License-Identifier: GPL-3.0-or-later
"""The Kubernetes that the tests meet is the one that the lab pins, whatever else was built."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.apiserver import MissingBinariesError, binaries, pinned_version

PROGRAMS = ("etcd", "kube-apiserver", "kubectl")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("VIPCAST_KUBERNETES_VERSION", raising=False)
    return tmp_path / "vipcast/kubernetes"


def build(cache: Path, version: str, *programs: str) -> Path:
    folder = cache / version
    folder.mkdir(parents=True)
    for name in programs:
        (folder / name).touch()
    return folder


def test_a_newer_version_in_the_cache_changes_nothing(cache: Path) -> None:
    build(cache, "v9.99.10", *PROGRAMS)
    pinned = build(cache, pinned_version(), *PROGRAMS)
    assert binaries() == pinned


def test_another_version_is_asked_for_by_name(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(cache, pinned_version(), *PROGRAMS)
    other = build(cache, "v1.2.3", *PROGRAMS)
    monkeypatch.setenv("VIPCAST_KUBERNETES_VERSION", "v1.2.3")
    assert binaries() == other


def test_what_is_not_complete_is_missing(cache: Path) -> None:
    build(cache, "v9.99.10", *PROGRAMS)
    build(cache, pinned_version(), "etcd", "kubectl")
    with pytest.raises(MissingBinariesError, match=pinned_version().replace(".", r"\.")):
        binaries()
