# SPDX-License-Identifier: GPL-3.0-or-later
"""Work against a cluster's API server: private to this collection.

Reading order: `api` (requests and refusals), `resources` (kinds to paths), `fields` (differences of objects),
`entries` (declared objects and what becomes of them), `sets` (many objects as one desired state), `kinds`
(the configuration's kinds as options), `validation` (objects judged without a cluster), `object_module` (one
object, judged and applied), `allocation` (what other pools would do to services), `rollout` (waiting for
pods, and why they don't come), `settings` (editing a YAML text), `discovery` (what a cluster is),
`requirements` (what is wrong with it for a load balancer).
"""

from __future__ import annotations
