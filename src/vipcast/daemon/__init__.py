# SPDX-License-Identifier: GPL-3.0-or-later
"""The shell of both daemons: logs, metrics, a server for probes, signals.

`run` shows how a program uses it.
"""
