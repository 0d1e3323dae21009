# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `vipcast bfd` and `vipcast layer2` have in common: processes that keep time and hand over to an heir.

`loop` waits for sockets, signals and one alarm; `channel` is a connection, `control` the socket that clients
and heirs come to, `handover` what an heir is sent, `succession` who serves when, `health` the probes,
`priority` what keeps a busy node from delaying us. No asyncio, no threads.
"""
