# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys by which the nodes' heartbeats are believed: files of a folder, which is a mounted Secret.

``key`` signs; it and every other file are believed, so that a change of key can go from node to node. The
kubelet puts another version of a Secret into the folder at once, a minute or so after it was changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

__all__ = ["SIGNING", "MembershipKeys"]

SIGNING = "key"
SHORTEST = 16  # octets; what the role makes has 64. HMAC-SHA256 takes any (RFC 2104), a guess takes less


class MembershipKeys:
    """`problem`: why there is no key, or one fewer than there are files, in words."""

    def __init__(self, folder: str | None) -> None:
        self.problem: str | None = None
        self._folder = Path(folder) if folder else None
        self._last: tuple[bytes, ...] = ()

    def read(self) -> tuple[bytes, ...]:
        """The one that signs comes first. What was read last stays while the folder can't be read."""
        self.problem = None
        if self._folder is None:
            self.problem = "no folder of keys was given (--layer2-key-dir)"
            return ()
        try:
            found = dict(self._files(self._folder))
        except OSError as error:
            self.problem = f"the keys can not be read: {error}"
            return self._last
        if SIGNING not in found:
            self.problem = self.problem or f"{self._folder} has no file {SIGNING}"
            return self._last
        self._last = (found.pop(SIGNING), *(found[name] for name in sorted(found)))
        return self._last

    def _files(self, folder: Path) -> Iterator[tuple[str, bytes]]:
        for path in sorted(folder.iterdir()):
            if path.name.startswith(".") or not path.is_file():  # the kubelet's own
                continue
            key = path.read_bytes().strip()
            if len(key) < SHORTEST:
                self.problem = f"the key {path.name} has {len(key)} octets; {SHORTEST} are the least"
            else:
                yield path.name, key
