#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The x86 `virt` with firmware: flash and ROM, the registers that UEFI firmware needs, the battery clock, fw_cfg."""
import calendar
import json
import os
import re
import struct
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import acpi, arm, fwcfg, images, qtest, runner

KIB, MIB, TOP = 1 << 10, 1 << 20, 1 << 32
PM1, TIMER, KEYBOARD, RTC, RESET_CONTROL = 0x604, 0x608, 0x64, 0x70, 0xcf9
ECAM, HOST_BRIDGE, PCIEXBAR = 0x80000000, 0x29c08086, 0x60


class Folder(tempfile.TemporaryDirectory):
    def __enter__(self):
        return self

    def file(self, name, data=None, size=None):
        path = os.path.join(self.name, name)
        if data is not None:
            with open(path, 'wb') as f:
                f.write(data)
                f.truncate(size if size is not None else len(data))
        return path

    def content(self, name):
        with open(self.file(name), 'rb') as f:
            return f.read()


def machine(*args, options='', name='virt'):
    return ['-machine', name + options, '-m', '64', '-nodefaults', '-cpu', 'qemu64', *args]


def start(*args, **kwargs):
    return qtest.Emulator(*machine(*args, **kwargs))


def drives(d, code=64 * KIB, variables=16 * KIB):
    """Two banks whose sizes are no powers of two, as stock images have them."""
    args = []
    for name, size, readonly in (('code', code, 'on'), ('vars', variables, 'off')):
        path = d.file(name, name.encode() * (size // 4), size)
        args += ['-drive', 'if=pflash,format=raw,readonly=%s,file=%s' % (readonly, path)]
    return args


def config(vm, address):
    vm.outl(0xcf8, 0x80000000 | address)
    return vm.inl(0xcfc)


def config_write(vm, address, value):
    vm.outl(0xcf8, 0x80000000 | address)
    vm.outl(0xcfc, value)


# ---- images ----

def test_flash():
    """Bank 0 ends at 4 GiB, bank 1 below it; what the guest writes is in the file afterwards."""
    with Folder() as d:
        args = drives(d, 3568 * KIB, 528 * KIB)
        with start(*args) as vm:
            variables = TOP - (3568 + 528) * KIB
            runner.equal(variables, 0xffc00000)
            runner.equal(vm.read(TOP - 8, 8), b'codecode')
            runner.equal(vm.read(MIB - 8, 8), b'codecode', 'below 1 MiB')
            runner.equal(vm.read(MIB - 128 * KIB, 4), b'code')
            runner.equal(vm.read(variables, 4), b'vars')
            runner.equal(vm.read(TOP - 3568 * KIB - 4, 8), b'varscode')
            # As firmware does it: is it flash at all, erase a sector, program bytes.
            vm.writeb(variables, 0x50)
            runner.equal(vm.readb(variables), 0, 'status')
            vm.writeb(variables, 0x70)
            runner.equal(vm.readb(variables), 0, 'status')
            vm.writeb(variables, 0xff)
            for command in (0x20, 0xd0):
                vm.writeb(variables + 0x1000, command)
            for i, byte in enumerate(b'kept'):
                vm.writeb(variables + 0x1000 + i, 0x10)
                vm.writeb(variables + 0x1000 + i, byte)
            vm.writeb(variables, 0xff)
            runner.equal(vm.read(variables + 0xffc, 12), b'varskept' + b'\xff' * 4)
            # The code bank is read-only.
            for command in (0x10, 0):
                vm.writeb(TOP - 8, command)
            vm.writeb(TOP - 8, 0xff)
            runner.equal(vm.read(TOP - 8, 8), b'codecode')
        runner.equal(d.content('vars')[0xffc:0x1008], b'varskept' + b'\xff' * 4)
        runner.equal(len(d.content('vars')), 528 * KIB)
        with start(*args) as vm:
            runner.equal(vm.read(variables + 0x1000, 4), b'kept')


def test_flash_by_node():
    with Folder() as d:
        d.file('code', b'code' * KIB)
        d.file('vars', b'vars' * KIB)
        nodes = ['-blockdev', 'driver=file,node-name=c,read-only=on,filename=' + d.file('code'),
                 '-blockdev', 'driver=file,node-name=v,filename=' + d.file('vars')]
        for name in ('virt', 'pc-q35-7.2'):
            with start(*nodes, options=',pflash0=c,pflash1=v', name=name) as vm:
                runner.equal(vm.read(TOP - 4100, 8), b'varscode')
                runner.equal(config(vm, 0), HOST_BRIDGE)


def test_rom():
    with Folder() as d:
        rom = d.file('rom', b'firmware' * (24 * KIB))
        with start('-bios', rom) as vm:
            runner.equal(vm.read(TOP - 192 * KIB, 8), b'firmware')
            runner.equal(vm.read(MIB - 128 * KIB, 8), b'firmware')
            vm.writel(TOP - 8, 0)
            runner.equal(vm.read(TOP - 8, 8), b'firmware')
            runner.equal(config(vm, 0), HOST_BRIDGE)
        with start('-L', d.name, '-bios', 'rom', name='pc-q35-7.2') as vm:
            runner.equal(vm.read(TOP - 8, 8), b'firmware')


def test_bad_images():
    with Folder() as d:
        small, odd = d.file('small', b'x' * 4096), d.file('odd', b'x' * 4608)
        large = d.file('large', b'', 8 * MIB)
        huge = d.file('huge', b'', 17 * MIB)

        def drive(path, more=''):
            return ['-drive', 'if=pflash,format=raw%s,file=%s' % (more, path)]
        for args, text in (
                (['-bios', '/nonexistent'], "could not load PC BIOS '/nonexistent'"),
                (['-bios', small], "could not load PC BIOS '%s'" % small),
                (['-bios', huge], 'could not load PC BIOS'),
                (drive(odd), 'has invalid size 4608\n'),
                (drive(huge), 'combined size of system firmware exceeds 8388608 bytes'),
                (drive(large) + drive(small), 'combined size of system firmware exceeds 8388608 bytes'),
                (drive(small, ',unit=1'), 'pflash1 requires pflash0'),
                (drive(small) + drive(small, ',unit=2'), 'machine type does not support if=pflash,bus=0,unit=2')):
            out = qtest.start_error(*machine(*args))
            assert text in out, (args, out)
        for options, text in ((',pflash0=x', "can't find value 'x'"), (',pflash1=x', 'pflash1 requires pflash0')):
            out = qtest.start_error(*machine(options=options))
            assert text in out, (options, out)


# ---- registers ----

def test_absent():
    """Direct boot has none of it."""
    with start() as vm:
        runner.equal(config(vm, 0), 0x00081b36)
        runner.equal(config(vm, 0xf800 + 0x40), 0xffffffff)
        config_write(vm, PCIEXBAR, 0xb0000001)
        runner.equal(config(vm, PCIEXBAR), 0)
        runner.equal(vm.readl(ECAM), 0x00081b36)
        for port in (PM1, KEYBOARD, RTC, RTC + 1):
            runner.equal(vm.inb(port), 0xff)
        vm.outw(PM1, 0x2000)
        vm.outb(KEYBOARD, 0xfe)
        vm.outb(RESET_CONTROL, 6)
        assert not vm.qmp.poll_events()


def test_configuration():
    """The host bridge of a Q35, whose PCIEXBAR moves the window; two registers of a function that is not there."""
    with Folder() as d, start(*drives(d)) as vm:
        runner.equal(vm.readl(ECAM), HOST_BRIDGE)
        runner.equal(config(vm, PCIEXBAR), ECAM | 1)
        # 00:1f.0: through the ports and the window, all widths.
        for offset, value in ((0x40, 0x601), (0x44, 0x80), (0, 0xffffffff), (0x3c, 0xffffffff), (0x48, 0xffffffff)):
            runner.equal(config(vm, 0xf800 + offset), value)
            runner.equal(vm.readl(ECAM + 0xf8000 + offset), value)
            config_write(vm, 0xf800 + offset, 0x12345678)
            runner.equal(config(vm, 0xf800 + offset), value)
        runner.equal([vm.readb(ECAM + 0xf8040 + i) for i in range(5)], [1, 6, 0, 0, 0x80])
        runner.equal((vm.readw(ECAM + 0xf8040), vm.readw(ECAM + 0xf8042)), (0x601, 0))
        runner.equal(vm.readq(ECAM + 0xf8040), 0x8000000601)
        # As firmware moves the window.
        for address, value in ((PCIEXBAR, 0), (PCIEXBAR + 4, 0), (PCIEXBAR, 0xb0000001)):
            config_write(vm, address, value)
        runner.equal((vm.readl(ECAM), vm.readl(0xb0000000)), (0, HOST_BRIDGE))
        tables = acpi.Loaded(fwcfg.FwCfg(vm)).tables()
        runner.equal(struct.unpack_from('<QHBB', tables['MCFG'], 44), (0xb0000000, 0, 0, 255))
        # 128 and 64 MiB, above 4 GiB, the size that is none, off.
        config_write(vm, PCIEXBAR, 0xe0000003)
        runner.equal((vm.readl(0xe0000000), vm.readl(0xe8000000)), (HOST_BRIDGE, 0))
        config_write(vm, PCIEXBAR + 4, 0x8)
        runner.equal((vm.readl(0xe0000000), vm.readl(0x8e0000000)), (0, HOST_BRIDGE))
        config_write(vm, PCIEXBAR + 4, 0xffffffff)
        runner.equal(config(vm, PCIEXBAR + 4), 0xf, 'bits above 64 GiB')
        config_write(vm, PCIEXBAR, 0xe0000007)
        config_write(vm, PCIEXBAR + 4, 0)
        runner.equal(vm.readl(0xe0000000), 0)
        config_write(vm, PCIEXBAR, 0)
        vm.qmp.cmd('system_reset')
        runner.equal(vm.readl(ECAM), HOST_BRIDGE, 'after a reset')


def test_no_window():
    """Tables do not tell of a window that is switched off."""
    with Folder() as d, start(*drives(d)) as vm:
        config_write(vm, PCIEXBAR, 0)
        assert 'MCFG' not in acpi.Loaded(fwcfg.FwCfg(vm)).tables()


def test_power_management():
    with Folder() as d, start(*drives(d), '-no-shutdown') as vm:
        vm.outw(PM1, 1)
        runner.equal(vm.inw(PM1), 1)
        vm.clock_step(1000000000)
        runner.equal(vm.inl(TIMER), 3579545)
        runner.equal([vm.inb(TIMER + i) for i in range(4)], list(struct.pack('<I', 3579545)))
        vm.outw(PM1, 0x2401)            # sleep type 1: there is none
        runner.equal(vm.inw(PM1), 0x401)
        assert not vm.qmp.poll_events()
        vm.qmp.cmd('system_reset')
        vm.qmp.wait_event('RESET')
        runner.equal(vm.inw(PM1), 0)
        vm.outw(PM1, 0x2001)
        runner.equal(vm.qmp.wait_event('SHUTDOWN')['data'], {'guest': True, 'reason': 'guest-shutdown'})


def test_reset():
    with Folder() as d, start(*drives(d)) as vm:
        for port, wrong, right in ((KEYBOARD, 0xfd, 0xfe), (RESET_CONTROL, 2, 6), (0x3c0, 2, 4)):
            config_write(vm, PCIEXBAR, 0xb0000001)
            vm.outb(port, wrong)
            runner.equal(vm.readl(0xb0000000), HOST_BRIDGE)
            vm.outb(port, right)
            runner.equal(vm.qmp.wait_event('RESET')['data'], {'guest': True, 'reason': 'guest-reset'})
            runner.equal(vm.readl(ECAM), HOST_BRIDGE)
        runner.equal(vm.inb(KEYBOARD), 0xff)
        # The address port takes whole double words only.
        vm.outl(0xcf8, 0x80000000)
        vm.outb(0xcfb, 0)
        vm.outw(0xcf8, 0)
        runner.equal(vm.inl(0xcf8), 0x80000000)


# ---- the battery clock ----

def rtc(vm, reg, value=None):
    vm.outb(RTC, reg)
    if value is not None:
        vm.outb(RTC + 1, value)
    return vm.inb(RTC + 1)


def set_time(vm, registers):
    """As drivers do it, with the clock standing."""
    b = rtc(vm, 0xb)
    rtc(vm, 0xb, b | 0x80)
    for reg, value in registers.items():
        rtc(vm, reg, value)
    rtc(vm, 0xb, b)


def read_time(vm):
    """BCD, 24 hours; a second may pass meanwhile."""
    while True:
        v = [rtc(vm, r) for r in (0x32, 9, 8, 7, 4, 2, 0)]
        if rtc(vm, 0) == v[-1]:
            n = [(b >> 4) * 10 + (b & 15) for b in v]
            return calendar.timegm((n[0] * 100 + n[1], *n[2:]))


def near(got, want, what):
    assert abs(got - want) <= 30, (what, got, want)


def test_clock():
    with Folder() as d:
        args = drives(d)
        with start(*args) as vm:
            near(read_time(vm), time.time(), 'host time')
            runner.equal([rtc(vm, r) & 0x7f for r in (0xa, 0xb, 0xc)], [0x26, 2, 0])
            runner.equal((rtc(vm, 0xd), vm.inb(RTC)), (0x80, 0xff))
            # 2031-12-31 23:59:58, a Wednesday; then a look at it in other formats.
            set_time(vm, {0x32: 0x20, 9: 0x31, 8: 0x12, 7: 0x31, 4: 0x20, 2: 0x10, 0: 0x00})
            want = calendar.timegm((2031, 12, 31, 20, 10, 0))
            event = vm.qmp.wait_event('RTC_CHANGE')['data']
            near(event['offset'], want - time.time(), 'offset')
            runner.equal(event['qom-path'], '/machine/rtc')
            near(read_time(vm), want, 'what was set')
            rtc(vm, 0xb, 0x06)
            runner.equal([rtc(vm, r) for r in (0x32, 9, 8, 7, 6, 4)], [20, 31, 12, 31, 4, 20], 'binary')
            rtc(vm, 0xb, 0x00)
            runner.equal(rtc(vm, 4), 0x88, '8 in the evening')
            rtc(vm, 0xb, 0x72)
            runner.equal(rtc(vm, 0xb), 2, 'interrupts cannot be enabled')
            # Battery-backed memory, alarm; the upper bit of the index means nothing.
            for reg in (1, 3, 5, 0xe, 0x7f):
                rtc(vm, 0x80 | reg, 0xa5)
            vm.qmp.cmd('system_reset')
            runner.equal([rtc(vm, reg) for reg in (1, 3, 5, 0xe, 0x7f)], [0xa5] * 5)
            near(read_time(vm), want, 'after a reset')
            # All values everywhere.
            for reg in range(128):
                for value in (0, 0x7f, 0xff):
                    rtc(vm, 0xb, 0x80 if value else 0)
                    rtc(vm, reg, value)
            rtc(vm, 0xb, 0)
        with start(*args, '-rtc', 'base=2001-02-03T04:05:06,clock=vm') as vm:
            runner.equal(read_time(vm), calendar.timegm((2001, 2, 3, 4, 5, 6)))
            vm.clock_step(86400 * 1000000000)
            runner.equal(read_time(vm), calendar.timegm((2001, 2, 4, 4, 5, 6)))
            vm.clock_step(999800000)
            runner.equal(rtc(vm, 0xa), 0xa6, 'in the middle of an update')


def test_local_time():
    with Folder() as d, qtest.Emulator(*machine(*drives(d), '-rtc', 'base=localtime'), env={'TZ': 'XYZ-5'}) as vm:
        near(read_time(vm), time.time() + 5 * 3600, 'local time')


# ---- what firmware is told ----

def test_fw_cfg():
    with Folder() as d, start(*drives(d)) as vm:
        f = fwcfg.FwCfg(vm)
        e820 = [struct.unpack_from('<QQI', f.file('etc/e820'), i) for i in range(0, len(f.file('etc/e820')), 20)]
        assert (0, 64 * MIB, 1) in e820, e820
        assert 'etc/smbios/smbios-anchor' in f.directory()


def boot_order(vm, module=fwcfg):
    data = module.FwCfg(vm).file('bootorder')
    assert data.endswith(b'\0'), data
    return data[:-1].decode().split('\n')


DISKS = [a for n in range(4) for a in ('-blockdev', 'driver=null-co,node-name=d%d' % n)]


def test_boot_order():
    with Folder() as d:
        args = [*drives(d), *DISKS, '-device', 'pcie-root-port,id=rp,chassis=1,addr=4',
                '-device', 'virtio-blk-pci,addr=3,drive=d0,bootindex=10', '-device', 'virtio-blk-pci,bus=rp,drive=d1,bootindex=9',
                '-device', 'virtio-blk-pci,addr=5.0,multifunction=on,drive=d2',
                '-device', 'virtio-net-pci,addr=5.1,bootindex=0']
        want = ['/pci@i0cf8/ethernet@5,1/ethernet-phy@0', '/pci@i0cf8/pci-bridge@4/scsi@0/disk@0,0',
                '/pci@i0cf8/scsi@3/disk@0,0']
        with start(*args) as vm:
            runner.equal(boot_order(vm), want)
            f = fwcfg.FwCfg(vm)
            runner.equal(f.key(0xe, 2), b'\0\0')
            runner.equal(f.file('etc/boot-fail-wait'), b'\xff' * 4)
            assert 'etc/boot-menu-wait' not in f.directory()
        with start(*args, '-boot', 'strict=on,menu=on,splash-time=3000,reboot-timeout=5') as vm:
            runner.equal(boot_order(vm), want + ['HALT'])
            f = fwcfg.FwCfg(vm)
            runner.equal(f.key(0xe, 2), b'\1\0')
            runner.equal(f.file('etc/boot-menu-wait'), struct.pack('<H', 3000))
            runner.equal(f.file('etc/boot-fail-wait'), struct.pack('<I', 5))
        # A disk that came later takes part after a reset.
        with start(*DISKS, '-device', 'pcie-root-port,id=rp,chassis=1,addr=4') as vm:
            runner.equal(fwcfg.FwCfg(vm).directory()['bootorder'][1], 0)
            vm.qmp.cmd('device_add', driver='virtio-blk-pci', drive='d0', bus='rp', bootindex=1)
            vm.qmp.cmd('system_reset')
            runner.equal(boot_order(vm), ['/pci@i0cf8/pci-bridge@4/scsi@0/disk@0,0'])
        out = qtest.start_error(*machine('-device', 'virtio-net-pci,bootindex=3', '-device', 'virtio-net-pci,bootindex=3'))
        assert 'The bootindex 3 has already been used' in out, out


def test_boot_order_arm():
    with arm.start(*DISKS, '-device', 'virtio-blk-device,drive=d0,bootindex=1', '-device', 'virtio-blk-pci,drive=d1,bootindex=0') as vm:
        runner.equal(boot_order(vm, arm), ['/pci@i0cf8/scsi@1/disk@0,0', '/virtio-mmio@000000000a003e00/disk@0,0'])


def test_kernel():
    """The parts of a bzImage, or any EFI program as it is."""
    kernel = images.bzimage()
    with Folder() as d:
        args = drives(d)
        d.file('kernel', kernel)
        d.file('initrd', b'initrd' * 100)
        d.file('program', b'MZ' + b'p' * 2000)
        with start(*args, '-kernel', d.file('kernel'), '-initrd', d.file('initrd'), '-append', 'a b') as vm:
            f = fwcfg.FwCfg(vm)

            def number(key):
                return struct.unpack('<I', f.key(key, 4))[0]
            setup, body = number(0x17), number(8)
            runner.equal(setup, (kernel[0x1f1] + 1) * 512)
            runner.equal(f.dma_key(0x18, setup) + f.dma_key(0x11, body), kernel)
            runner.equal(f.dma_key(0x12, number(0xb)), b'initrd' * 100)
            runner.equal(f.dma_key(0x15, number(0x14)), b'a b\0')
        with start(*args, '-kernel', d.file('program')) as vm:
            f = fwcfg.FwCfg(vm)
            runner.equal((number(0x17), number(8)), (0, 2002))
            runner.equal(f.dma_key(0x11, 2002), b'MZ' + b'p' * 2000)
        out = qtest.start_error(*machine(*args, '-kernel', d.file('nothing')))
        assert 'nothing' in out, out


def test_descriptors():
    """They have what management reads, and name the newest machines."""
    folder = os.path.join(qtest.SOURCE_DIR, 'hw', 'boot', 'descriptors')
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), encoding='utf-8') as f:
            d = json.load(f)
        runner.equal(sorted(d), ['description', 'features', 'interface-types', 'mapping', 'tags', 'targets'])
        (target,) = d['targets']
        assert name.endswith(target['architecture'] + '.json'), name
        _, text = qtest.run('-machine', 'help', arch=target['architecture'])
        assert re.search('^virt-', text, re.M) and target['machines'] == ['virt-*'], text
        for part in 'executable', 'nvram-template':
            if os.path.exists('/usr/share/qemu/firmware'):      # the distribution's descriptions are there
                assert os.path.exists(d['mapping'][part]['filename']), d


def test_save_and_restore():
    """Where the window is, the clock, flash and registers."""
    with Folder() as d:
        args = drives(d)
        with start(*args) as vm:
            config_write(vm, PCIEXBAR, 0xb0000001)
            vm.outw(PM1, 1)
            rtc(vm, 0x50, 0x77)
            set_time(vm, {9: 0x40})
            before = read_time(vm)
            vm.qmp.cmd('migrate', uri='file:' + d.file('state'))
            runner.wait_for(lambda: vm.qmp.cmd('query-migrate')['status'] == 'completed', 30, 'the stream')
        with start(*args, '-incoming', 'defer') as vm:
            vm.qmp.cmd('migrate-incoming', uri='file:' + d.file('state'))
            runner.wait_for(lambda: vm.qmp.cmd('query-migrate').get('status') == 'completed', 30, 'the stream')
            runner.equal((vm.readl(ECAM), vm.readl(0xb0000000)), (0, HOST_BRIDGE))
            runner.equal(vm.inw(PM1), 1)
            runner.equal(rtc(vm, 0x50), 0x77)
            near(read_time(vm), before, 'the clock')


if __name__ == '__main__':
    runner.main(globals())
