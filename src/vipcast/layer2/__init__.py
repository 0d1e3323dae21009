# SPDX-License-Identifier: GPL-3.0-or-later
"""ARP and NDP for addresses of services: answers, announcements, conflicts. No I/O.

Reading order: ``frames``, ``arp``, ``ndp`` (the wire), ``responder`` (who is answered), ``announcer``
(gratuitous ARP and unsolicited advertisements), ``dad`` and ``conflict_detector`` (other hosts that have an
address), ``kernel_filter`` (frames that the kernel drops for us), ``timer_queue`` and ``token_bucket``.
``api`` has the types between the speaker and `vipcast layer2`.
"""
