# SPDX-License-Identifier: GPL-3.0-or-later
"""Proof that an address works. **PRIVATE** to the collection.

`sampling`: how many requests are enough. `probe`: asks a VIP as a client does. `services`: what the cluster
wants. `expectations`: what must therefore be seen. `observations`: what the routers say. `comparison`:
compares the two. `table`: prints all of it.

Layer 2: `segment`, `neighbors`: ask a segment who has an address. `layer2`: who should. `owners`: compares
the two. `pools`: whether the addresses are free.
"""
