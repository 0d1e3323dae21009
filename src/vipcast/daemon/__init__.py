# SPDX-License-Identifier: GPL-3.0-or-later
"""What both daemons share: logs, metrics, a server for probes, signals. `run` shows how a program uses it."""
