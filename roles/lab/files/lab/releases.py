# SPDX-License-Identifier: GPL-3.0-or-later
"""The official release files of Kubernetes and etcd: where each is, and what its published checksum is."""

from __future__ import annotations

import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path

import fetching
from fetching import Patience
from shell import LabError

# How these projects call the processors that a lab runs on.
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Releases:
    """The versions that are wanted, and the addresses below which their files are."""

    kubernetes: str
    etcd: str
    architecture: str
    kubernetes_mirror: str
    etcd_mirror: str

    def version(self, program: str) -> str:
        """Return the version of the release that a program is part of."""
        return self.etcd if program == "etcd" else self.kubernetes

    def check(self, patience: Patience) -> None:
        """Raise LabError where the files cannot be had: two small ones are read."""
        self._sha256("kubectl", patience)
        self._sha256("etcd", patience)

    def fetch(self, program: str, folder: Path, patience: Patience) -> None:
        """Put a program into `folder`; it has its name only when it is complete and checked."""
        partial = folder / f"{program}.partial"
        fetching.large(self._url(program), self._sha256(program, patience), partial, patience)
        if program == "etcd":
            _extract(partial, f"{self._etcd_name}/etcd")
        partial.chmod(0o755)
        partial.rename(folder / program)

    @property
    def _etcd_name(self) -> str:
        return f"etcd-{self.etcd}-linux-{self.architecture}"

    def _url(self, program: str) -> str:
        if program == "etcd":
            return f"{self.etcd_mirror}/{self.etcd}/{self._etcd_name}.tar.gz"
        return f"{self.kubernetes_mirror}/{self.kubernetes}/bin/linux/{self.architecture}/{program}"

    def _sha256(self, program: str, patience: Patience) -> str:
        """Return the published SHA-256: a file of its own for each program, one with all names for etcd."""
        if program == "etcd":
            url, name = f"{self.etcd_mirror}/{self.etcd}/SHA256SUMS", f"{self._etcd_name}.tar.gz"
        else:
            url, name = f"{self._url(program)}.sha256", ""
        for line in fetching.small(url, patience).splitlines():
            digest, _space, of = line.strip().partition(" ")
            if len(digest) == 64 and (not name or of.strip().lstrip("*") == name):
                return digest.lower()
        raise LabError(f"{url}: it has no SHA-256 of {name or program}")


def _extract(archive: Path, member: str) -> None:
    """Replace an archive by one of its files."""
    single = archive.with_suffix(".extracted")
    try:
        with tarfile.open(archive, "r:gz") as opened, single.open("wb") as target:
            source = opened.extractfile(member)
            if source is None:
                raise LabError(f"{member} in etcd's archive is no file")
            shutil.copyfileobj(source, target)
    except (KeyError, tarfile.TarError) as exc:
        raise LabError(f"etcd's archive has no {member}: {exc}") from exc
    single.replace(archive)
