#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""VM generation ID: where firmware and direct boot put it, what a guest can write, a new one on restore."""
import os
import re
import struct
import sys
import tempfile
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import acpi, fwcfg, images, qtest, runner

ID = '324e6eaf-d1d1-4bf6-bf41-b9bb6c91fb87'
OTHER = '11111111-2222-3333-4444-555555555555'
GUID, ADDRESS, GED, PAGE = 'etc/vmgenid_guid', 'etc/vmgenid_addr', 0xb000, 0x200000
EVENT = 1 << 5
DMA_SELECT, DMA_WRITE, DMA_SKIP = fwcfg.DMA_SELECT, fwcfg.DMA_WRITE, fwcfg.DMA_SKIP


class Firmware:
    """An image that is only there."""

    def __enter__(self):
        self.file = tempfile.NamedTemporaryFile()
        self.file.truncate(65536)
        return ['-bios', self.file.name]

    def __exit__(self, *exc):
        self.file.close()


def start(*args, guid=ID, more=()):
    return qtest.Emulator('-machine', 'virt', '-m', '64', '-nodefaults', '-device', 'vmgenid,id=gen,guid=' + guid, *args, *more)


def write_file(vm, name, data, offset=0):
    """By DMA, as firmware does; whether it was taken."""
    f = fwcfg.FwCfg(vm)
    key, _ = f.directory()[name]
    vm.write(0x20000, data)
    f.dma_raw(key << 16 | DMA_SELECT | DMA_SKIP, offset, 0)
    return f.dma_raw(DMA_WRITE, len(data), 0x20000) == 0


def place(vm, page=PAGE):
    """What the loader's script asks for."""
    f = fwcfg.FwCfg(vm)
    vm.write(page, f.file(GUID))
    assert write_file(vm, ADDRESS, struct.pack('<Q', page + 40))


def current(vm, page=PAGE):
    return str(uuid.UUID(bytes_le=bytes(vm.read(page + 40, 16))))


def test_query():
    with start() as vm:
        runner.equal(vm.qmp.cmd('query-vm-generation-id'), {'guid': ID})
        runner.equal(vm.qmp.hmp('info vm-generation-id').strip(), ID)
        runner.equal(vm.qmp.cmd('qom-get', path='gen', property='guid'), ID)
    ids = set()
    for _ in range(2):
        with start(guid='auto') as vm:
            ids.add(vm.qmp.cmd('query-vm-generation-id')['guid'])
    assert len(ids) == 2 and all(re.fullmatch('[0-9a-f-]{36}', i) for i in ids), ids
    with qtest.Emulator('-machine', 'virt', '-m', '64', '-nodefaults') as vm:
        assert 'VM Generation ID device not found' in str(vm.qmp.cmd_error('query-vm-generation-id'))
        assert GUID not in fwcfg.FwCfg(vm).directory()


def test_errors():
    for args, text in ((['-device', 'vmgenid', '-device', 'vmgenid'], 'at most one vmgenid device is permitted'),
                       (['-device', 'vmgenid,guid=x'], "doesn't take value 'x'")):
        out = qtest.start_error('-machine', 'virt', '-nodefaults', *args)
        assert text in out, (args, out)
    out = qtest.start_error('-machine', 'none', '-device', 'vmgenid')
    assert 'which this machine type does not provide' in out, out


def test_script():
    """The file is placed, its address goes into the tables and back to the device."""
    with Firmware() as fw, start(*fw) as vm:
        f = fwcfg.FwCfg(vm)
        script = f.file('etc/table-loader')
        entries = [script[i:i + 128] for i in range(0, len(script), 128)]

        def names(e):
            return [e[4 + 56 * i:60 + 56 * i].split(b'\0')[0].decode() for i in range(2)]
        allocate = [e for e in entries if e[0] == 1 and names(e)[0] == GUID]
        runner.equal([struct.unpack_from('<IB', e, 60) for e in allocate], [(4096, 1)])
        write = [e for e in entries if e[0] == 4]
        runner.equal([(names(e), struct.unpack_from('<IIB', e, 116)) for e in write], [([ADDRESS, GUID], (0, 40, 8))])
        loaded = acpi.Loaded(f)
        dsdt = loaded.tables()['DSDT']
        at = dsdt.index(b'VGIA') + 4
        runner.equal(struct.unpack_from('<BI', dsdt, at), (0x0c, loaded.base[GUID]))


def test_direct_boot():
    """The page is in the reserved memory below 1 MiB, after a reset too."""
    with tempfile.NamedTemporaryFile() as kernel:
        kernel.write(images.pvh_elf())
        kernel.flush()
        with start('-kernel', kernel.name) as vm:
            for _ in range(2):
                dsdt = acpi.tables(vm.read, acpi.find_rsdp(vm.read))['DSDT']
                prefix, page = struct.unpack_from('<BI', dsdt, dsdt.index(b'VGIA') + 4)
                runner.equal((prefix, page), (0x0c, 0xef000))
                runner.equal(current(vm, page), ID)
                vm.write(page, bytes(4096))
                vm.qmp.cmd('system_reset')


def test_writes():
    """Only whole bytes of the one file, from RAM, within its size."""
    with Firmware() as fw, start(*fw) as vm:
        place(vm)
        runner.equal(fwcfg.FwCfg(vm).file(ADDRESS), struct.pack('<Q', PAGE + 40))
        assert not write_file(vm, ADDRESS, bytes(9)), 'more than it has'
        assert not write_file(vm, ADDRESS, bytes(4), offset=5)
        assert not write_file(vm, GUID, b'x'), 'a file that is not writable'
        assert write_file(vm, ADDRESS, b'', offset=8)
        f = fwcfg.FwCfg(vm)
        key, _ = f.directory()[ADDRESS]
        for address in (0xb0000000, (1 << 64) - 4):
            runner.equal(f.dma_raw(key << 16 | DMA_SELECT | DMA_WRITE, 8, address), 1, 'from 0x%x' % address)
        runner.equal(f.file(ADDRESS), struct.pack('<Q', PAGE + 40))
        vm.qmp.cmd('system_reset')
        runner.equal(fwcfg.FwCfg(vm).file(ADDRESS), bytes(8))


def save(vm, path):
    vm.qmp.cmd('migrate', uri='file:' + path)
    runner.wait_for(lambda: vm.qmp.cmd('query-migrate')['status'] == 'completed', 30, 'the stream')


def restored(path, *args, guid):
    vm = start(*args, guid=guid, more=['-incoming', 'defer'])
    vm.irq_intercept_in('/machine/gsi')
    vm.qmp.cmd('migrate-incoming', uri='file:' + path)
    runner.wait_for(lambda: vm.qmp.cmd('query-migrate').get('status') == 'completed', 30, 'the stream')
    return vm


def test_restore():
    """The guest finds the new process's id where it was told to look, and the event."""
    with Firmware() as fw, tempfile.NamedTemporaryFile() as state:
        with start(*fw) as vm:
            place(vm)
            runner.equal(current(vm), ID)
            save(vm, state.name)
        for guid in (OTHER, 'auto'):
            with restored(state.name, *fw, guid=guid) as vm:
                now = vm.qmp.cmd('query-vm-generation-id')['guid']
                assert now == OTHER or guid == 'auto' and now != ID, now
                runner.equal(current(vm), now)
                runner.equal(vm.irq_level(16), True, 'the event device\'s line')
                runner.equal(vm.inl(GED), EVENT)


def test_wild_address():
    """An address that is no RAM: nothing happens."""
    with Firmware() as fw, tempfile.NamedTemporaryFile() as state:
        for address in (0x3fffff8, 0xfffffff8, (1 << 64) - 8, 0x80000000):
            with start(*fw) as vm:
                assert write_file(vm, ADDRESS, struct.pack('<Q', address))
                save(vm, state.name)
            with restored(state.name, *fw, guid=OTHER) as vm:
                runner.equal(vm.inl(GED), 0)


if __name__ == '__main__':
    runner.main(globals())
