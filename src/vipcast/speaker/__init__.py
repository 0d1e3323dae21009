# SPDX-License-Identifier: GPL-3.0-or-later
"""Announces a node's addresses. `decide` is pure and says what should be; `run` makes it so.

Reading order: ``reasons`` and ``rules``, ``kube_types`` and ``cache`` (the API's objects), ``decide`` and
``drain``; then ``bgp`` (sessions with routers, BFD), ``layer2`` (the agent beside us), ``reporting`` (Events,
status objects, the status document), ``metrics``, and ``run``, which joins them.
"""
