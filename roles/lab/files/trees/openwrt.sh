#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A router like OpenWrt, of Debian's busybox, dropbear, nftables, iproute2 and FRR: called with the folder in which these are
# unpacked, and makes OpenWrt's layout of it. Programs that Debian has not are the stand-ins in openwrt/; what each does as the
# real one does, and what it leaves out, is said where it begins. FRR and ip-full are in a feed, and not installed.
set -eu
root=$1
here=$(cd "$(dirname "$0")" && pwd)
debian=$root/.debian
feed=$root/srv/feed

# Debian's files go aside; what OpenWrt has of them comes back below, and the rest is removed at the end.
mkdir "$debian"
for path in "$root"/*; do
    mv "$path" "$debian/"
done
for name in bin sbin lib lib64; do
    if [ -d "$debian/$name" ] && [ ! -L "$debian/$name" ]; then
        mkdir -p "$debian/usr/$name"
        cp -a "$debian/$name/." "$debian/usr/$name/"
    fi
done

mkdir -p "$root/bin" "$root/sbin" "$root/usr/bin" "$root/usr/sbin" "$root/usr/lib/opkg/info" "$root/usr/libexec" \
    "$root/dev" "$root/proc" "$root/sys" "$root/mnt" "$root/overlay" "$root/tmp" "$root/srv" "$feed"
mkdir -p -m 700 "$root/root" "$root/etc/dropbear"
chmod 1777 "$root/tmp"
ln -s tmp "$root/var"
ln -s usr/lib "$root/lib"
[ ! -d "$debian/usr/lib64" ] || { cp -a "$debian/usr/lib64" "$root/usr/lib64"; ln -s usr/lib64 "$root/lib64"; }

# Libraries: on OpenWrt packages of their own, here all that Debian's programs need. FRR's come with FRR.
libraries=$(find "$debian/usr/lib" -mindepth 1 -maxdepth 1 -type d -name '*-linux-gnu*')
triplet=${libraries##*/}
mkdir -p "$root/usr/lib/$triplet"
find "$libraries" -maxdepth 1 -name '*.so*' ! -name 'libfrr*' ! -name 'libmlag*' ! -name 'libmgmt*' -exec cp -a {} "$root/usr/lib/$triplet/" ';'
find "$debian/usr/lib" -maxdepth 1 -name '*.so*' -exec cp -a {} "$root/usr/lib/" ';'
cp -a "$libraries/security" "$root/usr/lib/$triplet/"

# One program is every tool, as on OpenWrt. Debian's is also package tools that OpenWrt's is not.
cp "$debian/usr/bin/busybox" "$root/bin/busybox"
for applet in $("$root/bin/busybox" --list-full); do
    case ${applet##*/} in dpkg | dpkg-deb | rpm | rpm2cpio | busybox) continue ;; esac
    ln -sf /bin/busybox "$root/$applet"
done
cp "$debian/usr/sbin/dropbear" "$debian/usr/sbin/nft" "$root/usr/sbin/"
cp "$debian/usr/lib/dropbear/dropbearconvert" "$debian/usr/bin/dropbearkey" "$root/usr/bin/"

# The stand-ins, and OpenWrt's files. A script of /etc/init.d is interpreted by rc.common.
cp -a "$here/openwrt/etc" "$here/openwrt/sbin" "$here/openwrt/usr" "$root/"
mkdir -p "$root/etc/rc.d"
script() {
    { printf '#!%s\n' "$2"; cat "$1"; } > "$1.new"
    mv "$1.new" "$1"
    chmod 755 "$1"
}
for path in "$root/sbin/uci" "$root/usr/share/lab/opkg" "$root/usr/share/lab/apk" "$root/etc/rc.common" "$root/etc/init.d/rcS"; do
    script "$path" /bin/sh
done
for name in boot sysctl network firewall dropbear; do
    script "$root/etc/init.d/$name" '/bin/sh /etc/rc.common'
    start=$(sed -n 's/^START=//p' "$root/etc/init.d/$name")
    ln -s "../init.d/$name" "$root/etc/rc.d/S$start$name"
done
# 24.10 has opkg; a tree that is to be 25.12 has apk instead (usr/share/lab/release).
cp "$root/usr/share/lab/opkg" "$root/bin/opkg"
ln -s /etc/dropbear "$root/root/.ssh"
ln -s /proc/mounts "$root/etc/mtab"
ln -s /tmp/resolv.conf "$root/etc/resolv.conf"
chmod 600 "$root/etc/shadow" "$root"/etc/config/*

# The feed. What a package's tar has is what it installs; the index is what package lists are made of.
stage=$root/.stage
pack() {
    name=$1 depends=$2
    tar --numeric-owner -C "$stage" -cf "$feed/$name.tar" .
    printf 'Package: %s\nVersion: %s\nDepends: %s\n\n' "$name" "$version" "$depends" >> "$feed/Packages"
    rm -rf "$stage"
}
put() {
    mkdir -p "$stage/$2"
    cp -a "$debian/$1" "$stage/$2/"
}
# Debian's scripts name Debian's folders and users, and programs that OpenWrt has not: bash and install.
# Without a pid ash's kill takes its own group.
translated() {
    sed -e '1s|^#!.*|#!/bin/sh|' -e 's|/usr/lib/frr|/usr/sbin|g' -e 's|^FRR_USER=.*|FRR_USER="network"|' \
        -e 's|^FRR_GROUP=.*|FRR_GROUP="network"|' -e 's|^FRR_VTY_GROUP=.*|FRR_VTY_GROUP=""|' \
        -e 's|^FRR_CONFIG_MODE=.*|FRR_CONFIG_MODE="0600"|' \
        -e 's|if \[ -n "$fail" \] && .*; then|if [ -n "$fail" ]; then|' \
        -e 's|\tinstall .* /dev/null "$cfg"|\t: > "$cfg"; chownfrr "$cfg"|' \
        -e 's|\tinstall .* -d "$V_PATH"|\tmkdir -p "$V_PATH"; chown "$FRR_USER:$FRR_GROUP" "$V_PATH"|' "$debian/usr/lib/frr/$1" > "$stage/usr/sbin/$1"
    chmod 755 "$stage/usr/sbin/$1"
}

version=8.4.4-r1
put usr/bin/vtysh usr/bin
[ ! -f "$debian/usr/lib/frr/mgmtd" ] || put usr/lib/frr/mgmtd usr/sbin
mkdir -p "$stage/usr/sbin" "$stage/usr/lib/$triplet" "$stage/usr/share"
translated frrcommon.sh
find "$libraries" -maxdepth 1 '(' -name 'libfrr*' -o -name 'libmlag*' -o -name 'libmgmt*' ')' -exec cp -a {} "$stage/usr/lib/$triplet/" ';'
cp -a "$libraries/frr" "$stage/usr/lib/$triplet/"
cp -a "$debian/usr/share/yang" "$stage/usr/share/"
cp -a "$here/openwrt-frr/etc" "$stage/"
script "$stage/etc/init.d/frr" '/bin/sh /etc/rc.common'
grep -v '^#' "$debian/etc/frr/daemons" | sed '/./,$!d' > "$stage/etc/frr/daemons"
chmod 600 "$stage"/etc/frr/*
chown 101:101 "$stage"/etc/frr/*
pack frr ''
mkdir -p "$stage/usr/sbin" "$stage/usr/lib/frr"
put usr/lib/frr/watchfrr usr/sbin
translated watchfrr.sh
# Debian's watchfrr was built to find its script there.
ln -s /usr/sbin/watchfrr.sh "$stage/usr/lib/frr/watchfrr.sh"
pack frr-watchfrr frr
for daemon in zebra staticd bgpd bfdd ospfd; do
    put "usr/lib/frr/$daemon" usr/sbin
    pack "frr-$daemon" frr
done
version=6.11.0-r1
mkdir -p "$stage/usr/libexec" "$stage/sbin"
cp -L "$debian/usr/bin/ip" "$stage/usr/libexec/ip-full"
# As the alternative of higher priority, which a package manager links.
ln -s /usr/libexec/ip-full "$stage/sbin/ip"
pack ip-full ''

rm -rf "$debian" "$root/linuxrc"
