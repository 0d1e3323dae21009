# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""BFD (RFC 5880) without sockets and clocks: packets and the time in, packets and the next timer out."""
