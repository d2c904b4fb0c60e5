#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The one list of Debian 12 packages that nemu needs, and their installation.
#
#   scripts/setup.sh [build|test|cross]...  install what is missing of these groups (default: build)
#   scripts/setup.sh --list [group]    print the packages
#   scripts/setup.sh --check [group]   exit 1 when something is missing
set -e

# Compiler, build system, and the libraries (each named once in meson.build).
build_packages="gcc libc6-dev meson ninja-build pkg-config python3 gawk
    libglib2.0-dev zlib1g-dev libzstd-dev
    libslirp-dev libgnutls28-dev libgcrypt20-dev libfdt-dev device-tree-compiler libseccomp-dev linux-libc-dev"

# For an AArch64 build on another host (scripts/cross-aarch64.sh), and to try it.
cross_packages="gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static"

# Oracles, clients that we did not write, and what the emulated host is made of.
test_packages="git qemu-system-x86 qemu-utils acpica-tools strace procps time
    busybox-static kmod cpio xz-utils zstd mawk qemu-efi-aarch64 ovmf mtools fdisk efibootmgr systemd-boot-efi binutils gdb zsh
    nbdkit libnbd-bin file cryptsetup-bin gnutls-bin keyutils qemu-system-arm $cross_packages
    libvirt-daemon-system libvirt-clients python3-websockets groff-base"

mode=install
groups=
for arg; do
    case $arg in
        --list) mode=list ;;
        --check) mode=check ;;
        build|test|cross) groups="$groups $arg" ;;
        *) echo "usage: $0 [--list|--check] [build|test|cross]..." >&2; exit 2 ;;
    esac
done
groups=${groups:-build}

wanted=
for group in $groups; do
    case $group in
        build) wanted="$wanted $build_packages" ;;
        test) wanted="$wanted $test_packages" ;;
        cross) wanted="$wanted $cross_packages" ;;
    esac
done

if [ $mode = list ]; then
    # shellcheck disable=SC2086
    printf '%s\n' $wanted
    exit 0
fi

missing=
for package in $wanted; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ $mode = check ]; then
    echo "missing packages:$missing" >&2
    exit 1
fi

as_root=
[ "$(id -u)" = 0 ] || as_root=sudo
echo "installing:$missing"
$as_root apt-get update -q
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
