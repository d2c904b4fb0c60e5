#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The first process of the stock guest in the nested tests. "steps=a,b,..." on
# the kernel command line says what to do; each step reports
# "STEP name ok|failed ..." on the console. The last line is "STEPS DONE".
/bin/busybox --install -s /bin 2>/dev/null
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for m in $(cat /lib/modules/order); do
    [ "$m" != efivarfs.ko ] || [ -d /sys/firmware/efi ] || continue
    insmod "/lib/modules/$m" || echo "insmod $m failed"
done

arg() { sed -n "s/.*\b$1=\([^ ]*\).*/\1/p" /proc/cmdline; }
ok() { echo "STEP $*"; }

echo "USERSPACE uptime=$(cut -d' ' -f1 /proc/uptime) cpus=$(nproc) kernel=$(uname -r)" \
    "clocksource=$(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"

wait_for() {
    i=0
    while ! eval "$1"; do
        i=$((i + 1))
        [ $i -lt 300 ] || return 1
        sleep 0.1
    done
}

step_messages() {       # what the kernel complained about
    # Linux 6.1 takes a table of CPUs that says nothing of caches for a mistake.
    if dmesg -r | grep -v 'Early cacheinfo failed' |
        grep -E '^<[0-3]>|ACPI (Error|BIOS Error|Warning)|WARNING:'; then
        ok messages failed
    else
        ok messages ok
    fi
}

step_disk() {           # read what the host put there, write what it will check
    wait_for '[ -b /dev/vda ]' || { ok disk failed no disk; return; }
    sum=$(dd if=/dev/vda bs=1M count=4 2>/dev/null | sha256sum | cut -d' ' -f1)
    dd if=/dev/vda of=/tmp/first bs=1M count=4 2>/dev/null
    if dd if=/tmp/first of=/dev/vda bs=1M seek=8 oflag=direct 2>/dev/null && sync; then
        ok disk ok "$sum"
    else
        ok disk failed
    fi
}

step_http() {           # http=URL addr=ADDRESS
    ip link set eth0 up && ip addr add "$(arg addr)/24" dev eth0
    if wget -q -O /tmp/file "$(arg http)"; then
        ok http ok "$(sha256sum /tmp/file | cut -d' ' -f1)"
    else
        ok http failed
    fi
}

step_dhcp() {
    printf '#!/bin/sh\n[ "$1" = bound ] && echo "$ip" >/tmp/dhcp\n' >/tmp/dhcp.sh
    chmod 755 /tmp/dhcp.sh
    ip link set eth0 up
    udhcpc -i eth0 -n -q -s /tmp/dhcp.sh >/dev/null 2>&1
    if [ -s /tmp/dhcp ]; then ok dhcp ok "$(cat /tmp/dhcp)"; else ok dhcp failed; fi
}

step_port() {           # a line from the named port comes back reversed
    port=/dev/$(basename "$(dirname "$(grep -lx org.nemu.test /sys/class/virtio-ports/*/name)")")
    exec 3<>"$port"
    echo hello >&3
    read -r line <&3
    echo "$line" | rev >&3
    ok port ok "$line"
}

step_hotplug() {        # a disk comes and goes
    ok hotplug waiting
    wait_for '[ -b /dev/vdb ]' || { ok hotplug failed no new disk; return; }
    dd if=/dev/vdb of=/dev/null bs=64k 2>/dev/null || { ok hotplug failed cannot read; return; }
    ok hotplug plugged
    if wait_for '[ ! -b /dev/vdb ]'; then ok hotplug ok; else ok hotplug failed disk stays; fi
}

# How many of these files exist, in $n. Nothing here starts a process: it runs again and again.
count() { n=0; for f; do [ ! -e "$f" ] || n=$((n + 1)); done; }

# All that can come and go, in one line.
plugged() {
    cpus=1 memory=0
    for f in /sys/devices/system/cpu/cpu[1-9]*/online; do
        # Nobody else in this guest switches on what has come.
        state=gone
        { read -r state <"$f"; } 2>/dev/null
        [ "$state" != 0 ] || { echo 1 >"$f"; } 2>/dev/null
        [ "$state" != 1 ] || cpus=$((cpus + 1))
    done
    for f in /sys/devices/system/memory/memory*/state; do
        state=gone
        { read -r state <"$f"; } 2>/dev/null
        [ "$state" != online ] || memory=$((memory + 1))
    done
    for f in /dev/pmem*; do
        # Once, with the flush that makes it durable.
        [ ! -b "$f" ] || [ -e "/tmp/${f#/dev/}" ] || {
            echo persistent | dd of="$f" bs=4k conv=sync,fsync 2>/dev/null && touch "/tmp/${f#/dev/}"
        }
    done
    count /sys/block/vd*; disks=$n
    count /sys/class/net/eth*; nics=$n
    count /tmp/pmem*
    now="cpus=$cpus memory=$memory disks=$disks nics=$nics pmem=$n"
}

step_plug() {           # the host plugs and unplugs; what there is goes to the console when it changes
    for m in $(cat /lib/modules/later); do insmod "/lib/modules/$m" || echo "insmod $m failed"; done
    wait_for '[ -b /dev/vda ]'
    while :; do
        dd if=/dev/urandom of=/tmp/block bs=64k count=4 2>/dev/null
        dd if=/tmp/block of=/dev/vda bs=64k seek=160 conv=fsync 2>/dev/null
        dd if=/dev/vda bs=64k skip=160 count=4 iflag=direct 2>/dev/null | cmp - /tmp/block || ok load failed
        [ ! -b /dev/vdb ] || dd if=/dev/vdb of=/dev/null bs=64k count=8 iflag=direct 2>/dev/null
        sleep 0.05
    done &
    old=
    while :; do
        plugged
        [ "$now" = "$old" ] || echo "NOW $now"
        old=$now
        sleep 0.05
    done
}

step_rng() {
    if [ "$(dd if=/dev/hwrng bs=64 count=1 2>/dev/null | wc -c)" = 64 ]; then ok rng ok; else ok rng failed; fi
}

step_shell() {          # commands from the named port, a line each, until "exit"
    port=/dev/$(basename "$(dirname "$(grep -lx org.nemu.shell /sys/class/virtio-ports/*/name)")")
    exec 3<>"$port"
    ok shell waiting
    while :; do
        # End of file while nobody is connected at the other side.
        read -r line <&3 || { sleep 0.1; continue; }
        [ "$line" != exit ] || break
        output=$(eval "$line" 2>&1)
        status=$?
        printf '%s\nSTATUS %d\n' "$output" $status >&3
    done
    ok shell ok
}

step_variable() {       # a variable of the firmware: it may be there, and is afterwards
    mount -t efivarfs efivarfs /sys/firmware/efi/efivars || { ok variable failed no efivarfs; return; }
    # A vendor GUID of our own: firmware keeps the global one for the names that UEFI defines.
    var=/sys/firmware/efi/efivars/NemuTest-6e656d75-7465-4574-8001-000000000001
    old=new
    [ ! -e $var ] || old=$(cat $var | tail -c +5)
    # Attributes (non-volatile, at boot time, at run time), then data, in one write.
    printf '\007\000\000\000kept' >/tmp/variable
    [ $old != new ] || dd if=/tmp/variable of=$var bs=64 || ls -l $var
    ok variable ok $old "$(cat $var | tail -c +5)"
}

step_bootentry() {      # one for this kernel, made unless it is there; says which one this boot came from
    mount -t efivarfs efivarfs /sys/firmware/efi/efivars 2>/dev/null
    entry=$(efibootmgr | sed -n 's/^Boot\([0-9A-F]*\)\** nemu\b.*/\1/p')
    current=$(efibootmgr | sed -n 's/^BootCurrent: //p')
    if [ -z "$entry" ]; then
        efibootmgr -q -c -d /dev/vda -p 1 -L nemu -l '\vmlinuz.efi' \
            -u "initrd=\\initrd.cpio $(tr ' ' '\n' </proc/cmdline | grep ^console=) quiet disk=entry steps=$(arg then)"
        entry=$(efibootmgr | sed -n 's/^Boot\([0-9A-F]*\)\** nemu\b.*/\1/p')
        ok bootentry ok made "$(arg disk)" "$([ "$entry" ] && [ "$entry" != "$current" ] && echo yes)"
    else
        ok bootentry ok kept "$(arg disk)" "$([ "$entry" = "$current" ] && echo yes)"
    fi
}

step_rebootonce() {     # through the firmware; a variable remembers it
    mount -t efivarfs efivarfs /sys/firmware/efi/efivars 2>/dev/null
    var=/sys/firmware/efi/efivars/NemuReboot-6e656d75-7465-4574-8001-000000000001
    if [ -e $var ]; then
        ok rebootonce ok
    else
        printf '\007\000\000\000done' >/tmp/variable
        dd if=/tmp/variable of=$var bs=64 2>/dev/null
        reboot -f
        sleep 1000
    fi
}

step_button() {         # until somebody presses the power button
    # Opened before anybody is asked to press: who opens later does not see it.
    for e in /dev/input/event*; do
        exec 4<"$e"
        (dd of=/dev/null bs=24 count=1 2>/dev/null; echo pressed >/tmp/pressed) <&4 &
    done
    ok button waiting
    if wait_for '[ -e /tmp/pressed ]'; then ok button ok; else ok button failed; fi
}

for step in $(arg steps | tr , ' '); do
    case $step in
        poweroff) echo "STEPS DONE"; poweroff -f ;;
        reboot) echo "STEPS DONE"; reboot -f ;;
        panic) echo "STEPS DONE"; echo c >/proc/sysrq-trigger ;;
        *) "step_$step" ;;
    esac
done
echo "STEPS DONE"
sleep 100000
