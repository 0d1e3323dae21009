# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`vipcast layer2`: who owns an address, and the answers for it, in a process that outlives the speaker.

Reading order: `segment` is an interface with its sockets, `segments` all of them; `owned_addresses` does what
the membership decides; `node` is both and the heartbeats; `client_requests` keeps what speakers want;
`status` and `status_publisher` tell what is; `server` is the process, `handover_state` what its successor is
given, `run` the program.
"""
