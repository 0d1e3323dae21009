# SPDX-License-Identifier: GPL-3.0-or-later
"""Manifests judged as the controller judges them, before a cluster has seen them. Pure."""

from __future__ import annotations

import typing as t

from ..model.configuration import parse
from ..model.problems import Problem
from ..model.reasons import Reason


def mistakes(manifests: t.Iterable[t.Mapping[str, t.Any]], namespace: str) -> list[Problem]:
    """Return what is wrong with these objects whatever else is in the cluster.

    A name that none of them has is not: the cluster may have it, or get it later.
    """
    refused = parse(manifests, namespace=namespace).refused
    return [problem for problem in refused if problem.reason is not Reason.DANGLING_REFERENCE]


__all__ = ["mistakes"]
