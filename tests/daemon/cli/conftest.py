# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from support.fixtures import clean_api_server

__all__ = ["clean_api_server"]
