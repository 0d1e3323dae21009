#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A virtual machine boots the tree's own kernel. Its first steps need the disk's driver and nothing else: without this the
# package packs every driver there is, which an emulated processor unpacks for seconds at each boot.
set -eu
root=$1

echo 'MODULES=list' > "$root/etc/initramfs-tools/conf.d/lab"
printf 'virtio_pci\nvirtio_blk\n' >> "$root/etc/initramfs-tools/modules"
chroot "$root" update-initramfs -u -k all >&2
