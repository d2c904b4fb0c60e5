#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The machine `virt` under the names of Q35 machines: the same hardware, and settings of what is absent."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import qtest, runner

SETTINGS = ('hpet', 'vmport', 'smm', 'pit', 'i8042', 'sata', 'smbus')


def functions(machine):
    with qtest.Emulator('-machine', machine, '-nodefaults', '-device', 'virtio-rng-pci') as vm:
        devices = [(d['slot'], d['function'], d['id']['vendor'], d['id']['device'])
                   for bus in vm.qmp.cmd('query-pci') for d in bus['devices']]
        types = sorted(c['type'] for c in vm.qmp.cmd('qom-list', path='/machine/unattached')
                       if '-cpu' not in c['type'])
        return devices, types


def test_names():
    with qtest.Emulator('-machine', 'none') as vm:
        machines = {m['name']: m for m in vm.qmp.cmd('query-machines')}
    q35 = [n for n in machines if n.startswith('pc-q35-')]
    assert len(q35) == 10, q35
    runner.equal([n for n in q35 if machines[n].get('alias') == 'q35'], ['pc-q35-7.2'])
    runner.equal([n for n in machines if machines[n].get('is-default')], ['virt-1.0'])
    for n in q35:
        runner.equal((machines[n]['cpu-max'], machines[n]['default-ram-id'], machines[n]['default-cpu-type']),
                     (288, 'pc.ram', 'qemu64-x86_64-cpu'), n)


def test_same_hardware():
    runner.equal(functions('q35'), functions('virt'))
    runner.equal(functions('pc-q35-4.2'), functions('virt'))


def test_settings_that_ask_for_nothing():
    off = ''.join(',%s=off' % s for s in SETTINGS)
    for machine in ('virt', 'q35'):
        with qtest.Emulator('-machine', machine + off + ',usb=off,dump-guest-core=off,mem-merge=off,graphics=off',
                            '-no-hpet', '-rtc', 'base=utc,driftfix=slew', '-global', 'ICH9-LPC.disable_s3=1',
                            '-global', 'ICH9-LPC.disable_s4=1') as vm:
            runner.equal(vm.qmp.cmd('qom-get', path='/machine', property='vmport'), 'off')
            runner.equal(vm.qmp.cmd('qom-get', path='/machine', property='hpet'), False)


def test_settings_that_cannot_be():
    for s in SETTINGS:
        text = qtest.start_error('-machine', 'q35,%s=on' % s)
        assert '%s\' must be off' % s in text, text
    text = qtest.start_error('-machine', 'q35', '-global', 'ICH9-LPC.disable_s3=0')
    assert 'ICH9-LPC.disable_s3=0 is not supported' in text, text
    text = qtest.start_error('-machine', 'q35', '-global', 'ICH9-LPC.disable_s4=0')
    assert 'ICH9-LPC.disable_s4=0 is not supported' in text, text


def test_no_acpi():
    for args in (('-machine', 'virt,acpi=off'), ('-machine', 'virt', '-no-acpi')):
        with qtest.Emulator(*args) as vm:
            runner.equal(vm.qmp.cmd('qom-get', path='/machine', property='acpi'), 'off')


if __name__ == '__main__':
    runner.main(globals())
