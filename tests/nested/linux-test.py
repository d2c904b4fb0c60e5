#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Unmodified Debian kernels as guests, on real KVM inside the emulated host."""
import hashlib
import os
import re
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import guest, runner  # noqa: E402
from lib.linux import make_tap, once_more, random_file, serve, step  # noqa: E402

KERNEL, VMLINUX, INITRD = '/l2/vmlinuz', '/l2/vmlinux', '/l2/initrd.cpio'
MIB = 1 << 20


def linux(steps, *args, append='', kernel=KERNEL, smp=2):
    return guest.Guest('-m', '256', '-smp', str(smp), '-cpu', 'host', '-kernel', kernel, '-initrd', INITRD,
                       '-append', 'console=ttyS0 quiet steps=%s %s' % (steps, append), *args, timeout=120)


def test_everything():
    """Disk, network, named port, entropy, power button: what a cloud guest does in its life."""
    os.makedirs('/tmp/www', exist_ok=True)
    file_sum = random_file('/tmp/www/file', 3 * MIB + 12345)
    disk_sum = random_file('/tmp/disk', 4 * MIB)
    os.truncate('/tmp/disk', 16 * MIB)
    port = serve('/tmp/www')
    with linux('messages,disk,dhcp,http,port,rng,button,poweroff',
               '-blockdev', 'driver=file,node-name=f,filename=/tmp/disk',
               '-blockdev', 'driver=raw,node-name=d,file=f', '-device', 'virtio-blk-pci,drive=d,num-queues=2',
               '-netdev', 'user,id=n', '-device', 'virtio-net-pci,netdev=n',
               '-object', 'rng-random,id=r,filename=/dev/urandom', '-device', 'virtio-rng-pci,rng=r',
               '-device', 'virtio-serial-pci,id=vs', '-chardev', 'socket,id=p,path=/tmp/port,server=on,wait=off',
               '-device', 'virtserialport,bus=vs.0,chardev=p,name=org.nemu.test',
               append='addr=10.0.2.15 http=http://10.0.2.2:%d/file' % port) as g:
        line = socket.socket(socket.AF_UNIX)
        line.connect('/tmp/port')
        line.settimeout(240)
        g.wait_console('USERSPACE', 240)
        userspace = runner.wait_for(
            lambda: re.search(r'USERSPACE .*cpus=(\d+) .*clocksource=([-\w]+)\s', g.console()), 20)
        runner.equal(userspace.group(1), '2', 'CPUs')
        runner.equal(userspace.group(2), 'kvm-clock', 'clock source')
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
        g.wait_console('STEP button waiting')
        g.qmp.cmd('system_powerdown')
        g.qmp.wait_event('POWERDOWN')
        step(g, 'button')
        runner.equal(g.qmp.wait_event('SHUTDOWN', timeout=120)['data'], {'guest': True, 'reason': 'guest-shutdown'})
        runner.equal(g.wait(), 0, 'exit status')
    with open('/tmp/disk', 'rb') as f:
        f.seek(8 * MIB)
        runner.equal(hashlib.sha256(f.read(4 * MIB)).hexdigest(), disk_sum, 'what the guest wrote')


def test_tap():
    """Two queue pairs over a TAP interface with offloads: large frames in merged buffers."""
    os.makedirs('/tmp/www', exist_ok=True)
    file_sum = random_file('/tmp/www/file', 5 * MIB + 777)
    make_tap('tapnemu', '192.168.77.1')
    port = serve('/tmp/www', '192.168.77.1')
    with linux('http,poweroff', '-netdev', 'tap,id=n,ifname=tapnemu,script=no,downscript=no,queues=2',
               '-device', 'virtio-net-pci,netdev=n,mq=on,vectors=6',
               append='addr=192.168.77.2 http=http://192.168.77.1:%d/file' % port) as g:
        runner.equal(step(g, 'http'), file_sum, 'the file over HTTP')
        g.qmp.wait_event('SHUTDOWN', timeout=120)
        runner.equal(g.wait(), 0, 'exit status')


def test_vhost():
    """The same served by the kernel of the host."""
    os.makedirs('/tmp/www', exist_ok=True)
    file_sum = random_file('/tmp/www/file', 5 * MIB + 333)
    make_tap('vtapnemu', '192.168.78.1')
    port = serve('/tmp/www', '192.168.78.1')
    with linux('http,poweroff', '-netdev', 'tap,id=n,ifname=vtapnemu,script=no,downscript=no,queues=2,vhost=on,vhostforce=on',
               '-device', 'virtio-net-pci,netdev=n,mq=on,vectors=6', '-trace', 'vhost_serving,file=/tmp/vhost.trace',
               append='addr=192.168.78.2 http=http://192.168.78.1:%d/file' % port) as g:
        runner.equal(step(g, 'http'), file_sum, 'the file over HTTP')
        g.qmp.wait_event('SHUTDOWN', timeout=120)
        runner.equal(g.wait(), 0, 'exit status')
    with open('/tmp/vhost.trace', encoding='utf-8') as f:
        trace = f.read()
    assert ' on 1 ' in trace, trace


TRACING = '/sys/kernel/tracing'


def test_vmlinux():
    """The PVH entry of an unpacked kernel; management stops and continues it all the while. Trace events go
    to the kernel's buffer."""
    if not os.path.exists(TRACING + '/trace'):
        subprocess.run(['mount', '-t', 'tracefs', 'tracefs', TRACING], check=True)
    with linux('poweroff', '-trace', 'backend=ftrace', kernel=VMLINUX, smp=1) as g:
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
            g.wait_console('STEPS DONE', 240, untroubled=False)
            g.qmp.wait_event('SHUTDOWN', timeout=120)
        runner.equal(g.wait(), 0, 'exit status')
        assert 'USERSPACE' in g.console()
    with open(TRACING + '/trace', encoding='utf-8', errors='replace') as f:
        trace = f.read()
    for event in ('run_state_set running -> paused', 'acpi_sleep', 'system_shutdown guest-shutdown'):
        assert event in trace, (event, trace[-2000:])


def test_hotplug():
    """A disk on a root port comes and goes while the guest looks."""
    random_file('/tmp/second', 2 * MIB)
    random_file('/tmp/disk', 4 * MIB)
    with linux('hotplug,poweroff', '-device', 'pcie-root-port,id=rp0,chassis=1,slot=1',
               '-blockdev', 'driver=file,node-name=f,filename=/tmp/disk',
               '-device', 'virtio-blk-pci,drive=f') as g:
        g.wait_console('STEP hotplug waiting', 240)
        g.qmp.cmd('blockdev-add', {'driver': 'file', 'node-name': 'f2', 'filename': '/tmp/second'})
        g.qmp.cmd('device_add', {'driver': 'virtio-blk-pci', 'id': 'disk2', 'bus': 'rp0', 'drive': 'f2'})
        g.wait_console('STEP hotplug plugged')
        g.qmp.cmd('device_del', {'id': 'disk2'})
        runner.equal(g.qmp.wait_event('DEVICE_DELETED', timeout=60, device='disk2')['data']['device'], 'disk2')
        g.qmp.cmd('blockdev-del', {'node-name': 'f2'})
        step(g, 'hotplug')
        g.qmp.wait_event('SHUTDOWN', timeout=120)
        runner.equal(g.wait(), 0, 'exit status')


def test_reboot():
    """A guest that reboots comes up again, with the event that says so."""
    with linux('reboot') as g:
        g.wait_console('STEPS DONE', 240, untroubled=False)
        runner.equal(g.qmp.wait_event('RESET', timeout=240)['data'], {'guest': True, 'reason': 'guest-reset'})
        runner.wait_for(lambda: g.watch_host() or g.console().count('USERSPACE') >= 2, 240, 'the second boot',
                        interval=0.05)
        g.qmp.cmd('quit')
        runner.equal(g.wait(), 0, 'exit status')


def test_panic():
    with linux('panic', '-device', 'pvpanic', append='panic=-1') as g:
        g.wait_console('STEPS DONE', 240, untroubled=False)
        g.qmp.wait_event('GUEST_PANICKED', timeout=120)


if __name__ == '__main__':
    if not guest.in_emulated_host():
        guest.run_in_emulated_host(['/usr/bin/python3', os.path.realpath(__file__), *sys.argv[1:]], timeout=1200)
    runner.main({name: once_more(case) for name, case in globals().items() if name.startswith('test_')})
