#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The AArch64 `virt` machine: device tree, direct boot, fixed devices, power button, options."""
import gzip
import os
import struct
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import arm, images, pci, qtest, runner, virtio

MIB = 1 << 20


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


# ---- the device tree ----

def test_tree():
    with arm.start('-smp', '4', '-cpu', 'cortex-a57', options=',gic-version=3', memory='512') as vm:
        t = arm.read_tree(vm)
        runner.equal(t.strings('compatible'), ['linux,dummy-virt'])
        runner.equal(t['memory@40000000'].wide('reg'), [arm.RAM, 512 * MIB])
        runner.equal(t['psci'].strings('compatible'), ['arm,psci-1.0', 'arm,psci-0.2', 'arm,psci'])
        runner.equal(t['psci'].strings('method'), ['hvc'])
        runner.equal(t['psci'].cells('cpu_on'), [0xc4000003])
        cpus = [c for c in t['cpus'].children.values() if c.name.startswith('cpu@')]
        runner.equal([c.cells('reg') for c in cpus], [[0], [1], [2], [3]])
        runner.equal(cpus[0].strings('compatible'), ['arm,cortex-a57'])
        runner.equal(cpus[3].strings('enable-method'), ['psci'])
        runner.equal(t['cpus/cpu-map/socket0/cluster0/core3'].cells('cpu'), cpus[3].cells('phandle'))
        runner.equal(t['timer'].cells('interrupts'), [1, 13, 4, 1, 14, 4, 1, 11, 4, 1, 10, 4])
        gic = t['intc@8000000']
        runner.equal(gic.strings('compatible'), ['arm,gic-v3'])
        runner.equal(gic.wide('reg'), [arm.GICD, 0x10000, arm.GICR, 0xf60000])
        runner.equal(t.cells('interrupt-parent'), gic.cells('phandle'))
        runner.equal(t['fw-cfg@9020000'].strings('compatible'), ['qemu,fw-cfg-mmio'])
        runner.equal(t['pl011@9000000'].strings('compatible'), ['arm,pl011', 'arm,primecell'])
        runner.equal(t['pl031@9010000'].cells('interrupts'), [0, 2, 4])
        runner.equal(t['gpio-keys/poweroff'].cells('gpios'), [*t['pl061@9030000'].cells('phandle'), 3, 0])
        runner.equal(t['gpio-keys/poweroff'].cells('linux,code'), [116])
        transports = [n for _, n in t.walk() if n.name.startswith('virtio_mmio@')]
        runner.equal(len(transports), 32)
        runner.equal(transports[31].wide('reg'), [0xa003e00, 0x200])
        runner.equal(transports[31].cells('interrupts'), [0, 47, 1])
        p = t['pcie@10000000']
        runner.equal(p.strings('compatible'), ['pci-host-ecam-generic'])
        runner.equal(p.wide('reg'), [0x4010000000, 0x10000000])
        runner.equal(p.cells('ranges'), [
            0x1000000, 0, 0, 0, 0x3eff0000, 0, 0x10000,
            0x2000000, 0, 0x10000000, 0, 0x10000000, 0, 0x2eff0000,
            0x3000000, 0x80, 0, 0x80, 0, 0x80, 0])
        runner.equal(p.cells('interrupt-map')[:10], [0, 0, 0, 1, *gic.cells('phandle'), 0, 0, 0, 3, 4])
        runner.equal(p.cells('interrupt-map')[-10:], [0x1800, 0, 0, 4, *gic.cells('phandle'), 0, 0, 0, 5, 4])
        runner.equal(t['chosen'].strings('stdout-path'), ['/pl011@9000000'])
        # A reset writes it again, with other random numbers.
        seed = t['chosen'].props['rng-seed']
        assert any(seed), seed
        vm.memset(arm.RAM, 4096, 0)
        vm.system_reset()
        again = arm.read_tree(vm)
        assert again['chosen'].props['rng-seed'] != seed
        runner.equal([path for path, _ in again.walk()], [path for path, _ in t.walk()])


def test_tree_gicv2():
    with arm.start('-smp', '2', options=',gic-version=2') as vm:
        t = arm.read_tree(vm)
        gic = t['intc@8000000']
        runner.equal(gic.strings('compatible'), ['arm,cortex-a15-gic'])
        runner.equal(gic.wide('reg'), [arm.GICD, 0x10000, arm.GICC, 0x10000])
        frame = gic['v2m@8020000']
        runner.equal(t['pcie@10000000'].cells('msi-map'), [0, *frame.cells('phandle'), 0, 0x10000])
        runner.equal(t['timer'].cells('interrupts')[2], 4 | 3 << 8)


def test_low_memory_only():
    with arm.start(options=',highmem=off') as vm:
        p = arm.read_tree(vm)['pcie@10000000']
        runner.equal(p.wide('reg'), [0x3f000000, 0x1000000])
        runner.equal(p.cells('bus-range'), [0, 15])
        runner.equal(len(p.cells('ranges')), 14)
        runner.equal(vm.readl(0x3f000000), 0x00081b36, 'host bridge in the low window')
    out = qtest.start_error(*arm.machine(options=',highmem=off', memory='4G'), arch='aarch64')
    assert 'highmem=off' in out, out


def test_topology():
    with arm.start('-smp', '8,sockets=2,clusters=2,cores=1,threads=2') as vm:
        m = arm.read_tree(vm)['cpus/cpu-map']
        runner.equal(sorted(m.children), ['socket0', 'socket1'])
        phandles = [n.cells('cpu')[0] for _, n in m.walk() if 'cpu' in n.props]
        runner.equal(len(set(phandles)), 8)
        assert 'thread1' in m['socket1/cluster1/core0'].children


def test_many_cpus():
    with arm.start('-smp', '130', options=',gic-version=3') as vm:
        t = arm.read_tree(vm)
        gic = t['intc@8000000']
        runner.equal(gic.cells('#redistributor-regions'), [2])
        runner.equal(gic.wide('reg')[4:], [0x4000000000, 0x4000000])
        regs = [c.cells('reg')[0] for c in t['cpus'].children.values() if c.name.startswith('cpu@')]
        runner.equal(regs[16:18] + regs[129:], [0x100, 0x101, 0x801])
        # The last redistributor of the second region says so, and which CPU it is.
        last = 0x4000000000 + (129 - 123) * 0x20000
        runner.equal(vm.readl(last + 0xc), 0x801)
        runner.equal(vm.readl(last + 8) & 0x10, 0x10)


def test_dumpdtb():
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, 'dtb')
        status, text = qtest.run(*arm.machine(options=',dumpdtb=' + path), '-accel', 'qtest',
                                 arch='aarch64')
        runner.equal(status, 0, text)
        with open(path, 'rb') as f:
            t = arm.parse_tree(f.read())
        # What was dumped can be given back.
        with Files(kernel=arm.image()) as f, \
                arm.start('-dtb', path, '-kernel', f.kernel, '-append', 'console=x', memory='128') as vm:
            tree = arm.read_tree(vm, arm.RAM + 64 * MIB)
            runner.equal(tree['memory@40000000'].wide('reg'), [arm.RAM, 128 * MIB])
            runner.equal(tree['chosen'].strings('bootargs'), ['console=x'])
            runner.equal(len([*tree.walk()]), len([*t.walk()]))
        with Files(bad=b'\xd0\x0d\xfe\xed' + bytes(100), kernel=arm.image()) as f:
            out = qtest.start_error(*arm.machine('-dtb', f.bad, '-kernel', f.kernel), arch='aarch64')
            assert 'device tree file' in out, out


# ---- direct boot ----

def test_image():
    payload = bytes(range(256)) * 20
    kernel = arm.image(payload)
    with Files(kernel=kernel, zipped=gzip.compress(kernel), initrd=b'initrd' * 1000) as f:
        for name in (f.kernel, f.zipped):
            with arm.start('-kernel', name, '-initrd', f.initrd, '-append', 'console=ttyAMA0 x=1') as vm:
                def check():
                    runner.equal(vm.read(arm.RAM + 2 * MIB, len(kernel)), kernel, 'kernel')
                    runner.equal(vm.read(arm.RAM + 32 * MIB, 6000), b'initrd' * 1000, 'initrd')
                    t = arm.read_tree(vm, arm.RAM + 34 * MIB)
                    runner.equal(t['chosen'].strings('bootargs'), ['console=ttyAMA0 x=1'])
                    start, = t['chosen'].wide('linux,initrd-start')
                    end, = t['chosen'].wide('linux,initrd-end')
                    runner.equal((start, end), (arm.RAM + 32 * MIB, arm.RAM + 32 * MIB + 6000))
                check()
                vm.memset(arm.RAM + 2 * MIB, 32 * MIB + 8192, 0xaa)
                vm.system_reset()
                check()


def test_image_for_firmware():
    """With firmware the kernel is an fw_cfg item, unpacked."""
    kernel = arm.image(bytes(range(256)) * 20)
    with Files(kernel=kernel, zipped=gzip.compress(kernel), initrd=b'initrd', code=b'code') as f:
        for name in (f.kernel, f.zipped):
            with arm.start('-bios', f.code, '-kernel', name, '-initrd', f.initrd, '-append', 'x=1') as vm:
                items = arm.FwCfg(vm)
                runner.equal(items.key(0x08, 4), struct.pack('<I', len(kernel)), 'size')
                runner.equal(items.dma_key(0x11, len(kernel)), kernel)
                runner.equal(items.key(0x0b, 4), b'\x06\0\0\0')
                runner.equal(items.key(0x12, 6), b'initrd')
                runner.equal(items.key(0x15, 4), b'x=1\0')


def test_old_image():
    kernel = arm.image(size=0)
    with Files(kernel=kernel) as f, arm.start('-kernel', f.kernel) as vm:
        runner.equal(vm.read(arm.RAM + 0x80000, len(kernel)), kernel)


def test_elf():
    code = b'\x00\x00\x00\x14' * 4
    head = struct.pack('<16sHHIQQQIHHHHHH', b'\x7fELF\x02\x01\x01', 2, 183, 1, arm.RAM + MIB, 64, 0, 0,
                       64, 56, 1, 0, 0, 0)
    head += struct.pack('<IIQQQQQQ', 1, 5, 0x1000, arm.RAM + MIB, arm.RAM + MIB, 16, 4096, 4096)
    with Files(kernel=head.ljust(0x1000, b'\0') + code) as f, arm.start('-kernel', f.kernel) as vm:
        runner.equal(vm.read(arm.RAM + MIB, 16), code)


def test_bad_images():
    good = arm.image()
    with Files(text=b'hello', good=good, big=arm.image(size=1 << 30), far=arm.image(text_offset=1 << 30),
               zipped=gzip.compress(b'x' * 1000), cut=gzip.compress(good)[:30],
               x86=images.pvh_elf()) as f:
        for args, text in (
                (['-kernel', f.text], 'no known format'),
                (['-kernel', f.big], 'does not fit'),
                (['-kernel', f.far], 'does not fit'),
                (['-kernel', f.zipped], 'no known format'),
                (['-kernel', f.cut], 'cannot be unpacked'),
                (['-kernel', f.x86], 'not for AArch64'),
                (['-kernel', '/nonexistent'], 'could not open kernel image'),
                (['-kernel', f.good, '-initrd', '/nonexistent'], 'could not open initrd'),
                (['-initrd', f.text], '-initrd only allowed with -kernel option'),
                (['-append', 'x'], '-append only allowed with -kernel option')):
            out = qtest.start_error(*arm.machine(*args), arch='aarch64')
            assert text in out, (args, out)


# ---- options ----

def test_refused():
    for options, text in ((',secure=on', 'secure'), (',virtualization=on', 'virtualization'),
                          (',mte=on', 'mte'), (',ras=on', 'ras'), (',iommu=smmuv3', 'smmuv3'),
                          (',iommu=x', 'Invalid iommu value'), (',gic-version=4', 'gic-version=4'),
                          (',gic-version=x', 'Invalid gic-version value')):
        out = qtest.start_error(*arm.machine(options=options), arch='aarch64')
        assert text in out, (options, out)
    out = qtest.start_error(*arm.machine('-smp', '9', options=',gic-version=2'), arch='aarch64')
    assert 'exceeds max CPUs' in out, out
    out = qtest.start_error(*arm.machine('-cpu', 'host,aarch64=off'), arch='aarch64')
    assert '32-bit' in out, out


def test_gic_capabilities():
    with qtest.Emulator('-machine', 'none', arch='aarch64') as vm:
        found = vm.qmp.cmd('query-gic-capabilities')
        runner.equal([c['version'] for c in found], [2, 3])
        runner.equal([c['emulated'] for c in found], [False, False])


def test_versions():
    status, text = qtest.run('-machine', 'help', arch='aarch64')
    runner.equal(status, 0)
    assert 'alias of virt-7.2' in text, text
    for name in ('virt-6.2', 'virt-7.0', 'virt-7.1', 'virt-7.2', 'virt-1.0'):
        offered = 1 if name in ('virt-7.2', 'virt-1.0') else 0
        with qtest.Emulator('-machine', name, '-nodefaults', '-device', 'virtio-rng-device',
                            arch='aarch64') as vm:
            dev = arm.MmioDevice(arm.find_device(vm, virtio.RNG), arm.allocator(vm))
            runner.equal(dev.offered() >> virtio.F_RING_RESET & 1, offered, name)


# ---- devices ----

def test_rtc():
    import time
    with arm.start() as vm:
        vm.irq_intercept_in(arm.GIC_PATH)
        before = int(time.time())
        value = vm.readl(arm.RTC)
        assert before <= value <= int(time.time()) + 1, (before, value)
        runner.equal([vm.readl(arm.RTC + 0xfe0 + 4 * i) for i in range(8)],
                     [0x31, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1])
        runner.equal([vm.readl(arm.RTC + r) for r in (4, 8, 0xc, 0x10, 0x14, 0x18, 0x1c)],
                     [0, 0, 1, 0, 0, 0, 0], 'reset values')
        vm.writel(arm.RTC + 8, 1000)
        assert 1000 <= vm.readl(arm.RTC) <= 1060
        runner.equal(vm.readl(arm.RTC + 8), 1000)
        # An alarm in the past of the new time does nothing; one for this very second rings.
        vm.writel(arm.RTC + 0x10, 1)
        vm.writel(arm.RTC + 8, 5000)
        vm.writel(arm.RTC + 4, 5001)
        runner.wait_for(lambda: vm.irq_level(arm.SPI_RTC), 30, 'the alarm', interval=0.05)
        runner.equal((vm.readl(arm.RTC + 0x14), vm.readl(arm.RTC + 0x18)), (1, 1))
        vm.writel(arm.RTC + 0x10, 0)
        runner.equal(vm.irq_level(arm.SPI_RTC), False, 'masked')
        vm.writel(arm.RTC + 0x10, 1)
        vm.writel(arm.RTC + 0x1c, 1)
        runner.equal(vm.irq_level(arm.SPI_RTC), False, 'acknowledged')
        runner.equal(vm.readw(arm.RTC + 0xfe0), 0x31)
        runner.equal(vm.readb(arm.RTC + 9), 5000 >> 8)
        arm.poke(vm, arm.RTC, 0x40)
        arm.poke(vm, arm.RTC + 0xff8, 8)
        vm.system_reset()
        runner.equal([vm.readl(arm.RTC + r) for r in (4, 8, 0x10, 0x14)], [0, 0, 0, 0])


def test_gpio():
    with arm.start() as vm:
        vm.irq_intercept_in(arm.GIC_PATH)
        regs = dict(dir=0x400, sense=0x404, both=0x408, event=0x40c, mask=0x410, ris=0x414, mis=0x418,
                    clear=0x41c, afsel=0x420)
        runner.equal([vm.readl(arm.GPIO + r) for r in regs.values()], [0] * 9, 'reset values')
        runner.equal([vm.readl(arm.GPIO + 0xfe0 + 4 * i) for i in range(8)],
                     [0x61, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1])
        # Data: outputs only, and only the pins that the address selects.
        vm.writel(arm.GPIO + regs['dir'], 0xf0)
        vm.writel(arm.GPIO + 0x3fc, 0xff)
        runner.equal(vm.readl(arm.GPIO + 0x3fc), 0xf0)
        vm.writel(arm.GPIO + (0x10 << 2), 0)
        runner.equal(vm.readl(arm.GPIO + 0x3fc), 0xe0)
        runner.equal(vm.readl(arm.GPIO + (0x20 << 2)), 0x20)
        # An input: rising edges.
        path = '/machine/gpio'
        vm.writel(arm.GPIO + regs['event'], 1)
        vm.writel(arm.GPIO + regs['mask'], 1)
        vm.set_irq_in(path, None, 0, 1)
        runner.equal(vm.irq_level(arm.SPI_GPIO), True)
        runner.equal((vm.readl(arm.GPIO + regs['ris']), vm.readl(arm.GPIO + regs['mis'])), (1, 1))
        vm.writel(arm.GPIO + regs['clear'], 1)
        runner.equal(vm.irq_level(arm.SPI_GPIO), False)
        vm.set_irq_in(path, None, 0, 0)
        runner.equal(vm.readl(arm.GPIO + regs['ris']), 0, 'falling edge')
        vm.writel(arm.GPIO + regs['both'], 1)
        vm.set_irq_in(path, None, 0, 1)
        vm.writel(arm.GPIO + regs['clear'], 1)
        vm.set_irq_in(path, None, 0, 0)
        runner.equal(vm.readl(arm.GPIO + regs['ris']), 1, 'both edges')
        # Levels cannot be cleared while they last.
        vm.writel(arm.GPIO + regs['sense'], 2)
        vm.writel(arm.GPIO + regs['event'], 2)
        vm.writel(arm.GPIO + regs['mask'], 2)
        vm.set_irq_in(path, None, 1, 1)
        vm.writel(arm.GPIO + regs['clear'], 0xff)
        runner.equal((vm.readl(arm.GPIO + regs['ris']), vm.irq_level(arm.SPI_GPIO)), (2, True))
        vm.set_irq_in(path, None, 1, 0)
        runner.equal(vm.irq_level(arm.SPI_GPIO), False)
        arm.poke(vm, arm.GPIO + 0x3f8, 0x30)
        vm.system_reset()
        runner.equal([vm.readl(arm.GPIO + r) for r in regs.values()], [0] * 9, 'after a reset')


def test_power_key():
    with arm.start() as vm:
        vm.irq_intercept_in(arm.GIC_PATH)
        vm.writel(arm.GPIO + 0x40c, 8)
        vm.writel(arm.GPIO + 0x410, 8)
        vm.qmp.cmd('system_powerdown')
        vm.qmp.wait_event('POWERDOWN')
        runner.equal(vm.readl(arm.GPIO + (8 << 2)), 8, 'pin while pressed')
        runner.equal(vm.irq_level(arm.SPI_GPIO), True)
        vm.clock_step(100000000)
        runner.equal(vm.readl(arm.GPIO + (8 << 2)), 0, 'pin afterwards')
        vm.writel(arm.GPIO + 0x41c, 8)
        runner.equal(vm.irq_level(arm.SPI_GPIO), False)


def test_fw_cfg():
    with arm.start('-smp', '3', '-fw_cfg', 'name=opt/test,string=hello') as vm:
        f = arm.FwCfg(vm)
        runner.equal(f.key(0, 4), b'QEMU')
        runner.equal(f.key(1, 4), b'\3\0\0\0')
        runner.equal(f.key(5, 2), b'\3\0', 'number of CPUs')
        runner.equal(f.file('opt/test'), b'hello')
        runner.equal(struct.pack('<Q', vm.readq(arm.FW_CFG + 16)), b'QEMU CFG')
        # Data in any width: bytes in their order.
        for read, n in ((vm.readb, 1), (vm.readw, 2), (vm.readl, 4), (vm.readq, 8)):
            f.select(0)
            runner.equal(read(arm.FW_CFG).to_bytes(n, 'little'), b'QEMU\0\0\0\0'[:n])
        runner.equal(f.dma(1 << 16 | 8 | 16, 4, arm.RAM), 1, 'items cannot be written')
        # The halves of the DMA address, too.
        vm.write(arm.RAM + 0x700000, struct.pack('>IIQ', 8 | 2, 4, arm.RAM + 0x700100))
        vm.writel(arm.FW_CFG + 16, 0)
        vm.writel(arm.FW_CFG + 20, struct.unpack('<I', struct.pack('>I', arm.RAM + 0x700000))[0])
        runner.equal(vm.read(arm.RAM + 0x700100, 4), b'QEMU')
        arm.poke(vm, arm.FW_CFG, 0x18)


# ---- virtio ----

def test_mmio_empty():
    with arm.start() as vm:
        for n in range(32):
            regs = arm.Mmio(vm, n)
            runner.equal([regs.read(r) for r in ('magic', 'version', 'device_id', 'vendor')],
                         [0x74726976, 2, 0, 0x554d4551])
        arm.poke(vm, arm.VIRTIO, 0x120)


def test_mmio_registers():
    with arm.start('-device', 'virtio-rng-device') as vm:
        regs = arm.find_device(vm, virtio.RNG)
        runner.equal(regs.index, 31, 'the first device goes to the last place')
        runner.equal([regs.read(r) for r in ('magic', 'version', 'status', 'isr', 'queue_enable',
                                             'queue_max', 'generation', 'queue_reset')],
                     [0x74726976, 2, 0, 0, 0, 8, 0, 0], 'reset values')
        runner.equal((regs.read('shm_len'), regs.read('shm_base')), (0xffffffff, 0xffffffff))
        for select, want in ((0, 1 << virtio.F_INDIRECT | 1 << virtio.F_EVENT_IDX), (1, 0x101), (2, 0),
                             (0xffffffff, 0)):
            regs.write('device_feature_select', select)
            runner.equal(regs.read('device_feature'), want, 'features, half %d' % select)
        regs.write('queue_select', 1)
        runner.equal(regs.read('queue_max'), 0, 'no such queue')
        # Only whole registers count.
        for width in (1, 2):
            runner.equal(vm.mem_read(regs.base, width), 0)
            vm.mem_write(regs.base + 0x70, 1, width)
        runner.equal(regs.read('status'), 0)
        arm.poke(vm, regs.base, 0x120)
        regs.write('status', 0)
        runner.equal(regs.read('status'), 0)


def check_rng(vm, **features):
    regs = arm.find_device(vm, virtio.RNG)
    dev = arm.MmioDevice(regs, arm.allocator(vm)).start(**features)
    line = arm.SPI_VIRTIO + regs.index
    buf = dev.buffer(64)
    for _ in range(20):
        dev.queues[0].want_interrupt(True)
        assert dev.queues[0].send([], [(buf, 64)]) > 0
        runner.equal(vm.irq_level(line), True, 'interrupt')
        runner.equal(dev.read(0, 1), 1, 'interrupt status')
        runner.equal(vm.irq_level(line), False, 'acknowledged')
    assert len(set(vm.read(buf, 64))) > 8
    return dev


def test_mmio_data():
    with arm.start('-device', 'virtio-rng-device', '-global', 'virtio-mmio.force-legacy=false') as vm:
        vm.irq_intercept_in(arm.GIC_PATH)
        check_rng(vm)
        check_rng(vm, packed=False, event_idx=False)
        vm.system_reset()
        runner.equal(arm.find_device(vm, virtio.RNG).read('status'), 0)
        check_rng(vm)
    with arm.start('-device', 'virtio-rng-device,packed=on') as vm:
        vm.irq_intercept_in(arm.GIC_PATH)
        check_rng(vm, packed=True)
    out = qtest.start_error(*arm.machine('-global', 'virtio-mmio.force-legacy=true'), arch='aarch64')
    assert 'modern interface only' in out, out


def test_mmio_full():
    with arm.start(*['-device', 'virtio-rng-device'] * 32) as vm:
        runner.equal([arm.Mmio(vm, n).read('device_id') for n in range(32)], [virtio.RNG] * 32)
    out = qtest.start_error(*arm.machine(*['-device', 'virtio-rng-device'] * 33), arch='aarch64')
    assert "No 'virtio-bus' bus found" in out, out


# ---- PCI ----

def test_pci():
    with arm.start('-device', 'virtio-rng-pci', '-device', 'pcie-root-port,id=rp,chassis=1,slot=1',
                   '-device', 'virtio-rng-pci,bus=rp') as vm:
        host = pci.Host(vm)
        found = host.enumerate()
        runner.equal([(f.vendor, f.device) for f in found],
                     [(0x1b36, 8), (0x1af4, 0x1044), (0x1b36, 0xc), (0x1af4, 0x1044)])
        vm.irq_intercept_in(arm.GIC_PATH)
        function = found[1]
        function.enable()
        dev = virtio.Device(function, arm.allocator(vm)).start()
        buf = dev.buffer(64)
        dev.queues[0].send([], [(buf, 64)])
        # INTA of slot 1 is the second of the four lines.
        runner.equal(vm.irq_level(arm.SPI_INTX + function.slot % 4), True, 'INTx')
        runner.equal(dev.isr.read(0, 1), 1)
        runner.equal(vm.irq_level(arm.SPI_INTX + function.slot % 4), False)
        below = found[3]
        below.enable()
        msix = virtio.Device(below, arm.allocator(vm)).start(msix=True)
        msix.queues[0].send([], [(buf, 64)])
        msix.msix.wait(1)


if __name__ == '__main__':
    runner.main(globals())
