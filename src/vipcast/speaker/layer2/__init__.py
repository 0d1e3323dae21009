# SPDX-License-Identifier: GPL-3.0-or-later
"""Layer 2 in a speaker: what the agent is told to announce, and what it tells back."""
