# SPDX-License-Identifier: GPL-3.0-or-later
"""The helpers that several kinds of tests share."""
