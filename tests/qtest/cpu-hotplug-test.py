#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Hot-plug of CPUs: the register block as the guest's ACPI methods use it, and management's side."""
import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import qtest, runner  # noqa: E402

BASE, GED = 0xcd8, 0xb000
SELECTOR, FLAGS, COMMAND, DATA = BASE, BASE + 4, BASE + 5, BASE + 8
ENABLED, INSERTED, REMOVE, EJECT = 1, 2, 4, 8
NEXT_EVENT, OST_EVENT, OST_STATUS, ARCH_ID = range(4)
TYPE = 'qemu64-x86_64-cpu'
GED_CPU = 1


def virt(*args, smp='2,maxcpus=6,sockets=3,cores=2,threads=1'):
    return qtest.Emulator('-machine', 'virt', '-cpu', 'qemu64', '-m', '64', '-nodefaults', '-smp', smp, *args)


def add(vm, n, **more):
    vm.qmp.cmd('device_add', {'driver': TYPE, 'id': 'cpu%d' % n, 'socket-id': n // 2, 'core-id': n % 2,
                              'thread-id': 0, **more})


def flags(vm, n):
    vm.outl(SELECTOR, n)
    return vm.inb(FLAGS)


def places(vm):
    """{index: qom path or None}"""
    found = {}
    for place in vm.qmp.cmd('query-hotpluggable-cpus'):
        props = place['props']
        runner.equal(place['type'], TYPE)
        runner.equal(place['vcpus-count'], 1)
        found[props['socket-id'] * 2 + props['core-id']] = place.get('qom-path')
    return found


def deleted(vm, n):
    return vm.qmp.wait_event('DEVICE_DELETED', device='cpu%d' % n)


def test_reset_values():
    with virt() as vm:
        for n in range(6):
            runner.equal(flags(vm, n), ENABLED if n < 2 else 0, n)
        vm.outl(SELECTOR, 0)
        runner.equal(vm.inl(SELECTOR), 0, 'what firmware looks at')
        vm.outb(COMMAND, NEXT_EVENT)
        runner.equal(vm.inl(DATA), 0, 'no event')
        for n in (6, 7, 255, 0xffffffff):
            runner.equal(flags(vm, n), 0, n)
            runner.equal(vm.inl(DATA), 0, n)
        # Every width at every offset reads something, and nothing that could be an event.
        vm.outl(SELECTOR, 1)
        for offset in range(12):
            want = ENABLED if offset == 4 else 1 if offset == 8 else 0
            runner.equal(vm.inb(BASE + offset), want, offset)
        runner.equal(vm.inw(FLAGS), ENABLED)
        runner.equal(vm.inl(FLAGS), ENABLED)


def test_plug_and_eject():
    with virt() as vm:
        runner.equal(sorted(places(vm)), list(range(6)))
        assert places(vm)[1] and not places(vm)[2]
        vm.inl(GED)
        add(vm, 4)
        add(vm, 3)
        runner.equal(places(vm)[4], '/machine/peripheral/cpu4')
        runner.equal([c['cpu-index'] for c in vm.qmp.cmd('query-cpus-fast')], [0, 1, 3, 4])
        runner.equal(vm.inl(GED), GED_CPU, 'event')
        runner.equal(vm.inl(GED), 0, 'which was read')
        # As the guest scans.
        vm.outl(SELECTOR, 0)
        for n in (3, 4):
            vm.outb(COMMAND, NEXT_EVENT)
            runner.equal(vm.inl(DATA), n, 'first with an event')
            runner.equal(vm.inb(FLAGS), ENABLED | INSERTED)
            vm.outb(FLAGS, INSERTED)
            runner.equal(vm.inb(FLAGS), ENABLED)
        vm.outb(COMMAND, ARCH_ID)
        runner.equal((vm.inl(DATA), vm.inl(SELECTOR)), (4, 0), 'APIC id')
        # Removal: an event, and nothing happens until the guest says so; asking again is allowed.
        vm.qmp.cmd('device_del', id='cpu4')
        vm.qmp.cmd('device_del', id='cpu4')
        runner.equal(vm.inl(GED), GED_CPU)
        runner.equal(flags(vm, 4), ENABLED | REMOVE)
        vm.outb(FLAGS, REMOVE)
        runner.equal(flags(vm, 4), ENABLED)
        assert places(vm)[4]
        vm.outb(FLAGS, EJECT)
        runner.equal(deleted(vm, 4)['data']['path'], '/machine/peripheral/cpu4')
        runner.equal(flags(vm, 4), 0)
        assert not places(vm)[4]
        add(vm, 4)
        runner.equal(flags(vm, 4), ENABLED | INSERTED, 'the place is free again')
        # What the guest has not been told of can be ejected too; the boot CPU cannot.
        vm.outb(FLAGS, EJECT)
        deleted(vm, 4)
        vm.outl(SELECTOR, 0)
        vm.outb(FLAGS, EJECT)
        vm.outl(SELECTOR, 5)
        vm.outb(FLAGS, EJECT)
        vm.qmp.cmd('query-status')
        runner.equal([c['cpu-index'] for c in vm.qmp.cmd('query-cpus-fast')], [0, 1, 3])


def ost(vm, n, event, status):
    vm.outl(SELECTOR, n)
    for command, value in ((OST_EVENT, event), (OST_STATUS, status)):
        vm.outb(COMMAND, command)
        vm.outl(DATA, value)


def test_reports():
    with virt() as vm:
        add(vm, 2)
        ost(vm, 2, 0x200, 0)
        info = {'device': 'cpu2', 'slot': '2', 'slot-type': 'CPU', 'source': 0x200, 'status': 0}
        runner.equal(vm.qmp.wait_event('ACPI_DEVICE_OST')['data'], {'info': info})
        cpus = [i for i in vm.qmp.cmd('query-acpi-ospm-status') if i['slot-type'] == 'CPU']
        runner.equal(len(cpus), 6)
        runner.equal(cpus[2], info)
        runner.equal(cpus[3], {'slot': '3', 'slot-type': 'CPU', 'source': 0, 'status': 0})
        # In progress is no refusal, busy is one.
        vm.qmp.cmd('device_del', id='cpu2')
        ost(vm, 2, 3, 0x84)
        ost(vm, 2, 3, 0x82)
        runner.equal([vm.qmp.wait_event('ACPI_DEVICE_OST')['data']['info']['status'] for _ in range(2)], [0x84, 0x82])
        runner.equal(vm.qmp.wait_event('DEVICE_UNPLUG_GUEST_ERROR')['data'],
                     {'device': 'cpu2', 'path': '/machine/peripheral/cpu2'})
        ost(vm, 77, 3, 1)       # no such slot
        vm.qmp.cmd('query-status')


def test_report_flood():
    """A guest that reports without end does not drown its managers: a burst, then the last one; other slots have their own."""
    with virt() as vm:
        for status in range(0x1000, 0x1400):
            ost(vm, 2, 0x200, status)
        ost(vm, 3, 0x200, 7)
        seen = []

        def last_is_there():
            seen.extend((e['data']['info']['slot'], e['data']['info']['status']) for e in vm.qmp.poll_events()
                        if e['event'] == 'ACPI_DEVICE_OST')
            return ('2', 0x13ff) in seen
        runner.wait_for(last_is_there, 60, 'the last report')
        runner.equal([s for s in seen if s[0] == '3'], [('3', 7)])
        runner.equal(seen[:3], [('2', 0x1000), ('2', 0x1001), ('2', 0x1002)])
        # Each second that the host took lets some more through.
        assert len(seen) < 512, seen


def fails(vm, want, **props):
    reply = vm.qmp.cmd_raw('device_add', {'driver': TYPE, 'id': 'x', **{k.replace('_', '-'): v for k, v in props.items()}})
    runner.equal(reply.get('error', {}).get('desc'), want, props)


def test_errors():
    with virt() as vm:
        fails(vm, 'CPU socket-id is not set')
        fails(vm, 'CPU core-id is not set', socket_id=0)
        fails(vm, 'CPU thread-id is not set', socket_id=0, core_id=1)
        fails(vm, 'Invalid CPU socket-id: 5 must be in range 0:2', socket_id=5, core_id=1, thread_id=0)
        fails(vm, 'Invalid CPU core-id: 3 must be in range 0:1', socket_id=0, core_id=3, thread_id=0)
        fails(vm, 'Invalid CPU thread-id: 2 must be in range 0:0', socket_id=0, core_id=1, thread_id=2)
        fails(vm, 'Invalid CPU die-id: 2 must be in range 0:0', socket_id=0, core_id=1, thread_id=0, die_id=2)
        fails(vm, 'CPU[0] with APIC ID 0 exists', socket_id=0, core_id=0, thread_id=0)
        reply = vm.qmp.cmd_raw('device_add', {'driver': 'EPYC-x86_64-cpu', 'socket-id': 2, 'core-id': 1, 'thread-id': 0})
        runner.equal(reply['error']['desc'], "Invalid CPU type, expected cpu type: 'qemu64-x86_64-cpu'")
        reply = vm.qmp.cmd_raw('device_del', {'id': places(vm)[0]})
        runner.equal(reply['error']['desc'], 'Boot CPU is unpluggable')
        add(vm, 3)
        fails(vm, 'CPU[3] with APIC ID 3 exists', socket_id=1, core_id=1, thread_id=0)


def test_startup():
    """-device CPU, in any place; -cpu's options hold for it, and its own come first."""
    with virt('-device', TYPE + ',id=cpu5,socket-id=2,core-id=1,thread-id=0', '-device',
              TYPE + ',id=cpu2,apic-id=2,pmu=on', '-cpu', 'qemu64,pmu=off') as vm:
        runner.equal([c['cpu-index'] for c in vm.qmp.cmd('query-cpus-fast')], [0, 1, 2, 5])
        runner.equal(flags(vm, 5), ENABLED, 'no event')
        runner.equal(vm.qmp.cmd('qom-get', path='cpu5', property='pmu'), False)
        runner.equal(vm.qmp.cmd('qom-get', path='cpu2', property='pmu'), True)
        vm.outw(0x510, 5)
        runner.equal(vm.inb(0x511), 4, 'fw_cfg: CPUs')
        vm.qmp.cmd('device_del', id='cpu5')
        vm.outl(SELECTOR, 5)
        vm.outb(FLAGS, EJECT)
        deleted(vm, 5)
        vm.outw(0x510, 5)
        runner.equal(vm.inb(0x511), 3, 'fw_cfg: CPUs')
        vm.qmp.cmd('device_del', id=places(vm)[1])
        vm.outl(SELECTOR, 1)
        vm.outb(FLAGS, EJECT)
        vm.qmp.wait_event('DEVICE_DELETED')


def test_no_places():
    with virt(smp='2') as vm:
        reply = vm.qmp.cmd_raw('device_del', {'id': vm.qmp.cmd('query-cpus-fast')[1]['qom-path']})
        assert 'maxcpus' in reply['error']['desc'], reply


def test_hostile():
    """Anything, anywhere, while CPUs come and go: no more goes than may go, and none is in two places."""
    rng = random.Random(5)
    with virt() as vm:
        for _ in range(30):
            present = {i for i, path in places(vm).items() if path}
            for n in set(range(2, 6)) - present:
                add(vm, n)
            for n in range(2, 6):
                vm.qmp.cmd('device_del', id='cpu%d' % n)
            lines = []
            for _ in range(300):
                width, letter = rng.choice(((1, 'b'), (2, 'w'), (4, 'l')))
                port = BASE + rng.randrange(12)
                value = rng.choice((rng.randrange(8), rng.getrandbits(8 * width)))
                lines += ['out%s 0x%x 0x%x' % (letter, port, value), 'in%s 0x%x' % (letter, port)]
            vm.batch(lines)
            runner.equal(vm.qmp.cmd('query-cpus-fast')[0]['cpu-index'], 0)
        vm.system_reset()
        for n in range(6):
            assert flags(vm, n) in (0, ENABLED), n


if __name__ == '__main__':
    runner.main(globals())
