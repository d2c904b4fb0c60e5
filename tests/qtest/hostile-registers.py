#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest that writes to everything: accesses of all widths at every offset of every BAR, of the
configuration space of every function and of every port, in all states of the devices behind them. Nothing
may crash or hang, and after a reset everything works as before.

Every device that a guest can reach has a line in DEVICES; test_complete() fails when one is missing.
"""
import os
import random
import re
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import pci, qtest, runner, virtio

# Device type -> what it needs besides. DISK is a file.
DEVICES = {
    'boot-timer': [],
    'isa-serial': ['-device', 'isa-serial,index=1'],
    'pcie-pci-bridge': ['-device', 'virtio-rng-pci,bus=pb'],
    'pcie-root-port': ['-device', 'virtio-rng-pci,bus=rp,id=below'],
    'pvpanic': [],
    'pvpanic-pci': [],
    'virtio-balloon-pci': ['-object', 'iothread,id=hints'],
    'virtio-blk-pci': ['-blockdev', 'driver=file,node-name=d,filename=DISK'],
    'virtio-mem-pci': ['-object', 'memory-backend-ram,id=mem,size=64M'],
    'virtio-pmem-pci': ['-object', 'memory-backend-memfd,id=pmem,size=4M'],
    'virtio-net-pci': ['-netdev', 'user,id=n'],
    'virtio-rng-pci': [],
    'virtio-serial-pci': ['-device', 'virtconsole,chardev=c', '-device', 'virtserialport,chardev=c2,name=p'],
}
OPTIONS = {'virtio-mem-pci': ',memdev=mem,requested-size=32M', 'virtio-pmem-pci': ',memdev=pmem',
           'pcie-pci-bridge': ',id=pb', 'pcie-root-port': ',id=rp,chassis=1', 'virtio-blk-pci': ',drive=d', 'virtio-net-pci': ',netdev=n',
           'virtio-balloon-pci': ',free-page-reporting=on,free-page-hint=on,iothread=hints'}
# No registers of their own (ports of a device above), or another name of one above.
OTHERS = {'virtconsole', 'virtserialport', 'virtio-balloon-pci-non-transitional', 'virtio-balloon-device',
          'virtio-blk-pci-non-transitional', 'virtio-net-pci-non-transitional',
          'virtio-rng-pci-non-transitional', 'virtio-serial-pci-non-transitional',
          # Behind a memory-mapped transport, which this machine does not have: arm-virt-test has them.
          'virtio-blk-device', 'virtio-net-device', 'virtio-rng-device', 'virtio-serial-device',
          # The same devices behind virtio-mmio, which this machine does not have.
          'virtio-blk-device', 'virtio-net-device', 'virtio-rng-device', 'virtio-serial-device', 'virtio-mem', 'virtio-pmem',
          # No registers: vmgenid-test and dump-test have what a guest can write.
          'vmgenid', 'vmcoreinfo',
          # Its register ends the program, which is what it is for: virt-machine-test has it.
          'isa-debug-exit',
          # Ports of the machine: memory-hotplug-test and nvdimm-test have them with what is in the slots.
          'pc-dimm', 'nvdimm'}
TYPES = {'virtio-balloon-pci': 5, 'virtio-mem-pci': 24, 'virtio-pmem-pci': 27, 'virtio-blk-pci': virtio.BLOCK, 'virtio-net-pci': virtio.NET, 'virtio-rng-pci': virtio.RNG,
         'virtio-serial-pci': virtio.CONSOLE}
# The ports of the machine and of the ISA devices (docs/system/machines/virt-x86.md), with what is beside them.
PORTS = [(0x2e8, 8), (0x2f8, 8), (0x3b0, 1), (0x3c0, 1), (0x3d0, 1), (0x3e0, 12), (0x3f8, 8), (0x505, 1), (0x508, 4),
         (0x510, 12), (0xa00, 24), (0xa18, 4), (0xae00, 24), (0xcd8, 12), (0xcf8, 8), (0xb000, 4)]
FIRMWARE_PORTS = [(0x64, 1), (0x70, 2), (0x604, 8)]
MARGIN = 4

DISK = tempfile.NamedTemporaryFile(prefix='nemu-hostile-')
DISK.truncate(1 << 20)


def start(*kinds, more=()):
    args = list(more)
    for kind in kinds:
        args += ['-device', kind + OPTIONS.get(kind, '')]
        args += [a.replace('DISK', DISK.name) for a in DEVICES[kind]]
    return qtest.Emulator('-machine', 'virt', '-m', '64,maxmem=1G', '-nodefaults', '-no-shutdown',
                          '-chardev', 'null,id=c', '-chardev', 'null,id=c2', '-action', 'panic=none', *args)


def value(rng, width):
    """What drivers write, and what they should not."""
    full = (1 << 8 * width) - 1
    return rng.choice((0, 1, full, full >> 1, rng.getrandbits(8 * width), 1 << rng.randrange(8 * width)))


def sweep_memory(vm, rng, base, offsets):
    """Every width at each of these offsets; some reach over the end."""
    lines = []
    for offset in offsets:
        for width, letter in ((1, 'b'), (2, 'w'), (4, 'l'), (8, 'q')):
            lines.append('read%s 0x%x' % (letter, base + offset))
            lines.append('write%s 0x%x 0x%x' % (letter, base + offset, value(rng, width)))
    rng.shuffle(lines)
    vm.batch(lines)


def sweep_ports(vm, rng, base, size):
    lines = []
    for port in range(max(base - MARGIN, 0), base + size + MARGIN):
        for width, letter in ((1, 'b'), (2, 'w'), (4, 'l')):
            for _ in range(8):
                lines.append('in%s 0x%x' % (letter, port))
                lines.append('out%s 0x%x 0x%x' % (letter, port, value(rng, width)))
    rng.shuffle(lines)
    vm.batch(lines)


def sweep_bars(vm, rng, function, whole):
    """@whole: every offset; else the first ones of each page, where registers are, and the last."""
    for bar in function.bars.values():
        if bar.io:
            sweep_ports(vm, rng, bar.addr, bar.size)
        else:
            sweep_memory(vm, rng, bar.addr, [o for o in range(bar.size) if whole or o % 0x1000 < 0x50
                                             or o >= bar.size - 8])


def config_address(host, function):
    return host.ecam + (function.bus << 20) + (function.slot << 15) + (function.fn << 12)


def power_on(vm):
    """From whatever state: a reset, and all functions enabled."""
    vm.qmp.cmd('system_reset')
    host = pci.Host(vm)
    host.enumerate()
    for f in host.functions:
        f.enable()
    return host


def check_alive(vm):
    """Management still gets answers, and after a reset the machine looks as at the start."""
    vm.qmp.cmd('query-pci')
    vm.qmp.cmd('query-status')
    host = power_on(vm)
    runner.equal(vm.inl(0x3d0) & 0xff, 0, 'sleep status')
    return host


def virtio_device(vm, host, kind):
    function = host.find(virtio.VENDOR, virtio.pci_id(TYPES[kind]))
    return virtio.Device(function, pci.Allocator(vm))


def check_bars(kind):
    rng = random.Random(kind)
    with start(kind) as vm:
        for state in ('reset', 'negotiated', 'running', 'running, MSI-X'):
            host = power_on(vm)
            # Not the bridge in front of it.
            functions = [f for f in host.functions if f.vendor != 0x8086 and f.bars]
            if kind in TYPES:
                dev = virtio_device(vm, host, kind)
                if state == 'negotiated':
                    dev.negotiate(packed=False)
                elif state != 'reset':
                    dev.start(msix='MSI' in state, size=8, queues=1)
            elif state != 'reset':
                continue
            for f in functions:
                sweep_bars(vm, rng, f, whole=state == 'running, MSI-X' or kind not in TYPES)
        host = check_alive(vm)
        if kind in TYPES:
            dev = virtio_device(vm, host, kind).start(queues=1)
            runner.equal(dev.status, 15, 'status after the sweep')


def config_sweeps(kind):
    rng = random.Random(kind + 'config')
    with start(kind) as vm:
        host = power_on(vm)
        functions = list(host.functions)
        before = [(f.vendor, f.device, f.class_id) for f in functions]
        for f in functions:
            sweep_memory(vm, rng, config_address(host, f), range(0x1000))
            vm.qmp.cmd('query-pci')
            host = power_on(vm)
        if kind == 'pcie-root-port':
            # What was unplugged by taking the slot's power is not there any more.
            before = before[:2]
        now = [(f.vendor, f.device, f.class_id) for f in host.functions]
        runner.equal(now[:len(before)], before, 'functions after the sweep')
        check_alive(vm)


def add_cases(namespace):
    for kind in DEVICES:
        name = kind.replace('-', '_')
        if kind.endswith('-pci'):
            namespace['test_bars_' + name] = lambda kind=kind: check_bars(kind)
        if kind.endswith('-pci') or kind.startswith('pcie-'):
            namespace['test_config_' + name] = lambda kind=kind: config_sweeps(kind)


def check_ports(ports, *args):
    """Every port of the machine, in an order that mixes them; power-off and reset are among them."""
    rng = random.Random(1)
    with start('isa-serial', 'boot-timer', 'pvpanic', more=args) as vm:
        vm.irq_intercept_in('/machine/gsi')
        for _ in range(3):
            for base, size in ports:
                sweep_ports(vm, rng, base, size)
            lines = []
            for _ in range(4000):
                base, size = rng.choice(ports)
                width, letter = rng.choice(((1, 'b'), (2, 'w'), (4, 'l')))
                port = base + rng.randrange(size)
                lines += ['out%s 0x%x 0x%x' % (letter, port, value(rng, width)), 'in%s 0x%x' % (letter, port)]
            vm.batch(lines)
            vm.clock_step(1000000000)
            check_alive(vm)
        vm.outb(0x3ff, 0x5a)
        runner.equal(vm.inb(0x2ff), 0x00, 'scratch register of the second UART after a reset')
        vm.outb(0x2ff, 0x5a)
        runner.equal(vm.inb(0x2ff), 0x5a, 'scratch register')


def test_ports():
    check_ports(PORTS)


def flash():
    return ['-blockdev', 'driver=file,node-name=flash,filename=' + DISK.name, '-machine', 'pflash0=flash']


def test_firmware_ports():
    """With the registers that are only there for firmware."""
    check_ports(PORTS + FIRMWARE_PORTS, *flash())


def test_flash():
    """All commands at random, and the configuration window moving about."""
    rng = random.Random(5)
    size = 1 << 20
    with start('virtio-rng-pci', more=flash()) as vm:
        for _ in range(4):
            lines = []
            for _ in range(6000):
                width, letter = rng.choice(((1, 'b'), (2, 'w'), (4, 'l'), (8, 'q')))
                at = (1 << 32) - size + rng.choice((0, size - 4096, rng.randrange(size))) + rng.randrange(-4, 64)
                at = min(at, (1 << 32) - 8)
                command = rng.choice((0xff, 0x10, 0x20, 0x40, 0x50, 0x60, 0x70, 0x90, 0x98, 0xd0, 0xe8, 1, 3))
                lines += ['write%s 0x%x 0x%x' % (letter, at, rng.choice((command, value(rng, width)))),
                          'read%s 0x%x' % (letter, at)]
            for _ in range(200):
                lines += ['outl 0xcf8 0x%x' % (0x80000060 + rng.choice((0, 4))),
                          'outl 0xcfc 0x%x' % rng.getrandbits(32), 'readl 0x80000000']
            vm.batch(lines)
            check_alive(vm)


def test_configuration_ports():
    """The same configuration space through 0xCF8 and 0xCFC: every bus, function and register number."""
    rng = random.Random(2)
    with start('virtio-rng-pci', 'pcie-root-port') as vm:
        power_on(vm)
        lines = []
        for _ in range(6000):
            address = rng.getrandbits(32) if rng.random() < 0.2 else (
                0x80000000 | rng.choice((0, 1, 255)) << 16 | rng.choice((0, 8, 16, 0xf8)) << 8 | rng.randrange(256))
            width, letter = rng.choice(((1, 'b'), (2, 'w'), (4, 'l')))
            port = 0xcfc + rng.randrange(4)
            lines += ['outl 0xcf8 0x%x' % address, 'out%s 0x%x 0x%x' % (letter, port, value(rng, width)),
                      'in%s 0x%x' % (letter, port)]
        vm.batch(lines)
        check_alive(vm)


def test_random_everywhere():
    """All devices in one machine, accesses anywhere among them, also while they do DMA."""
    rng = random.Random(3)
    with start(*DEVICES) as vm:
        for _ in range(4):
            host = power_on(vm)
            alloc = pci.Allocator(vm)
            spaces = [(config_address(host, f), 0x100) for f in host.functions]
            for f in host.functions:
                spaces += [(bar.addr, bar.size) for bar in f.bars.values() if not bar.io]
                if f.vendor == virtio.VENDOR:
                    dev = virtio.Device(f, alloc).start(size=8, queues=1, msix=True)
                    queue = dev.queues[0]
                    for _ in range(4):
                        queue.add([(dev.buffer(rng.randbytes(32)), 32)], [(dev.buffer(64), 64)])
                    queue.kick(force=True)
            lines = []
            for _ in range(8000):
                base, size = rng.choice(spaces)
                width, letter = rng.choice(((1, 'b'), (2, 'w'), (4, 'l'), (8, 'q')))
                addr = base + rng.randrange(size)
                lines += ['write%s 0x%x 0x%x' % (letter, addr, value(rng, width)), 'read%s 0x%x' % (letter, addr)]
            vm.batch(lines)
            vm.clock_step(1000000)
            vm.qmp.cmd('query-pci')
        check_alive(vm)


def test_complete():
    """Every device type that can be added is in the lists above."""
    status, text = qtest.run('-device', 'help')
    runner.equal(status, 0, 'exit status of -device help')
    # A CPU's registers are the kernel's; those for its hot-plug are among the ports.
    listed = {n for n in re.findall(r'^name "([^"]+)"', text, re.M) if not n.endswith('-cpu')}
    runner.equal(sorted(listed - set(DEVICES) - OTHERS), [], 'devices without a line in this test')
    runner.equal(sorted((set(DEVICES) | OTHERS) - listed), [], 'lines without a device')


add_cases(globals())

if __name__ == '__main__':
    runner.main(globals())
