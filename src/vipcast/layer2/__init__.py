# SPDX-License-Identifier: GPL-3.0-or-later
"""Layer 2: answers for addresses on a segment, and says so. No I/O.

Reading order: ``frames``, ``arp``, ``ndp`` (what is on the wire), ``responder`` (who is answered),
``announcer`` (what is said unasked), ``duplicates`` and ``foreign`` (who else has an address),
``kernel_filter`` (what the kernel keeps from us). ``agenda`` and ``pace`` are for those that have timers;
``wants`` is what the speaker says.
"""
