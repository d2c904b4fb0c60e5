#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""NOR flash of the AArch64 machine: query, program, erase, lock, persistence; two 16-bit chips side by side."""
import contextlib
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import arm, qtest, runner

MIB, SECTOR, BANK = 1 << 20, 256 * 1024, 64 << 20
VARS = BANK                     # the second bank
ARRAY, STATUS, CLEAR, ID, QUERY, ERASE, CONFIRM, PROGRAM, BUFFER, LOCKING = \
    0xff, 0x70, 0x50, 0x90, 0x98, 0x20, 0xd0, 0x40, 0xe8, 0x60
READY, ERASE_ERROR, PROGRAM_ERROR, PROTECTED = 0x80, 0x20, 0x10, 2


def both(value):
    return value << 16 | value


class Flash:
    def __init__(self, vm, base=VARS):
        self.vm, self.base = vm, base

    def command(self, value, at=0):
        self.vm.writel(self.base + at, both(value))

    def read(self, at=0):
        return self.vm.readl(self.base + at)

    def array(self):
        self.command(ARRAY)

    def status(self):
        self.command(STATUS)
        value = self.read()
        runner.equal(value & 0xffff, value >> 16, 'both chips')
        return value & 0xffff

    def clear(self):
        self.command(CLEAR)

    def program(self, at, value):
        self.command(PROGRAM, at)
        self.vm.writel(self.base + at, value)
        return self.status()

    def erase(self, at):
        self.command(ERASE, at)
        self.command(CONFIRM, at)
        return self.status()

    def buffer(self, at, words):
        self.command(BUFFER, at)
        self.command(len(words) - 1, at)
        for i, word in enumerate(words):
            self.vm.writel(self.base + at + 4 * i, word)
        self.command(CONFIRM, at)
        return self.status()


@contextlib.contextmanager
def images():
    with tempfile.TemporaryDirectory(prefix='nemu-flash-') as d:
        code, variables = os.path.join(d, 'code'), os.path.join(d, 'vars')
        with open(code, 'wb') as f:
            f.write(b'firmware' * 16)
            f.truncate(BANK)
        with open(variables, 'wb') as f:
            f.write(b'\xff' * MIB)
            f.truncate(BANK)
        yield code, variables


def drives(code, variables):
    return ['-drive', 'if=pflash,format=raw,readonly=on,file=' + code,
            '-drive', 'if=pflash,format=raw,file=' + variables]


def test_query():
    with arm.start() as vm:
        f = Flash(vm)
        for base in (0, VARS):
            f.base = base
            f.command(QUERY, 0x55 * 4)
            runner.equal([f.read(4 * (0x10 + i)) for i in range(3)], [both(ord(c)) for c in 'QRY'])
            one = [f.read(4 * i) & 0xffff for i in range(0x3f)]
            runner.equal(one[0x13:0x17], [1, 0, 0x31, 0], 'command set')
            runner.equal(one[0x27], 25, 'a chip has 32 MiB')
            runner.equal(one[0x2a], 11, 'buffer of 2 KiB')
            runner.equal(one[0x2c], 1, 'regions')
            runner.equal(one[0x2d] | one[0x2e] << 8, 255, 'sectors')
            runner.equal((one[0x2f] | one[0x30] << 8) * 256, SECTOR // 2)
            runner.equal(bytes(one[0x31:0x36]), b'PRI10')
            f.command(ID)
            runner.equal([f.read(4 * i) for i in range(3)], [both(0x89), both(0x18), 0])
            f.array()
            runner.equal(f.read(), 0)


def test_program_and_erase():
    with arm.start() as vm:
        f = Flash(vm)
        runner.equal(f.status(), READY)
        runner.equal(f.erase(SECTOR), READY)
        f.array()
        runner.equal((f.read(SECTOR - 4), f.read(SECTOR), f.read(2 * SECTOR - 4), f.read(2 * SECTOR)),
                     (0, 0xffffffff, 0xffffffff, 0))
        runner.equal(f.program(SECTOR + 8, 0x12345678), READY)
        f.array()
        runner.equal(f.read(SECTOR + 8), 0x12345678)
        runner.equal(f.program(SECTOR + 8, 0xff00ff0f), READY)
        f.array()
        runner.equal(f.read(SECTOR + 8), 0x12005608, 'bits only get cleared')
        words = [0x01010101 * i for i in range(128)]
        runner.equal(f.buffer(SECTOR + 0x1000, words), READY)
        f.array()
        runner.equal([f.read(SECTOR + 0x1000 + 4 * i) for i in range(128)], words)
        runner.equal(f.read(SECTOR + 0x1000 - 4), 0xffffffff)
        # Narrow accesses.
        for width, at in ((1, 0x2000), (2, 0x2002), (4, 0x2004)):
            f.command(PROGRAM)
            vm.mem_write(VARS + SECTOR + at, 0x5a5a5a5a, width)
        f.array()
        runner.equal(vm.readq(VARS + SECTOR + 0x2000), 0x5a5a5a5a5a5aff5a)


def test_sequence_errors():
    with arm.start() as vm:
        f = Flash(vm)
        f.erase(0)
        f.command(ERASE)
        f.command(0x33)
        runner.equal(f.status(), READY | ERASE_ERROR | PROGRAM_ERROR)
        f.clear()
        runner.equal(f.status(), 0)
        # A buffer that is too large, one that is left, one that is not confirmed.
        f.command(BUFFER)
        f.command(0xffff)
        assert f.status() & PROGRAM_ERROR
        f.clear()
        f.command(BUFFER, 0)
        f.command(1, 0)
        vm.writel(VARS, 1)
        vm.writel(VARS + SECTOR, 2)
        assert f.status() & PROGRAM_ERROR
        f.clear()
        f.command(BUFFER, 0)
        f.command(0, 0)
        vm.writel(VARS, 0)
        f.command(0x33)
        assert f.status() & PROGRAM_ERROR
        f.clear()
        f.array()
        runner.equal(f.read(), 0xffffffff, 'nothing was programmed')


def test_lock():
    with arm.start() as vm:
        f = Flash(vm)
        f.erase(SECTOR)
        f.command(LOCKING, SECTOR)
        f.command(1, SECTOR)
        f.command(ID)
        runner.equal((f.read(SECTOR + 8), f.read(8)), (both(1), 0))
        runner.equal(f.program(SECTOR, 0), READY | PROGRAM_ERROR | PROTECTED)
        f.clear()
        runner.equal(f.erase(SECTOR), READY | ERASE_ERROR | PROTECTED)
        f.clear()
        runner.equal(f.program(2 * SECTOR, 0), READY, 'another sector')
        f.command(LOCKING, SECTOR)
        f.command(CONFIRM, SECTOR)
        runner.equal(f.program(SECTOR, 0x55), READY)
        f.array()
        runner.equal(f.read(SECTOR), 0x55)
        f.command(LOCKING, SECTOR)
        f.command(1, SECTOR)
        vm.system_reset()
        runner.equal(f.read(SECTOR), 0x55, 'a reset leads back to the array')
        runner.equal(f.erase(SECTOR), READY, 'and unlocks')


def test_persistence():
    with images() as (code, variables):
        for how in ('drive', 'blockdev'):
            args = drives(code, variables)
            options = ''
            if how == 'blockdev':
                args = []
                for node, path, ro in (('c', code, 'on'), ('v', variables, 'off')):
                    args += ['-blockdev', 'driver=file,node-name=%s-f,filename=%s,read-only=%s' % (node, path, ro),
                             '-blockdev', 'driver=raw,node-name=%s,file=%s-f,read-only=%s' % (node, node, ro)]
                options = ',pflash0=c,pflash1=v'
            with arm.start(*args, options=options) as vm:
                runner.equal(vm.read(0, 16), b'firmware' * 2)
                f = Flash(vm)
                runner.equal(f.read(), 0xffffffff if how == 'drive' else 0x4d454e55, how)
                runner.equal(f.program(0, 0x4d454e55), READY)
                runner.equal(f.buffer(0x800, [0x11111111 if how == 'drive' else 0] * 4), READY)
                # Code is read-only.
                c = Flash(vm, 0)
                runner.equal(c.program(0, 0), READY | PROGRAM_ERROR)
                c.array()
                runner.equal(vm.read(0, 8), b'firmware')
            with open(variables, 'rb') as f:
                runner.equal(f.read(4), b'UNEM')
                f.seek(0x800)
                runner.equal(f.read(20), (b'\x11' if how == 'drive' else b'\0') * 16 + b'\xff' * 4)


def test_stop_writes():
    """A machine that was stopped has everything in its image."""
    with images() as (code, variables), arm.start(*drives(code, variables)) as vm:
        Flash(vm).program(0x100, 0x01020304)
        vm.qmp.cmd('stop')
        with open(variables, 'rb') as f:
            f.seek(0x100)
            runner.equal(f.read(4), b'\4\3\2\1')
        runner.equal([b['inserted']['node-name'] != '' for b in vm.qmp.cmd('query-block')], [True, True])


def test_firmware_file():
    with tempfile.NamedTemporaryFile() as f:
        f.write(b'code' * 1000)
        f.flush()
        with arm.start('-bios', f.name) as vm:
            runner.equal(vm.read(0, 4004), b'code' * 1000 + bytes(4))
            runner.equal(vm.readl(arm.RAM), 0xedfe0dd0, 'device tree at the start of RAM')
            assert 'gpio-keys' not in arm.read_tree(vm).children
        with images() as (code, variables):
            out = qtest.start_error(*arm.machine('-bios', f.name, *drives(code, variables)), arch='aarch64')
            assert 'cannot use both' in out, out
            out = qtest.start_error(*arm.machine('-pflash', f.name), arch='aarch64')
            assert 'device requires 67108864 bytes' in out, out
            out = qtest.start_error(*arm.machine(*drives(code, variables), '-pflash', code), arch='aarch64')
            assert 'does not support if=pflash,bus=0,unit=2' in out, out
    out = qtest.start_error(*arm.machine('-bios', '/nonexistent'), arch='aarch64')
    assert "Could not find ROM image '/nonexistent'" in out, out


def test_widths():
    with arm.start() as vm:
        for mode in (ARRAY, STATUS, ID, QUERY):
            f = Flash(vm)
            f.command(mode)
            for at in range(0, 0x150):
                for width in arm.WIDTHS:
                    vm.mem_read(VARS + at, width)
        arm.poke(vm, VARS, 0x100)
        arm.poke(vm, VARS + BANK - 16, 16)
        f.command(ARRAY)
        f.command(ARRAY)
        vm.system_reset()
        runner.equal(Flash(vm).status(), READY)


if __name__ == '__main__':
    runner.main(globals())
