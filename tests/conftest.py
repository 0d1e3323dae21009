# SPDX-License-Identifier: GPL-3.0-or-later
"""Options and hooks of every suite below this folder but the plugins' units, which ansible-test runs."""

from __future__ import annotations

import contextlib

# ansible-test runs units on Pythons, and with a path, on which the other suites' support is not to be had.
with contextlib.suppress(ImportError):
    from support import suite

    pytest_addoption = suite.pytest_addoption
    pytest_collection_modifyitems = suite.pytest_collection_modifyitems
    pytest_runtest_protocol = suite.pytest_runtest_protocol
