#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""virtio-rng: filling buffers with all ring formats, rate limit, run state, reset, hot-plug, options."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import pci, qtest, runner, virtio


def machine():
    """The same tests run against another emulator's q35 when that is what is given."""
    name = 'virt' if qtest.is_nemu(qtest.binary()) else 'q35'
    return ['-machine', name, '-m', '64', '-nodefaults']


def start(options='', *args):
    return qtest.Emulator(*machine(), '-device', 'virtio-rng-pci,addr=4,disable-legacy=on' + options,
                          *args)


def device(vm):
    function, alloc = pci.ready_device(vm, virtio.VENDOR, virtio.pci_id(virtio.RNG))
    return virtio.Device(function, alloc)


def check_fill(dev, size=64, **how):
    buf = dev.buffer(size)
    used = dev.queues[0].send([], [(buf, size // 2), (buf + size // 2, size - size // 2)], **how)
    if not 0 < used <= size:
        raise AssertionError('used length %d of %d' % (used, size))
    data = dev.vm.read(buf, size)
    if used >= 32 and len(set(data[:used])) < 8:
        raise AssertionError('not random: %r' % data)
    runner.equal(data[used:], bytes(size - used), 'bytes behind the used length')


def test_identity():
    with start() as vm:
        f = device(vm).function
        runner.equal((f.vendor, f.device, f.class_id), (0x1af4, 0x1044, 0x00ff), 'ids')
        runner.equal(f.readb(pci.REVISION), 1, 'revision')
        runner.equal((f.readw(pci.SUBSYS_VENDOR), f.readw(pci.SUBSYS)), (0x1af4, 0x1100), 'subsystem')


def test_fill():
    for packed in (False, True):
        with start(',packed=on' if packed else '') as vm:
            dev = device(vm)
            for msix in (False, True):
                for event_idx in (False, True):
                    dev.start(packed=packed, event_idx=event_idx, msix=msix)
                    queue = dev.queues[0]
                    runner.equal(queue.size, 8, 'ring size')
                    queue.want_interrupt(True)
                    for n in range(20):         # more than two laps
                        check_fill(dev, indirect=n % 3 == 2)
                        if not queue.interrupted():
                            raise AssertionError('no interrupt')
                        queue.want_interrupt(True)
                    queue.want_interrupt(False)
                    check_fill(dev)
                    runner.equal(queue.interrupted(), False, 'unwanted interrupt')


def test_batch():
    """A full ring at once; an empty buffer among them."""
    with start() as vm:
        dev = device(vm).start()
        queue = dev.queues[0]
        buf = dev.buffer(4096)
        ids = {queue.add([], [(buf + 64 * i, 64)]) for i in range(7)}
        ids.add(queue.add([(buf, 16)], []))
        queue.kick()
        got = dict(queue.wait_used() for _ in range(8))
        runner.equal(set(got), ids, 'buffers')
        runner.equal(sorted(got.values())[0], 0, 'the one without room')


def test_rate():
    with start(',max-bytes=32,period=1000') as vm:
        runner.require(vm.has_clock, 'virtual time does not move')
        dev = device(vm).start()
        queue = dev.queues[0]
        buf = dev.buffer(4096)
        got = 0
        for _ in range(4):
            queue.add([], [(buf, 16)])
        queue.kick()
        for _ in range(2):
            got += queue.wait_used()[1]
        runner.equal(got, 32, 'bytes of the first period')
        for _ in range(20):
            vm.clock_step(1000000)
        runner.equal(queue.get_used(), None, 'beyond the limit')
        vm.clock_step(1000 * 1000000)
        for _ in range(2):
            got += queue.wait_used()[1]
        runner.equal(got, 64, 'bytes of two periods')


def test_stop_and_reset():
    with start() as vm:
        dev = device(vm).start()
        queue = dev.queues[0]
        vm.qmp.cmd('stop')
        buf = dev.buffer(64)
        queue.add([], [(buf, 64)])
        queue.kick()
        for _ in range(20):
            vm.clock_step(1000)
        runner.equal(queue.get_used(), None, 'used while the VM is stopped')
        vm.qmp.cmd('cont')
        queue.wait_used()
        for _ in range(3):
            queue.add([], [(buf, 64)])
            queue.kick()
            dev.start()
            queue = dev.queues[0]
            check_fill(dev)
        queue.add([], [(buf, 64)])
        queue.kick()
        vm.system_reset()
        dev = device(vm)
        runner.equal(dev.status, 0, 'status after a system reset')
        dev.start()
        check_fill(dev)


def test_queue_reset():
    with start() as vm:
        dev = device(vm).start()
        runner.require(dev.has(virtio.F_RING_RESET), 'no ring reset')
        for n in range(4):
            queue = dev.queues[0]
            queue.add([], [(dev.buffer(64), 64)])
            if n % 2:
                queue.kick()
            dev.set('queue_select', 0)
            dev.set('queue_reset', 1)
            vm.wait_for(lambda: dev.get('queue_reset') == 0, 10, 'the end of the queue reset')
            runner.equal(dev.get('queue_enable'), 0, 'enabled after the reset')
            dev.queues = [dev.add_queue(0, 4)]
            check_fill(dev)


def test_hotplug():
    with qtest.Emulator(*machine(), '-device', 'pcie-root-port,id=rp,chassis=1,addr=2') as vm:
        for _ in range(2):
            vm.qmp.cmd('device_add', driver='virtio-rng-pci', id='r0', bus='rp')
            runner.equal(vm.qmp.cmd('qom-get', path='/machine/peripheral/r0', property='max-bytes'),
                         (1 << 63) - 1, 'max-bytes')
            host = pci.Host(vm)
            host.enumerate()
            port = host.at(0, 2)
            exp = port.find_cap(pci.CAP_EXP)
            # The guest powers the slot on, later off, as device_del asks.
            port.writew(exp + pci.EXP_SLTCTL, 0x1c0)
            host.enumerate()
            function = host.find(virtio.VENDOR, virtio.pci_id(virtio.RNG))
            function.enable()
            dev = virtio.Device(function, pci.Allocator(vm)).start()
            check_fill(dev)
            queue = dev.queues[0]
            queue.add([], [(dev.buffer(64), 64)])
            queue.kick()
            vm.qmp.cmd('device_del', id='r0')
            port.writew(exp + pci.EXP_SLTCTL, 0x2c0)
            port.writew(exp + pci.EXP_SLTCTL, 0x7c0)
            vm.qmp.wait_event('DEVICE_DELETED')


def test_backend():
    """With a back end of its own; and what is refused."""
    with start(',rng=rng0', '-object', 'rng-random,id=rng0,filename=/dev/urandom') as vm:
        dev = device(vm).start()
        check_fill(dev)
    for options, words in ((',period=0', "'period' parameter expects a positive integer"),
                           (',rng=nothing', 'nothing'),
                           (',disable-modern=on,disable-legacy=on', 'disable-modern')):
        text = qtest.start_error(*machine(), '-device', 'virtio-rng-pci' + options)
        if qtest.is_nemu(qtest.binary()) and words not in text:
            raise AssertionError('%r is not in %r' % (words, text))


if __name__ == '__main__':
    runner.main(globals())
