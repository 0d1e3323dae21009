# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sockets and the clock for the protocol packages.

``peering`` runs one BGP session for ever; ``tcp_stream`` is its TCP connection, ``sockets`` how one is made,
``status`` what is said about it.
"""
