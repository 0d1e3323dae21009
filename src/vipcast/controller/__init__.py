# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller: chooses addresses for services.

Reading order: `service` (what a service asks for and shows), `decide` (what should be true), `waiting` (who
gets what is freed), `plan` (what to write so that it becomes true), `conditions` (what is said about the
configuration's objects), `queue`, `metrics`, and `run`, which does all I/O.
"""
