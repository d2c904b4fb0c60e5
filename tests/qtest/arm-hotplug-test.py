#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Hot-plug of DIMMs and NVDIMMs on the AArch64 machine: its addresses; the blocks themselves are tested on x86_64."""
import os
import struct
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import acpi, arm, qtest, runner  # noqa: E402

SLOTS, GED, BELL, PAGE = 0x09070000, 0x09080000, 0x09090000, 0x090d0000
FLAGS = SLOTS + 0x14
ENABLED, INSERTED, REMOVE, EJECT = 1, 2, 4, 8
GED_MEMORY, GED_NVDIMM = 2, 4
MIB, GIB = 1 << 20, 1 << 30
WINDOW = 2 * GIB        # behind RAM, which begins at 1 GiB

CODE = tempfile.NamedTemporaryFile(prefix='nemu-firmware-')


def virt(*args, firmware=True, machine='virt,nvdimm=on'):
    firmware = ['-bios', CODE.name] if firmware else []
    return qtest.Emulator('-machine', machine, '-m', '64,slots=3,maxmem=2G', '-nodefaults', *firmware, *args,
                          arch='aarch64')


def backend(vm, name, size=128 * MIB):
    vm.qmp.cmd('object-add', {'qom-type': 'memory-backend-ram', 'id': name, 'size': size})


def flags(vm, slot):
    vm.writel(SLOTS, slot)
    return vm.readb(FLAGS)


def test_dimm():
    with virt() as vm:
        vm.irq_intercept_in('/machine/gic')
        backend(vm, 'm0')
        vm.qmp.cmd('device_add', {'driver': 'pc-dimm', 'id': 'd0', 'memdev': 'm0'})
        runner.equal(vm.irq_level(9), True, 'interrupt of the event device')
        runner.equal(vm.readl(GED), GED_MEMORY)
        runner.equal(vm.irq_level(9), False)
        runner.equal(flags(vm, 0), ENABLED | INSERTED)
        runner.equal((vm.readl(SLOTS), vm.readl(SLOTS + 8)), (WINDOW, 128 * MIB))
        vm.writeq(WINDOW + 8, 99)
        runner.equal(vm.readq(WINDOW + 8), 99)
        vm.writeb(FLAGS, INSERTED)
        vm.qmp.cmd('device_del', id='d0')
        runner.equal(vm.readl(GED), GED_MEMORY)
        runner.equal(flags(vm, 0), ENABLED | REMOVE)
        vm.writel(SLOTS + 4, 3)
        vm.writel(SLOTS + 8, 1)
        runner.equal(vm.qmp.wait_event('DEVICE_UNPLUG_GUEST_ERROR')['data']['device'], 'd0')
        vm.writeb(FLAGS, EJECT)
        vm.qmp.wait_event('DEVICE_DELETED', device='d0')
        vm.qmp.cmd('object-del', id='m0')
        runner.equal(vm.qmp.cmd('query-memory-devices'), [])


def test_nvdimm():
    with virt('-object', 'memory-backend-ram,id=n0,size=8M', '-device', 'nvdimm,memdev=n0,label-size=128K') as vm:
        tables = acpi.Loaded(arm.FwCfg(vm)).tables()
        assert len(tables['NFIT']) > 40
        backend(vm, 'n1', 8 * MIB)
        vm.qmp.cmd('device_add', {'driver': 'nvdimm', 'id': 'd1', 'memdev': 'n1'})
        runner.equal(vm.readl(GED), GED_NVDIMM)
        vm.write(PAGE, struct.pack('<IIII', 0x10000, 1, 1, 0))
        vm.writel(BELL, 0)
        runner.equal(vm.readl(PAGE), 4 + 2 * (56 + 48 + 80), 'the table')


def test_without_acpi():
    with virt(firmware=False) as vm:
        backend(vm, 'm0')
        reply = vm.qmp.cmd_raw('device_add', {'driver': 'pc-dimm', 'id': 'd0', 'memdev': 'm0'})
        assert 'missing acpi-ged device' in reply['error']['desc'], reply


def test_pci():
    with virt('-device', 'pcie-root-port,id=rp,chassis=1') as vm:
        vm.qmp.cmd('device_add', {'driver': 'virtio-rng-pci', 'id': 'r', 'bus': 'rp'})
        # The slot has no power: nobody uses the device yet.
        vm.qmp.cmd('device_del', id='r')
        vm.qmp.wait_event('DEVICE_DELETED', device='r')


if __name__ == '__main__':
    runner.main(globals())
