# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs with few capabilities."""

from __future__ import annotations


def only(*capabilities: str) -> tuple[str, ...]:
    """Start it as the kubelet does: all capabilities are dropped but these, and none can be gained."""
    kept = ",".join(("-all", *(f"+{name}" for name in capabilities)))
    return ("setpriv", "--no-new-privs", "--inh-caps=-all", f"--bounding-set={kept}", "--")
