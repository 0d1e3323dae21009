# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""BGP-4 without I/O: bytes and the time go in; bytes, events and the next timer come out.

Reading order: ``route`` (what is announced), ``error_codes`` and ``errors``, ``wire``
and ``framing`` (octets), ``capabilities``, ``attributes``, ``messages`` (the codec), ``fsm`` (RFC 4271
section 8 as a table), ``rib`` (what the peer has and what it should have), ``session``, and ``peer`` (one
or two sessions with a peer, and their collision).
Nothing in here knows a clock, a socket or a log; ``vipcast.net`` does.
"""
