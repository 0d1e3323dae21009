# SPDX-License-Identifier: GPL-3.0-or-later
"""The output of ``vipcast status --cluster`` for objects that are given."""

from __future__ import annotations

from typing import Any

from daemon.cli.status_documents import NOW

from vipcast.cli.cluster import cluster_lines


def shown(**parts: Any) -> list[str]:
    return list(cluster_lines({"nodes": [], "sessions": [], "services": [], **parts}, NOW))
