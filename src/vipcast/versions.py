# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A range of versions of a protocol (docs/design/0022-versions-on-the-wire.md)."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Versions", "read"]

_LARGEST = 65535


class Versions(NamedTuple):
    """All from the least to the most."""

    least: int
    most: int

    def common(self, other: Versions) -> int | None:
        """Return the greatest that both have."""
        most = min(self.most, other.most)
        return most if most >= max(self.least, other.least) else None

    def __str__(self) -> str:
        return f"version {self.least}" if self.least == self.most else f"versions {self.least} to {self.most}"


def read(written: object) -> Versions:
    """Return what JSON has as a list of two numbers. Raises ValueError."""
    if isinstance(written, list | tuple) and len(written) == 2 and all(map(_is_version, written)):
        least, most = written
        if least <= most:
            return Versions(least, most)
    raise ValueError(f"{written!r}: the least and the greatest version would be right")


def _is_version(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _LARGEST
