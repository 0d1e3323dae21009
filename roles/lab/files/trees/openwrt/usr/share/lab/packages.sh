# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
# What both stand-ins for package managers do: a feed is /srv/feed, its index the text Packages, a package a tar. What is
# installed is in /usr/lib/opkg/info, a list of files for each package.
FEED=/srv/feed
INFO=/usr/lib/opkg/info

# A field of a package in an index; status 1 where the package is not in it.
field() {
    awk -v RS= -v name="$2" -v field="$3" '
        $0 ~ "^Package: " name "\n" {
            found = 1
            n = split($0, lines, "\n")
            for (i = 1; i <= n; i++) if (index(lines[i], field ": ") == 1) print substr(lines[i], length(field) + 3)
        }
        END { exit !found }' "$1" 2>/dev/null
}

is_installed() { [ -f "$INFO/$1.list" ]; }

# Unpack; a file of configuration that somebody changed would stay, and here none is there before.
unpack() {
    tar -tf "$FEED/$1.tar" | sed -n 's|^\./\(.*[^/]\)$|/\1|p' > "$INFO/$1.list"
    tar -C / -xf "$FEED/$1.tar"
}

# As OpenWrt's default_postinst (package/base-files/files/lib/functions.sh): what has a script in /etc/init.d is enabled and
# started.
configure() {
    sed -n 's|^/etc/init.d/||p' "$INFO/$1.list" | while read -r name; do
        "/etc/init.d/$name" enable
        "/etc/init.d/$name" start </dev/null >/dev/null 2>&1
    done
}
