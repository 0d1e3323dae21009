# SPDX-License-Identifier: GPL-3.0-or-later
"""Layer 2: answers for addresses on a segment, and says so. No I/O."""
