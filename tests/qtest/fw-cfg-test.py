#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""fw_cfg: items, directory, DMA, the user's items, and a hostile guest."""
import os
import struct
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import acpi, fwcfg, images, qtest, runner

MIB = 1 << 20


def machine(*args):
    return ['-machine', 'virt', '-m', '64', '-nodefaults', *args]


def start(*args):
    return qtest.Emulator(*machine(*args))


def test_basics():
    with start('-smp', '3,maxcpus=5') as vm:
        f = fwcfg.FwCfg(vm)
        runner.equal(f.bytes(5), b'QEMU\0', 'selected at reset')
        runner.equal(f.key(fwcfg.SIGNATURE, 6), b'QEMU\0\0')
        runner.equal(f.key(fwcfg.ID, 4), b'\3\0\0\0')
        runner.equal(f.key(fwcfg.NB_CPUS, 2), b'\3\0')
        runner.equal(f.key(3, 8), struct.pack('<Q', 64 * MIB), 'RAM size')
        runner.equal(struct.pack('<II', vm.inl(fwcfg.DMA), vm.inl(fwcfg.DMA + 4)), b'QEMU CFG')
        f.select(fwcfg.NB_CPUS)
        vm.system_reset()
        runner.equal(f.bytes(4), b'QEMU', 'selected after a reset')


def test_directory():
    with start('-fw_cfg', 'name=opt/b,string=hello', '-fw_cfg', 'name=opt/a,string=') as vm:
        f = fwcfg.FwCfg(vm)
        d = f.directory()
        runner.equal(list(d), sorted(d), 'order')
        runner.equal([k for k, _ in d.values()], list(range(0x20, 0x20 + len(d))), 'keys')
        for name in ('etc/acpi/rsdp', 'etc/acpi/tables', 'etc/e820', 'etc/table-loader', 'opt/a', 'opt/b'):
            assert name in d, name
        runner.equal(d['opt/b'][1], 5)
        runner.equal(f.file('opt/b'), b'hello')
        runner.equal(f.key(d['opt/b'][0], 7), b'hello\0\0')
        e820 = [struct.unpack_from('<QQI', f.file('etc/e820'), i) for i in range(0, d['etc/e820'][1], 20)]
        assert (MIB, 63 * MIB, 1) in e820, e820


def test_acpi_files():
    """Do what firmware does."""
    with start() as vm:
        f = fwcfg.FwCfg(vm)
        place = {'etc/acpi/rsdp': 0xf0000, 'etc/acpi/tables': 2 * MIB}
        for name, at in place.items():
            vm.write(at, f.file(name))
        script = f.file('etc/table-loader')
        runner.equal(len(script) % 128, 0)
        for i in range(0, len(script), 128):
            e = script[i:i + 128]
            name = e[4:60].rstrip(b'\0').decode()
            command = struct.unpack_from('<I', e)[0]
            if command == 2:
                src = e[60:116].rstrip(b'\0').decode()
                at = place[name] + struct.unpack_from('<I', e, 116)[0]
                runner.equal(e[120], 8)
                vm.writeq(at, vm.readq(at) + place[src])
            elif command == 3:
                at, first, size = struct.unpack_from('<III', e, 60)
                data = vm.read(place[name] + first, size)
                vm.writeb(place[name] + at, -sum(data) & 0xff)
        found = acpi.tables(vm.read, acpi.find_rsdp(vm.read))
        runner.equal(sorted(found), ['APIC', 'DSDT', 'FACP', 'MCFG'])


def test_kernel_items():
    with tempfile.NamedTemporaryFile() as kernel, tempfile.NamedTemporaryFile() as initrd:
        image = images.bzimage(b'\x66' * 4096)
        kernel.write(image)
        kernel.flush()
        initrd.write(b'initrd')
        initrd.flush()
        with start('-kernel', kernel.name, '-initrd', initrd.name, '-append', 'a b') as vm:
            f = fwcfg.FwCfg(vm)
            setup, body = (struct.unpack('<I', f.key(k, 4))[0] for k in (0x17, 0x08))
            runner.equal((setup, body), (1536, 4096))
            runner.equal(f.dma_key(0x18, setup) + f.dma_key(0x11, body), image)
            runner.equal(f.key(0x12, 8), b'initrd\0\0')
            runner.equal(f.dma_key(0x15, 4), b'a b\0')


def test_dma():
    with start('-fw_cfg', 'name=opt/x,string=0123456789') as vm:
        f = fwcfg.FwCfg(vm)
        key = f.directory()['opt/x'][0]
        vm.memset(MIB, 32, 0xcc)
        runner.equal(f.dma_raw(key << 16 | fwcfg.DMA_SELECT | fwcfg.DMA_SKIP, 3, 0), 0)
        runner.equal(f.dma_raw(fwcfg.DMA_READ, 4, MIB), 0)
        runner.equal(vm.read(MIB, 6), b'3456\xcc\xcc')
        runner.equal(f.dma_raw(fwcfg.DMA_READ, 8, MIB), 0)
        runner.equal(vm.read(MIB, 10), b'789\0\0\0\0\0\xcc\xcc', 'zeros behind the end')
        runner.equal(f.dma_raw(fwcfg.DMA_READ, 4, MIB), 0)
        runner.equal(vm.read(MIB, 5), b'\0\0\0\0\0')
        runner.equal(f.dma_raw(key << 16 | fwcfg.DMA_SELECT, 5, 0), 0)
        runner.equal(f.bytes(3), b'012')
        runner.equal(f.dma_raw(fwcfg.DMA_WRITE, 4, MIB), fwcfg.DMA_ERROR)
        runner.equal(f.dma_raw(fwcfg.DMA_SKIP, 0xffffffff, 0), 0)
        runner.equal(f.bytes(2), b'\0\0')


def test_hostile():
    with start('-fw_cfg', 'name=opt/x,string=0123456789') as vm:
        f = fwcfg.FwCfg(vm)
        key = f.directory()['opt/x'][0]
        read = key << 16 | fwcfg.DMA_SELECT | fwcfg.DMA_READ
        for addr in (64 * MIB, 64 * MIB - 4, 0xfee00000, 0x80000000, 0xffffffff, 1 << 40,
                     0xffffffffffffffff, 0xfffffffffffffff8):
            runner.equal(f.dma_raw(read, 10, addr), fwcfg.DMA_ERROR, 'target 0x%x' % addr)
        for length in (0xffffffff, 0x80000000, 17 * MIB):
            runner.equal(f.dma_raw(read, length, MIB), fwcfg.DMA_ERROR, 'length 0x%x' % length)
        # Onto itself.
        f.dma_raw(read, 10, f.scratch)
        # Commands that are not in RAM, or only partly.
        for at in (64 * MIB, 64 * MIB - 8, 0x80000000, 1 << 50, 0xfffffffffffffff0):
            vm.outl(fwcfg.DMA, struct.unpack('<I', struct.pack('>I', at >> 32))[0])
            vm.outl(fwcfg.DMA + 4, struct.unpack('<I', struct.pack('>I', at & 0xffffffff))[0])
        for key in (0x1f, 0x20 + 100, 0x3fff, 0x4000, 0x7fff, 0x8003, 0x8007, 0x8008, 0xbfff, 0xffff):
            f.select(key)
            f.bytes(2)
            f.dma_raw(key << 16 | fwcfg.DMA_SELECT | fwcfg.DMA_READ, 100, MIB)
        for port in range(0x50e, 0x520):
            for read_, write in ((vm.inb, vm.outb), (vm.inw, vm.outw), (vm.inl, vm.outl)):
                write(port, 0xffffffff)
                read_(port)
        runner.equal(f.key(fwcfg.SIGNATURE, 4), b'QEMU')


def test_options():
    with tempfile.NamedTemporaryFile() as file:
        file.write(b'\0\1\2')
        file.flush()
        with start('-fw_cfg', 'name=opt/f,file=' + file.name) as vm:
            runner.equal(fwcfg.FwCfg(vm).file('opt/f'), b'\0\1\2')
    for text, message in (('name=opt/x', 'exactly one'), ('name=opt/x,string=a,file=b', 'exactly one'),
                          ('string=x', 'name'), ('name=%s,string=x' % ('n' * 56), 'too long'),
                          ('name=opt/x,file=/nonexistent', "can't load")):
        out = qtest.start_error(*machine('-fw_cfg', text))
        assert message in out, (text, out)
    out = qtest.start_error(*machine('-fw_cfg', 'name=opt/x,string=a', '-fw_cfg', 'name=opt/x,string=b'))
    assert 'duplicate' in out, out


if __name__ == '__main__':
    runner.main(globals())
