# SPDX-License-Identifier: GPL-3.0-or-later
"""Properties: a change is judged with the same examples each time, and others are searched for apart.

`make daemon` takes the examples from the test's own source, so that it says the same of the same code twice.
`make search` takes them at random, and as many as there is time for; what it finds becomes a test of its own.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# How long an example takes says nothing on a machine that is busy with something else.
_ANY_MACHINE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)

settings.register_profile("steady", _ANY_MACHINE, derandomize=True, database=None)
settings.register_profile("search", _ANY_MACHINE, derandomize=False)
settings.load_profile("steady")
