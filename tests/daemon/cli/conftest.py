# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from support.fixtures import api_server

__all__ = ["api_server"]
