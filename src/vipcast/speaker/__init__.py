# SPDX-License-Identifier: GPL-3.0-or-later
"""Announces a node's addresses. `decide` is pure and says what should be; `run` makes it so.

Reading order: ``reasons`` (why not), ``world`` (what is looked at), ``decide``; then ``copies`` and
``passwords`` (the API's side), ``sessions`` (the routers' side); what is said: ``reporter`` (log and Events),
``session_status`` and ``status``, ``objects``, ``pace`` and ``publisher`` (in the API), ``exposition`` and
``session_metrics``; ``run``.
"""
