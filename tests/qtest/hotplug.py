#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""device_add and device_del: errors, the tree, events."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import qtest, runner

PORTS = ['-device', 'pcie-root-port,id=rp0,chassis=1', '-device', 'pcie-root-port,id=rp1,chassis=2']


def virt(*args):
    machine = 'virt' if qtest.is_nemu(qtest.binary()) else 'q35'
    return qtest.Emulator('-machine', machine, '-nodefaults', *PORTS, *args)


def fails(vm, want, **args):
    reply = vm.qmp.cmd_raw('device_add', args)
    assert 'error' in reply, reply
    runner.equal((reply['error']['class'], reply['error']['desc']), ('GenericError', want), args)


def children(vm, path):
    return {p['name'] for p in vm.qmp.cmd('qom-list', path=path) if p['type'].startswith('child<')}


def test_errors():
    with virt('-object', 'memory-backend-ram,id=m0,size=1M') as vm:
        before = children(vm, '/machine/peripheral')
        fails(vm, "Parameter 'driver' is missing", bus='rp0')
        fails(vm, "'nope' is not a valid device model name", driver='nope')
        fails(vm, "'iothread' is not a valid device model name", driver='iothread')
        fails(vm, "Parameter 'driver' expects a non-abstract device type", driver='virtio-pci')
        fails(vm, "Bus 'foo' not found", driver='virtio-rng-pci', bus='foo')
        fails(vm, "Bus 'pcie.0' does not support hotplugging", driver='virtio-rng-pci')
        fails(vm, "Parameter 'id' expects an identifier", driver='virtio-rng-pci', id='8',
              bus='rp0')
        fails(vm, "Duplicate device ID 'rp0'", driver='virtio-rng-pci', id='rp0', bus='rp0')
        fails(vm, "Property 'virtio-rng-pci.nope' not found", driver='virtio-rng-pci', id='r',
              bus='rp0', nope=1)
        fails(vm, "Parameter 'packed' expects 'on' or 'off'", driver='virtio-rng-pci', id='r',
              bus='rp0', packed='x')
        fails(vm, "Invalid parameter type for 'rng', expected: rng-backend",
              driver='virtio-rng-pci', id='r', bus='rp0', rng='m0')
        fails(vm, "No 'virtio-serial-bus' bus found for device 'virtserialport'",
              driver='virtserialport')
        reply = vm.qmp.cmd_raw('device_add', {'driver': 'virtio-rng-pci', 'bus': 'rp0',
                                              'rng': 'nothing'})
        runner.equal(reply['error'], {'class': 'DeviceNotFound',
                                      'desc': "Device 'nothing' not found"}, 'link')
        reply = vm.qmp.cmd_raw('device_del', {'id': 'nothing'})
        runner.equal(reply['error'], {'class': 'DeviceNotFound',
                                      'desc': "Device 'nothing' not found"}, 'device_del')
        runner.equal(children(vm, '/machine/peripheral'), before, 'nothing stays behind')


def test_add():
    with virt() as vm:
        # Numbers and switches may be text, as the command line would have it.
        vm.qmp.cmd('device_add', {'driver': 'virtio-rng-pci', 'id': 'r0', 'bus': 'rp0',
                                  'addr': '0x0', 'max-bytes': '4096', 'ioeventfd': 'on'})
        assert 'r0' in children(vm, '/machine/peripheral')
        runner.equal(vm.qmp.cmd('qom-get', path='/machine/peripheral/r0', property='hotplugged'),
                     True, 'hotplugged')
        runner.equal(vm.qmp.cmd('qom-get', path='r0', property='max-bytes'), 4096, 'max-bytes')
        reply = vm.qmp.cmd_raw('qom-set', {'path': 'r0', 'property': 'max-bytes', 'value': 1})
        assert 'after it was realized' in reply['error']['desc'], reply
        vm.qmp.cmd('device_add', {'driver': 'virtio-rng-pci', 'bus': 'rp1'})
        runner.equal(len(children(vm, '/machine/peripheral-anon')), 1, 'without id')


def test_port_comes_and_goes():
    """The bus of virtio-serial needs no guest to let go."""
    with virt('-device', 'virtio-serial-pci,id=vs0,bus=rp0', '-chardev', 'null,id=c0') as vm:
        for _ in range(3):
            vm.qmp.cmd('device_add', {'driver': 'virtserialport', 'id': 'p0', 'chardev': 'c0',
                                      'name': 'org.example.port'})
            vm.qmp.cmd('device_del', {'id': 'p0'})
            event = vm.qmp.wait_event('DEVICE_DELETED')
            runner.equal(event['data'], {'device': 'p0', 'path': '/machine/peripheral/p0'},
                         'DEVICE_DELETED')
            assert 'p0' not in children(vm, '/machine/peripheral')


if __name__ == '__main__':
    runner.main(globals())
