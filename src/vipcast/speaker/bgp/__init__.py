# SPDX-License-Identifier: GPL-3.0-or-later
"""The BGP and BFD sessions of a speaker: their settings, passwords, and what they say of themselves."""
