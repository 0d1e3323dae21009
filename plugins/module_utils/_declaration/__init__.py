# SPDX-License-Identifier: GPL-3.0-or-later
"""The declaration: from the variables of the inventory to what the cluster and each router should have.

**PRIVATE** to the collection. Reading order: `inventory` (the variables' names, whose value counts), `values`
(texts to values, errors with their place), `types` (what comes of it), `reader`, with `objects` and `options`
(the meaning of each variable), then `outputs` (plain data for plays, a router's intent), `manifests` (objects
of the API) and `secrets` (passwords apart from them). `memo` keeps a reading for as long as nothing changes.
"""
