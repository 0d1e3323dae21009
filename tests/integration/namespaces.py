# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of network namespaces that no other process of tests uses, on the same machine at the same time."""

from __future__ import annotations

import os


def named(name: str, kind: str = "") -> str:
    """Return the namespace's name for one of our hosts; Kubernetes takes it as a node's name too.

    C(kind) tells machines apart that one process runs side by side, each with hosts of the same names.
    """
    return "-".join(part for part in (f"vt{os.getpid()}", kind, name) if part)
