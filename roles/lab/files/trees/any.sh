#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The last step of every tree, called with its folder: what each host makes for itself goes, what would only disturb is off.
set -eu
root=$1

rm -f "$root"/etc/ssh/ssh_host_* "$root/etc/machine-id" "$root/etc/hostname" "$root/etc/resolv.conf"
rm -rf "$root"/var/lib/apt/lists/* "$root"/etc/apt/sources.list "$root"/etc/apt/sources.list.d/*
touch "$root/etc/resolv.conf"
# Somebody who is not root, for inventories that log in as such. Debian has a group of that name already.
chroot "$root" useradd --create-home --uid 1000 --gid operator --groups sudo --shell /bin/bash operator
# There is no network to update from, no disk to check, and the machine's clock is everyone's.
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
    fstrim.timer systemd-timesyncd.service systemd-networkd.service systemd-networkd.socket systemd-networkd-wait-online.service \
    systemd-firstboot.service console-getty.service getty@tty1.service; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
