#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Run a command as root inside a software-emulated
# (TCG) machine that has working KVM: a stock Debian kernel ("L1"), whose
# /dev/kvm is real Linux KVM (x86: kvm_amd on emulated SVM+NPT; aarch64: EL2).
# L1_ARCH=x86|aarch64 selects the architecture (default x86).
set -euo pipefail
ORIG=("$@")
usage() { cat <<USAGE
usage: $0 [options] [--] command [args...]
  -s DIR[:ro] share a host directory, at the same path in L1 (repeatable, <= 4;
            the first one is the command's working directory)
  -t SECS   timeout for everything                          (default 300)
  -p N      L1 vCPUs     (default: x86 1, aarch64 2)      -m MIB  L1 memory (default 2048)
  -C MODEL  L1 -cpu      (x86: max,-xsave; aarch64: cortex-a72)
  -K OPTS   options for kvm_amd/kvm.ko, e.g. 'npt=0' (x86, implies -n)
  -k ARGS   more kernel arguments (implies -n)
  -n        boot L1 from scratch instead of restoring the cached snapshot
  -N        like -n, and do not write a snapshot either
  -v        show L1's console on stderr        -P  only prepare the cache
  -L        only make the guest's kernel and initrd, print the folder whose l2/ has them
Exit status: the command's own; 124 timeout; 125 L1 failed.
In L1: / is tmpfs; /usr and /etc are the host's (x86) or a Debian arm64 tree
(aarch64), read-only; /l2/vmlinuz and /l2/initrd.cpio are a stock Debian cloud
kernel and a busybox initrd (guest-init.sh) for guests, /l2/vmlinux the generic kernel,
on x86 unpacked.
Cache: \$NEMU_CACHE (default \$HOME/.cache/nemu).
USAGE
}
HERE=$(cd "$(dirname "$0")" && pwd)
case "${L1_ARCH:-x86}" in
 *x86*) ARCH=x86 DEB=amd64 ;; *aarch64*|*arm64*) ARCH=aarch64 DEB=arm64 ;;
 *) usage >&2; exit 125 ;;
esac
CACHE=${NEMU_CACHE:-$HOME/.cache/nemu}
# One folder a version of what makes its content, so that two checkouts do not disturb each other.
C=$CACHE/$ARCH-$(sed '/^# ---- (iii)/,$d' "$HERE/emulated-host.sh" | cat - "$HERE/guest-init.sh" | sha256sum | cut -c1-12)
SHARES=() TMO=300 SMP= MEM=2048 CPU= KVMOPT= KARGS= SNAP=1 SAVE=1 VERB= PREP= SHOW=
while getopts s:t:p:m:C:K:k:nNvPLh o; do case $o in
  s) SHARES+=("$OPTARG") ;; t) TMO=$OPTARG ;; p) SMP=$OPTARG ;; m) MEM=$OPTARG ;;
  C) CPU=$OPTARG ;; K) KVMOPT=$OPTARG SNAP= SAVE= ;; k) KARGS=$OPTARG SNAP= SAVE= ;;
  n) SNAP= ;; N) SNAP= SAVE= ;; v) VERB=1 ;; P) PREP=1 ;; L) PREP=1 SHOW=1 ;; h) usage; exit 0 ;; *) usage >&2; exit 125 ;;
esac; done; shift $((OPTIND-1))
[ -n "$PREP" ] || [ $# -gt 0 ] || { usage >&2; exit 125; }
[ ${#SHARES[@]} -le 4 ] || { echo "$0: at most 4 shares" >&2; exit 125; }
say() { echo "emulated-host: $*" >&2; }
die() { say "$*"; exit 125; }

# ---- (i) host packages, (ii) cached kernel, initramfs, root tree ------------
need() { # command...
  local c; for c; do command -v "$c" >/dev/null || die "no $c; scripts/setup.sh test installs it"; done
}
apt_private() { # apt-get for $DEB with its own lists and status: the host's dpkg is not touched
  local a=$C/apt; mkdir -p $a/lists/partial $a/archives/partial; touch $a/status
  apt-get -qq -o Dir::State=$a -o Dir::State::lists=$a/lists -o Dir::State::status=$a/status \
    -o Dir::Cache=$a -o Dir::Cache::archives=$a/archives -o APT::Architecture=$DEB \
    -o APT::Architectures=$DEB -o APT::Sandbox::User=root -o APT::Install-Recommends=0 "$@"
}
fetch_deb() { # DIR package... : download exactly these packages
  local d=$1; shift; mkdir -p "$d"; (cd "$d" && apt_private download "$@") >&2
}
mkinitrd() { # KERNELTREE INIT OUT module... [later module...]: the latter are for a step to load
  local k=$1 init=$2 out=$3 v t m f b order=order; shift 3
  v=$(ls "$k/lib/modules"); t=$(mktemp -d "$C/tmp.XXXXXX")
  mkdir -p $t/{bin,dev,proc,sys,tmp,new,lib/modules}
  cp "$C/busybox" $t/bin/busybox; ln -s busybox $t/bin/sh; : >$t/lib/modules/order
  : >$t/lib/modules/later
  if [ $# -gt 0 ]; then
    grep -q : "$k/lib/modules/$v/modules.dep" 2>/dev/null || depmod -b "$k" "$v"
    for m in "$@"; do
      if [ $m = later ]; then order=later; continue; fi
      modprobe -d "$k" -S "$v" --show-depends "$m" | awk '$1=="insmod"{print $2}' |
      while read -r f; do b=$(basename "$f"); [ -e "$t/lib/modules/$b" ] && continue
        cp "$f" "$t/lib/modules/$b"; echo "$b" >>$t/lib/modules/$order; done
    done
  fi
  cp "$init" $t/init; chmod 755 $t/init
  (cd $t && find . | cpio -o -H newc --quiet) >"$out"; rm -rf "$t"
}
prepare() {
  need cpio depmod xz awk zstd qemu-system-${ARCH/x86/x86_64}
  if [ -e "$C/ready" ]; then return; fi
  say "building cache in $C"; rm -rf "$C"; mkdir -p "$C"
  apt_private update >&2 || true
  local k kc
  k=$(apt_private -s install linux-image-$DEB 2>/dev/null | awk '/^Inst linux-image-[0-9]/{print $2; exit}')
  kc=$(apt_private -s install linux-image-cloud-$DEB 2>/dev/null | awk '/^Inst linux-image-[0-9]/{print $2; exit}')
  fetch_deb "$C/debs" ${k%:*} ${kc%:*} busybox-static || die "cannot download $k $kc"
  dpkg-deb -x "$C"/debs/busybox-static_*.deb "$C/bb"; cp "$C/bb/bin/busybox" "$C/busybox"
  dpkg-deb -x "$C"/debs/${k%:*}_*.deb "$C/k"; dpkg-deb -x "$C"/debs/${kc%:*}_*.deb "$C/kc"
  cp "$C"/k/boot/vmlinuz-* "$C/kernel"
  if [ $ARCH = x86 ]; then   # unpack the xz payload here: QEMU then enters vmlinux by PVH,
    local off                # which saves seconds of decompression under TCG
    off=$(LC_ALL=C grep -abo $'\xFD7zXZ' "$C/kernel" | head -n 1 | cut -d: -f1) || true
    if [ -n "$off" ] && { tail -c +$((off+1)) "$C/kernel" | xz -dc 2>/dev/null >"$C/vmlinux" || true; [ -s "$C/vmlinux" ]; }
    then mv "$C/vmlinux" "$C/kernel"; else rm -f "$C/vmlinux"; fi
  fi
  if [ $ARCH = aarch64 ]; then  # a tree with Debian's arm64 qemu and its libraries
    apt_private -q -y --download-only install qemu-system-arm busybox-static bash coreutils grep sed mawk \
      python3 libslirp0 libfdt1 libaio1 libgnutls30 libglib2.0-0 libseccomp2 efibootmgr systemd-boot-efi ${L1_ARM64_PACKAGES:-} >&2 || die "cannot download arm64 packages"
    mkdir -p "$C"/root/usr/{bin,sbin,lib,lib64} "$C"/root/etc; local d a
    for d in bin sbin lib; do ln -s usr/$d "$C/root/$d"; done
    for d in "$C"/apt/archives/*.deb; do dpkg-deb --fsys-tarfile "$d" |
      tar -x -C "$C/root" --keep-directory-symlink --exclude='./usr/share/doc' --exclude='./usr/share/man' --exclude='./usr/share/locale'; done
    cp "$C/busybox" "$C/root/usr/bin/busybox"
    for a in $(busybox --list 2>/dev/null || qemu-aarch64-static "$C/busybox" --list 2>/dev/null); do
      [ -e "$C/root/usr/bin/$a" ] || [ -e "$C/root/usr/sbin/$a" ] || ln -s busybox "$C/root/usr/bin/$a"; done
    printf 'root:x:0:0:root:/root:/bin/bash\n' >"$C/root/etc/passwd"; printf 'root:x:0:\nkvm:x:104:\n' >"$C/root/etc/group"
    rm -rf "$C/apt/archives"
  fi
  cp "$HERE/guest-init.sh" "$C/init.l2"
  cat >"$C/init.l1" <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin 2>/dev/null
export PATH=/bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
arg() { sed -n "s/.*\b$1=\([^ ]*\).*/\1/p" /proc/cmdline | tr , ' '; }
for m in $(cat /lib/modules/order); do
  case $m in kvm-amd.ko|kvm-intel.ko) insmod /lib/modules/$m $(arg l1kvm) ;; *) insmod /lib/modules/$m ;; esac || echo "L1: insmod $m failed"
done
echo "L1: booted, uptime $(cut -d' ' -f1 /proc/uptime)"
p9() { mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,$3 $1 $2; }
n=/new; mount -t tmpfs -o mode=755 tmpfs $n
mkdir -p $n/usr $n/etc $n/dev $n/proc $n/sys $n/tmp $n/run $n/root $n/var/tmp $n/ctl $n/l2 $n/share
for d in bin sbin lib lib64; do ln -s usr/$d $n/$d; done; chmod 1777 $n/tmp $n/var/tmp
mount --bind /dev $n/dev; mkdir -p $n/dev/pts $n/dev/shm; mount -t devpts devpts $n/dev/pts; mount -t tmpfs tmpfs $n/dev/shm
mount -t proc proc $n/proc; mount -t sysfs sys $n/sys; ip link set lo up 2>/dev/null
sync; echo 3 >/proc/sys/vm/drop_caches
echo "L1: waiting"
# The control disk says "go EPOCH" when there is work; a snapshot is taken while it says "wait".
while :; do set -- $(dd if=/dev/vda bs=512 count=1 iflag=direct 2>/dev/null | head -n1 | tr -d '\0'); [ "$1" = go ] && break; sleep 0.05; done
date -s "@$2" >/dev/null
p9 ctl $n/ctl cache=none; p9 usr $n/usr cache=loose,ro; p9 etc $n/etc cache=loose,ro; p9 l2 $n/l2 cache=loose,ro
while read tag mode dir; do mkdir -p "$n$dir"; p9 $tag "$n$dir" cache=mmap,$mode || echo "L1: mount $tag $dir failed"; done <$n/ctl/mounts
port=/dev/$(basename $(dirname $(grep -lx l1.out /sys/class/virtio-ports/*/name)))
chroot $n /bin/bash /ctl/cmd </dev/null >$port 2>&1; rc=$?
echo $rc >$n/ctl/rc; echo "L1: exit $rc"
sync; poweroff -f
INIT
  local mods="virtio_pci virtio_blk virtio_console 9pnet_virtio 9p tun vhost_net vhost_vsock virtio_net loop"
  [ $ARCH = x86 ] && mods="$mods kvm kvm-amd"
  mkinitrd "$C/k" "$C/init.l1" "$C/initrd.l1" $mods
  mkdir -p "$C/l2"; cp "$C"/kc/boot/vmlinuz-* "$C/l2/vmlinuz"; ln "$C/kernel" "$C/l2/vmlinux"
  mods="virtio_pci virtio_blk virtio_net virtio_console virtio_rng virtio_balloon button evdev efivarfs"
  [ $ARCH = x86 ] && mods="$mods pvpanic-mmio later virtio_mem virtio_pmem nfit nd_pmem" || mods="$mods virtio_mmio"
  mkinitrd "$C/kc" "$C/init.l2" "$C/l2/initrd.cpio" $mods
  rm -rf "$C/debs" "$C/bb" "$C/k" "$C/kc"; touch "$C/ready"
}
mkdir -p "$CACHE"
exec 9>"$C.lock"; flock 9; prepare; flock -u 9
if [ -n "$SHOW" ]; then echo "$C"; exit 0; fi


# ---- (iii) run ---------------------------------------------------------------
R=$(mktemp -d "$C/run.XXXXXX"); PID=
cleanup() { [ -z "$PID" ] || kill $PID 2>/dev/null || true; rm -rf "$R"; }
trap cleanup EXIT; trap 'exit 130' INT; trap 'exit 143' TERM
mkdir -p $R/ctl $R/empty; : >$R/ctl/mounts; : >$R/console
ROOT=; [ $ARCH = aarch64 ] && ROOT=$C/root
# One CPU on x86: under load, guests were seen to hang or reset by themselves and the emulated
# host to die (QEMU 7.2, SVM under TCG), more often with several CPUs.
if [ $ARCH = x86 ]; then SMP=${SMP:-1}; else SMP=${SMP:-2}; fi
if [ $SMP = 1 ]; then THREAD=single; else THREAD=multi; fi
APPEND="quiet loglevel=4 nokaslr mitigations=off random.trust_cpu=on panic=-1 l1kvm=${KVMOPT// /,} $KARGS"
if [ $ARCH = x86 ]; then CPU=${CPU:-max,-xsave}
  Q=(qemu-system-x86_64 -M q35 -cpu "$CPU"); APPEND="console=ttyS0 tsc=reliable $APPEND"
else CPU=${CPU:-cortex-a72}
  Q=(qemu-system-aarch64 -M virt,virtualization=on,gic-version=${L1_GIC:-3} -cpu "$CPU"); APPEND="console=ttyAMA0 $APPEND"
fi
Q+=(-accel tcg,thread=$THREAD,tb-size=256 -smp $SMP -m $MEM -nodefaults -display none -no-reboot
  -kernel "$C/kernel" -initrd "$C/initrd.l1" -append "$APPEND" -serial "file:$R/console"
  -device virtio-rng-pci -device virtio-serial-pci -device virtserialport,chardev=out,name=l1.out
  -drive "if=none,id=ctl,format=raw,file=$R/ctl.img" -device virtio-blk-pci,drive=ctl)
fs() { Q+=(-fsdev "local,id=$1,path=${2//,/,,},security_model=none,multidevs=remap${3:-}" -device "virtio-9p-pci,fsdev=$1,mount_tag=$1"); }
fs ctl $R/ctl; fs usr $ROOT/usr ,readonly=on; fs etc $ROOT/etc ,readonly=on; fs l2 $C/l2 ,readonly=on
for i in 0 1 2 3; do
  d=${SHARES[$i]:-} m=rw; case $d in *:ro) m=ro d=${d%:ro} ;; esac
  if [ -z "$d" ]; then fs share$i $R/empty ,readonly=on; continue; fi
  [ -d "$d" ] || die "no directory $d"; d=$(realpath "$d"); [ $i != 0 ] || WD=$d
  echo "share$i $m $d" >>$R/ctl/mounts
  if [ $m = ro ]; then fs share$i "$d" ,readonly=on; else fs share$i "$d"; fi
done
{ echo "export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C TERM=dumb L1=$ARCH"
  echo "cd $(printf %q "${WD:-/root}")"; printf 'exec'; printf ' %q' "$@"; echo; } >$R/ctl/cmd
ctl() { printf '%s\n' "$1" >$R/ctl.img; truncate -s 64K $R/ctl.img; }
KEY=$( (echo "$ARCH $SMP $MEM $CPU $APPEND ${L1_GIC:-}"; "${Q[0]}" --version; stat -c '%s %Y' "$C/initrd.l1" "$C/kernel"; sed -n '/^# ---- (iii)/,$p' "$0") | sha256sum | cut -c1-16)
F=$C/snap.$KEY.zst

find "$C" -maxdepth 1 -name 'snap.*' -mmin +2880 -delete
save() { # boot L1 until it waits for work, then write its state to $F
  local i; say "booting L1 for a snapshot"; ctl wait; mkfifo $R/mon.in $R/mon.out
  "${Q[@]}" -chardev null,id=out -chardev pipe,id=mon,path=$R/mon -mon chardev=mon </dev/null >&2 & PID=$!
  for ((i = 0; i < TMO * 10; i++)); do
    grep -q '^L1: waiting' $R/console && break; kill -0 $PID 2>/dev/null || break; sleep 0.1; done
  grep -q '^L1: waiting' $R/console || { cat $R/console >&2; die "L1 did not boot"; }
  printf 'migrate_set_parameter max-bandwidth 8G\nmigrate "exec:zstd -q -1 >%s"\nquit\n' "$F.tmp.$$" >$R/mon.in
  wait $PID || true; PID=
  zstd -qt "$F.tmp.$$" || die "no snapshot"; mv "$F.tmp.$$" "$F"; : >$R/console
}
if [ -n "$SAVE" ] && [ -n "$SNAP" ]; then flock 9; [ -s "$F" ] || save; flock -u 9; fi
exec 9>&-
[ -n "$PREP" ] && [ $# = 0 ] && exit 0
ctl "go $(date +%s)"
[ -n "$SNAP" ] && [ -s "$F" ] && Q+=(-incoming "exec:zstd -dcq $F")
[ -z "$VERB" ] || { tail -qf $R/console >&2 & TAIL=$!; }
mkfifo $R/in $R/out; cat <$R/out & CAT=$!
# (stdin must not end: end of file would look to the guest like a closed port)
timeout -k 5 $TMO "${Q[@]}" -chardev stdio,id=out,signal=off <>$R/in >$R/out & PID=$!
rc=0; wait $PID || rc=$?; PID=; wait $CAT || true
[ -z "$VERB" ] || { sleep 0.2; kill $TAIL; }
if [ -s $R/ctl/rc ]; then exit $(cat $R/ctl/rc); fi
[ $rc = 124 ] || [ $rc = 137 ] && { say "timeout after $TMO s; L1 console:"; tail -n 30 $R/console >&2; exit 124; }
tail -n 60 $R/console >&2
# The emulated host itself crashed: that is nobody's test result. Once more, then give up.
if [ -z "${L1_AGAIN:-}" ]; then say "L1 died (qemu status $rc); once more"; cleanup; L1_AGAIN=1 exec "$0" "${ORIG[@]}"; fi
die "L1 died (qemu status $rc)"
