#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""dump-guest-memory: the ELF file, read by our own parser and by readelf; vmcoreinfo; errors."""
import os
import shutil
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import arm, fwcfg, qtest, runner

MIB, GIB = 1 << 20, 1 << 30
NOTE_AT = 0x200000
NOTE = struct.pack('<III12s', 11, 20, 0, b'VMCOREINFO\0') + b'OSRELEASE=nemu-test\n'


class Core:
    """An ELF core file of guest memory."""

    def __init__(self, path):
        with open(path, 'rb') as f:
            self.data = f.read()
        runner.equal(self.data[:7], b'\x7fELF\2\1\1')
        self.type, self.machine = struct.unpack_from('<HH', self.data, 16)
        phoff, = struct.unpack_from('<Q', self.data, 32)
        size, count = struct.unpack_from('<HH', self.data, 54)
        self.loads, self.notes = [], []
        for i in range(count):
            kind, _, offset, _, paddr, filesz, memsz, _ = struct.unpack_from('<IIQQQQQQ', self.data, phoff + i * size)
            assert offset + filesz <= len(self.data) and filesz == memsz, (offset, filesz)
            if kind == 1:
                self.loads.append((paddr, filesz, offset))
            else:
                self.parse_notes(self.data[offset:offset + filesz])

    def parse_notes(self, data):
        at = 0
        while at < len(data):
            namesz, descsz, kind = struct.unpack_from('<III', data, at)
            name = data[at + 12:at + 12 + namesz - 1].decode()
            at += 12 + (namesz + 3 & ~3)
            self.notes.append((name, kind, data[at:at + descsz]))
            at += descsz + 3 & ~3

    def ranges(self):
        return [(a, s) for a, s, _ in self.loads]

    def read(self, addr, size):
        for paddr, length, offset in self.loads:
            if paddr <= addr < paddr + length:
                return self.data[offset + addr - paddr:offset + addr - paddr + size]
        raise AssertionError('0x%x is not in the dump' % addr)


def start(*args, memory='32'):
    return qtest.Emulator('-machine', 'virt', '-m', memory, '-nodefaults', '-smp', '2', '-device', 'vmcoreinfo', *args)


def write_vmcoreinfo(vm, size=len(NOTE), at=NOTE_AT, fmt=1):
    """As the guest's kernel does it."""
    f = fwcfg.FwCfg(vm)
    key, length = f.directory()['etc/vmcoreinfo']
    runner.equal(length, 16)
    vm.write(0x20000, struct.pack('<HHIQ', 0, fmt, size, at))
    return f.dma_raw(key << 16 | fwcfg.DMA_SELECT | fwcfg.DMA_WRITE, 16, 0x20000)


def dump(vm, path, **more):
    vm.qmp.cmd('dump-guest-memory', dict(paging=False, protocol='file:' + path, **more))
    event = vm.qmp.wait_event('DUMP_COMPLETED')['data']
    runner.equal(event['result'], vm.qmp.cmd('query-dump'))
    runner.equal((event['result']['status'], event['result']['completed']), ('completed', event['result']['total']))
    return Core(path)


def test_elf():
    with tempfile.TemporaryDirectory() as d, start() as vm:
        path = os.path.join(d, 'core')
        runner.equal(vm.qmp.cmd('query-dump-guest-memory-capability'), {'formats': ['elf']})
        runner.equal(vm.qmp.cmd('query-dump'), {'status': 'none', 'completed': 0, 'total': 0})
        vm.write(0x300000, b'here' * 1024)
        vm.write(32 * MIB - 4, b'last')
        core = dump(vm, path)
        vm.qmp.wait_event('RESUME')
        runner.equal(vm.qmp.cmd('query-status')['status'], 'running')
        runner.equal((core.type, core.machine), (4, 62))
        runner.equal(core.ranges(), [(0, 32 * MIB)])
        runner.equal(core.read(0x300000, 4096), b'here' * 1024)
        runner.equal(core.read(32 * MIB - 4, 4), b'last')
        runner.equal([(n, k, len(v)) for n, k, v in core.notes], [('CORE', 1, 336), ('QEMU', 0, 440)] * 2)
        runner.equal([struct.unpack_from('<I', v, 32)[0] for n, _, v in core.notes if n == 'CORE'], [1, 2])
        # The boot CPU as it is after a reset.
        regs = struct.unpack_from('<27Q', core.notes[0][2], 112)
        runner.equal((regs[16], regs[17], regs[18]), (0xfff0, 0xf000, 2), 'RIP, CS, RFLAGS')
        state = core.notes[1][2]
        runner.equal(struct.unpack_from('<II', state), (1, 440))
        runner.equal(struct.unpack_from('<QQ', state, 136), (0xfff0, 2), 'RIP, RFLAGS')
        runner.equal(struct.unpack_from('<IIIIQ', state, 152), (0xf000, 0xffff, 0x9b00, 0, 0xffff0000), 'CS')
        runner.equal(struct.unpack_from('<Q', state, 392)[0], 0x60000010, 'CR0')
        runner.require(shutil.which('readelf') and shutil.which('gdb'), 'no readelf, no gdb (Debian packages binutils, gdb)')
        out = subprocess.run(['readelf', '-hln', path], check=True, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT).stdout.decode()
        assert 'arning' not in out and 'NT_PRSTATUS' in out and 'CORE (Core file)' in out, out
        out = subprocess.run(['gdb', '-nx', '-batch', '-ex', 'target core ' + path, '-ex', 'info threads', '-ex', 'p $rip'],
                             check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout.decode()
        assert 'LWP 2' in out and '0xfff0' in out, out
        runner.equal(os.stat(path).st_mode & 0o777, 0o400)


def test_vmcoreinfo():
    with tempfile.TemporaryDirectory() as d, start() as vm:
        path = os.path.join(d, 'core')
        vm.write(NOTE_AT, NOTE)
        runner.equal(fwcfg.FwCfg(vm).file('etc/vmcoreinfo'), b'\1' + bytes(15))
        runner.equal(write_vmcoreinfo(vm), 0)
        runner.equal(dump(vm, path).notes[-1], ('VMCOREINFO', 0, b'OSRELEASE=nemu-test\n'))
        # What no guest should write.
        for size, at, fmt, head in ((0, NOTE_AT, 1, None), (11, NOTE_AT, 1, None), (1 << 20, NOTE_AT, 1, None),
                                    (len(NOTE), 0xb0000000, 1, None), (len(NOTE), NOTE_AT, 2, None),
                                    (len(NOTE), (1 << 64) - 4, 1, None), (len(NOTE), NOTE_AT, 1, (11, 0xffffffff)),
                                    (len(NOTE), NOTE_AT, 1, (0xfffffff0, 20)), (len(NOTE) - 4, NOTE_AT, 1, None)):
            vm.write(NOTE_AT, NOTE)
            if head:
                vm.write(NOTE_AT, struct.pack('<II', *head))
            runner.equal(write_vmcoreinfo(vm, size, at, fmt), 0)
            os.unlink(path)
            runner.equal(dump(vm, path).notes[-1][0], 'QEMU', (size, at, fmt, head))
        vm.qmp.cmd('system_reset')
        runner.equal(fwcfg.FwCfg(vm).file('etc/vmcoreinfo'), b'\1' + bytes(15))


def test_range_and_holes():
    with tempfile.TemporaryDirectory() as d, start(memory='2304') as vm:
        path = os.path.join(d, 'core')
        core = dump(vm, path, begin=2 * GIB - MIB, length=3 * GIB)
        runner.equal(core.ranges(), [(2 * GIB - MIB, MIB), (4 * GIB, 256 * MIB)])
        error = vm.qmp.cmd_error('dump-guest-memory', {'paging': False, 'protocol': 'file:' + path + '2',
                                                        'begin': 3 * GIB, 'length': 4096})
        assert 'no guest memory to dump' in str(error), error


def test_detach_and_descriptor():
    with tempfile.TemporaryDirectory() as d, start() as vm:
        path = os.path.join(d, 'core')
        vm.qmp.cmd('stop')
        with open(path, 'wb') as f:
            vm.qmp.send_fd(f.fileno(), 'out')
        vm.qmp.cmd('dump-guest-memory', {'paging': False, 'protocol': 'fd:out', 'detach': True})
        vm.qmp.wait_event('DUMP_COMPLETED')
        runner.equal(Core(path).ranges(), [(0, 32 * MIB)])
        runner.equal(vm.qmp.cmd('query-status')['status'], 'paused')
        assert 'Status: completed' in vm.qmp.hmp('info dump')
        runner.equal(vm.qmp.hmp('dump-guest-memory %s2' % path), '')
        runner.equal(Core(path + '2').ranges(), [(0, 32 * MIB)])


def test_errors():
    with start() as vm:
        for more, text in ((dict(protocol='foo:/x'), "Invalid parameter 'protocol'"),
                           (dict(protocol='file:/nonexistent/x'), "Could not open '/nonexistent/x'"),
                           (dict(protocol='fd:zz'), "File descriptor named 'zz' has not been found"),
                           (dict(begin=0), "Parameter 'length' is missing"), (dict(length=1), "Parameter 'begin' is missing"),
                           (dict(begin=-1, length=1), "Parameter 'length' expects"),
                           (dict(begin=0, length=0), "Parameter 'length' expects"),
                           (dict(format='kdump-zlib'), 'is not supported'), (dict(paging=True), 'not supported')):
            error = vm.qmp.cmd_error('dump-guest-memory', dict(dict(paging=False, protocol='file:/nonexistent/y'), **more))
            assert text in str(error), (more, error)
        error = vm.qmp.cmd_error('dump-guest-memory', {'paging': False, 'protocol': 'file:/dev/full'})
        assert 'No space left' in str(error), error
        event = vm.qmp.wait_event('DUMP_COMPLETED')['data']
        runner.equal(event['result']['status'], 'failed')
        assert 'No space left' in event['error'], event
        vm.qmp.wait_event('RESUME')
        runner.equal(vm.qmp.cmd('query-status')['status'], 'running')
    out = qtest.start_error('-machine', 'virt', '-nodefaults', '-device', 'vmcoreinfo', '-device', 'vmcoreinfo')
    assert 'at most one vmcoreinfo device is permitted' in out, out


def test_arm():
    with tempfile.TemporaryDirectory() as d, arm.start() as vm:
        vm.write(arm.RAM + 0x100000, b'here')
        core = dump(vm, os.path.join(d, 'core'))
        runner.equal((core.type, core.machine), (4, 183))
        assert (arm.RAM, 64 * MIB) in core.ranges(), core.ranges()
        runner.equal(core.read(arm.RAM + 0x100000, 4), b'here')
        runner.equal([(n, k, len(v)) for n, k, v in core.notes], [('CORE', 1, 392)])


if __name__ == '__main__':
    runner.main(globals())
