#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""virtio-mem and virtio-pmem: requests of all kinds, what management sees, resets, saved state."""
import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import pci, qtest, runner, virtio  # noqa: E402

MIB, GIB = 1 << 20, 1 << 30
WINDOW = 4 * GIB
BLOCK = 2 * MIB
MEM, PMEM = 24, 27
PLUG, UNPLUG, UNPLUG_ALL, STATE = range(4)
ACK, NACK, BUSY, ERROR = range(4)
PLUGGED, UNPLUGGED, MIXED = range(3)
F_ACPI_PXM, F_UNPLUGGED_INACCESSIBLE = 0, 1


def machine(*args):
    return qtest.Emulator('-machine', 'virt', '-m', '64,slots=2,maxmem=4G', '-nodefaults', *args)


def virtio_mem(options='', backend='memory-backend-ram,id=m,size=512M', *args):
    return machine('-object', backend, '-device', 'virtio-mem-pci,id=v,memdev=m' + options, *args)


def device(vm, kind=MEM):
    function, alloc = pci.ready_device(vm, virtio.VENDOR, virtio.pci_id(kind))
    return virtio.Device(function, alloc)


class Config:
    """The configuration space."""

    def __init__(self, dev):
        def get(offset, size=8):
            return dev.config.read(offset, 4) | (dev.config.read(offset + 4, 4) << 32 if size == 8 else 0)
        self.block, self.node = get(0), dev.config.read(8, 2)
        self.addr, self.region, self.usable, self.plugged, self.requested = (get(16 + 8 * i) for i in range(5))


def ask(dev, kind, addr=0, blocks=0):
    """The response; of STATE (response, state)."""
    req = dev.buffer(struct.pack('<H6xQH6x', kind, addr, blocks))
    resp = dev.buffer(10)
    runner.equal(dev.queues[0].send([(req, 24)], [(resp, 10)]), 10, 'length of the response')
    answer, state = struct.unpack('<H6xH', dev.vm.read(resp, 10))
    return (answer, state) if kind == STATE else answer


def request_size(vm, size):
    vm.qmp.cmd('qom-set', path='v', property='requested-size', value=size)


def test_identity():
    with virtio_mem() as vm:
        dev = device(vm)
        runner.equal((dev.function.vendor, dev.function.device), (0x1af4, 0x1058), 'ids')
        dev.start()
        assert dev.has(F_ACPI_PXM) and not dev.has(F_UNPLUGGED_INACCESSIBLE)
        c = Config(dev)
        runner.equal((c.block, c.node, c.addr, c.region, c.usable, c.plugged, c.requested),
                     (BLOCK, 0, WINDOW, 512 * MIB, 0, 0, 0), 'configuration')
    with virtio_mem(backend='memory-backend-memfd,id=m,size=512M') as vm:
        dev = device(vm).start()
        assert dev.has(F_UNPLUGGED_INACCESSIBLE), 'files allocate on reads'
        dev.reset()
        dev.add_status(3)
        dev.accept(1 << 32)
        dev.add_status(8)
        assert not dev.status & 8, 'a driver that reads everything is refused'


def test_plug_and_unplug():
    with virtio_mem(',node=0,requested-size=8M') as vm:
        dev = device(vm).start(msix=True)
        runner.equal(ask(dev, STATE, WINDOW, 4), (ACK, UNPLUGGED))
        runner.equal(ask(dev, PLUG, WINDOW, 3), ACK)
        data = vm.qmp.wait_event('MEMORY_DEVICE_SIZE_CHANGE')['data']
        runner.equal(data, {'id': 'v', 'size': 3 * BLOCK, 'qom-path': '/machine/peripheral/v'})
        runner.equal(ask(dev, PLUG, WINDOW + 2 * BLOCK, 1), ERROR, 'plugged already')
        runner.equal(ask(dev, PLUG, WINDOW + 3 * BLOCK, 2), NACK, 'more than was asked for')
        runner.equal(ask(dev, PLUG, WINDOW + 10 * BLOCK, 1), ACK)
        runner.equal(ask(dev, STATE, WINDOW, 11), (ACK, MIXED))
        runner.equal(ask(dev, STATE, WINDOW, 3), (ACK, PLUGGED))
        info = vm.qmp.cmd('query-memory-devices')[0]
        runner.equal(info, {'type': 'virtio-mem', 'data': {
            'id': 'v', 'memaddr': WINDOW, 'requested-size': 8 * MIB, 'size': 8 * MIB, 'max-size': 512 * MIB,
            'block-size': BLOCK, 'node': 0, 'memdev': '/objects/m'}})
        runner.equal(vm.qmp.cmd('query-memory-size-summary')['plugged-memory'], 8 * MIB)
        # What was given back is zero when it comes again.
        vm.writeq(WINDOW + 16, 0x1234)
        runner.equal(ask(dev, UNPLUG, WINDOW, 4), ERROR, 'one of them is not plugged')
        request_size(vm, 0)
        runner.equal(Config(dev).requested, 0)
        runner.equal(Config(dev).plugged, 8 * MIB)
        assert Config(dev).usable >= 8 * MIB, 'while it is in use'
        runner.equal(ask(dev, UNPLUG, WINDOW, 3), ACK)
        runner.equal(ask(dev, UNPLUG, WINDOW + 10 * BLOCK, 1), ACK)
        runner.equal(vm.qmp.cmd('qom-get', path='v', property='size'), 0)
        request_size(vm, 2 * MIB)
        runner.equal(ask(dev, PLUG, WINDOW, 1), ACK)
        runner.equal(vm.readq(WINDOW + 16), 0, 'given back')
        runner.equal(ask(dev, UNPLUG_ALL), ACK)
        runner.equal(ask(dev, UNPLUG_ALL), ACK)
        runner.equal(Config(dev).plugged, 0)


def test_bad_requests():
    with virtio_mem(',requested-size=512M') as vm:
        dev = device(vm).start()
        usable = Config(dev).usable
        for kind in (PLUG, UNPLUG, STATE):
            for addr, blocks in ((WINDOW, 0), (WINDOW + 1, 1), (WINDOW - BLOCK, 1), (WINDOW - BLOCK, 2), (0, 1),
                                 (WINDOW + usable, 1), (WINDOW + usable - BLOCK, 2), (WINDOW, 0xffff),
                                 ((1 << 64) - BLOCK, 2), (WINDOW + (1 << 63), 1)):
                answer = ask(dev, kind, addr, blocks)
                runner.equal(answer[0] if kind == STATE else answer, ERROR, (kind, hex(addr), blocks))
        runner.equal(ask(dev, 4, WINDOW, 1), ERROR, 'unknown')
        runner.equal(ask(dev, 0xffff, WINDOW, 1), ERROR, 'unknown')
        req, resp = dev.buffer(24), dev.buffer(10)
        for out, into in ((23, 10), (24, 9)):
            dev = device(vm).start()
            dev.queues[0].add([(req, out)], [(resp, into)])
            dev.queues[0].kick()
            dev.wait_broken()
        vm.qmp.cmd('query-memory-devices')


def test_resets():
    """A driver's reset keeps what is plugged, a system reset does not."""
    with virtio_mem(',requested-size=4M') as vm:
        dev = device(vm).start()
        runner.equal(ask(dev, PLUG, WINDOW, 2), ACK)
        vm.writel(WINDOW, 77)
        dev.reset()
        runner.equal(vm.qmp.cmd('qom-get', path='v', property='size'), 4 * MIB)
        runner.equal(vm.readl(WINDOW), 77)
        vm.system_reset()
        runner.equal(vm.qmp.cmd('qom-get', path='v', property='size'), 0)
        runner.equal(vm.readl(WINDOW), 0)
        runner.equal(vm.qmp.cmd('qom-get', path='v', property='requested-size'), 4 * MIB)


def test_state():
    path = None
    with virtio_mem(',requested-size=64M') as vm:
        dev = device(vm).start()
        runner.equal(ask(dev, PLUG, WINDOW + 5 * BLOCK, 7), ACK)
        vm.writel(WINDOW + 5 * BLOCK, 0xabcd)
        path = vm.path('state')
        request_size(vm, 32 * MIB)
        vm.qmp.cmd('migrate', uri='file:' + path)
        runner.wait_for(lambda: vm.qmp.cmd('query-migrate')['status'] == 'completed', what='the stream')
        with virtio_mem(',requested-size=64M', 'memory-backend-ram,id=m,size=512M', '-incoming', 'file:' + path) as to:
            runner.wait_for(lambda: to.qmp.cmd('query-status')['status'] != 'inmigrate', what='the stream')
            data = to.qmp.cmd('query-memory-devices')[0]['data']
            runner.equal((data['size'], data['requested-size']), (7 * BLOCK, 32 * MIB))
            runner.equal(to.readl(WINDOW + 5 * BLOCK), 0xabcd)


def fails(vm, want, **props):
    reply = vm.qmp.cmd_raw('device_add', {'driver': 'virtio-mem-pci', 'id': 'x', 'bus': 'rp0',
                                          **{k.replace('_', '-'): v for k, v in props.items()}})
    runner.equal(reply.get('error', {}).get('desc'), want, props)


def test_errors():
    ports = ['-device', 'pcie-root-port,id=rp0,chassis=1']
    with virtio_mem('', 'memory-backend-ram,id=m,size=512M', '-object', 'memory-backend-ram,id=n,size=64M', *ports) as vm:
        fails(vm, "'memdev' property must be set")
        fails(vm, "can't use already busy memdev: m", memdev='m')
        fails(vm, "'block-size' property has to be at least 0x100000", memdev='n', block_size=4096)
        fails(vm, "'block-size' property has to be a power of two", memdev='n', block_size=3 * MIB)
        fails(vm, "'requested-size' has to be multiples of 'block-size' (0x200000)", memdev='n', requested_size=MIB)
        for value, want in ((MIB, "'requested-size' has to be multiples of 'block-size' (0x200000)"),
                            (2 * GIB, "'requested-size' cannot exceed the memory backend size(0x20000000)")):
            reply = vm.qmp.cmd_raw('qom-set', {'path': 'v', 'property': 'requested-size', 'value': value})
            runner.equal(reply['error']['desc'], want)
        vm.qmp.cmd('device_add', {'driver': 'virtio-mem-pci', 'id': 'w', 'bus': 'rp0', 'memdev': 'n', 'block-size': 4 * MIB})
        reply = vm.qmp.cmd_raw('device_del', {'id': 'w'})
        runner.equal(reply['error']['desc'], 'virtio based memory devices cannot be unplugged.')
        runner.equal([d['data']['memaddr'] for d in vm.qmp.cmd('query-memory-devices')], [WINDOW, WINDOW + 512 * MIB])
    with qtest.Emulator('-machine', 'virt', '-nodefaults', '-object', 'memory-backend-ram,id=n,size=64M', *ports) as vm:
        fails(vm, 'memory devices (e.g. for memory hotplug) are not enabled, please specify the maxmem option', memdev='n')


def flush(dev, kind=0):
    req, resp = dev.buffer(struct.pack('<I', kind)), dev.buffer(4)
    runner.equal(dev.queues[0].send([(req, 4)], [(resp, 4)]), 4)
    return struct.unpack('<I', dev.vm.read(resp, 4))[0]


def test_pmem():
    with qtest.tempfile.NamedTemporaryFile(prefix='nemu-pmem-') as f:
        f.truncate(4 * MIB)
        with machine('-object', 'memory-backend-file,id=m,share=on,size=4M,mem-path=' + f.name,
                     '-device', 'virtio-pmem-pci,id=p,memdev=m') as vm:
            dev = device(vm, PMEM).start()
            runner.equal(dev.function.device, 0x105b)
            runner.equal([dev.config.read(i, 4) for i in range(0, 16, 4)], [0, 1, 4 * MIB, 0], 'configuration')
            vm.writeq(WINDOW + 0x1000, 0x1122334455667788)
            runner.equal(flush(dev), 0)
            runner.equal(flush(dev, 1), 1, 'unknown request')
            f.seek(0x1000)
            runner.equal(struct.unpack('<Q', f.read(8))[0], 0x1122334455667788, 'in the file')
            # Many at once, and a reset in between.
            req, resp = dev.buffer(struct.pack('<I', 0)), dev.buffer(4)
            for _ in range(4):
                dev.queues[0].add([(req, 4)], [(resp, 4)])
            dev.queues[0].kick()
            dev.reset()
            dev = device(vm, PMEM).start()
            runner.equal(flush(dev), 0)
            runner.equal(vm.qmp.cmd('query-memory-devices'), [{'type': 'virtio-pmem', 'data': {
                'id': 'p', 'memaddr': WINDOW, 'size': 4 * MIB, 'memdev': '/objects/m'}}])
            req, resp = dev.buffer(4), dev.buffer(4)
            dev.queues[0].add([(req, 3)], [(resp, 4)])
            dev.queues[0].kick()
            dev.wait_broken()


if __name__ == '__main__':
    runner.main(globals())
