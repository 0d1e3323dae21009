#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# FRR's packages at hand, and none of them installed: `apt-get install frr` finds them in a folder of the router itself.
# Recommended packages stay out, because one of them brings Python.
set -eu
root=$1
store=$root/srv/packages

chroot "$root" apt-get install --yes --download-only --no-install-recommends frr >&2
mkdir -p "$store"
mv "$root"/var/cache/apt/archives/*.deb "$store"
cd "$store"
for package in *.deb; do
    dpkg-deb --field "$package"
    printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$package" "$(stat -c %s "$package")" "$(sha256sum "$package" | cut -d ' ' -f 1)"
done > Packages
