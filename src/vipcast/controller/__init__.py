# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller: chooses addresses for services.

What it decides is in `ipam`. Here: `change` (what to write so that it becomes true), `conditions` (what is
said about the configuration's objects), `queue`, `metrics`, and `run`, which does all I/O.
"""
