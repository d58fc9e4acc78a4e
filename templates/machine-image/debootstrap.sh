#!/bin/sh
# Makes the root file system of the machine image from Debian packages, where no image registry can be reached.
#   debootstrap.sh TEMPLATES TARGET MIRROR SUITE     APT_SOURCES in the environment becomes the machine's own list of sources
set -eu
templates=$1 target=$2 mirror=$3 suite=$4
packages=$(tr '\n' ',' <"$templates/packages")
# A machine that is thrown away needs no file on disk before the next: without this most of an installation's time is waiting for that.
mkdir -p "$target/etc/dpkg/dpkg.cfg.d"
echo force-unsafe-io >"$target/etc/dpkg/dpkg.cfg.d/unsafe-io"
debootstrap --variant=minbase --include="${packages%,}" "$suite" "$target" "$mirror"
rm -f "$target"/etc/ssh/ssh_host_* "$target"/var/cache/apt/archives/*.deb "$target"/etc/apt/sources.list
rm -rf "$target"/var/lib/apt/lists/*
: >"$target/etc/machine-id"
printf '%s\n' "$APT_SOURCES" >"$target/etc/apt/sources.list.d/machine.sources"
install -m 755 "$templates/boot" "$target/usr/local/sbin/boot"
