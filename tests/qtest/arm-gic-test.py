#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Models of the interrupt controllers of the AArch64 machine: registers, routing, what reaches a CPU."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import arm, runner

GROUP, SET, CLEAR, SETPEND, CLRPEND, SETACT, CLRACT = 0x80, 0x100, 0x180, 0x200, 0x280, 0x300, 0x380
PRIORITY, TARGETS, CONFIG, SGIR, CPENDSGI, SPENDSGI = 0x400, 0x800, 0xc00, 0xf00, 0xf10, 0xf20
IROUTER = 0x6000
GICC_CTLR, GICC_PMR, GICC_BPR, GICC_IAR, GICC_EOIR, GICC_RPR, GICC_HPPIR, GICC_IIDR = \
    0, 4, 8, 0xc, 0x10, 0x14, 0x18, 0xfc
SPI = 40                        # an interrupt with nothing behind it


def v2(*args):
    return arm.start('-smp', '4', *args, options=',gic-version=2')


def v3(*args):
    return arm.start('-smp', '4', *args, options=',gic-version=3,its=off')


def set_bit(vm, base, register, n):
    vm.writel(base + register + n // 32 * 4, 1 << n % 32)


def get_bit(vm, base, register, n):
    return vm.readl(base + register + n // 32 * 4) >> n % 32 & 1


def raise_spi(vm, n, level):
    vm.set_irq_in(arm.GIC_PATH, None, n - 32, level)


def test_v2_reset_values():
    with v2() as vm:
        d, c = arm.GICD, arm.GICC
        runner.equal([vm.readl(d + r) for r in (0, 4, 8)], [0, 0x68, 0x0200143b])
        runner.equal(vm.readl(d + SET), 0xffff, 'software interrupts are enabled')
        for reg in (GROUP, SETPEND, CLRPEND, SETACT, CLRACT, PRIORITY, SET + 4, TARGETS + 32, CONFIG + 4):
            runner.equal(vm.readl(d + reg), 0, 'register 0x%x' % reg)
        runner.equal(vm.readl(d + CONFIG), 0xaaaaaaaa)
        runner.equal(vm.readl(d + TARGETS), 0x01010101, 'private ones: the CPU that asks')
        runner.equal(vm.readl(d + 0xfe8) & 0xf0, 0x20, 'architecture version')
        runner.equal([vm.readl(c + r) for r in (GICC_CTLR, GICC_PMR, GICC_BPR, GICC_IAR, GICC_RPR, GICC_HPPIR,
                                                GICC_IIDR)], [0, 0, 0, 1023, 0xff, 1023, 0x0200143b])
        # 288 interrupts: what lies behind does not exist.
        vm.writel(d + SET + 36, 0xffffffff)
        runner.equal(vm.readl(d + SET + 36), 0)
        vm.writel(d + SET + 32, 0xffffffff)
        runner.equal(vm.readl(d + SET + 32), 0xffffffff)
        vm.system_reset()
        runner.equal(vm.readl(d + SET + 32), 0)


def test_v2_interrupt():
    with v2() as vm:
        d, c = arm.GICD, arm.GICC
        vm.irq_intercept_out(arm.GIC_PATH)
        set_bit(vm, d, SET, SPI)
        vm.writeb(d + TARGETS + SPI, 1)
        vm.writeb(d + PRIORITY + SPI, 0x80)
        raise_spi(vm, SPI, 1)
        runner.equal(get_bit(vm, d, SETPEND, SPI), 1)
        runner.equal(vm.irq_level(0), False, 'distributor and interface are off')
        vm.writel(d, 1)
        vm.writel(c + GICC_CTLR, 1)
        runner.equal(vm.irq_level(0), False, 'masked by priority')
        runner.equal(vm.readl(c + GICC_HPPIR), SPI)
        vm.writel(c + GICC_PMR, 0xff)
        runner.equal(vm.irq_level(0), True)
        runner.equal(vm.readl(c + GICC_IAR), SPI)
        runner.equal((vm.irq_level(0), vm.readl(c + GICC_RPR)), (False, 0x80))
        runner.equal(vm.readl(c + GICC_IAR), 1023, 'active already')
        vm.writel(c + GICC_EOIR, SPI)
        runner.equal(vm.irq_level(0), True, 'the level is still high')
        raise_spi(vm, SPI, 0)
        runner.equal(vm.irq_level(0), False)
        # To another CPU.
        vm.writeb(d + TARGETS + SPI, 4)
        raise_spi(vm, SPI, 1)
        runner.equal(vm.irq_level(0), False)


def test_v2_priorities():
    with v2() as vm:
        d, c = arm.GICD, arm.GICC
        vm.writel(d, 1)
        vm.writel(c + GICC_CTLR, 1)
        vm.writel(c + GICC_PMR, 0xff)
        for n, priority in ((SPI, 0x80), (SPI + 1, 0x40), (SPI + 2, 0x40)):
            set_bit(vm, d, SET, n)
            vm.writeb(d + TARGETS + n, 1)
            vm.writeb(d + PRIORITY + n, priority)
            raise_spi(vm, n, 1)
        taken = []
        for _ in range(3):
            n = vm.readl(c + GICC_IAR)
            taken.append(n)
            vm.writel(c + GICC_EOIR, n)
            if n != 1023:
                raise_spi(vm, n, 0)
        runner.equal(taken, [SPI + 1, SPI + 2, SPI], 'by priority, then by number')


def test_v2_software():
    with v2() as vm:
        d, c = arm.GICD, arm.GICC
        vm.irq_intercept_out(arm.GIC_PATH)
        vm.writel(d, 1)
        vm.writel(c + GICC_CTLR, 1)
        vm.writel(c + GICC_PMR, 0xff)
        vm.writel(d + SGIR, 2 << 24 | 5)
        runner.equal(vm.irq_level(0), True)
        runner.equal(vm.readl(c + GICC_IAR), 5)
        vm.writel(c + GICC_EOIR, 5)
        runner.equal(vm.irq_level(0), False)
        vm.writeb(d + SPENDSGI + 7, 4)
        runner.equal(vm.readb(d + CPENDSGI + 7), 4)
        runner.equal(vm.readl(c + GICC_IAR), 2 << 10 | 7, 'the sender, too')
        vm.writel(d + SGIR, 1 << 24 | 3)
        runner.equal(vm.irq_level(0), False, 'all but oneself')


def test_edges():
    for start in (v2, v3):
        with start() as vm:
            d = arm.GICD
            vm.writel(d + CONFIG + SPI // 16 * 4, 2 << SPI % 16 * 2)
            runner.equal(vm.readl(d + CONFIG + SPI // 16 * 4), 2 << SPI % 16 * 2)
            raise_spi(vm, SPI, 1)
            raise_spi(vm, SPI, 0)
            runner.equal(get_bit(vm, d, SETPEND, SPI), 1, 'latched')
            set_bit(vm, d, CLRPEND, SPI)
            runner.equal(get_bit(vm, d, SETPEND, SPI), 0)
            raise_spi(vm, SPI + 1, 1)
            set_bit(vm, d, CLRPEND, SPI + 1)
            runner.equal(get_bit(vm, d, SETPEND, SPI + 1), 1, 'a level stays')
            raise_spi(vm, SPI + 1, 0)
            runner.equal(get_bit(vm, d, SETPEND, SPI + 1), 0)
            set_bit(vm, d, SETPEND, SPI + 1)
            runner.equal(get_bit(vm, d, CLRPEND, SPI + 1), 1)
            set_bit(vm, d, SETACT, SPI)
            runner.equal(get_bit(vm, d, CLRACT, SPI), 1)
            set_bit(vm, d, CLRACT, SPI)
            runner.equal(get_bit(vm, d, SETACT, SPI), 0)


def test_message_frame():
    with v2() as vm:
        d = arm.GICD
        runner.equal(vm.readl(arm.V2M + 8), 80 << 16 | 64)
        vm.writel(d + CONFIG + 80 // 16 * 4, 0xaaaaaaaa)
        vm.writel(arm.V2M + 0x40, 85)
        runner.equal(get_bit(vm, d, SETPEND, 85), 1)
        for wrong in (0, 79, 144, 1023, 0xffffffff):
            vm.writel(arm.V2M + 0x40, wrong)
        runner.equal([vm.readl(d + SETPEND + 4 * i) for i in range(9)], [0, 0, 1 << 21, 0, 0, 0, 0, 0, 0])
        arm.poke(vm, arm.V2M, 0x50)
        arm.poke(vm, arm.V2M + 0xff0, 0x10)


def test_v3_reset_values():
    with v3() as vm:
        d = arm.GICD
        runner.equal(vm.readl(d), 0x50, 'affinity routing, one security state')
        runner.equal(vm.readl(d + 4), 8 | 1 << 16 | 15 << 19 | 1 << 24)
        runner.equal(vm.readl(d + 0xffe8) & 0xf0, 0x30, 'architecture version')
        runner.equal(vm.readl(d + SET), 0, 'private ones are in the redistributors')
        for reg in (SET + 4, SETPEND + 4, SETACT + 4, PRIORITY + 32, CONFIG + 8, IROUTER + 8 * 32):
            runner.equal(vm.readl(d + reg), 0, 'register 0x%x' % reg)
        for cpu in range(4):
            r = arm.GICR + cpu * 0x20000
            runner.equal(vm.readq(r + 8), cpu << 32 | cpu << 8 | 1 | (0x10 if cpu == 3 else 0), 'TYPER')
            runner.equal((vm.readl(r + 8), vm.readl(r + 12)), (cpu << 8 | 1 | (0x10 if cpu == 3 else 0), cpu))
            runner.equal(vm.readl(r + 0x14), 6, 'asleep')
            runner.equal([vm.readl(r + o) for o in (0, 0x70, 0x78)], [0, 0, 0])
            runner.equal(vm.readl(r + 0xffe8) & 0xf0, 0x30)
            runner.equal([vm.readl(r + 0x10000 + o) for o in (GROUP, SET, SETPEND, PRIORITY, CONFIG + 4)], [0] * 5)
            runner.equal(vm.readl(r + 0x10000 + CONFIG), 0xaaaaaaaa)
        runner.equal(vm.readl(arm.GICR + 4 * 0x20000 + 8), 0, 'behind the last')


def test_v3_redistributor():
    with v3() as vm:
        r = arm.GICR + 0x20000
        vm.writel(r + 0x14, 0)
        runner.equal(vm.readl(r + 0x14), 0, 'awake')
        vm.writeq(r + 0x70, (1 << 64) - 1)
        runner.equal(vm.readq(r + 0x70), 0x070ffffffffff79f)
        vm.writel(r + 0x74, 0)
        runner.equal(vm.readq(r + 0x70), 0xfffff79f)
        vm.irq_intercept_out(arm.GIC_PATH)
        vm.writel(arm.GICD, 2)
        s = r + 0x10000
        vm.writel(s + GROUP, 1 << 27)
        vm.writel(s + SET, 1 << 27)
        # The virtual timer of CPU 1: behind the SPIs, 32 lines a CPU.
        vm.set_irq_in(arm.GIC_PATH, None, 256 + 32 + 27, 1)
        runner.equal((vm.irq_level(0), vm.irq_level(1)), (False, True))
        runner.equal(vm.readl(s + SETPEND), 1 << 27)
        vm.writel(s + CLEAR, 1 << 27)
        runner.equal(vm.irq_level(1), False)
        vm.writel(s + SET, 1 << 27)
        vm.writel(s + SETACT, 1 << 27)
        runner.equal(vm.irq_level(1), False, 'active')
        vm.writel(s + CLRACT, 1 << 27)
        runner.equal(vm.irq_level(1), True)
        vm.system_reset()
        runner.equal(vm.irq_level(1), False)
        runner.equal(vm.readl(s + SETPEND), 1 << 27, 'the level is still there')


def test_v3_routing():
    with v3() as vm:
        d = arm.GICD
        vm.irq_intercept_out(arm.GIC_PATH)
        vm.writel(d, 3)
        set_bit(vm, d, SET, SPI)
        raise_spi(vm, SPI, 1)
        for route, cpu in ((0, 0), (2, 2), (3, 3), (1 << 31, 0), (0x100, None)):
            vm.writeq(d + IROUTER + 8 * SPI, route)
            runner.equal(vm.readq(d + IROUTER + 8 * SPI), route)
            runner.equal([vm.irq_level(n) for n in range(4)], [n == cpu for n in range(4)], hex(route))
        vm.writel(d + IROUTER + 8 * SPI, 1)
        vm.writel(d + IROUTER + 8 * SPI + 4, 0)
        runner.equal(vm.irq_level(1), True)
        vm.writel(d, 2)
        runner.equal(vm.irq_level(1), False, 'group 0 is off')
        set_bit(vm, d, GROUP, SPI)
        runner.equal(vm.irq_level(1), True)
        # Message-based: a register whose stores are edges.
        vm.writel(d + 0x40, SPI + 1)
        runner.equal(get_bit(vm, d, SETPEND, SPI + 1), 1)
        vm.writel(d + 0x48, SPI + 1)
        runner.equal(get_bit(vm, d, SETPEND, SPI + 1), 0)


def test_widths():
    with v2() as vm:
        d = arm.GICD
        vm.writel(d + PRIORITY + 32, 0xf8583010)
        runner.equal([vm.readb(d + PRIORITY + 32 + i) for i in range(4)], [0x10, 0x30, 0x58, 0xf8])
        runner.equal(vm.readw(d + PRIORITY + 34), 0xf858)
        vm.writew(d + SET + 4, 0x8001)
        runner.equal((vm.readl(d + SET + 4), vm.readb(d + SET + 5)), (0x8001, 0x80))
        arm.poke(vm, d, 0x1000, 3)
        arm.poke(vm, arm.GICC, 0x110)
    with v3() as vm:
        d = arm.GICD
        vm.writeq(d + SET + 8, 0x8000000000000001)
        runner.equal(vm.readq(d + SET + 8), 0x8000000000000001)
        arm.poke(vm, d, 0xe00, 3)
        arm.poke(vm, d + IROUTER, 0x1000, 7)
        arm.poke(vm, d + 0xff80, 0x80)
        arm.poke(vm, arm.GICR, 0x100)
        arm.poke(vm, arm.GICR + 0x10000, 0xd00, 5)
        arm.poke(vm, arm.GICR + 4 * 0x20000 - 8, 16)


if __name__ == '__main__':
    runner.main(globals())
