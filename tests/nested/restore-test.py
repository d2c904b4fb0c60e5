#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A stock guest under disk and network load, saved to a file and restored in a new process again and again.

Without an argument three times, with --slow fifty times.
"""
import hashlib
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import guest, qtest, runner  # noqa: E402
from lib.linux import Connections, Shell, make_tap, once_more, step  # noqa: E402

KERNEL, INITRD = '/l2/vmlinuz', '/l2/initrd.cpio'
HOST, GUEST = '192.168.78.1', '192.168.78.2'
MIB = 1 << 20
AREA = 8                # MiB of the disk that the guest writes to
TIMES = 3

# Blocks at random places: a copy in memory, written to the disk, read back from it and compared.
DISK_LOAD = ('dd if=/dev/zero of=/tmp/copy bs=1M count=%(mib)d; '
             'dd if=/tmp/copy of=/dev/vda bs=1M oflag=direct; n=0; '
             'while [ ! -e /tmp/stop ]; do at=$(shuf -i 0-%(last)d -n 1); '
             'dd if=/dev/urandom of=/tmp/block bs=64k count=1; '
             'dd if=/tmp/block of=/tmp/copy bs=64k seek=$at conv=notrunc; '
             'dd if=/tmp/block of=/dev/vda bs=64k seek=$at conv=notrunc,fsync; '
             'dd if=/dev/vda of=/tmp/back bs=64k skip=$at count=1 iflag=direct; '
             'cmp /tmp/block /tmp/back || echo $at >>/tmp/bad; n=$((n + 1)); echo $n >/tmp/rounds; done; '
             'sync; echo 3 >/proc/sys/vm/drop_caches; cmp -n %(bytes)d /tmp/copy /dev/vda || echo end >>/tmp/bad; '
             'sha256sum </tmp/copy | cut -d" " -f1 >/tmp/disksum'
             % {'mib': AREA, 'last': AREA * 16 - 1, 'bytes': AREA * MIB})


def qemu_img(*args):
    subprocess.run([os.path.join(qtest.build_dir(), 'qemu-img'), *args], check=True, stdout=subprocess.DEVNULL)


def start(shell):
    return guest.Guest(
        '-m', '128', '-smp', '2', '-cpu', 'host', '-kernel', KERNEL, '-initrd', INITRD,
        '-append', 'console=ttyS0 quiet steps=messages,shell,messages,poweroff',
        '-object', 'iothread,id=io', '-blockdev', 'driver=file,node-name=f,filename=/tmp/restore.qcow2',
        '-blockdev', 'driver=qcow2,node-name=d,file=f', '-device', 'virtio-blk-pci,drive=d,num-queues=2,iothread=io',
        '-netdev', 'tap,id=n,ifname=tapsave,script=no,downscript=no,queues=2',
        '-device', 'virtio-net-pci,netdev=n,mq=on,vectors=6',
        '-device', 'virtio-rng-pci', '-device', 'virtio-balloon-pci', *shell.args(), timeout=120)


def rounds(shell):
    return int(shell.run('cat /tmp/rounds'))


def restore(g, shell, connections, paused):
    """Both loads must get on afterwards."""
    disk = rounds(shell)
    if paused:
        g.qmp.cmd('stop')
    shell.close()
    g = g.restore_in_new_process()
    returned, summed = connections.returned, connections.summed
    if paused:
        runner.equal(g.qmp.cmd('query-status')['status'], 'paused')
        g.qmp.cmd('cont')
    shell.connect()
    connections.wait_progress(returned, summed)
    runner.wait_for(lambda: rounds(shell) > disk, 240, 'progress of the disk load', interval=0.1)
    return g


def finish(g, shell, connections):
    network_sum = connections.finish()
    shell.run('touch /tmp/stop')
    runner.wait_for(lambda: shell.run('cat /tmp/disksum /tmp/netsum 2>/dev/null | wc -l') == '2', 240, 'the sums',
                    interval=0.1)
    runner.equal(shell.run('cat /tmp/netsum'), network_sum, 'sum of what came over the connection')
    runner.equal(shell.run('cat /tmp/bad 2>/dev/null; true'), '', 'blocks that were read back wrongly')
    print('# %s rounds on the disk, %d and %d blocks over the network' %
          (shell.run('cat /tmp/rounds'), connections.returned, connections.summed), flush=True)
    disk_sum = shell.run('cat /tmp/disksum')
    shell.sock.sendall(b'exit\n')
    step(g, 'shell')
    step(g, 'messages')
    runner.equal(g.qmp.wait_event('SHUTDOWN', timeout=120)['data'], {'guest': True, 'reason': 'guest-shutdown'})
    runner.equal(g.wait(), 0, 'exit status')
    assert not re.search('STEP messages failed', g.console())
    qemu_img('check', '-q', '/tmp/restore.qcow2')
    qemu_img('convert', '-O', 'raw', '/tmp/restore.qcow2', '/tmp/restore.raw')
    with open('/tmp/restore.raw', 'rb') as f:
        runner.equal(hashlib.sha256(f.read(AREA * MIB)).hexdigest(), disk_sum, 'what the guest wrote')


def test_load():
    qemu_img('create', '-q', '-f', 'qcow2', '/tmp/restore.qcow2', '64M')
    make_tap('tapsave', HOST)
    connections = Connections(HOST)
    shell = Shell('/tmp/restore-shell')
    g = start(shell)
    try:
        g.wait_console('STEP shell waiting', 240)
        shell.connect()
        shell.run('ip link set eth0 up; ip addr add %s/24 dev eth0' % GUEST)
        shell.start('nc %s %d -e cat' % (HOST, connections.echo_port))
        shell.start('nc %s %d | sha256sum | cut -d" " -f1 >/tmp/netsum' % (HOST, connections.sum_port))
        shell.start(DISK_LOAD)
        connections.wait_progress(0, 0)
        shell.run('while [ ! -e /tmp/rounds ]; do sleep 0.1; done')
        for i in range(TIMES):
            g = restore(g, shell, connections, paused=i % 5 == 1)
            print('# restored %d' % (i + 1), flush=True)
        with g:
            finish(g, shell, connections)
    except BaseException:
        if g.proc.poll() is None:
            g.diagnose()
        g.kill()
        g.dump()
        print(''.join('# console: %s\n' % line for line in g.console().splitlines()[-30:]), flush=True)
        raise


if __name__ == '__main__':
    if not guest.in_emulated_host():
        guest.run_in_emulated_host(['/usr/bin/python3', os.path.realpath(__file__), *sys.argv[1:]], timeout=2400)
    if '--slow' in sys.argv:
        sys.argv.remove('--slow')
        TIMES = 50
    runner.main({'test_load': once_more(test_load)})
