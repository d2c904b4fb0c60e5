#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Things that come and go leave nothing behind: no descriptor, thread, object
or memory. Usage: leak-test.py [--cycles N] [NAME...]; 1,000 cycles by default."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import qtest, runner      # noqa: E402

CYCLES = 1000
# The first ones fill caches and the allocator's lists.
WARM_UP = 20
# What a heap may grow without a leak: its free lists are not always of use.
SLACK = 192 * 1024
if '--cycles' in sys.argv:
    at = sys.argv.index('--cycles')
    CYCLES = int(sys.argv[at + 1])
    del sys.argv[at:at + 2]


def descriptors(pid):
    return len(os.listdir('/proc/%d/fd' % pid))


def threads(pid):
    return len(os.listdir('/proc/%d/task' % pid))


def sanitized(pid):
    with open('/proc/%d/maps' % pid, encoding='ascii', errors='replace') as f:
        return 'libasan' in f.read()


def memory(pid):
    """Private memory in bytes."""
    with open('/proc/%d/smaps_rollup' % pid, encoding='ascii') as f:
        return sum(int(line.split()[1]) for line in f if line.startswith(('Private_Dirty:', 'Swap:'))) * 1024


def objects(qmp, path='/'):
    """Paths of all objects."""
    found = [path]
    for p in qmp.cmd('qom-list', path=path):
        if p['type'].startswith('child<'):
            found += objects(qmp, path.rstrip('/') + '/' + p['name'])
    return found


def cycles(vm, cycle):
    """Runs @cycle again and again, and compares what there is before and after."""
    quiet = sanitized(vm.pid)
    for i in range(WARM_UP):
        cycle(i)
    vm.qmp.poll_events()
    before = (descriptors(vm.pid), objects(vm.qmp))
    threads_before, memory_before = threads(vm.pid), memory(vm.pid)
    for i in range(CYCLES):
        cycle(i)
        vm.qmp.events.clear()
    runner.equal((descriptors(vm.pid), objects(vm.qmp)), before, 'descriptors and objects')
    # A thread that was joined may still be seen for a moment.
    runner.wait_for(lambda: threads(vm.pid) <= threads_before, what='threads to be gone')
    grown = memory(vm.pid) - memory_before
    print('# %d cycles: %d bytes more' % (CYCLES, grown))
    # The address sanitizer keeps freed memory for a while.
    assert quiet or grown < SLACK, 'memory grew by %d bytes in %d cycles' % (grown, CYCLES)


def virt(*args):
    return qtest.Emulator('-machine', 'virt', '-m', '32', '-nodefaults', *args)


def test_chardev():
    with virt() as vm:
        path = vm.path('sock')
        backends = [{'type': 'null', 'data': {}}, {'type': 'ringbuf', 'data': {'size': 65536}},
                    {'type': 'pty', 'data': {}}, {'type': 'file', 'data': {'out': '/dev/null'}},
                    {'type': 'socket', 'data': {'addr': {'type': 'unix', 'data': {'path': path}}, 'server': True,
                                                'wait': False}},
                    {'type': 'socket', 'data': {'addr': {'type': 'inet', 'data': {'host': '127.0.0.1', 'port': '0'}},
                                                'server': True, 'wait': False, 'telnet': True}},
                    {'type': 'socket', 'data': {'addr': {'type': 'unix', 'data': {'path': path + '.no'}},
                                                'server': False, 'reconnect': 1}},
                    {'type': 'udp', 'data': {'remote': {'type': 'inet', 'data': {'host': '127.0.0.1', 'port': '9'}}}}]

        def cycle(i):
            vm.qmp.cmd('chardev-add', id='c', backend=backends[i % len(backends)])
            vm.qmp.cmd_raw('chardev-add', {'id': 'c', 'backend': backends[0]})      # refused
            vm.qmp.cmd_raw('chardev-add', {'id': 'd', 'backend': {'type': 'file', 'data': {'out': '/nonexistent/x'}}})
            vm.qmp.cmd('query-chardev')
            vm.qmp.cmd('chardev-remove', id='c')
        cycles(vm, cycle)


def test_object():
    with virt() as vm:
        kinds = [{'qom-type': 'iothread'}, {'qom-type': 'rng-builtin'}, {'qom-type': 'rng-random'},
                 {'qom-type': 'memory-backend-ram', 'size': 1 << 20, 'prealloc': True},
                 {'qom-type': 'memory-backend-memfd', 'size': 1 << 20},
                 {'qom-type': 'secret', 'data': 'letmein'}]

        def cycle(i):
            kind = kinds[i % len(kinds)]
            vm.qmp.cmd('object-add', dict(kind, id='o'))
            vm.qmp.cmd_raw('object-add', dict(kind, id='o'))                        # refused
            vm.qmp.cmd_raw('object-add', {'qom-type': 'rng-random', 'id': 'p', 'filename': '/nonexistent'})
            vm.qmp.cmd('object-del', id='o')
        cycles(vm, cycle)


def test_netdev():
    with virt() as vm:
        kinds = [{'type': 'user'}, {'type': 'user', 'hostfwd': [{'str': 'tcp:127.0.0.1:0-:22'}]},
                 {'type': 'socket', 'listen': '127.0.0.1:0'},
                 {'type': 'socket', 'udp': '127.0.0.1:9', 'localaddr': '127.0.0.1:0'}]

        def cycle(i):
            kind = kinds[i % len(kinds)]
            vm.qmp.cmd('netdev_add', dict(kind, id='n'))
            vm.qmp.cmd_raw('netdev_add', dict(kind, id='n'))                        # refused
            vm.qmp.cmd_raw('netdev_add', {'type': 'socket', 'id': 'm', 'connect': 'nowhere'})
            vm.qmp.cmd('netdev_del', id='n')
        cycles(vm, cycle)


def test_cpu_and_memory():
    """Let go by the guest, as its ACPI methods do; also what is asked for twice, refused, or fails."""
    with virt('-m', '32,slots=2,maxmem=1G', '-smp', '1,maxcpus=4,sockets=4') as vm:
        cpu_type = vm.qmp.cmd('query-hotpluggable-cpus')[0]['type']
        cpu = {'driver': cpu_type, 'id': 'c', 'core-id': 0, 'thread-id': 0}

        def cycle(i):
            slot = 1 + i % 3
            vm.qmp.cmd('device_add', dict(cpu, **{'socket-id': slot}))
            vm.qmp.cmd_raw('device_add', dict(cpu, **{'socket-id': slot, 'id': 'd'}))       # refused
            vm.qmp.cmd('device_del', id='c')
            vm.outl(0xcd8, slot)
            vm.outb(0xcdc, 8)
            vm.qmp.wait_event('DEVICE_DELETED', device='c')
            vm.qmp.cmd('object-add', {'qom-type': 'memory-backend-ram', 'id': 'm', 'size': 2 << 20})
            vm.qmp.cmd_raw('device_add', {'driver': 'pc-dimm', 'id': 'x', 'memdev': 'm', 'slot': 9})        # refused
            vm.qmp.cmd('device_add', {'driver': 'pc-dimm', 'id': 'd', 'memdev': 'm', 'slot': i % 2})
            vm.qmp.cmd('query-memory-devices')
            vm.qmp.cmd('device_del', id='d')
            vm.outl(0xa00, i % 2)
            vm.outb(0xa14, 8)
            vm.qmp.wait_event('DEVICE_DELETED', device='d')
            vm.qmp.cmd('object-del', id='m')
        cycles(vm, cycle)


def test_device():
    """On a bus that needs no guest, and in a slot whose power is off."""
    with virt('-device', 'virtio-serial-pci,id=vs0', '-device', 'pcie-root-port,id=rp0', '-chardev', 'null,id=c0',
              '-blockdev', 'null-co,node-name=b0') as vm:
        devices = [{'driver': 'virtserialport', 'chardev': 'c0'},
                   {'driver': 'virtio-rng-pci', 'bus': 'rp0'},
                   {'driver': 'virtio-blk-pci', 'bus': 'rp0', 'drive': 'b0'},
                   {'driver': 'virtio-net-pci', 'bus': 'rp0', 'netdev': 'n0'}]
        vm.qmp.cmd('netdev_add', type='user', id='n0')

        def cycle(i):
            device = devices[i % len(devices)]
            if device['driver'] == 'virtio-net-pci':
                vm.qmp.cmd('netdev_del', id='n0')
                vm.qmp.cmd('netdev_add', type='user', id='n0')
            vm.qmp.cmd('device_add', dict(device, id='d'))
            vm.qmp.cmd_raw('device_add', dict(device, id='d'))                      # refused
            vm.qmp.cmd('device_del', id='d')
            vm.qmp.wait_event('DEVICE_DELETED', device='d')
        cycles(vm, cycle)


def test_blockdev():
    with virt() as vm:
        path = vm.path('disk')
        with open(path, 'wb') as f:
            f.truncate(1 << 20)

        def cycle(i):
            vm.qmp.cmd('blockdev-add', {'driver': 'raw', 'node-name': 'r', 'file': {'driver': 'file', 'filename': path}})
            vm.qmp.cmd_raw('blockdev-add', {'driver': 'file', 'node-name': 'r', 'filename': path})
            vm.qmp.cmd('query-named-block-nodes')
            vm.qmp.cmd('blockdev-del', {'node-name': 'r'})
        cycles(vm, cycle)


def test_commands():
    """Queries, human commands and refused input."""
    with virt('-object', 'iothread,id=io0') as vm:
        def cycle(i):
            for name in ('query-qmp-schema', 'query-command-line-options', 'query-pci', 'query-status', 'query-block'):
                vm.qmp.cmd(name)
            for line in ('info qtree', 'info mtree -f', 'help', 'xp /16xb 0', 'p 1+', 'object_add iothread,id=o1',
                         'object_del o1', 'nosuch'):
                vm.qmp.hmp(line)
            vm.qmp.cmd_raw('nosuch')
            vm.qmp.cmd_raw('device_add', {'driver': 'nosuch'})
        cycles(vm, cycle)


def test_start_and_quit():
    """Processes end by themselves, with status 0, and leave nothing in their folder."""
    for i in range(CYCLES):
        with qtest.Emulator('-machine', 'virt' if i % 2 else 'none', '-nodefaults', '-object', 'iothread,id=io0') as vm:
            vm.qmp.cmd('quit')
            runner.equal(vm.wait(), 0, 'exit status')
            left = [n for n in os.listdir(vm.dir) if n not in ('qtest.sock', 'qmp.sock')]
            runner.equal(left, [], 'files')


if __name__ == '__main__':
    runner.main(globals())
