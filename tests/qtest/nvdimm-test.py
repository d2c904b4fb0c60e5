#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""NVDIMMs: the page and its doorbell as the guest's ACPI methods use them, the table, labels, options."""
import os
import random
import struct
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import acpi, fwcfg, qtest, runner  # noqa: E402

PAGE, BELL, GED = 0xfec10000, 0xa18, 0xb000
MIB = 1 << 20
WINDOW = 4 << 30
LABELS = 128 << 10
TABLE, ROOT = 0x10000, 0
QUERY, LABEL_SIZE, LABEL_READ, LABEL_WRITE = 0, 4, 5, 6
OK, NOT_SUPPORTED, NO_DEVICE, BAD_PARAMETER = range(4)
GED_NVDIMM = 4
TRANSFER = 4096 - 12 - 8


def virt(*args, machine='virt,nvdimm=on'):
    return qtest.Emulator('-machine', machine, '-m', '64,slots=4,maxmem=2G', '-nodefaults', *args)


def one(options=',label-size=128K', backend='memory-backend-ram,id=m,size=8M', **how):
    return virt('-object', backend, '-device', 'nvdimm,id=n,memdev=m' + options, **how)


def call(vm, handle, function, argument=b''):
    """The answer's bytes."""
    vm.write(PAGE, struct.pack('<III', handle, 1, function) + argument)
    vm.outl(BELL, 0)
    size = vm.readl(PAGE)
    assert 4 <= size <= 4092, size
    return vm.read(PAGE + 4, size)


def words(data):
    return struct.unpack('<%dI' % (len(data) // 4), data)


def table_now(vm):
    """What _FIT gives."""
    found = b''
    while True:
        data = call(vm, TABLE, 1, struct.pack('<I', len(found)))
        runner.equal(words(data[:4])[0], OK)
        if len(data) == 4:
            return found
        found += data[4:]


def structures(data):
    """[(type, bytes)]"""
    found = []
    while data:
        kind, size = struct.unpack('<HH', data[:4])
        assert size >= 8, size
        found.append((kind, data[:size]))
        data = data[size:]
    return found


def test_table():
    with one(',label-size=128K,slot=2,unarmed=on', machine='virt,nvdimm=on,nvdimm-persistence=cpu') as vm:
        nfit = acpi.Loaded(fwcfg.FwCfg(vm)).tables()['NFIT']
        runner.equal(nfit[40:], table_now(vm), 'the table at the start')
        kinds = structures(nfit[40:])
        runner.equal([k for k, _ in kinds], [0, 1, 4, 7])
        spa = kinds[0][1]
        runner.equal(struct.unpack('<QQQ', spa[32:56]), (WINDOW, 6 * MIB, 0x8008), 'range')
        memdev = kinds[1][1]
        runner.equal(struct.unpack_from('<I', memdev, 4)[0], 3, 'handle')
        runner.equal(struct.unpack_from('<H', memdev, 44)[0], 8, 'not armed')
        runner.equal((kinds[3][1][4], struct.unpack_from('<I', kinds[3][1], 8)[0]), (1, 3), 'capabilities')
    with virt() as vm:
        runner.equal(table_now(vm), b'')


def test_labels():
    with tempfile.NamedTemporaryFile(prefix='nemu-nvdimm-') as f:
        f.truncate(8 * MIB)
        for n in range(2):
            with one(backend='memory-backend-file,id=m,share=on,size=8M,mem-path=' + f.name) as vm:
                runner.equal(words(call(vm, 1, QUERY)), (0x71,))
                runner.equal(words(call(vm, 1, LABEL_SIZE)), (OK, LABELS, TRANSFER))
                for offset in (0, 4096, LABELS - 16):
                    data = call(vm, 1, LABEL_READ, struct.pack('<II', offset, 16))
                    runner.equal(data, struct.pack('<I', OK) + (b'label%d' % offset).ljust(16) * n + bytes(16) * (1 - n))
                    runner.equal(words(call(vm, 1, LABEL_WRITE, struct.pack('<II', offset, 16) +
                                            (b'label%d' % offset).ljust(16))), (OK,))
                whole = call(vm, 1, LABEL_READ, struct.pack('<II', 0, TRANSFER))
                runner.equal(len(whole), 4 + TRANSFER)
                for offset, size in ((LABELS, 1), (LABELS - 1, 2), (0, TRANSFER + 1), (0xffffffff, 1), (1, 0xffffffff)):
                    for function in (LABEL_READ, LABEL_WRITE):
                        runner.equal(words(call(vm, 1, function, struct.pack('<II', offset, size))), (BAD_PARAMETER,))
        f.seek(8 * MIB - LABELS)
        runner.equal(f.read(6), b'label0')
    with one(',label-size=128K,unarmed=on') as vm:
        runner.equal(words(call(vm, 1, LABEL_WRITE, struct.pack('<II', 0, 4) + b'abcd')), (BAD_PARAMETER,))
    with one('') as vm:
        runner.equal(words(call(vm, 1, QUERY)), (0,))
        runner.equal(words(call(vm, 1, LABEL_SIZE)), (NOT_SUPPORTED,))


def test_others():
    with one() as vm:
        runner.equal(words(call(vm, ROOT, QUERY)), (0,))
        runner.equal(words(call(vm, ROOT, 1)), (NOT_SUPPORTED,))
        runner.equal(words(call(vm, 1, 7)), (NOT_SUPPORTED,))
        runner.equal(words(call(vm, 2, QUERY)), (0,))
        runner.equal(words(call(vm, 2, LABEL_SIZE)), (NO_DEVICE,))
        runner.equal(words(call(vm, TABLE, 2)), (NOT_SUPPORTED,))
        runner.equal(words(call(vm, TABLE, 1, struct.pack('<I', 100000))), (BAD_PARAMETER,))
        runner.equal(vm.inl(BELL), 0)


def test_hot_add():
    with virt() as vm:
        vm.inl(GED)
        for n in range(3):
            vm.qmp.cmd('object-add', {'qom-type': 'memory-backend-ram', 'id': 'm%d' % n, 'size': 8 * MIB})
            vm.qmp.cmd('device_add', {'driver': 'nvdimm', 'id': 'n%d' % n, 'memdev': 'm%d' % n, 'label-size': LABELS})
            runner.equal(vm.inl(GED), GED_NVDIMM)
            runner.equal(len(structures(table_now(vm))), 3 * (n + 1))
        runner.equal(vm.qmp.cmd('query-memory-devices')[0], {'type': 'nvdimm', 'data': {
            'id': 'n0', 'addr': WINDOW, 'size': 6 * MIB, 'slot': 0, 'node': 0, 'memdev': '/objects/m0',
            'hotplugged': True, 'hotpluggable': True}})
        runner.equal(vm.qmp.cmd_raw('device_del', {'id': 'n0'})['error']['desc'],
                     'nvdimm device hot unplug is not supported yet.')
        # The guest sees the memory without the labels.
        vm.writeb(WINDOW + 6 * MIB - 1, 7)
        runner.equal(vm.readb(WINDOW + 6 * MIB - 1), 7)
        # A DIMM beside them takes the slot that is left.
        vm.qmp.cmd('object-add', {'qom-type': 'memory-backend-ram', 'id': 'd', 'size': 8 * MIB})
        vm.qmp.cmd('device_add', {'driver': 'pc-dimm', 'id': 'dimm', 'memdev': 'd'})
        runner.equal(vm.qmp.cmd('qom-get', path='dimm', property='slot'), 3)


def test_errors():
    def refused(options, want, backend='memory-backend-ram,id=m,size=8M', machine='virt,nvdimm=on'):
        text = qtest.start_error('-machine', machine, '-m', '64,slots=4,maxmem=2G', '-nodefaults', '-object', backend,
                                 '-device', 'nvdimm,memdev=m' + options)
        assert want in text, text
    refused('', "nvdimm is not enabled: missing 'nvdimm' in '-M'", machine='virt')
    refused(',label-size=4K', "Property 'nvdimm.label-size' (0x1000) is required at least 0x20000")
    refused(',label-size=8M', 'is too small to contain nvdimm label')
    refused(',uuid=x', "doesn't take value 'x'")
    refused('', 'unsupported option', machine='virt,nvdimm-persistence=foo')
    with tempfile.NamedTemporaryFile(prefix='nemu-nvdimm-') as f:
        f.truncate(8 * MIB)
        refused('', "'unarmed' property must be 'on' since memdev is readonly",
                backend='memory-backend-file,id=m,readonly=on,size=8M,mem-path=' + f.name)


def test_hostile():
    rng = random.Random(7)
    with one() as vm:
        lines = []
        for _ in range(4000):
            offset = rng.choice((0, 4, 8, 12, 16)) if rng.random() < 0.8 else rng.randrange(1020) * 4
            value = rng.choice((0, 1, 2, 4, 5, 6, TABLE, LABELS, TRANSFER, 0xffffffff, rng.getrandbits(32)))
            lines.append('writel 0x%x 0x%x' % (PAGE + offset, value))
            if rng.random() < 0.4:
                lines.append('out%s 0x%x 0x%x' % (rng.choice('bwl'), BELL + rng.choice((0, 0, 0, 1, 2)), value & 0xff))
        vm.batch(lines)
        runner.equal(words(call(vm, 1, QUERY)), (0x71,))


if __name__ == '__main__':
    runner.main(globals())
