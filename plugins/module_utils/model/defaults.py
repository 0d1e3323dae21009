# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts that the collection and the daemons share and nobody else decides."""

from __future__ import annotations

NAMESPACE = "metallb-system"  # of all objects, so that manifests written for MetalLB fit

MAX_PASSWORD = 80  # octets of a TCP MD5 key (RFC 2385): Linux's TCP_MD5SIG_MAXKEYLEN, and FRR's limit

# TCP ports on which the programs serve health and status.
HEALTH_PORT, BFD_HEALTH_PORT, LAYER2_HEALTH_PORT = 17472, 17473, 17474

# UDP between the nodes. MetalLB's memberlist has the same, so that its users' firewalls let it through.
HEARTBEAT_PORT = 7946
