#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The x86 `virt` machine: direct boot information, ACPI, power management, GED, fixed ports, reset."""
import os
import struct
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import acpi, images, pci, qtest, runner

MIB = 1 << 20
SLEEP_CONTROL, RESET, SLEEP_STATUS, PM_TIMER, GED = 0x3b0, 0x3c0, 0x3d0, 0x3e0, 0xb000
GSI_GED = 16


def machine(*args, memory='64'):
    return ['-machine', 'virt', '-m', memory, '-nodefaults', *args]


def start(*args, **kwargs):
    return qtest.Emulator(*machine(*args, **kwargs))


class Files:
    """Files with the given content."""

    def __init__(self, **content):
        self.dir = tempfile.TemporaryDirectory(prefix='nemu-images-')
        for name, data in content.items():
            path = os.path.join(self.dir.name, name)
            with open(path, 'wb') as f:
                f.write(data)
            setattr(self, name, path)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.dir.cleanup()


def memmap(vm, start_info):
    at, count = struct.unpack_from('<QI', start_info, 40)
    return [struct.unpack_from('<QQI', vm.read(at + i * 24, 24)) for i in range(count)]


def find_start_info(vm):
    """Low memory is ours to lay out: look for the magic number."""
    low = vm.read(0, 0xa0000)
    at = low.find(struct.pack('<II', 0x336ec578, 1))
    assert at > 0, 'no start_info'
    return low[at:at + 56]


def string(vm, at):
    return vm.read(at, 4096).split(b'\0')[0].decode()


# ---- direct boot ----

def test_pvh():
    payload = bytes(range(256)) * 20
    with Files(kernel=images.pvh_elf(payload=payload), initrd=b'initrd' * 1000) as f, \
            start('-kernel', f.kernel, '-initrd', f.initrd, '-append', 'console=ttyS0 x=1') as vm:
        def check():
            info = find_start_info(vm)
            runner.equal(vm.read(2 * MIB, len(payload)), payload, 'segment')
            runner.equal(vm.read(2 * MIB + len(payload), 4096), bytes(4096), 'bss')
            modules, modlist, cmdline, rsdp = struct.unpack_from('<IQQQ', info, 12)
            runner.equal(modules, 1, 'modules')
            addr, size = struct.unpack('<QQ', vm.read(modlist, 16))
            runner.equal(addr % 4096, 0, 'alignment')
            runner.equal(vm.read(addr, size), b'initrd' * 1000, 'initrd')
            runner.equal(string(vm, cmdline), 'console=ttyS0 x=1', 'command line')
            runner.equal(rsdp, acpi.find_rsdp(vm.read), 'RSDP')
            runner.equal(sorted(acpi.tables(vm.read, rsdp)), ['APIC', 'DSDT', 'FACP', 'MCFG'])
            ranges = memmap(vm, info)
            assert (0, 0x9fc00, 1) in ranges and (MIB, 63 * MIB, 1) in ranges, ranges
            assert (0x80000000, 256 * MIB, 2) in ranges, ranges
        check()
        # The guest ruins everything; a reset brings it back.
        for at, size in ((2 * MIB, 65536), (0xe0000, 0x20000), (0x1000, 0x9e000), (60 * MIB, 4 * MIB)):
            vm.memset(at, size, 0xaa)
        vm.system_reset()
        check()
        runner.equal(vm.readb(0x9fc00), 0, 'memory that nobody wrote')


def test_memory_above_2g():
    with Files(kernel=images.pvh_elf()) as f, start('-kernel', f.kernel, memory='3G') as vm:
        ranges = memmap(vm, find_start_info(vm))
        assert (MIB, 2047 * MIB, 1) in ranges and (4 << 30, 1 << 30, 1) in ranges, ranges
        vm.writel(0x7ffffffc, 0x12345678)
        vm.writel(5 * (1 << 30) - 4, 0x9abcdef0)
        runner.equal(vm.readl(0x7ffffffc), 0x12345678)
        runner.equal(vm.readl(5 * (1 << 30) - 4), 0x9abcdef0)
        runner.equal(vm.readl(5 * (1 << 30)), 0, 'beyond RAM')


def test_bzimage():
    with Files(kernel=images.bzimage(b'\x77' * 8192)) as f, start('-kernel', f.kernel, '-append', 'quiet') as vm:
        runner.equal(vm.read(16 * MIB, 8192), b'\x77' * 8192, 'kernel')
        low = vm.read(0, 0xa0000)
        at = low.find(b'HdrS')
        params = low[at - 0x202:at - 0x202 + 4096]
        runner.equal((at - 0x202) % 4096, 0)
        runner.equal(struct.unpack_from('<Q', params, 0x70)[0], acpi.find_rsdp(vm.read))
        runner.equal(string(vm, struct.unpack_from('<I', params, 0x228)[0]), 'quiet')


def test_multiboot():
    with Files(kernel=images.multiboot(payload=b'M' * 64), mod=b'module') as f, \
            start('-kernel', f.kernel, '-initrd', f.mod + ' arg', '-append', '-v') as vm:
        runner.equal(vm.read(MIB + 32, 64), b'M' * 64)
        low = vm.read(0, 0xa0000)
        line = ('%s -v' % f.kernel).encode() + b'\0'
        want = struct.pack('<I', low.find(line))
        at = [i for i in range(0x1000, len(low), 4) if low[i:i + 4] == b'\x4d\x02\0\0' and low[i + 16:i + 20] == want]
        runner.equal(len(at), 1, 'information structures')
        info = low[at[0]:at[0] + 120]
        lower, upper = struct.unpack_from('<II', info, 4)
        runner.equal((lower, upper), (639, 63 * 1024))
        count, mods = struct.unpack_from('<II', info, 20)
        start_, end, text = struct.unpack('<III', vm.read(mods, 12))
        runner.equal(count, 1)
        runner.equal(vm.read(start_, end - start_), b'module')
        runner.equal(string(vm, text), f.mod + ' arg')


def test_bad_images():
    good = images.pvh_elf()
    with Files(text=b'hello', short=good[:0x1010], big=images.pvh_elf(bss=1 << 30), good=good) as f:
        for args, text in (
                (['-kernel', f.text], 'no known format'),
                (['-kernel', f.short], 'truncated'),
                (['-kernel', f.big], 'not all RAM'),
                (['-kernel', '/nonexistent'], 'could not open kernel image'),
                (['-kernel', f.good, '-initrd', '/nonexistent'], 'could not open initrd'),
                (['-initrd', f.text], '-initrd only allowed with -kernel option'),
                (['-append', 'x'], '-append only allowed with -kernel option'),
                (['-bios', f.text], 'could not load PC BIOS')):
            out = qtest.start_error(*machine(*args))
            assert text in out, (args, out)


# ---- ACPI ----

def test_tables():
    with Files(kernel=images.pvh_elf()) as f, \
            start('-kernel', f.kernel, '-smp', '2,maxcpus=4', '-serial', 'null', '-device', 'pvpanic') as vm:
        t = acpi.tables(vm.read, acpi.find_rsdp(vm.read))
        facp = t['FACP']
        runner.equal((len(facp), facp[8]), (276, 6))
        flags = struct.unpack_from('<I', facp, 112)[0]
        assert flags & 1 << 20 and flags & 1 << 10, hex(flags)
        cpus = []
        madt = t['APIC']
        at = 44
        while at < len(madt):
            kind, size = madt[at], madt[at + 1]
            assert size >= 2
            if kind == 0:
                cpus.append((madt[at + 3], struct.unpack_from('<I', madt, at + 4)[0]))
            at += size
        runner.equal(cpus, [(0, 1), (1, 1), (2, 2), (3, 2)], 'local APICs')
        runner.equal(struct.unpack_from('<I', madt, 40)[0], 0, 'no 8259')
        for name in (b'PCI0', b'COM1', b'PEVT', b'FWCF', b'GED_', b'PWRB', b'_S5_'):
            assert name in t['DSDT'], name
        assert b'COM2' not in t['DSDT']


def test_no_acpi():
    with Files(kernel=images.pvh_elf()) as f, start('-kernel', f.kernel, '-no-acpi') as vm:
        runner.equal(acpi.find_rsdp(vm.read), None)
        runner.equal(struct.unpack_from('<Q', find_start_info(vm), 32)[0], 0)


# ---- power ----

def test_widths():
    """Every width at every offset around the registers: nothing unexpected happens."""
    with start() as vm:
        reads, writes = (vm.inb, vm.inw, vm.inl), (vm.outb, vm.outw, vm.outl)
        for base in (SLEEP_CONTROL, RESET, SLEEP_STATUS, PM_TIMER, GED):
            for port in range(base - 4, base + 8):
                for read, write in zip(reads, writes):
                    read(port)
                    write(port, 0)
                    # Neither S5 nor a reset in any byte.
                    write(port, 0xdbdbdbdb if base != GED else 0xffffffff)
        runner.equal(vm.inb(SLEEP_CONTROL), 0)
        runner.equal(vm.inb(SLEEP_STATUS), 0)
        runner.equal([e['event'] for e in vm.qmp.poll_events()], [])
        runner.equal(vm.inl(0x4000), 0xffffffff, 'nothing there')


def test_sleep():
    with start('-no-shutdown') as vm:
        for value in (5 << 2, 1 << 5, 1 << 5 | 3 << 2, 1 << 5 | 4 << 2):
            vm.outb(SLEEP_CONTROL, value)
        runner.equal(vm.qmp.cmd('query-status')['status'], 'running')
        vm.outb(SLEEP_CONTROL, 1 << 5 | 5 << 2)
        vm.qmp.wait_event('SHUTDOWN', guest=True, reason='guest-shutdown')
        vm.qmp.wait_event('STOP')
        runner.equal(vm.qmp.cmd('query-status')['status'], 'shutdown')


def test_reset_register():
    with start() as vm:
        for value in (0, 1, 2, 8, 0xf3):
            vm.outb(RESET, value)
        runner.equal([e['event'] for e in vm.qmp.poll_events()], [])
        vm.outb(RESET, 4)
        vm.qmp.wait_event('RESET', guest=True, reason='guest-reset')


def test_pm_timer():
    with start() as vm:
        first = vm.inl(PM_TIMER)
        runner.equal(vm.inl(PM_TIMER), first, 'virtual time stands still')
        vm.clock_step(1000000000)
        runner.equal((vm.inl(PM_TIMER) - first) & 0xffffff, 3579545)
        vm.clock_step(10 * 1000000000)
        value = vm.inl(PM_TIMER)
        runner.equal((value - first) & 0xffffff, 11 * 3579545 & 0xffffff)
        runner.equal(value >> 24, 0)
        runner.equal([vm.inb(PM_TIMER + i) for i in range(4)], list(struct.pack('<I', value)))
        runner.equal(vm.inw(PM_TIMER + 2), value >> 16)
        vm.outl(PM_TIMER, 0x1234)
        runner.equal(vm.inl(PM_TIMER), value)


def test_power_button():
    with start() as vm:
        vm.irq_intercept_in('/machine/gsi')
        runner.equal(vm.inl(GED), 0)
        vm.qmp.cmd('system_powerdown')
        vm.qmp.wait_event('POWERDOWN')
        runner.equal(vm.irq_level(GSI_GED), True, 'line')
        # A part of the register does not clear it.
        vm.inb(GED)
        vm.inw(GED)
        runner.equal(vm.irq_level(GSI_GED), True, 'line after narrow reads')
        runner.equal(vm.inl(GED), 0x10)
        runner.equal(vm.irq_level(GSI_GED), False, 'line after the read')
        runner.equal(vm.inl(GED), 0)
        vm.qmp.cmd('system_powerdown')
        runner.equal(vm.irq_level(GSI_GED), True)
        vm.system_reset()
        runner.equal(vm.irq_level(GSI_GED), False, 'line after a reset')
        runner.equal(vm.inl(GED), 0)


# ---- test and panic devices ----

def test_pvpanic():
    with start('-device', 'pvpanic', '-action', 'panic=pause') as vm:
        runner.equal(vm.inb(0x505), 3)
        vm.outb(0x505, 0xfc)
        runner.equal([e['event'] for e in vm.qmp.poll_events()], [])
        vm.outb(0x505, 2)
        vm.qmp.wait_event('GUEST_CRASHLOADED')
        vm.outb(0x505, 1)
        vm.qmp.wait_event('GUEST_PANICKED', action='pause')
        runner.equal(vm.qmp.cmd('query-status')['status'], 'guest-panicked')
    with start('-device', 'pvpanic,ioport=0x606,events=1') as vm:
        runner.equal(vm.inb(0x606), 1)
        runner.equal(vm.inb(0x505), 0xff)


def test_pvpanic_pci():
    with start('-device', 'pvpanic-pci', '-action', 'panic=none') as vm:
        f, _ = pci.ready_device(vm, 0x1b36, 0x0011)
        bar = f.bar(0)
        runner.equal(bar.readb(0), 3)
        for offset in range(16):
            for width in (1, 2, 4):
                bar.write(offset, 0, width)
                bar.read(offset, width)
        runner.equal([e['event'] for e in vm.qmp.poll_events()], [])
        bar.writeb(0, 1)
        vm.qmp.wait_event('GUEST_PANICKED', action='run')


def test_debug_exit():
    for args, port, value, status in (([], 0x501, 0, 1), ([], 0x501, 0x10, 0x21),
                                      (['iobase=0xf4', 'iosize=4'], 0xf4, 3, 7)):
        with start('-device', ','.join(['isa-debug-exit', *args])) as vm:
            vm.sock.sendall(b'outb 0x%x 0x%x\n' % (port, value))
            vm.wait()
            vm.stop(status)
            vm.stop = lambda: None


def test_boot_timer():
    with start('-device', 'boot-timer,id=t') as vm:
        for value in (1, 2, 0xff):
            vm.outb(0x508, value)
        runner.equal(vm.inb(0x508), 3)
        stamps = vm.qmp.cmd('qom-get', path='/machine/peripheral/t', property='stamps')
        runner.equal([s['value'] for s in stamps], [1, 2, 0xff])
        times = [s['monotonic-ns'] for s in stamps]
        assert times == sorted(times) and times[0] > 0, times
        for _ in range(300):
            vm.outb(0x508, 7)
        runner.equal(len(vm.qmp.cmd('qom-get', path='t', property='stamps')), 256)


def test_port_conflict():
    out = qtest.start_error(*machine('-device', 'pvpanic,ioport=0x501', '-device', 'isa-debug-exit'))
    assert 'are taken by pvpanic' in out, out
    out = qtest.start_error(*machine('-device', 'isa-debug-exit,iobase=0xffff'))
    assert 'out of range' in out, out


if __name__ == '__main__':
    runner.main(globals())
