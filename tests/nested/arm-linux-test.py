#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Unmodified Debian kernels and firmware on the AArch64 machine, on real KVM inside the emulated host.

The programs for that host are cross-built into a folder of the build directory first.
"""
import hashlib
import os
import re
import shutil
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import guest, qtest, runner  # noqa: E402
from lib.linux import random_file, serve, step  # noqa: E402

KERNEL, INITRD = '/l2/vmlinuz', '/l2/initrd.cpio'
AAVMF = '/usr/share/AAVMF'
MIB = 1 << 20


def linux(steps, *args, append='', smp=2, machine='virt,gic-version=3'):
    return guest.Guest('-m', '256', '-smp', str(smp), '-cpu', 'host', '-kernel', KERNEL, '-initrd', INITRD,
                       '-append', 'console=ttyAMA0 quiet steps=%s %s' % (steps, append), *args,
                       machine=machine, arch='aarch64', timeout=120)


def firmware(variables='/tmp/vars.fd'):
    if not os.path.exists(variables):
        shutil.copyfile(os.path.join(qtest.build_dir(), 'AAVMF_VARS.fd'), variables)
    return ['-drive', 'if=pflash,format=raw,readonly=on,file=' + os.path.join(qtest.build_dir(), 'AAVMF_CODE.fd'),
            '-drive', 'if=pflash,format=raw,file=' + variables]


def check_userspace(g, cpus):
    g.wait_console('USERSPACE', 240)
    found = runner.wait_for(lambda: re.search(r'USERSPACE .*cpus=(\d+) .*clocksource=(\w+)\s', g.console()), 20)
    runner.equal(found.groups(), (str(cpus), 'arch_sys_counter'), 'CPUs and clock source')


def check_poweroff(g):
    runner.equal(g.qmp.wait_event('SHUTDOWN', timeout=240)['data'], {'guest': True, 'reason': 'guest-shutdown'})
    runner.equal(g.wait(), 0, 'exit status')


def test_device_tree():
    """Four CPUs, disk, network, named port, entropy, all with MSI-X through the ITS."""
    os.makedirs('/tmp/www', exist_ok=True)
    file_sum = random_file('/tmp/www/file', MIB + 12345)
    disk_sum = random_file('/tmp/disk', 4 * MIB)
    os.truncate('/tmp/disk', 16 * MIB)
    port = serve('/tmp/www')
    with linux('messages,disk,dhcp,http,port,rng,poweroff',
               '-blockdev', 'driver=file,node-name=f,filename=/tmp/disk',
               '-blockdev', 'driver=raw,node-name=d,file=f', '-device', 'virtio-blk-pci,drive=d,num-queues=2',
               '-netdev', 'user,id=n', '-device', 'virtio-net-pci,netdev=n',
               '-object', 'rng-random,id=r,filename=/dev/urandom', '-device', 'virtio-rng-pci,rng=r',
               '-device', 'virtio-serial-pci,id=vs', '-chardev', 'socket,id=p,path=/tmp/port,server=on,wait=off',
               '-device', 'virtserialport,bus=vs.0,chardev=p,name=org.nemu.test',
               append='http=http://10.0.2.2:%d/file addr=10.0.2.15' % port, smp=4) as g:
        line = socket.socket(socket.AF_UNIX)
        line.connect('/tmp/port')
        line.settimeout(240)
        runner.equal([c['kernel'] for c in g.qmp.cmd('query-gic-capabilities')][1], True, 'GICv3 in KVM')
        check_userspace(g, 4)
        step(g, 'messages')
        runner.equal(step(g, 'disk'), disk_sum, 'what the guest read')
        runner.equal(step(g, 'dhcp'), '10.0.2.15', 'address by DHCP')
        runner.equal(step(g, 'http'), file_sum, 'the file over HTTP')
        stream = line.makefile('rwb')
        runner.equal(stream.readline().strip(), b'hello')
        stream.write(b'stressed\n')
        stream.flush()
        runner.equal(stream.readline().strip(), b'desserts')
        step(g, 'port')
        step(g, 'rng')
        check_poweroff(g)
    with open('/tmp/disk', 'rb') as f:
        f.seek(8 * MIB)
        runner.equal(hashlib.sha256(f.read(4 * MIB)).hexdigest(), disk_sum, 'what the guest wrote')


def test_firmware():
    """Stock AAVMF hands the kernel over with ACPI; the power button; a variable survives power-off."""
    if os.path.exists('/tmp/vars.fd'):
        os.unlink('/tmp/vars.fd')
    for want in ('new kept', 'kept kept'):
        with linux('messages,variable,button,poweroff', *firmware()) as g:
            check_userspace(g, 2)
            step(g, 'messages')
            runner.equal(step(g, 'variable'), want, 'variable before and after')
            g.wait_console('STEP button waiting')
            g.qmp.cmd('system_powerdown')
            g.qmp.wait_event('POWERDOWN')
            step(g, 'button')
            check_poweroff(g)


def slow_mmio():
    """Disk and entropy on memory-mapped transports, PCI without MSI."""
    disk_sum = random_file('/tmp/disk', 4 * MIB)
    os.truncate('/tmp/disk', 16 * MIB)
    with linux('messages,disk,rng,poweroff', '-blockdev', 'driver=file,node-name=f,filename=/tmp/disk',
               '-device', 'virtio-blk-device,drive=f', '-device', 'virtio-rng-device',
               machine='virt,gic-version=3,its=off') as g:
        check_userspace(g, 2)
        step(g, 'messages')
        runner.equal(step(g, 'disk'), disk_sum, 'what the guest read')
        step(g, 'rng')
        check_poweroff(g)


def slow_reboot():
    """By PSCI, with a device tree; through the firmware, with ACPI."""
    for args in ([], firmware()):
        with linux('reboot', *args) as g:
            runner.equal(g.qmp.wait_event('RESET', timeout=240)['data'], {'guest': True, 'reason': 'guest-reset'})
            runner.wait_for(lambda: g.console().count('USERSPACE') >= 2, 240, 'the second boot', interval=0.05)
            g.qmp.cmd('quit')
            runner.equal(g.wait(), 0, 'exit status')


def slow_stop():
    """Management stops and continues the guest all the while; its clock does not jump."""
    with linux('poweroff') as g:
        for _ in range(10):
            g.qmp.cmd('stop')
            runner.equal(g.qmp.cmd('query-status')['status'], 'paused')
            g.qmp.cmd('cont')
            try:
                g.qmp.wait_event('SHUTDOWN', timeout=0.3)
                break
            except AssertionError:
                continue
        else:
            g.qmp.wait_event('SHUTDOWN', timeout=240)
        runner.equal(g.wait(), 0, 'exit status')
        assert 'USERSPACE' in g.console()


def build():
    """The programs for the emulated host, and the firmware beside them."""
    target = os.path.join(os.path.realpath(qtest.build_dir()), 'aarch64-host')
    runner.require(shutil.which('aarch64-linux-gnu-gcc'), 'no cross compiler (scripts/setup.sh cross)')
    runner.require(os.path.exists(AAVMF + '/AAVMF_CODE.fd'), 'no AAVMF (Debian package qemu-efi-aarch64)')
    subprocess.run([os.path.join(guest.SOURCE, 'scripts', 'cross-aarch64.sh'), target, '--disable-tests'],
                   check=True, stdout=sys.stderr)
    for name in ('AAVMF_CODE.fd', 'AAVMF_VARS.fd'):
        shutil.copyfile(os.path.join(AAVMF, name), os.path.join(target, name))
    return target


if __name__ == '__main__':
    if not guest.in_emulated_host():
        guest.run_in_emulated_host(['/usr/bin/python3', os.path.realpath(__file__), *sys.argv[1:]], timeout=1200,
                                   arch='aarch64', build=build())
    if '--slow' in sys.argv:
        sys.argv.remove('--slow')
        runner.main({n.replace('slow_', 'test_'): f for n, f in list(globals().items()) if n.startswith('slow_')})
    runner.main(globals())
