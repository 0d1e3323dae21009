# SPDX-License-Identifier: GPL-3.0-or-later
"""The reports of a speaker: status objects, Events, log lines, the status document."""
