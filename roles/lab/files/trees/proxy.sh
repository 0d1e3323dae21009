#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The packages' own scripts have not run here, and it is they that choose what `iptables` means: the nftables kind.
set -eu
root=$1

for name in iptables ip6tables; do
    for verb in "" -save -restore; do
        ln -sf xtables-nft-multi "$root/usr/sbin/$name$verb"
    done
done
