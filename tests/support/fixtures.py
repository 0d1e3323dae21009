# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures that suites import into their ``conftest.py``."""

from __future__ import annotations

import atexit
import functools

import pytest

from support.apiserver import ApiServer, MissingBinariesError


@functools.cache
def shared_api_server() -> ApiServer:
    """One API server for a whole pytest run: starting one costs seconds, a namespace costs nothing."""
    api = ApiServer()
    atexit.register(api.close)
    api.start()
    return api


@pytest.fixture(scope="session")
def api_server() -> ApiServer:
    """The shared API server. Use namespaces of your own; `restart` is allowed."""
    try:
        return shared_api_server()
    except MissingBinariesError as missing:
        pytest.fail(str(missing))
