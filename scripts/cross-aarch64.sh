#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Build qemu-system-aarch64 and its tests for an AArch64 host on this one.
#
#   scripts/cross-aarch64.sh [BUILD_DIR] [configure option]...    default: build-aarch64
#
# The target's libraries lie in a sysroot of their own, made with a private apt
# state below $NEMU_CACHE (default ~/.cache/nemu): packages and foreign
# architectures of this host are left alone.
set -euo pipefail

src=$(cd "$(dirname "$0")/.." && pwd)
build=$(realpath -m "${1:-build-aarch64}")
[ $# = 0 ] || shift
cache=${NEMU_CACHE:-$HOME/.cache/nemu}
packages="libc6-dev linux-libc-dev libglib2.0-dev zlib1g-dev libzstd-dev libslirp-dev libgnutls28-dev libgcrypt20-dev
    libfdt-dev libseccomp-dev"
sysroot=$cache/sysroot-aarch64-$(echo "$packages" | sha256sum | cut -c1-12)

command -v aarch64-linux-gnu-gcc >/dev/null || {
    echo "$0: no aarch64-linux-gnu-gcc (scripts/setup.sh cross installs it)" >&2
    exit 1
}

make_sysroot() {
    local apt=$sysroot.apt tmp=$sysroot.tmp d
    rm -rf "$apt" "$tmp"
    mkdir -p "$apt"/lists/partial "$apt"/archives/partial "$tmp"/usr/{bin,sbin,lib}
    touch "$apt/status"
    for d in bin sbin lib; do ln -s usr/$d "$tmp/$d"; done
    private_apt() {
        apt-get -qq -o Dir::State="$apt" -o Dir::State::lists="$apt/lists" -o Dir::State::status="$apt/status" \
            -o Dir::Cache="$apt" -o Dir::Cache::archives="$apt/archives" -o APT::Architecture=arm64 \
            -o APT::Architectures=arm64 -o APT::Sandbox::User=root -o APT::Install-Recommends=0 "$@"
    }
    private_apt update
    # shellcheck disable=SC2086
    private_apt -y --download-only install $packages
    for d in "$apt"/archives/*.deb; do
        dpkg-deb --fsys-tarfile "$d" |
            tar -x -C "$tmp" --keep-directory-symlink --exclude=./usr/share/doc --exclude=./usr/share/man
    done
    rm -rf "$apt"
    mv "$tmp" "$sysroot"
}

mkdir -p "$cache" "$build"
exec 9>"$sysroot.lock"
flock 9
[ -d "$sysroot" ] || make_sysroot
exec 9>&-

cat >"$build/cross.ini" <<INI
[binaries]
c = ['aarch64-linux-gnu-gcc', '--sysroot=$sysroot']
ar = 'aarch64-linux-gnu-ar'
strip = 'aarch64-linux-gnu-strip'
pkgconfig = 'pkg-config'
exe_wrapper = ['qemu-aarch64-static', '-L', '$sysroot']
[properties]
sys_root = '$sysroot'
pkg_config_libdir = '$sysroot/usr/lib/aarch64-linux-gnu/pkgconfig:$sysroot/usr/share/pkgconfig'
[host_machine]
system = 'linux'
cpu_family = 'aarch64'
cpu = 'aarch64'
endian = 'little'
INI
cd "$build"
if [ ! -f build.ninja ]; then
    "$src/configure" --cross-file="$build/cross.ini" --target-list=aarch64-softmmu "$@"
fi
exec ninja
