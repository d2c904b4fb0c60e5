#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""PCI of the x86 machine: enumeration, BARs, ECAM and configuration ports, root ports, hot-plug, placement."""
import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import pci, qtest, runner, virtio

DEVICE = 'virtio-rng-pci'
DEVICE_IDS = (0x1af4, 0x1044)
PORT_IDS = (0x1b36, 0x000c)
ABP, PDC, PDS, CC = 0x01, 0x08, 0x40, 0x10
# Slot control: power off and indicators off; power on, blinking; power on, indicator on; power off, blinking.
OFF, COMING, ON, GOING = 0x7c0, 0x2c0, 0x1c0, 0x6c0


def machine():
    """The same tests run against another emulator's q35 when that is what is given."""
    if qtest.is_nemu(qtest.binary()):
        return ['-machine', 'virt', '-m', '64', '-nodefaults']
    return ['-machine', 'q35', '-m', '64', '-nodefaults', '-global',
            'ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off']


def start(*args):
    return qtest.Emulator(*machine(), *args)


def port(name, slot, *more):
    return ['-device', ','.join(['pcie-root-port', 'id=' + name, 'chassis=%d' % slot, 'addr=%x' % slot, *more])]


def device(*more):
    return ['-device', ','.join([DEVICE, *more])]


class Slot:
    """The hot-plug slot of a root port, as a guest sees it."""

    def __init__(self, host, slot):
        self.function = host.at(0, slot)
        self.exp = self.function.find_cap(pci.CAP_EXP)

    def control(self, value):
        self.function.writew(self.exp + pci.EXP_SLTCTL, value)
        self.clear(CC)

    def status(self):
        return self.function.readw(self.exp + pci.EXP_SLTSTA)

    def clear(self, bits):
        self.function.writew(self.exp + pci.EXP_SLTSTA, bits)

    def power_on(self):
        self.clear(ABP | PDC)
        self.control(COMING)
        self.control(ON)


def test_enumeration():
    with start(*port('rp1', 3), *port('rp2', 4), *device('bus=rp1'), *device('addr=6', 'id=root')) as vm:
        host = pci.Host(vm)
        host.enumerate()
        bridge = host.at(0, 0)
        runner.equal(bridge.class_id, 0x0600, 'class of 00:00.0')
        for slot in (3, 4):
            rp = host.at(0, slot)
            runner.equal((rp.vendor, rp.device), PORT_IDS, 'root port')
            runner.equal(rp.header, 1, 'header type')
            runner.equal(rp.readw(rp.find_cap(pci.CAP_EXP) + 2) >> 4 & 15, 4, 'port type')
        behind = host.find(*DEVICE_IDS)
        runner.equal((behind.bus, behind.slot), (host.at(0, 3).secondary, 0), 'place of the device')
        runner.require(behind.find_cap(pci.CAP_MSIX), 'MSI-X capability')
        shown = vm.qmp.cmd('query-pci')[0]['devices']
        runner.equal([(d['slot'], d['function'], d['id']['vendor'], d['id']['device']) for d in shown],
                     [(f.slot, f.fn, f.vendor, f.device) for f in host.functions if f.bus == 0],
                     'query-pci')
        rp1 = [d for d in shown if d['qdev_id'] == 'rp1'][0]
        runner.equal(rp1['pci_bridge']['bus']['secondary'], host.at(0, 3).secondary, 'secondary bus')
        inner = rp1['pci_bridge']['devices'][0]
        runner.equal({r['bar']: r['size'] for r in inner['regions']},
                     {n: b.size for n, b in behind.bars.items()}, 'regions')
        runner.equal({r['address'] for r in inner['regions']}, {-1}, 'addresses before decoding')
        behind.enable()
        inner = vm.qmp.cmd('query-pci')[0]['devices'][shown.index(rp1)]['pci_bridge']['devices'][0]
        runner.equal({r['bar']: r['address'] for r in inner['regions']},
                     {n: b.addr for n, b in behind.bars.items()}, 'addresses')


def test_configuration_ports():
    with start(*port('rp1', 3), *device('bus=rp1')) as vm:
        host = pci.Host(vm)
        host.enumerate()
        ports = pci.Host(vm, cf8=True)
        for f in host.functions:
            for reg in range(256):
                width = 4 if reg % 4 == 0 else 2 if reg % 2 == 0 else 1
                runner.equal(ports.read(f.bus, f.slot << 3 | f.fn, reg, width), f.read(reg, width),
                             '%r register 0x%x' % (f, reg))
        runner.equal(host.read(0, 0x1e << 3, 0, 4), 0xffffffff, 'absent function')
        runner.equal(host.read(200, 0, 0, 4), 0xffffffff, 'absent bus')
        vm.outl(0xcf8, 0)
        runner.equal(vm.inl(0xcfc), 0xffffffff, 'data port while not enabled')


def test_bars():
    with start(*device('addr=3')) as vm:
        host = pci.Host(vm)
        host.enumerate()
        f = [f for f in host.functions if f.slot == 3][0]
        f.enable()
        table = f.readl(f.find_cap(pci.CAP_MSIX) + 4)
        bar = f.bar(table & 7)
        control = (table & ~7) + 12
        runner.equal(bar.readl(control), 1, 'vector control after reset')
        # Move it, switch it off and on, put it on top of RAM.
        reg = pci.BAR0 + 4 * bar.index
        f.writel(reg, bar.addr + 0x1000000)
        runner.equal(vm.readl(bar.addr + 0x1000000 + control), 1, 'after a move')
        runner.equal(vm.readl(bar.addr + control) == 1, False, 'old place decodes')
        f.writew(pci.COMMAND, 0)
        runner.equal(vm.readl(bar.addr + 0x1000000 + control) == 1, False, 'decodes without memory enable')
        f.enable()
        vm.writel(0x100000 + control, 0x600d600d)
        f.writel(reg, 0x100000)
        runner.equal(vm.readl(0x100000 + control), 0x600d600d, 'RAM under a BAR')
        f.writel(reg, 0xffffffff)
        f.writel(reg, bar.addr)
        runner.equal(bar.readl(control), 1, 'back again')


def test_msix():
    with start(*device('addr=3')) as vm:
        host = pci.Host(vm)
        host.enumerate()
        f = [f for f in host.functions if f.slot == 3][0]
        f.enable()
        msix = f.msix_enable(pci.Allocator(vm))
        if not msix.count > 1:
            raise AssertionError('one vector only')
        runner.equal([msix.fired(n) or msix.pending(n) for n in range(msix.count)],
                     [False] * msix.count, 'vectors at rest')
        vm.system_reset()
        host = pci.Host(vm)
        runner.equal(f.readw(msix.cap + 2) >> 14, 0, 'MSI-X control after reset')
        runner.equal(f.readw(pci.COMMAND), 0, 'command after reset')


def test_hotplug():
    with start(*port('rp1', 3)) as vm:
        q = vm.qmp
        host = pci.Host(vm)
        host.enumerate()
        slot = Slot(host, 3)
        bus = slot.function.secondary
        runner.equal(slot.status(), 0, 'empty slot')
        q.cmd('device_add', driver=DEVICE, id='hp', bus='rp1')
        runner.equal(slot.status(), PDS | PDC | ABP, 'status after device_add')
        runner.equal(host.function(bus, 0), None, 'function without power')
        slot.power_on()
        runner.equal(slot.status(), PDS, 'status after power on')
        f = host.function(bus, 0)
        runner.equal((f.vendor, f.device), DEVICE_IDS, 'function with power')
        f.map_bars(slot.function.spare)
        f.enable()
        runner.equal(f.bar(4).readb(20), 0, 'device status')

        q.cmd('device_del', id='hp')
        runner.equal(slot.status(), PDS | ABP, 'status after device_del')
        runner.equal(q.cmd_error('device_del', id='hp'),
                     'Device hp is already in the process of unplug', 'second device_del')
        runner.equal(f.readw(0), DEVICE_IDS[0], 'function until the guest lets go')
        slot.clear(ABP)
        slot.control(GOING)
        runner.equal(host.function(bus, 0), None, 'function without power')
        slot.control(OFF)
        q.wait_event('DEVICE_DELETED', device='hp')
        runner.equal(slot.status(), PDC, 'status of the empty slot')
        runner.equal(q.cmd_error('device_del', id='hp'), "Device 'hp' not found", 'device_del after it')

        # Again, under the same name; taken back before the guest has looked.
        slot.clear(PDC)
        q.cmd('device_add', driver=DEVICE, id='hp', bus='rp1')
        q.cmd('device_del', id='hp')
        q.wait_event('DEVICE_DELETED', device='hp')
        runner.equal(slot.status() & (PDS | ABP), 0, 'status after taking back')


def test_hotplug_cold_device():
    with start(*port('rp1', 3), *device('bus=rp1', 'id=cold')) as vm:
        host = pci.Host(vm)
        host.enumerate()
        slot = Slot(host, 3)
        runner.equal(slot.status(), PDS, 'status at start')
        vm.qmp.cmd('device_del', id='cold')
        runner.equal(slot.status(), PDS | ABP, 'status after device_del')
        vm.system_reset()
        host = pci.Host(vm)
        host.enumerate()
        slot = Slot(host, 3)
        runner.equal(slot.status(), PDS, 'status after reset')
        slot.control(GOING)
        slot.control(OFF)
        vm.qmp.wait_event('DEVICE_DELETED', device='cold')


def test_hotplug_refused():
    with start(*port('fixed', 3, 'hotplug=off'), *device('bus=fixed', 'id=cold'),
               *port('rp1', 4), *device('addr=5', 'id=root')) as vm:
        q = vm.qmp
        runner.equal(q.cmd_error('device_del', id='cold'),
                     "Hot-unplug failed: unsupported by the port device 'fixed'")
        runner.equal(q.cmd_error('device_del', id='root'), "Bus 'pcie.0' does not support hotplugging")
        runner.equal(q.cmd_error('device_add', driver=DEVICE, addr='8'),
                     "Bus 'pcie.0' does not support hotplugging")
        runner.equal(q.cmd_error('device_add', driver=DEVICE, bus='nope'), "Bus 'nope' not found")
        q.cmd('device_add', driver=DEVICE, id='a', bus='rp1', addr='0x0')
        runner.equal(q.cmd_error('device_add', driver=DEVICE, id='b', bus='rp1', addr='0x0'),
                     'PCI: slot 0 function 0 not available for %s, in use by %s,id=a' % (DEVICE, DEVICE))
        q.cmd('device_del', id='a')


def test_placement_errors():
    def refused(text, *args):
        output = qtest.start_error(*machine(), *args)
        if text not in output:
            raise AssertionError('%r is not in %r' % (text, output))

    refused('PCI: slot 3 function 0 not available for %s, in use by %s,id=a' % (DEVICE, DEVICE),
            *device('addr=3', 'id=a'), *device('addr=3'))
    refused("PCI: single function device can't be populated in function 3.1",
            *device('addr=3'), *device('addr=3.1'))
    refused('PCI: 3.0 indicates single function, but 3.1 is already populated.',
            *device('addr=3.1'), *device('addr=3'))
    refused("Property '%s.addr' doesn't take value '32'" % DEVICE, *device('addr=32'))
    refused("Can't add chassis slot, error -16", *port('a', 3), '-device',
            'pcie-root-port,id=b,chassis=3,addr=4')
    refused("Bus 'rp' not found", *device('bus=rp'))


def test_reserve():
    """What firmware is asked to keep free, in a capability that it knows; none when nothing was asked for."""
    ones = 'f' * 16
    for options, want in (([], None), (['bus-reserve=2'], '20' '01' '02000000' + ones + ones + ones),
                          (['bus-reserve=1', 'io-reserve=8k', 'mem-reserve=1M', 'pref64-reserve=4G'],
                           '20' '01' '01000000' '0020000000000000' '00001000' 'ffffffff' '0000000001000000'),
                          (['pref32-reserve=2M'], '20' '01' 'ffffffff' + ones + 'ffffffff' '00002000' + ones)):
        with qtest.Emulator('-machine', 'virt', '-m', '64', '-nodefaults', *port('rp', 3, *options)) as vm:
            function = pci.Host(vm).function(0, 3)
            at = function.find_cap(9)
            runner.equal(bytes(function.readb(at + 2 + i) for i in range(30)).hex() if at else None, want, str(options))
    for options, error in ((['mem-reserve=5G'], 'mem-reserve must be less than 4G'),
                           (['pref32-reserve=1M', 'pref64-reserve=1M'], 'PREF32 and PREF64 conflict')):
        text = qtest.start_error('-machine', 'virt', '-nodefaults', *port('rp', 3, *options))
        assert error in text, text


def test_conventional_bus():
    """Behind pcie-pci-bridge: many slots, no Express capability, 256 bytes of configuration space."""
    with qtest.Emulator('-machine', 'virt', '-m', '64', '-nodefaults', '-device', 'pcie-root-port,id=rp,chassis=1',
                        '-device', 'pcie-pci-bridge,id=pb,bus=rp', '-device', 'virtio-rng-pci,bus=pb,addr=3',
                        '-device', 'virtio-rng-pci,bus=pb,addr=1f') as vm:
        host = pci.Host(vm)
        host.enumerate()
        bridge = host.find(0x1b36, 0x000e)
        runner.equal(bridge.class_id, 0x0604)
        devices = [f for f in host.functions if f.vendor == virtio.VENDOR]
        runner.equal([(f.bus, f.slot) for f in devices], [(2, 3), (2, 31)])
        alloc = pci.Allocator(vm)
        for f in devices:
            runner.equal(f.find_cap(0x10), 0, 'Express capability')
            runner.equal(f.readl(0x100), 0xffffffff, 'extended configuration space')
            f.enable()
            dev = virtio.Device(f, alloc).start()
            buf = dev.buffer(64)
            assert dev.queues[0].send([], [(buf, 64)]) > 0
        reply = vm.qmp.cmd_raw('device_add', {'driver': 'virtio-rng-pci', 'bus': 'pb'})
        runner.equal(reply['error']['desc'], "Bus 'pb' does not support hotplugging")
    text = qtest.start_error('-machine', 'virt', '-nodefaults', '-device', 'pcie-root-port,id=rp,chassis=1', '-device',
                             'pcie-pci-bridge,id=pb,bus=rp', '-device', 'pcie-root-port,bus=pb,chassis=2')
    assert "Device 'pcie-root-port' can't go on PCI bus" in text, text


def test_hostile_configuration():
    """Writes of all widths at all offsets of every function, then the machine must still be whole."""
    rnd = random.Random(7)
    with start(*port('rp1', 3), *device('bus=rp1'), *device('addr=5')) as vm:
        host = pci.Host(vm)
        host.enumerate()
        functions = [f for f in host.functions if f.slot < 0x1e]
        for f in functions:
            f.enable()
        size = 0x200 if qtest.is_nemu(vm.program) else 0x40
        for f in functions:
            for reg in range(size):
                # Without power the device behind the port would be removed, and the port's numbers moved.
                if f.header == 1 and not pci.BAR0 + 16 <= reg < 0x40:
                    continue
                for width in (1, 2, 4):
                    if reg % width == 0:
                        f.write(reg, rnd.choice((0, 0xffffffff, rnd.getrandbits(32))), width)
                        f.read(reg, width)
        vm.qmp.cmd('query-pci')
        rp = host.at(0, 3)
        for _ in range(2000):
            rp.write(rnd.randrange(0, size), rnd.getrandbits(32), rnd.choice((1, 2, 4)))
        vm.qmp.cmd('query-pci')
        vm.system_reset()
        host = pci.Host(vm)
        host.enumerate()
        runner.equal((host.at(0, 3).vendor, host.at(0, 3).device), PORT_IDS, 'the port after reset')


if __name__ == '__main__':
    runner.main(globals())
