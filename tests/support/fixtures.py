# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures that suites import into their ``conftest.py``."""

from __future__ import annotations

import atexit
import functools

import pytest

from support.apiserver import ApiServer, MissingBinariesError
from support.controllers import define_kinds


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


@functools.cache
def _marked_api_server() -> ApiServer:
    """The shared API server with our kinds, which each file of tests finds as the first one did."""
    api = shared_api_server()
    define_kinds(api)
    api.mark()
    return api


@pytest.fixture(scope="module", name="api_server")
def clean_api_server() -> ApiServer:
    """An API server that knows our kinds and stores nothing of another file of tests.

    A file may stop and restart it: it is the only one of this process, and the next file finds it running.
    """
    try:
        api = _marked_api_server()
    except MissingBinariesError as missing:
        pytest.fail(str(missing))
    api.reset()
    return api
