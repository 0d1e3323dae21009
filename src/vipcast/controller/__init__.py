# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller: chooses addresses for services.

What it decides is in `ipam`. Here: `change` (what to write so that it becomes true), `conditions` (what is
said about the configuration's objects), and what does I/O: `cache` (always), `leader` and `statuses` (while
this replica leads), `run` (which of the two it is), with `queue`, `latest_version`, `write_errors`,
`conflict_backoff`, `quarantine`, `fence` and `metrics`.
"""
