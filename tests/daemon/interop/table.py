# SPDX-License-Identifier: GPL-3.0-or-later
"""The table in docs/interop.md, from what the suite runs by and from the packages that are installed.

PYTHONPATH=src:tests python -m daemon.interop.table     # writes it
"""

from __future__ import annotations

from pathlib import Path

from daemon.interop.features import CANNOT, Feature
from daemon.interop.peers import PEERS

DOCUMENT = Path(__file__).parents[3] / "docs/interop.md"
_BEGIN, _END = "<!-- table: made by tests/daemon/interop/table.py -->\n", "<!-- end of the table -->\n"


def render() -> str:
    return "\n".join([versions(), *features(), ""])


def versions() -> str:
    """Return the head of the table: the routers as they are installed here."""
    return f"| | {' | '.join(f'{name} {kind.version()}' for name, kind in PEERS.items())} |"


def features() -> list[str]:
    """Return the other lines, and the notes below."""
    lines, notes = [f"|{'---|' * (len(PEERS) + 1)}"], list[str]()
    for feature in Feature:
        cells = [_cell(feature, name, notes) for name in PEERS]
        lines.append(f"| {feature.value} | {' | '.join(cells)} |")
    return [*lines, "", *(f"{number}. {note}" for number, note in enumerate(notes, 1))]


def _cell(feature: Feature, name: str, notes: list[str]) -> str:
    cannot = CANNOT.get((feature, name))
    if cannot is None:
        return "yes"
    note = f"{name}: {cannot.why}."
    if note not in notes:
        notes.append(note)
    return f"no ({notes.index(note) + 1})"


def shown() -> str:
    """Return what the document has now."""
    text = DOCUMENT.read_text(encoding="utf-8")
    return text.partition(_BEGIN)[2].partition(_END)[0]


def write() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    before, _begin, rest = text.partition(_BEGIN)
    after = rest.partition(_END)[2]
    DOCUMENT.write_text(f"{before}{_BEGIN}{render()}{_END}{after}", encoding="utf-8")


if __name__ == "__main__":
    write()
