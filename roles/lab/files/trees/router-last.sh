#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The router knows its own folder of packages, and nothing else.
set -eu
root=$1

echo 'deb [trusted=yes] file:/srv/packages ./' > "$root/etc/apt/sources.list.d/packages.list"
chroot "$root" apt-get update >&2
