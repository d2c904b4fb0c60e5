#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""virtio-balloon: inflating, deflating, statistics, reporting, hints during a migration, commands, state."""
import os
import struct
import subprocess
import sys
import time
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import pci, qtest, runner, virtio

BALLOON = 5
F_STATS, F_OOM, F_HINT, F_POISON, F_REPORTING = 1, 2, 3, 4, 5
NUM_PAGES, ACTUAL, HINT_ID, POISON = 0, 4, 8, 12
MEMORY = 64 << 20
HIGH = 0x2000000                # where we put what is given back
PATH = '/machine/peripheral/b'


def start(options='', *args):
    return qtest.Emulator('-machine', 'virt', '-m', '64', '-nodefaults', *args,
                          '-device', 'virtio-balloon-pci,addr=4,id=b' + options)


def device(vm):
    function, alloc = pci.ready_device(vm, virtio.VENDOR, virtio.pci_id(BALLOON))
    return virtio.Device(function, alloc)


def config(dev, offset):
    return dev.config.read(offset, 4)


def pfns(dev, queue, addresses):
    data = struct.pack('<%dI' % len(addresses), *(a >> 12 for a in addresses))
    buf = dev.buffer(len(data))
    dev.vm.write(buf, data)
    dev.queues[queue].send([(buf, len(data))], [])


def fill(vm, address, pages):
    for i in range(pages):
        vm.writeq(address + 4096 * i + 8, 0x55aa55aa55aa55aa)


def zeroed(vm, address):
    return vm.readq(address + 8) == 0


def test_identity():
    with start() as vm:
        f = device(vm).function
        runner.equal((f.vendor, f.device, f.class_id), (0x1af4, 0x1045, 0x00ff), 'ids')


def test_inflate():
    for packed in (False, True):
        with start(',packed=on' if packed else '') as vm:
            dev = device(vm).start(packed=packed)
            fill(vm, HIGH, 32)
            pfns(dev, 0, [HIGH + 4096 * i for i in (3, 4, 5, 9, 8, 7, 20)])
            for i in range(32):
                runner.equal(zeroed(vm, HIGH + 4096 * i), i in (3, 4, 5, 7, 8, 9, 20), 'page %d' % i)
            # Taking back needs nothing.
            pfns(dev, 1, [HIGH + 4096 * 3])
            vm.writeq(HIGH + 4096 * 3 + 8, 7)
            runner.equal(vm.readq(HIGH + 4096 * 3 + 8), 7)
            # No RAM there: nothing happens, and the device goes on.
            pfns(dev, 0, [0xfee00000, 0xffffffff000, MEMORY, HIGH])
            runner.equal(zeroed(vm, HIGH), True, 'the page behind them')


def test_shared_memory():
    """What another process may have mapped is given back as well."""
    with start('', '-object', 'memory-backend-memfd,id=m,size=64M,share=on',
               '-machine', 'memory-backend=m') as vm:
        dev = device(vm).start()
        fill(vm, HIGH, 4)
        pfns(dev, 0, [HIGH + 4096, HIGH + 8192])
        runner.equal([zeroed(vm, HIGH + 4096 * i) for i in range(4)], [False, True, True, False])


def test_commands():
    with qtest.Emulator('-machine', 'virt', '-nodefaults') as vm:
        for command in ('balloon', 'query-balloon'):
            reply = vm.qmp.cmd_raw(command, {'value': 1} if command == 'balloon' else None)
            runner.equal(reply['error'], {'class': 'DeviceNotActive', 'desc': 'No balloon device has been activated'})
    with start() as vm:
        dev = device(vm).start()
        runner.equal(vm.qmp.cmd('query-balloon'), {'actual': MEMORY})
        for value in 0, -5:
            runner.equal(vm.qmp.cmd_error('balloon', value=value), "Parameter 'target' expects a size")
        vm.qmp.cmd('balloon', value=MEMORY - (10 << 20))
        runner.equal(config(dev, NUM_PAGES), 2560)
        runner.equal(vm.qmp.cmd('query-balloon'), {'actual': MEMORY})
        dev.config.write(ACTUAL, 2560, 4)
        runner.equal(vm.qmp.wait_event('BALLOON_CHANGE')['data'], {'actual': MEMORY - (10 << 20)})
        runner.equal(vm.qmp.cmd('query-balloon'), {'actual': MEMORY - (10 << 20)})
        vm.qmp.cmd('balloon', value=1 << 40)
        runner.equal(config(dev, NUM_PAGES), 0)
        # A driver that lies does not make the size negative.
        dev.config.write(ACTUAL, 0xffffffff, 4)
        runner.equal(vm.qmp.cmd('query-balloon'), {'actual': 0})


def test_event_rate():
    """Of a burst of changes management hears the first, the last, and no more than one a second in between."""
    with start() as vm:
        dev = device(vm).start()
        begun = time.monotonic()
        for pages in range(256, 256 * 41, 256):
            dev.config.write(ACTUAL, pages, 4)
        seconds = time.monotonic() - begun
        got = [vm.qmp.wait_event('BALLOON_CHANGE')['data']['actual']]
        while got[-1] != MEMORY - (40 << 20):
            got.append(vm.qmp.wait_event('BALLOON_CHANGE')['data']['actual'])
        runner.equal(got[0], MEMORY - (1 << 20), 'the first comes at once')
        assert 2 <= len(got) <= 2 + seconds, (seconds, got)
        assert got == sorted(got, reverse=True), got


def test_features():
    with start() as vm:
        offered = device(vm).offered()
        runner.equal([bool(offered >> f & 1) for f in (F_STATS, F_OOM, F_HINT, F_POISON, F_REPORTING)],
                     [True, False, False, True, False])
    with start(',deflate-on-oom=on,free-page-reporting=on,page-poison=off,free-page-hint=on,iothread=i',
               '-object', 'iothread,id=i') as vm:
        offered = device(vm).offered()
        runner.equal([bool(offered >> f & 1) for f in (F_STATS, F_OOM, F_HINT, F_POISON, F_REPORTING)],
                     [True, True, True, False, True])


def stats(vm):
    return vm.qmp.cmd('qom-get', path=PATH, property='guest-stats')


def test_stats():
    unknown = (1 << 64) - 1
    with start() as vm:
        runner.equal(stats(vm)['last-update'], 0)
        runner.equal(set(stats(vm)['stats'].values()), {unknown})
        for value, text in ((-1, 'timer value must be greater than zero'), (1 << 33, 'timer value is too big')):
            runner.equal(vm.qmp.cmd_error('qom-set', path=PATH, property='guest-stats-polling-interval', value=value),
                         text)
        vm.qmp.cmd('cont')
        dev = device(vm).start()
        queue = dev.queues[2]
        vm.qmp.cmd('qom-set', path=PATH, property='guest-stats-polling-interval', value=3)
        runner.equal(vm.qmp.cmd('qom-get', path=PATH, property='guest-stats-polling-interval'), 3)
        buf = dev.buffer(4096)

        def give(*pairs):
            data = b''.join(struct.pack('<HQ', *p) for p in pairs)
            vm.write(buf, data)
            queue.add([(buf, len(data))], [])
            queue.kick()
            vm.clock_step(1)
        give((4, 1234), (5, MEMORY), (77, 1))
        runner.wait_for(lambda: stats(vm)['last-update'], what='statistics')
        got = stats(vm)['stats']
        runner.equal((got['stat-free-memory'], got['stat-total-memory'], got['stat-swap-in']), (1234, MEMORY, unknown))
        vm.clock_step(2900000000)
        runner.equal(queue.get_used(), None, 'asked again too early')
        vm.clock_step(200000000)
        assert queue.wait_used()
        give((0, 5), (9, 6))
        runner.wait_for(lambda: stats(vm)['stats']['stat-swap-in'] == 5, what='the next ones')
        runner.equal(stats(vm)['stats']['stat-free-memory'], unknown)
        runner.equal(stats(vm)['stats']['stat-htlb-pgfail'], 6)


def test_reporting():
    with start(',free-page-reporting=on') as vm:
        dev = device(vm).start()
        fill(vm, HIGH, 16)
        dev.queues[3].send([], [(HIGH + 4096, 2 * 4096), (HIGH + 8 * 4096 + 100, 3 * 4096)])
        runner.equal([i for i in range(16) if zeroed(vm, HIGH + 4096 * i)], [1, 2, 9, 10], 'whole pages only')
    # A driver that needs its pattern in free pages keeps it.
    with start(',free-page-reporting=on') as vm:
        dev = device(vm).start()
        dev.config.write(POISON, 0xaaaaaaaa, 4)
        fill(vm, HIGH, 4)
        dev.queues[3].send([], [(HIGH, 4 * 4096)])
        runner.equal([i for i in range(4) if zeroed(vm, HIGH + 4096 * i)], [])


def test_hints():
    """Pages that the driver calls free while a migration runs are not sent; what it writes later is."""
    with tempfile.TemporaryDirectory() as folder, \
            start(',free-page-hint=on,iothread=i', '-object', 'iothread,id=i') as vm:
        path = os.path.join(folder, 's')
        vm.qmp.cmd('cont')
        dev = device(vm).start()
        fill(vm, HIGH, 2048)
        vm.qmp.cmd('migrate-set-capabilities', {'capabilities': [{'capability': 'events', 'state': True}]})
        vm.qmp.cmd('migrate-set-parameters', {'max-bandwidth': 20000})
        runner.equal(config(dev, HINT_ID), 0)
        vm.qmp.cmd('migrate', uri='file:' + path)
        vm.qmp.wait_event('MIGRATION_PASS')
        number = runner.wait_for(lambda: config(dev, HINT_ID), what='a command id')
        assert number >= 0x80000000
        queue = dev.queues[3]
        cmd = dev.buffer(4)
        # Before the command has been answered a hint means nothing.
        queue.send([], [(HIGH + 4096 * 1500, 4096)])
        vm.writel(cmd, number)
        queue.send([(cmd, 4)], [])
        before = vm.qmp.cmd('query-migrate')['ram']['remaining']
        queue.send([], [(HIGH, 4096 * 1024), (HIGH + 4096 * 1600 + 1, 4096 * 10)])
        after = vm.qmp.cmd('query-migrate')['ram']['remaining']
        assert before - after >= 4096 * 700, (before, after)
        vm.writel(cmd, 0)
        queue.send([(cmd, 4)], [])
        # Used again: must arrive.
        vm.writeq(HIGH + 4096 * 907 + 8, 77)
        vm.qmp.cmd('migrate-set-parameters', {'max-bandwidth': 0})
        vm.qmp.wait_event('MIGRATION', status='completed')
        runner.equal(config(dev, HINT_ID), 1, 'done')
        with start(',free-page-hint=on,iothread=i', '-object', 'iothread,id=i', '-incoming', 'file:' + path) as b:
            runner.wait_for(lambda: b.qmp.cmd('query-status')['status'] == 'running', what='running')
            runner.equal(b.readq(HIGH + 4096 * 907 + 8), 77)
            runner.equal(zeroed(b, HIGH + 4096 * 908), True, 'a free page')
            for page in 1100, 1500, 1600, 1610, 2047:
                runner.equal(zeroed(b, HIGH + 4096 * page), False, 'page %d' % page)


def test_state():
    """What was wanted, what was given, and the buffer that waits to be asked go along."""
    with tempfile.TemporaryDirectory() as folder, start() as a:
        path = os.path.join(folder, 's')
        a.qmp.cmd('cont')
        dev = device(a).start()
        queue = dev.queues[2]
        buf = dev.buffer(16)
        a.write(buf, struct.pack('<HQ', 4, 1))
        queue.add([(buf, 10)], [])
        queue.kick()
        runner.wait_for(lambda: stats(a)['last-update'], what='statistics')
        a.qmp.cmd('balloon', value=MEMORY // 2)
        dev.config.write(ACTUAL, 100, 4)
        a.qmp.cmd('migrate', uri='file:' + path)
        runner.wait_for(lambda: a.qmp.cmd('query-migrate')['status'] == 'completed', what='completed')
        with start('', '-incoming', 'file:' + path) as b:
            runner.wait_for(lambda: b.qmp.cmd('query-status')['status'] == 'running', what='running')
            runner.equal(b.qmp.cmd('query-balloon'), {'actual': MEMORY - 100 * 4096})
            dev.vm = dev.function.vm = queue.vm = b
            runner.equal(config(dev, NUM_PAGES), 8192)
            b.qmp.cmd('qom-set', path=PATH, property='guest-stats-polling-interval', value=1)
            assert queue.wait_used(), 'the buffer came back'


def test_only_one():
    p = subprocess.run([qtest.binary(), '-machine', 'virt', '-accel', 'qtest', '-display', 'none', '-nodefaults',
                        '-device', 'virtio-balloon-pci', '-device', 'virtio-balloon-pci'], stderr=subprocess.PIPE)
    runner.equal(p.returncode, 1)
    assert b'Only one balloon device is supported' in p.stderr, p.stderr
    p = subprocess.run([qtest.binary(), '-machine', 'virt', '-accel', 'qtest', '-display', 'none', '-nodefaults',
                        '-device', 'virtio-balloon-pci,free-page-hint=on'], stderr=subprocess.PIPE)
    assert b"'free-page-hint' requires 'iothread' to be set" in p.stderr, p.stderr


def test_hostile():
    """Odd lengths, empty buffers, addresses anywhere."""
    with start(',free-page-reporting=on,free-page-hint=on,iothread=i', '-object', 'iothread,id=i') as vm:
        vm.qmp.cmd('cont')
        dev = device(vm).start()
        buf = dev.buffer(4096)
        for queue in range(5):
            for out, into in (([(buf, 3)], []), ([], [(buf, 3)]), ([(buf, 4093)], [(buf, 1)])):
                dev.queues[queue].add(out, into)
                dev.queues[queue].kick()
        vm.qmp.cmd('query-status')
        # A command of three bytes is against the rules.
        dev.wait_broken()
        dev.start()
        pfns(dev, 0, [HIGH])


if __name__ == '__main__':
    runner.main(globals())
