#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The qtest protocol itself."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import qtest, runner


def virt():
    runner.require(qtest.is_nemu(qtest.binary()), 'another program words errors otherwise')
    return qtest.Emulator('-machine', 'virt', '-m', '64', '-nodefaults')


def test_memory():
    with virt() as vm:
        addr = 0x100000
        runner.equal(vm.readq(addr), 0, 'RAM starts zeroed')
        vm.writeq(addr, 0x1122334455667788)
        runner.equal([vm.readb(addr), vm.readw(addr), vm.readl(addr), vm.readb(addr + 7)],
                     [0x88, 0x7788, 0x55667788, 0x11], 'little-endian')
        runner.equal(vm.command('read 0x%x 4' % addr), '0x88776655', 'read')
        vm.command('write 0x%x 4 0xabcd' % addr)
        runner.equal(vm.read(addr, 8), bytes([0xab, 0xcd, 0, 0, 0x44, 0x33, 0x22, 0x11]), 'write')
        vm.memset(addr, 6, 0x5a)
        vm.memset(addr, 0, 0xff)
        runner.equal(vm.read(addr, 8), bytes([0x5a] * 6 + [0x22, 0x11]), 'memset')
        data = os.urandom(70000)
        vm.write(addr + 3, data)
        runner.equal(vm.read(addr + 3, len(data)) == data, True, 'a long block')
        runner.equal(vm.readq(0x1000000000000), 0, 'nothing there')
        runner.equal(vm.inl(0x1234), 0xffffffff, 'no port there')


def test_refused():
    with virt() as vm:
        for line, want in [
                ('nonsense', "FAIL Unknown command 'nonsense'"),
                ('read 0x0 0', 'ERR invalid argument size'),
                ('write 0x0 4 0x', 'ERR invalid argument size'),
                ('readb x', "FAIL 'x' is not a number"),
                ('writeb 0', 'FAIL too few arguments'),
                ('irq_intercept_in /nothing', 'FAIL Unknown device'),
                ('set_irq_in /nothing a 0 1', 'FAIL Unknown device'),
                ('set_irq_in /machine/unattached/device[0] unnamed-gpio-in', 'FAIL'),
                ('set_irq_in /machine/unattached/device[0]', 'FAIL'),
                ('module_load a b', 'FAIL')]:
            reply = ' '.join(vm.command_raw(line))
            assert reply.startswith(want), (line, reply)


def test_clock():
    with virt() as vm:
        runner.equal(vm.clock_step(0), 0, 'starts at 0')
        runner.equal(vm.clock_step(1000), 1000, 'step')
        runner.equal(vm.clock_set(5000), 5000, 'set')
        runner.equal(vm.clock_step(1), 5001, 'step from there')


def test_no_clock():
    with qtest.Emulator('-machine', 'none', accel=None) as vm:
        runner.equal(' '.join(vm.command_raw('clock_step 1')), "FAIL Unknown command 'clock_step'",
                     'clock')


if __name__ == '__main__':
    runner.main(globals())
