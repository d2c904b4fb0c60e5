#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything that can be plugged into and out of a running, unmodified Debian guest under load, again and again.

    hotplug-test.py [LOOPS]     how often (default 3)

Nothing is left afterwards: objects in the tree, file descriptors, memory.
"""
import contextlib
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import guest, runner  # noqa: E402
from lib.linux import random_file  # noqa: E402

KERNEL, INITRD = '/l2/vmlinuz', '/l2/initrd.cpio'
MIB = 1 << 20
LOOPS = 3
CPU = 'host-x86_64-cpu'


def now(g):
    """What the guest saw last: name -> count."""
    lines = re.findall(r'^NOW (.*?)\r?\n', g.console(), re.M)
    return {k: int(v) for k, v in (w.split('=') for w in lines[-1].split())} if lines else {}


# An interrupt between SYSCALL and the first instruction of its handler, where interrupts are off: only a CPU can do that,
# and the emulated host's does, once in many hours of a guest's life.
IMPOSSIBLE = re.compile(r'double fault.*?RIP: 0010:entry_SYSCALL_64\+0x0/', re.S)


def look(g):
    """Fails when the guest is in trouble."""
    g.check_untroubled()
    g.watch_host()
    if IMPOSSIBLE.search(g.console()):
        raise guest.HostStuck('the emulated host interrupted its guest where it must not')
    assert 'Kernel panic' not in g.console(), g.console()[-4000:]


def wait(g, **counts):
    """Until the guest has this many."""
    def there():
        look(g)
        have = now(g)
        return all(have.get(k) == v for k, v in counts.items())
    runner.wait_for(there, 240, 'what the guest sees: %r' % counts, interval=0.05)


def wait_qom(g, name, prop, value):
    runner.wait_for(lambda: look(g) or g.qmp.cmd('qom-get', path=name, property=prop) == value, 240,
                    '%s.%s=%r' % (name, prop, value), interval=0.05)


def wait_gone(g, name):
    """DEVICE_DELETED may have come already, with others around it."""
    def gone():
        look(g)
        for i, e in enumerate(g.qmp.events):
            if e['event'] == 'DEVICE_DELETED' and e['data'].get('device') == name:
                return g.qmp.events.pop(i)
        return None
    runner.wait_for(gone, 240, 'the end of ' + name, interval=0.02)


def unplug(g, name):
    g.qmp.cmd('device_del', id=name)
    wait_gone(g, name)


def cpu(g):
    g.qmp.cmd('device_add', {'driver': CPU, 'id': 'cpu1', 'socket-id': 1, 'core-id': 0, 'thread-id': 0})
    wait(g, cpus=2)
    unplug(g, 'cpu1')
    wait(g, cpus=1)


def dimm(g):
    blocks = now(g)['memory']
    g.qmp.cmd('object-add', {'qom-type': 'memory-backend-ram', 'id': 'm1', 'size': 128 * MIB})
    g.qmp.cmd('device_add', {'driver': 'pc-dimm', 'id': 'dimm1', 'memdev': 'm1'})
    wait(g, memory=blocks + 1)
    unplug(g, 'dimm1')
    g.qmp.cmd('object-del', {'id': 'm1'})
    wait(g, memory=blocks)


def virtio_mem(g):
    blocks = now(g)['memory']
    for size in (96 * MIB, 0):
        g.qmp.cmd('qom-set', path='vmem', property='requested-size', value=size)
        wait_qom(g, 'vmem', 'size', size)
    wait(g, memory=blocks)


def persistent(g):
    """Both kinds can only come; what the guest writes to them is in the files."""
    for n, device in enumerate(({'driver': 'nvdimm'}, {'driver': 'virtio-pmem-pci', 'bus': 'rp2'}), 1):
        path = '/tmp/persistent%d' % n
        with open(path, 'wb') as f:
            f.truncate(128 * MIB)
        g.qmp.cmd('object-add', {'qom-type': 'memory-backend-file', 'id': 'p%d' % n, 'size': 128 * MIB, 'share': True,
                                 'mem-path': path})
        g.qmp.cmd('device_add', {'id': 'pmem%d' % n, 'memdev': 'p%d' % n, **device})
        wait(g, pmem=n)
        with open(path, 'rb') as f:
            runner.equal(f.read(10), b'persistent')


def one_round(g):
    """Everything comes and goes. Linux takes five seconds to let go of a PCI device: the rest happens meanwhile."""
    g.qmp.cmd('blockdev-add', {'driver': 'file', 'node-name': 'f2', 'filename': '/tmp/second'})
    g.qmp.cmd('device_add', {'driver': 'virtio-blk-pci', 'id': 'disk2', 'bus': 'rp0', 'drive': 'f2'})
    g.qmp.cmd('netdev_add', {'type': 'user', 'id': 'n1'})
    g.qmp.cmd('device_add', {'driver': 'virtio-net-pci', 'id': 'nic1', 'bus': 'rp1', 'netdev': 'n1'})
    wait(g, disks=2, nics=1)
    for name in 'disk2', 'nic1':
        g.qmp.cmd('device_del', id=name)
    cpu(g)
    dimm(g)
    virtio_mem(g)
    for name in 'disk2', 'nic1':
        wait_gone(g, name)
    g.qmp.cmd('blockdev-del', {'node-name': 'f2'})
    g.qmp.cmd('netdev_del', {'id': 'n1'})
    wait(g, disks=1, nics=0)
    g.qmp.events.clear()


def tree(g, path='/machine'):
    """All paths below @path and in /objects."""
    found = set()
    for entry in g.qmp.cmd('qom-list', path=path):
        if entry['type'].startswith('child<'):
            child = path.rstrip('/') + '/' + entry['name']
            found.add(child)
            found |= tree(g, child)
    return found


def footprint(g):
    """File descriptors, threads but for workers that come and go, private memory in KiB."""
    fds = len(os.listdir('/proc/%d/fd' % g.pid))
    with open('/proc/%d/smaps_rollup' % g.pid, encoding='ascii') as f:
        private = sum(int(v) for v in re.findall(r'^Private_Dirty: +(\d+)', f.read(), re.M))
    return fds, private


# What the guest has beside what is plugged in.
DISK = ['-blockdev', 'driver=file,node-name=f,filename=/tmp/disk', '-device', 'virtio-blk-pci,drive=f']
PORTS = [w for n in range(3) for w in ('-device', 'pcie-root-port,id=rp%d,chassis=%d' % (n, n + 1))]
MEM = ['-object', 'memory-backend-ram,id=vm,size=512M', '-device', 'virtio-mem-pci,id=vmem,memdev=vm']


def start(*args):
    random_file('/tmp/disk', 4 * MIB)
    os.truncate('/tmp/disk', 16 * MIB)
    random_file('/tmp/second', 2 * MIB)
    return guest.Guest('-m', '256,slots=2,maxmem=2G', '-smp', '1,maxcpus=4,sockets=4', '-cpu', 'host', '-kernel', KERNEL,
                       '-initrd', INITRD, '-append', 'console=ttyS0 quiet memhp_default_state=online_movable steps=plug',
                       *DISK, *PORTS, *MEM, *args, machine='virt,nvdimm=on', timeout=240)


def rounds(first):
    """As many as are left after @first; how many were done when the emulated host lets us down."""
    done = first
    try:
        with start() as g:
            wait(g, cpus=1, disks=1)
            persistent(g)
            objects, before = None, None
            while done < LOOPS:
                one_round(g)
                done += 1
                if objects is None:
                    # The first round starts threads and loads modules that stay.
                    objects, before = tree(g), footprint(g)
                print('# round %d: %s, fds and KiB %r' % (done, now(g), footprint(g)), flush=True)
            runner.equal(tree(g), objects, 'the tree')
            after = footprint(g)
            assert after[0] <= before[0] + 4, ('file descriptors', before, after)
            # The guest's own memory fills up with its work, but it is 256 MiB.
            assert after[1] < before[1] + 300 * 1024, ('memory', before, after)
            assert 'failed' not in g.console(), g.console()[-2000:]
            g.qmp.cmd('quit')
            runner.equal(g.wait(), 0, 'exit status')
    except guest.HostStuck as e:
        print('# after %d rounds: %s\n# go on with a new guest' % (done, str(e).splitlines()[0]), flush=True)
    return done


def test_loop():
    done = failures = 0
    while done < LOOPS:
        done = rounds(done)
        failures += done < LOOPS
        assert failures <= 3 + LOOPS // 10, 'the emulated host does not get through'


def test_restore():
    """What was plugged in is saved with the rest; the new process has it from its command line, in another order."""
    g = start()
    with contextlib.ExitStack() as stack:
        stack.push(g)
        wait(g, cpus=1, disks=1)
        blocks = now(g)['memory']
        for n in (1, 2):
            g.qmp.cmd('device_add', {'driver': CPU, 'id': 'cpu%d' % n, 'socket-id': n, 'core-id': 0, 'thread-id': 0})
        g.qmp.cmd('object-add', {'qom-type': 'memory-backend-ram', 'id': 'm1', 'size': 128 * MIB})
        g.qmp.cmd('device_add', {'driver': 'pc-dimm', 'id': 'dimm1', 'memdev': 'm1'})
        g.qmp.cmd('qom-set', path='vmem', property='requested-size', value=64 * MIB)
        wait(g, cpus=3, memory=blocks + 2)
        wait_qom(g, 'vmem', 'size', 64 * MIB)
        new = ['-device', CPU + ',id=cpu2,socket-id=2,core-id=0,thread-id=0',
               '-device', CPU + ',id=cpu1,socket-id=1,core-id=0,thread-id=0',
               '-object', 'memory-backend-ram,id=m1,size=128M', '-device', 'pc-dimm,id=dimm1,memdev=m1']
        g = g.restore_in_new_process(*new)
        stack.push(g)
        unplug(g, 'cpu2')
        wait(g, cpus=2)
        unplug(g, 'dimm1')
        runner.equal(g.qmp.cmd('qom-get', path='vmem', property='size'), 64 * MIB)
        g.qmp.cmd('qom-set', path='vmem', property='requested-size', value=0)
        wait(g, cpus=2, memory=blocks)
        assert 'failed' not in g.console(), g.console()[-2000:]
        g.qmp.cmd('quit')
        runner.equal(g.wait(), 0, 'exit status')


if __name__ == '__main__':
    if not guest.in_emulated_host():
        guest.run_in_emulated_host(['/usr/bin/python3', os.path.realpath(__file__), *sys.argv[1:]], timeout=7200)
    if len(sys.argv) > 1:
        LOOPS = int(sys.argv.pop())
    runner.main(globals())
