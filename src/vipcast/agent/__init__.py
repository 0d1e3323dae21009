# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runtime of `vipcast bfd` and `vipcast layer2`: agents that keep time and hand over to a successor.

`loop` waits for sockets, signals and one alarm; `channel` is a connection, `control` the socket that clients
and successors come to, `handover` what a successor is sent, `pending_handover` the time until it has taken
over, `takeover` the start of a process, `lifecycle` its turns, `health` the probes, `scheduling` the
priority, `program` all from flags to exit status. No asyncio, no threads.
"""
