#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""ACPI tables of the AArch64 machine, as firmware gets them: the loader's script, contents."""
import os
import struct
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import acpi, arm, runner

def loaded(*args, options=''):
    """The tables of a machine with firmware."""
    with tempfile.NamedTemporaryFile() as code:
        code.write(b'code')
        code.flush()
        with arm.start('-bios', code.name, *args, options=options) as vm:
            return acpi.Loaded(arm.FwCfg(vm)).tables()


def madt_entries(madt):
    at, found = 44, {}
    while at < len(madt):
        kind, size = madt[at], madt[at + 1]
        found.setdefault(kind, []).append(madt[at:at + size])
        at += size
    return found


def test_gicv3():
    t = loaded('-smp', '4', options=',gic-version=3')
    runner.equal(sorted(t), ['APIC', 'DBG2', 'DSDT', 'FACP', 'GTDT', 'IORT', 'MCFG', 'PPTT', 'SPCR'])
    runner.equal(struct.unpack_from('<I', t['FACP'], 112)[0], 1 << 20, 'hardware-reduced, nothing else')
    runner.equal(struct.unpack_from('<H', t['FACP'], 129)[0], 3, 'PSCI by HVC')
    e = madt_entries(t['APIC'])
    runner.equal(sorted(e), [0xb, 0xc, 0xe, 0xf])
    runner.equal([struct.unpack_from('<Q', c, 68)[0] for c in e[0xb]], [0, 1, 2, 3], 'MPIDR')
    runner.equal(struct.unpack_from('<Q', e[0xc][0], 8)[0], arm.GICD)
    runner.equal(e[0xc][0][20], 3, 'version')
    runner.equal(struct.unpack_from('<QI', e[0xe][0], 4), (arm.GICR, 0xf60000))
    runner.equal(struct.unpack_from('<Q', e[0xf][0], 8)[0], arm.ITS)
    runner.equal(struct.unpack_from('<Q', t['MCFG'], 44)[0], 0x4010000000)
    runner.equal(struct.unpack_from('<QIIIIIIII', t['GTDT'], 36)[2::2], (29, 30, 27, 26))
    runner.equal(t['SPCR'][36], 3)
    runner.equal(struct.unpack_from('<Q', t['SPCR'], 44)[0], arm.UART)
    runner.equal(struct.unpack_from('<I', t['SPCR'], 54)[0], 33)
    for name in (b'COM0', b'FWCF', b'VR00', b'VR31', b'PCI0', b'GED_', b'PWRB', b'C003'):
        assert name in t['DSDT'], name
    assert b'C004' not in t['DSDT']


def test_gicv2():
    t = loaded('-smp', '2', options=',gic-version=2')
    assert 'IORT' not in t
    e = madt_entries(t['APIC'])
    runner.equal(sorted(e), [0xb, 0xc, 0xd])
    runner.equal(struct.unpack_from('<Q', e[0xb][1], 32)[0], arm.GICC)
    runner.equal(struct.unpack_from('<QIHH', e[0xd][0], 8), (arm.V2M, 1, 64, 80))


def test_options():
    t = loaded('-smp', '130', options=',gic-version=3,its=off,x-oem-id=ACME,x-oem-table-id=BOARD')
    assert 'IORT' not in t
    runner.equal(t['FACP'][10:24], b'ACME  BOARD   ')
    runner.equal(len(madt_entries(t['APIC'])[0xe]), 2, 'redistributor regions')
    with tempfile.NamedTemporaryFile() as code, arm.start('-bios', code.name, options=',acpi=off') as vm:
        assert 'etc/table-loader' not in arm.FwCfg(vm).directory()
        assert 'gpio-keys' in arm.read_tree(vm).children
    with arm.start() as vm:
        assert 'etc/table-loader' not in arm.FwCfg(vm).directory(), 'without firmware there is nobody to load them'


def test_topology():
    t = loaded('-smp', '8,sockets=2,clusters=2,cores=1,threads=2')
    at, nodes = 36, []
    while at < len(t['PPTT']):
        _, size, _, flags, parent, ident, _ = struct.unpack_from('<BBHIIII', t['PPTT'], at)
        nodes.append((at, flags, parent, ident))
        at += size
    runner.equal(len(nodes), 2 + 4 + 4 + 8)
    leaves = [n for n in nodes if n[1] & 8]
    runner.equal([n[3] for n in leaves], list(range(8)))
    starts = {n[0] for n in nodes}
    assert all(n[2] in starts for n in nodes if not n[1] & 1), 'parents'


def test_power_button():
    with tempfile.NamedTemporaryFile() as code, arm.start('-bios', code.name) as vm:
        vm.irq_intercept_in(arm.GIC_PATH)
        vm.qmp.cmd('system_powerdown')
        vm.qmp.wait_event('POWERDOWN')
        runner.equal(vm.irq_level(arm.SPI_GED), True)
        runner.equal(vm.readl(arm.GED), 0x10)
        runner.equal(vm.irq_level(arm.SPI_GED), False)
        arm.poke(vm, arm.GED, 4)


if __name__ == '__main__':
    runner.main(globals())
