#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""SMBIOS tables as a guest finds them in memory and firmware in fw_cfg; -smbios and -uuid."""
import os
import struct
import sys
import tempfile
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import fwcfg, images, qtest, runner      # noqa: E402

UUID = '6ba7b810-9dad-11d1-80b4-00c04fd430c8'


class Structure:
    def __init__(self, data, strings):
        self.type, self.handle = data[0], struct.unpack_from('<H', data, 2)[0]
        self.data, self.strings = data, strings

    def text(self, at):
        n = self.data[at]
        return self.strings[n - 1] if n else None


def parse(data):
    found, at = [], 0
    while at < len(data):
        size = data[at + 1]
        assert size >= 4, (at, size)
        end = at + size
        strings = []
        while data[end]:
            stop = data.index(0, end)
            strings.append(data[end:stop].decode())
            end = stop + 1
        end += 1 if strings else 2
        found.append(Structure(data[at:at + size], strings))
        at = end
    runner.equal(found[-1].type, 127, 'the last one')
    handles = [s.handle for s in found]
    runner.equal(len(set(handles)), len(handles), 'handles')
    return found


def entry(data):
    runner.equal((data[:5], data[6], data[7], sum(data) & 0xff), (b'_SM3_', 24, 3, 0), 'entry point')
    return struct.unpack_from('<IQ', data, 12)


def in_memory(vm):
    area = vm.read(0xf0000, 0x10000)
    at = next(i for i in range(0, len(area), 16) if area[i:i + 5] == b'_SM3_')
    size, addr = entry(area[at:at + 24])
    return parse(vm.read(addr, size))


def start(*args):
    return qtest.Emulator('-machine', 'virt', '-m', '64', '-nodefaults', *args)


def by_type(structures, number):
    return [s for s in structures if s.type == number]


def with_kernel(*args):
    f = tempfile.NamedTemporaryFile()
    f.write(images.pvh_elf(payload=b'\xf4' * 64))
    f.flush()
    vm = start('-kernel', f.name, *args)
    vm.kernel_file = f
    return vm


def test_defaults():
    with with_kernel('-uuid', UUID, '-smp', '4,sockets=2') as vm:
        found = in_memory(vm)
        system = by_type(found, 1)[0]
        runner.equal((system.text(4), system.text(6), system.text(7)), ('QEMU', 'virt-1.0', None), 'system')
        runner.equal(str(uuid.UUID(bytes_le=system.data[8:24])), UUID, 'UUID')
        runner.equal(len(by_type(found, 4)), 2, 'processors')
        runner.equal(by_type(found, 4)[1].text(4), 'CPU 1', 'socket')
        runner.equal([len(by_type(found, n)) for n in (0, 1, 2, 3, 11, 16, 17, 19, 32)], [0, 1, 0, 1, 0, 1, 1, 1, 1])
        runner.equal(struct.unpack_from('<H', by_type(found, 17)[0].data, 12)[0], 64, 'MiB')
        runner.equal(struct.unpack_from('<QQ', by_type(found, 19)[0].data, 15), (0, (64 << 20) - 1), 'range')
        vm.write(0xf0000, bytes(4096))
        vm.system_reset()
        runner.equal(len(in_memory(vm)), len(found), 'after a reset')


def test_options():
    with tempfile.NamedTemporaryFile() as f:
        f.write(b'from a file')
        f.flush()
        with with_kernel('-smbios', 'type=0,vendor=ACME,version=1.2,date=01/02/2003,release=4.5,uefi=on',
                         '-smbios', 'type=1,manufacturer=Us,,Inc,product=Box,serial=ds=nocloud,uuid=' + UUID,
                         '-smbios', 'type=2,asset=tag', '-smbios', 'type=3,serial=abc', '-smbios', 'type=4,sock_pfx=S',
                         '-smbios', 'type=11,value=one', '-smbios', 'type=11,path=' + f.name,
                         '-smbios', 'type=17,loc_pfx=L,speed=3200', '-uuid', '00000000-0000-0000-0000-000000000001') as vm:
            found = in_memory(vm)
            bios, system, board, chassis = (by_type(found, n)[0] for n in range(4))
            runner.equal((bios.text(4), bios.text(5), bios.text(8), bios.data[20:22]),
                         ('ACME', '1.2', '01/02/2003', bytes([4, 5])), 'BIOS')
            runner.equal((system.text(4), system.text(5), system.text(7)), ('Us,Inc', 'Box', 'ds=nocloud'), 'system')
            runner.equal(str(uuid.UUID(bytes_le=system.data[8:24])), UUID, 'UUID')
            runner.equal((board.text(8), chassis.text(7)), ('tag', 'abc'), 'board and chassis')
            runner.equal(by_type(found, 4)[0].text(4), 'S 0', 'processor')
            runner.equal(by_type(found, 11)[0].strings, ['one', 'from a file'], 'OEM strings')
            runner.equal((by_type(found, 17)[0].text(16), struct.unpack_from('<H', by_type(found, 17)[0].data, 21)[0]),
                         ('L 0', 3200), 'memory')


def test_file():
    structure = bytes([1, 27, 0, 1]) + bytes(range(4, 27)) + b'text\0\0'
    with tempfile.NamedTemporaryFile() as f:
        f.write(structure)
        f.flush()
        with with_kernel('-smbios', 'file=' + f.name) as vm:
            systems = by_type(in_memory(vm), 1)
            runner.equal([(s.data, s.strings) for s in systems], [(structure[:27], ['text'])], 'the file only')
        f.truncate(20)
        assert 'is no structure' in qtest.start_error('-machine', 'none', '-smbios', 'file=' + f.name)


def test_fw_cfg():
    with start('-uuid', UUID) as vm:
        cfg = fwcfg.FwCfg(vm)
        size, _ = entry(cfg.file('etc/smbios/smbios-anchor'))
        tables = cfg.file('etc/smbios/smbios-tables')
        runner.equal(len(tables), size, 'size')
        system = by_type(parse(tables), 1)[0]
        runner.equal(str(uuid.UUID(bytes_le=system.data[8:24])), UUID, 'UUID')


def test_refused():
    for text, option in (('Must specify type= or file=', 'serial=x'), ("Don't know how to build fields", 'type=99'),
                         ('out of range', 'type=300'), ("Invalid parameter 'foo'", 'type=1,foo=x'),
                         ('Invalid UUID', 'type=1,uuid=x'), ('expects a number', 'type=4,max-speed=x'),
                         ('Invalid release', 'type=0,release=x'), ('Unable to read', 'type=11,path=/nonexistent'),
                         ('file= takes no further', 'file=/dev/null,type=1')):
        assert text in qtest.start_error('-machine', 'none', '-smbios', option), option


if __name__ == '__main__':
    runner.main(globals())
