#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The virtio PCI transport and what a hostile driver can do to rings and registers.

The subject is mostly virtio-rng, the simplest device; the sweep takes every device there is.
"""
import os
import random
import struct
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import pci, qtest, runner, virtio

# Device, what it needs (DISK: a file), virtio type.
DEVICES = [
    ('virtio-blk-pci,drive=d', ['-blockdev', 'driver=file,node-name=d,filename=DISK'],
     virtio.BLOCK),
    ('virtio-net-pci', [], virtio.NET),
    ('virtio-rng-pci', [], virtio.RNG),
    ('virtio-serial-pci,id=vs', ['-chardev', 'null,id=c', '-device', 'virtconsole,chardev=c'],
     virtio.CONSOLE),
]


def machine():
    name = 'virt' if qtest.is_nemu(qtest.binary()) else 'q35'
    return ['-machine', name, '-m', '64', '-nodefaults']


def start(options='', kind='virtio-rng-pci', *args):
    return qtest.Emulator(*machine(), '-device', kind + ',addr=4,disable-legacy=on' + options, *args)


def device(vm, kind=virtio.RNG):
    function, alloc = pci.ready_device(vm, virtio.VENDOR, virtio.pci_id(kind))
    return virtio.Device(function, alloc)


def check_alive(dev, **how):
    """From any state: a reset, and the device does its work."""
    dev.start(**how)
    buf = dev.buffer(64)
    used = dev.queues[0].send([], [(buf, 64)])
    runner.equal(used, 64, 'bytes filled')


def ours():
    return qtest.is_nemu(qtest.binary())


# ---- what is where ----

def test_layout():
    with start() as vm:
        dev = device(vm)
        f = dev.function
        runner.equal(f.bar_probe(1), (0x1000, 0), 'BAR 1')
        runner.equal(f.bar_probe(4), (0x4000, 0xc), 'BAR 4')
        runner.equal([(w.bar.index, w.offset) for w in (dev.common, dev.isr, dev.config, dev.notify)],
                     [(4, 0), (4, 0x1000), (4, 0x2000), (4, 0x3000)], 'windows')
        runner.equal(dev.notify_multiplier, 4, 'multiplier')
        msix = dev.function.find_cap(pci.CAP_MSIX)
        runner.equal(f.readw(msix + 2) & 0x7ff, 1, 'vectors - 1')
        runner.equal((f.readl(msix + 4), f.readl(msix + 8)), (1, 0x801), 'table and pending bits')
        runner.equal(dev.get('num_queues'), 1, 'queues')


def test_many_vectors():
    with start(',vectors=200', 'virtio-serial-pci') as vm:
        dev = device(vm, virtio.CONSOLE)
        msix = dev.function.msix_enable(dev.alloc)
        runner.equal(msix.count, 200, 'vectors')
        runner.equal(dev.get('num_queues'), 64, 'queues')
        dev.set('queue_select', 63)
        dev.set('queue_vector', 199)
        runner.equal(dev.get('queue_vector'), 199, 'the last vector')
        dev.set('queue_vector', 200)
        runner.equal(dev.get('queue_vector'), virtio.NO_VECTOR, 'a vector too many')
        dev.set('config_vector', 300)
        runner.equal(dev.get('config_vector'), virtio.NO_VECTOR, 'a vector too many')


def test_page_per_vq():
    with start(',page-per-vq=on') as vm:
        dev = device(vm)
        runner.equal(dev.notify_multiplier, 0x1000, 'multiplier')
        check_alive(dev)


def test_no_ioeventfd_no_msix():
    with start(',ioeventfd=off,vectors=0') as vm:
        dev = device(vm)
        runner.equal(dev.function.find_cap(pci.CAP_MSIX), 0, 'MSI-X capability')
        check_alive(dev)
        if not dev.queues[0].interrupted():
            raise AssertionError('no interrupt in the ISR register')
        runner.equal(dev.isr.read(0, 1), 0, 'ISR after it was read')


def test_pci_cfg():
    """The registers through configuration space."""
    with start() as vm:
        dev = device(vm)
        f, cap = dev.function, dev.pci_cfg

        def access(offset, width, value=None, bar=4):
            f.writeb(cap + 4, bar)
            f.writel(cap + 8, offset)
            f.writel(cap + 12, width)
            if value is None:
                return f.read(cap + 16, width)
            f.write(cap + 16, value, width)

        access(20, 1, virtio.ACKNOWLEDGE)
        runner.equal(dev.status, virtio.ACKNOWLEDGE, 'status')
        runner.equal(access(20, 1), virtio.ACKNOWLEDGE, 'status through the window')
        runner.equal(access(18, 2), 1, 'number of queues')
        # What the window cannot reach has no effect.
        for bar, offset, width in ((1, 0, 4), (4, 0x4000, 4), (4, 0x3fff, 4), (4, 0xfffffffc, 4),
                                   (4, 21, 3), (4, 0, 0), (7, 0, 4), (4, 19, 2)):
            access(offset, width if width in (1, 2, 4) else 4, bar=bar)
            f.writel(cap + 12, width)
            f.readl(cap + 16)
            f.writel(cap + 16, 0xffffffff)
        runner.equal(dev.status, virtio.ACKNOWLEDGE, 'status at the end')
        # A kick.
        dev.start()
        queue = dev.queues[0]
        queue.add([], [(dev.buffer(64), 64)])
        access(0x3000, 2, 0)
        queue.wait_used()


# ---- status and features ----

def test_feature_rules():
    with start() as vm:
        dev = device(vm)
        offered = dev.offered()
        for bit in (virtio.F_VERSION_1, virtio.F_EVENT_IDX, virtio.F_INDIRECT, virtio.F_RING_RESET):
            if not offered >> bit & 1:
                raise AssertionError('feature %d is not offered' % bit)
        if offered >> virtio.F_PACKED & 1:
            raise AssertionError('packed is offered without being asked for')
        dev.set('device_feature_select', 2)
        runner.equal(dev.get('device_feature'), 0, 'features from bit 64')
        cases = [(1 << virtio.F_VERSION_1, True), (offered, True)]
        if ours():
            cases += [(0, False), (offered & ~(1 << virtio.F_VERSION_1), False),
                      (offered | 1 << virtio.F_PACKED, False), (offered | 1 << 63, False)]
        for features, fine in cases:
            dev.reset()
            dev.add_status(virtio.ACKNOWLEDGE)
            dev.add_status(virtio.DRIVER)
            runner.equal(dev.accept(features), fine, 'FEATURES_OK for 0x%x' % features)
        dev.negotiate(event_idx=False)
        dev.set('driver_feature_select', 0)
        before = dev.get('driver_feature')
        dev.set('driver_feature', 0xffffffff)
        runner.equal(dev.get('driver_feature'), before, 'features written after FEATURES_OK')
        check_alive(dev)


def test_feature_properties():
    for option, bit in (('event_idx', virtio.F_EVENT_IDX), ('indirect_desc', virtio.F_INDIRECT),
                        ('packed', virtio.F_PACKED), ('iommu_platform', virtio.F_ACCESS_PLATFORM)):
        for on in (False, True):
            with start(',%s=%s' % (option, 'on' if on else 'off')) as vm:
                dev = device(vm)
                runner.equal(bool(dev.offered() >> bit & 1), on, option)
                check_alive(dev, packed=on and option == 'packed')


def test_status_rules():
    runner.require(ours(), 'our own answers')
    with start() as vm:
        dev = device(vm)
        # DRIVER_OK without FEATURES_OK.
        dev.set('status', virtio.ACKNOWLEDGE | virtio.DRIVER | virtio.DRIVER_OK)
        runner.equal(dev.status, virtio.ACKNOWLEDGE | virtio.DRIVER | virtio.NEEDS_RESET, 'status')
        check_alive(dev)
        # Bits are not cleared one by one; NEEDS_RESET is not the driver's to set.
        dev.negotiate()
        dev.set('status', virtio.ACKNOWLEDGE | virtio.NEEDS_RESET)
        runner.equal(dev.status, 11, 'status')
        check_alive(dev)
        dev.set('status', dev.status | virtio.FAILED)
        check_alive(dev)


def test_latched():
    """A queue's geometry does not change while it is enabled."""
    with start() as vm:
        dev = device(vm).start()
        queue = dev.queues[0]
        dev.set('queue_select', 0)
        for name, value in (('queue_size', 4), ('queue_desc_lo', 0x1000), ('queue_driver_hi', 5),
                            ('queue_device_lo', 0)):
            dev.set(name, value)
        if ours():
            runner.equal(dev.get('queue_size'), 8, 'size')
            runner.equal(dev.get('queue_desc_lo'), queue.desc, 'descriptor address')
            runner.equal(dev.get('queue_driver_hi'), 0, 'driver area address')
        dev.set('queue_enable', 0)
        runner.equal(dev.get('queue_enable'), 1, 'enabled')
        buf = dev.buffer(64)
        runner.equal(queue.send([], [(buf, 64)]), 64, 'bytes filled')


# ---- interrupts ----

def test_msix_masks():
    with start() as vm:
        dev = device(vm).start(msix=True)
        queue, msix = dev.queues[0], dev.msix
        buf = dev.buffer(64)
        queue.want_interrupt(True)
        msix.mask(1)
        queue.send([], [(buf, 64)])
        runner.equal(msix.fired(1), False, 'message of a masked vector')
        runner.equal(msix.pending(1), True, 'pending bit')
        msix.mask(1, False)
        msix.wait(1)
        runner.equal(msix.pending(1), False, 'pending bit')
        # No vector, no message; and back.
        dev.set('queue_select', 0)
        dev.set('queue_vector', virtio.NO_VECTOR)
        queue.want_interrupt(True)
        queue.send([], [(buf, 64)])
        runner.equal(msix.fired(1), False, 'message without a vector')
        dev.set('queue_vector', 0)
        queue.want_interrupt(True)
        queue.send([], [(buf, 64)])
        msix.wait(0)
        runner.equal(dev.isr.read(0, 1), 0, 'ISR with MSI-X')


def test_bus_master():
    runner.require(ours(), 'our own answers')
    with start() as vm:
        dev = device(vm).start()
        queue, f = dev.queues[0], dev.function
        f.writew(pci.COMMAND, f.readw(pci.COMMAND) & ~pci.CMD_MASTER)
        queue.add([], [(dev.buffer(64), 64)])
        queue.kick(force=True)
        for _ in range(20):
            vm.clock_step(1000)
        runner.equal(queue.get_used(), None, 'used by a device that may not access memory')
        f.enable()
        queue.wait_used()


def test_function_reset():
    with start() as vm:
        dev = device(vm).start(msix=True)
        f = dev.function
        exp = f.find_cap(pci.CAP_EXP)
        runner.require(f.readl(exp + 4) >> 28 & 1, 'no function level reset')
        dev.queues[0].add([], [(dev.buffer(64), 64)])
        dev.queues[0].kick()
        f.writew(exp + 8, f.readw(exp + 8) | 0x8000)
        runner.equal(f.readw(pci.COMMAND) & 7, 0, 'command register')
        for n, bar in f.bars.items():
            f.writel(pci.BAR0 + 4 * n, bar.addr & 0xffffffff)
            if n == 4:
                f.writel(pci.BAR0 + 4 * n + 4, bar.addr >> 32)
        f.enable()
        runner.equal(dev.status, 0, 'status')
        dev.msix = None
        check_alive(dev)


# ---- hostile drivers ----

class Attack:
    """One descriptor or index that no driver may write."""

    def __init__(self, dev, packed):
        self.dev, self.vm, self.packed = dev, dev.vm, packed
        self.queue = dev.queues[0]
        self.buf = dev.buffer(4096)

    def put(self, n, addr, length, flags=0, following=0):
        if self.packed:
            values = (addr, length, 0, flags | virtio.AVAIL)
        else:
            values = (addr, length, flags, following)
        self.queue.write_desc(self.queue.desc + 16 * n, *values)
        if not self.packed:
            self.vm.writew(self.queue.driver + 2, 1)

    def table(self, n, addr, length, flags=0, following=0):
        values = (addr, length, 0, flags) if self.packed else (addr, length, flags, following)
        self.queue.write_desc(self.buf + 16 * n, *values)


def attack_zero_length(a):
    a.put(0, a.buf, 0, virtio.WRITE)


def attack_hole(a):
    a.put(0, 0x70000000000, 64, virtio.WRITE)


def attack_registers(a):
    """The device's own registers as a buffer."""
    a.put(0, a.dev.common.bar.addr, 64, virtio.WRITE)


def attack_end_of_memory(a):
    a.put(0, (64 << 20) - 32, 64, virtio.WRITE)


def attack_wrap(a):
    a.put(0, (1 << 64) - 32, 64, virtio.WRITE)


def attack_huge(a):
    a.put(0, a.buf, 0xffffffff, virtio.WRITE)


def attack_order(a):
    a.put(0, a.buf, 16, virtio.NEXT | virtio.WRITE, 1)
    a.put(1, a.buf, 16)


def attack_loop(a):
    for n in range(8):
        a.put(n, a.buf, 16, virtio.NEXT | virtio.WRITE, (n + 1) % 8)


def attack_next(a):
    """Next descriptor outside of the table (packed: as long as the ring)."""
    if a.packed:
        attack_loop(a)
    else:
        a.put(0, a.buf, 16, virtio.NEXT, 8)


def attack_index(a):
    if a.packed:
        attack_loop(a)
    else:
        a.vm.writew(a.queue.driver + 2, 9)


def attack_head(a):
    if a.packed:
        attack_loop(a)
    else:
        a.vm.writew(a.queue.driver + 4, 0xffff)
        a.vm.writew(a.queue.driver + 2, 1)


def attack_table_length(a):
    a.put(0, a.buf, 17, virtio.INDIRECT)


def attack_table_long(a):
    a.put(0, a.buf, 16 * 1025, virtio.INDIRECT)


def attack_table_hole(a):
    a.put(0, 0x70000000000, 16, virtio.INDIRECT)


def attack_table_nested(a):
    a.put(0, a.buf, 32, virtio.INDIRECT)
    a.table(0, a.buf, 32, virtio.INDIRECT)


def attack_table_loop(a):
    a.put(0, a.buf, 32, virtio.INDIRECT)
    a.table(0, a.buf, 16, virtio.WRITE | virtio.NEXT, 1)
    a.table(1, a.buf, 16 if not a.packed else 0, virtio.WRITE | virtio.NEXT, 0)


ATTACKS = [f for n, f in sorted(globals().items()) if n.startswith('attack_')]


def test_ring_attacks():
    with start(',packed=on') as vm:
        for attack in ATTACKS:
            for packed in (False, True):
                for msix in (False, True):
                    # A fresh allocator each time: the test's memory is small.
                    dev = device(vm)
                    dev.start(packed=packed, msix=msix)
                    attack(Attack(dev, packed))
                    dev.queues[0].kick(force=True)
                    try:
                        dev.wait_broken()
                        if dev.msix:
                            dev.msix.wait(0, 10)
                        elif not dev.isr.read(0, 1) & 2:
                            raise AssertionError('no configuration interrupt')
                        dev.queues[0].kick(force=True)
                        runner.equal(dev.queues[0].get_used(), None, 'work of a broken device')
                        check_alive(dev, packed=packed)
                    except AssertionError as e:
                        raise AssertionError('%s, %s ring: %s' % (
                            attack.__name__, 'packed' if packed else 'split', e)) from e


def test_bad_geometry():
    """Ring addresses and sizes that cannot work."""
    runner.require(ours(), 'our own answers')
    with start(',packed=on') as vm:
        dev = device(vm)
        for packed in (False, True):
            for what, value in (('desc', 8), ('driver', 1), ('device', 2), ('size', 0), ('size', 3),
                                ('size', 1024), ('desc', 0x70000000000), ('device', (64 << 20) - 4),
                                ('driver', (1 << 64) - 16), ('desc', dev.common.bar.addr)):
                if packed and (what, value) in (('size', 3), ('device', (64 << 20) - 4)):
                    continue
                dev.negotiate(packed=packed)
                queue = (virtio.PackedQueue if packed else virtio.SplitQueue)(dev, 0, 8)
                setattr(queue, what, value if value > 64 or what == 'size'
                        else getattr(queue, what) + value)
                queue.enable()
                dev.add_status(virtio.DRIVER_OK)
                runner.equal(dev.status & virtio.NEEDS_RESET, virtio.NEEDS_RESET,
                             'NEEDS_RESET for %s=0x%x' % (what, value))
                queue.notify_off = 0
                dev.notify.write(0, 0, 2)
                check_alive(dev, packed=packed)


def test_memory_map_changes():
    """Rings and buffers keep working when BARs move; a ring under a BAR is left alone."""
    with start() as vm:
        dev = device(vm).start()
        buf = dev.buffer(64)
        f = dev.function
        for n in range(4):
            f.writew(pci.COMMAND, f.readw(pci.COMMAND) & ~pci.CMD_MEMORY)
            f.enable()
            runner.equal(dev.queues[0].send([], [(buf, 64)]), 64, 'bytes filled')


def sweep(vm, dev, rng):
    """Every width at every place of every BAR and of configuration space, read and written."""
    f = dev.function
    for bar in f.bars.values():
        step = 1 if bar.size <= 0x1000 else 2
        places = set(range(0, 0x80, step)) | set(range(bar.size - 16, bar.size, step))
        places |= {base + k for base in range(0, bar.size, 0x1000) for k in range(-8, 24)}
        for offset in sorted(p for p in places if 0 <= p < bar.size):
            for width in (1, 2, 4, 8):
                bar.read(offset, width)
                bar.write(offset, rng.choice((0, 1, (1 << 8 * width) - 1,
                                              rng.getrandbits(8 * width))), width)


def test_hostile_sweep():
    rng = random.Random(1)
    disk = tempfile.NamedTemporaryFile(prefix='nemu-sweep-')
    disk.truncate(1 << 20)
    for kind, more, number in DEVICES:
        more = [m.replace('DISK', disk.name) for m in more]
        with start(',packed=on', kind, *more) as vm:
            dev = device(vm, number)
            for state in range(3):
                if state == 1:
                    dev.negotiate()
                elif state == 2:
                    dev.start(msix=True, queues=1)
                sweep(vm, dev, rng)
                dev.msix = None
                vm.system_reset()
                dev = device(vm, number)
            dev.start(queues=1)
            runner.equal(dev.status, 15, 'status after the sweep')


def test_hostile_config_space():
    rng = random.Random(2)
    with start() as vm:
        dev = device(vm)
        f = dev.function
        for width in (1, 2, 4):
            for reg in range(0, 0x200):
                f.read(reg, width)
                f.write(reg, rng.getrandbits(8 * width), width)
        vm.system_reset()
        check_alive(device(vm))


def test_random_ring_memory():
    """Rings full of rubbish: the device breaks, or works, but does not fall over."""
    rng = random.Random(3)
    with start(',packed=on') as vm:
        for n in range(60):
            packed = bool(n % 2)
            dev = device(vm).start(packed=packed)
            queue = dev.queues[0]
            buf = dev.buffer(256)
            for k in range(8):
                queue.write_desc(queue.desc + 16 * k, buf + rng.randrange(64),
                                 rng.choice((0, 1, 64, 0x7fffffff, 0xffffffff)),
                                 rng.randrange(8), rng.choice((0, 1, 7, 8, 0x80, 0x81, 0x87)))
            vm.write(queue.driver, struct.pack('<HH8H', 0, rng.choice((1, 2, 8, 9, 0xffff)),
                                               *(rng.choice((0, 1, 7, 8)) for _ in range(8))))
            queue.kick(force=True)
            for _ in range(3):
                vm.clock_step(100) if vm.has_clock else dev.status
        check_alive(device(vm))


def test_refused_options():
    runner.require(ours(), 'our own messages')
    for option, words in (('disable-modern=on', 'modern interface only'),
                          ('disable-legacy=off', 'modern interface only'),
                          ('ats=on', 'ats=on'), ('modern-pio-notify=on', 'modern-pio-notify'),
                          ('vectors=4000', 'vectors=4000'), ('nothing=1', 'nothing')):
        text = qtest.start_error(*machine(), '-device', 'virtio-rng-pci,' + option)
        if words not in text:
            raise AssertionError('%r is not in %r' % (words, text))
    # The modern name is the same device.
    with qtest.Emulator(*machine(), '-device', 'virtio-rng-pci-non-transitional,addr=4') as vm:
        check_alive(device(vm))


if __name__ == '__main__':
    runner.main(globals())
