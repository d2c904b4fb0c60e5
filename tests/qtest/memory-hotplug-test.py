#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Hot-plug of DIMMs: the register block as the guest's ACPI methods use it, and management's side."""
import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import qtest, runner  # noqa: E402

BASE, GED = 0xa00, 0xb000
FLAGS = BASE + 0x14
ENABLED, INSERTED, REMOVE, EJECT = 1, 2, 4, 8
MIB, GIB = 1 << 20, 1 << 30
GED_MEMORY = 2
WINDOW = 4 * GIB


def virt(*args, memory='64,slots=3,maxmem=2G'):
    return qtest.Emulator('-machine', 'virt', '-m', memory, '-nodefaults', *args)


def backend(vm, name, size=128 * MIB):
    vm.qmp.cmd('object-add', {'qom-type': 'memory-backend-ram', 'id': name, 'size': size})


def add(vm, n, size=128 * MIB, **more):
    backend(vm, 'm%d' % n, size)
    vm.qmp.cmd('device_add', {'driver': 'pc-dimm', 'id': 'd%d' % n, 'memdev': 'm%d' % n, **more})


def flags(vm, slot):
    vm.outl(BASE, slot)
    return vm.inb(FLAGS)


def registers(vm, slot):
    vm.outl(BASE, slot)
    return (vm.inl(BASE) | vm.inl(BASE + 4) << 32, vm.inl(BASE + 8) | vm.inl(BASE + 12) << 32, vm.inl(BASE + 16))


def remove(vm, n, slot):
    vm.qmp.cmd('device_del', id='d%d' % n)
    vm.outl(BASE, slot)
    vm.outb(FLAGS, EJECT)
    vm.qmp.wait_event('DEVICE_DELETED', device='d%d' % n)


def test_reset_values():
    with virt() as vm:
        for slot in (0, 1, 2, 3, 255, 0xffffffff):
            runner.equal(flags(vm, slot), 0, slot)
            runner.equal(registers(vm, slot), (0, 0, 0), slot)
            for offset in range(24):
                runner.equal(vm.inb(BASE + offset), 0, offset)
                if offset + 2 <= 24:
                    runner.equal(vm.inw(BASE + offset), 0xffff if offset % 2 else 0, offset)
                if offset + 4 <= 24:
                    runner.equal(vm.inl(BASE + offset), 0xffffffff if offset % 4 else 0, offset)


def test_plug_and_eject():
    with virt() as vm:
        runner.equal(vm.qmp.cmd('query-memory-devices'), [])
        vm.inl(GED)
        add(vm, 0)
        add(vm, 1, 256 * MIB, slot=2)
        runner.equal(vm.inl(GED), GED_MEMORY, 'event')
        runner.equal([flags(vm, slot) for slot in range(3)], [ENABLED | INSERTED, 0, ENABLED | INSERTED])
        runner.equal(registers(vm, 0), (WINDOW, 128 * MIB, 0))
        runner.equal(registers(vm, 2), (WINDOW + 128 * MIB, 256 * MIB, 0))
        want = {'id': 'd0', 'addr': WINDOW, 'size': 128 * MIB, 'slot': 0, 'node': 0, 'memdev': '/objects/m0',
                'hotplugged': True, 'hotpluggable': True}
        runner.equal(vm.qmp.cmd('query-memory-devices')[0], {'type': 'dimm', 'data': want})
        runner.equal(vm.qmp.cmd('query-memory-size-summary'),
                     {'base-memory': 64 * MIB, 'plugged-memory': 384 * MIB})
        # It is memory.
        vm.writeq(WINDOW + 128 * MIB + 8, 0x1122334455667788)
        runner.equal(vm.readq(WINDOW + 128 * MIB + 8), 0x1122334455667788)
        vm.outl(BASE, 0)
        vm.outb(FLAGS, INSERTED)
        runner.equal(flags(vm, 0), ENABLED)
        # Removal waits for the guest; meanwhile the memory stays in use.
        vm.qmp.cmd('device_del', id='d0')
        vm.qmp.cmd('device_del', id='d0')
        runner.equal(flags(vm, 0), ENABLED | REMOVE)
        runner.equal(vm.qmp.cmd_raw('object-del', {'id': 'm0'})['error']['desc'],
                     "object 'm0' is in use, can not be deleted")
        vm.outb(FLAGS, REMOVE)
        vm.outb(FLAGS, EJECT)
        runner.equal(vm.qmp.wait_event('DEVICE_DELETED')['data'], {'device': 'd0', 'path': '/machine/peripheral/d0'})
        runner.equal((flags(vm, 0), registers(vm, 0)), (0, (0, 0, 0)))
        vm.qmp.cmd('object-del', id='m0')
        # The gap is filled again.
        add(vm, 3, 64 * MIB)
        runner.equal(registers(vm, 0)[0], WINDOW)
        add(vm, 4, 128 * MIB)
        runner.equal(registers(vm, 1)[0], WINDOW + 384 * MIB)
        remove(vm, 3, 0)
        remove(vm, 4, 1)
        remove(vm, 1, 2)
        runner.equal(vm.qmp.cmd('query-memory-devices'), [])


def test_refusal():
    with virt() as vm:
        add(vm, 0)
        vm.qmp.cmd('device_del', id='d0')
        vm.outl(BASE, 0)
        vm.outl(BASE + 4, 3)
        vm.outl(BASE + 8, 1)
        info = {'device': 'd0', 'slot': '0', 'slot-type': 'DIMM', 'source': 3, 'status': 1}
        runner.equal(vm.qmp.wait_event('ACPI_DEVICE_OST')['data'], {'info': info})
        runner.equal(vm.qmp.wait_event('DEVICE_UNPLUG_GUEST_ERROR')['data'],
                     {'device': 'd0', 'path': '/machine/peripheral/d0'})
        assert info in vm.qmp.cmd('query-acpi-ospm-status')
        remove(vm, 0, 0)


def fails(vm, want, **props):
    reply = vm.qmp.cmd_raw('device_add', {'driver': 'pc-dimm', 'id': 'x', **props})
    runner.equal(reply.get('error', {}).get('desc'), want, props)


def test_errors():
    with virt() as vm:
        backend(vm, 'a')
        backend(vm, 'small', MIB)
        backend(vm, 'large', 4 * GIB)
        fails(vm, "'memdev' property must be set")
        fails(vm, "Device 'zz' not found", memdev='zz')
        fails(vm, 'invalid slot number 9, valid range is [0-2]', memdev='a', slot=9)
        fails(vm, 'address must be aligned to 0x200000 bytes', memdev='a', addr=MIB)
        fails(vm, "can't add memory device [0x80000000:0x8000000], usable range for memory devices "
              "[0x100000000:0x13c000000]", memdev='a', addr=2 * GIB)
        fails(vm, "can't add memory device [0xffffffffffe00000:0x8000000], usable range for memory devices "
              "[0x100000000:0x13c000000]", memdev='a', addr=(1 << 64) - 2 * MIB)
        fails(vm, 'backend memory size must be multiple of 0x200000', memdev='small')
        fails(vm, 'not enough space, currently 0x0 in use of total space for memory devices 0x7c000000',
              memdev='large')
        vm.qmp.cmd('device_add', {'driver': 'pc-dimm', 'id': 'd0', 'memdev': 'a', 'addr': WINDOW + 2 * MIB})
        backend(vm, 'b')
        fails(vm, "can't use already busy memdev: a", memdev='a')
        fails(vm, 'slot 0 is busy', memdev='b', slot=0)
        fails(vm, "address range conflicts with memory device id='d0'", memdev='b', addr=WINDOW)
        # What failed has left nothing.
        vm.qmp.cmd('object-del', id='large')
        vm.qmp.cmd('object-del', id='b')
        add(vm, 1)
        add(vm, 2)
        backend(vm, 'c')
        fails(vm, 'no free slots available', memdev='c')
    with virt(memory='64') as vm:
        backend(vm, 'a')
        fails(vm, "no slots where allocated, please specify the 'slots' option", memdev='a')


def test_nodes():
    """NUMA nodes of DIMMs and CPUs."""
    nodes = ['-numa', 'node,nodeid=0,mem=32M', '-numa', 'node,nodeid=1,mem=32M', '-smp', '1,maxcpus=2,sockets=2']
    with virt('-object', 'memory-backend-ram,id=a,size=32M', '-object', 'memory-backend-ram,id=b,size=32M',
              *[w.replace('mem=', 'memdev=').replace('0,memdev=32M', '0,memdev=a').replace('1,memdev=32M', '1,memdev=b')
                for w in nodes]) as vm:
        add(vm, 1, node=1)
        runner.equal(registers(vm, 0), (WINDOW, 128 * MIB, 1))
        place = vm.qmp.cmd('query-hotpluggable-cpus')[1]
        runner.equal(place['props']['node-id'], 1)
        reply = vm.qmp.cmd_raw('device_add', {'driver': place['type'], 'id': 'c', **dict(place['props'], **{'node-id': 0})})
        runner.equal(reply['error']['desc'], 'node-id=0 must match numa node specified with -numa option')
        vm.qmp.cmd('device_add', {'driver': place['type'], 'id': 'c', **place['props']})


def test_startup():
    with virt('-object', 'memory-backend-ram,id=m0,size=128M', '-device', 'pc-dimm,id=d0,memdev=m0,slot=1') as vm:
        runner.equal(flags(vm, 1), ENABLED, 'no event')
        runner.equal(vm.qmp.cmd('query-memory-devices')[0]['data']['hotplugged'], False)
        remove(vm, 0, 1)


def test_hostile():
    """Anything, anywhere, while DIMMs come and go."""
    rng = random.Random(6)
    with virt() as vm:
        for n in range(3):
            backend(vm, 'm%d' % n, 4 * MIB)
        for _ in range(30):
            present = {d['data']['id'] for d in vm.qmp.cmd('query-memory-devices')}
            for n in range(3):
                if 'd%d' % n not in present:
                    vm.qmp.cmd('device_add', {'driver': 'pc-dimm', 'id': 'd%d' % n, 'memdev': 'm%d' % n})
                vm.qmp.cmd('device_del', id='d%d' % n)
            lines = []
            for _ in range(300):
                width, letter = rng.choice(((1, 'b'), (2, 'w'), (4, 'l')))
                port = BASE + rng.randrange(24)
                value = rng.choice((rng.randrange(16), rng.getrandbits(8 * width)))
                lines += ['out%s 0x%x 0x%x' % (letter, port, value), 'in%s 0x%x' % (letter, port),
                          'writel 0x%x 0x1' % (WINDOW + rng.randrange(16 * MIB) // 4 * 4)]
            vm.batch(lines)
        vm.system_reset()
        for slot in range(3):
            assert flags(vm, slot) in (0, ENABLED), slot


if __name__ == '__main__':
    runner.main(globals())
