# SPDX-License-Identifier: GPL-2.0-or-later
"""PCI from a driver's side, over qtest: enumeration, BARs, capabilities, MSI-X.

    host = pci.Host(vm)                 # the machine's windows are in MACHINES
    host.enumerate()                    # bus numbers, windows, BARs
    dev = host.find(0x1af4, 0x1042)
    dev.enable()
    dev.bar(4).readl(0x10)
    msix = dev.msix_enable(alloc)

Guest memory for rings and messages comes from Allocator.
"""
VENDOR, DEVICE, COMMAND, STATUS, REVISION, CLASS = 0x00, 0x02, 0x04, 0x06, 0x08, 0x0a
HEADER_TYPE, BAR0, SUBSYS_VENDOR, SUBSYS, CAP_PTR = 0x0e, 0x10, 0x2c, 0x2e, 0x34
PRIMARY_BUS, SECONDARY_BUS, SUBORDINATE_BUS = 0x18, 0x19, 0x1a
IO_BASE, MEM_BASE, PREF_BASE, PREF_BASE_HIGH, PREF_LIMIT_HIGH = 0x1c, 0x20, 0x24, 0x28, 0x2c
CMD_IO, CMD_MEMORY, CMD_MASTER, CMD_INTX_DISABLE = 1, 2, 4, 0x400
CAP_PM, CAP_MSI, CAP_VENDOR, CAP_EXP, CAP_MSIX = 0x01, 0x05, 0x09, 0x10, 0x11
EXP_SLTCAP, EXP_SLTCTL, EXP_SLTSTA, EXP_LNKSTA = 0x14, 0x18, 0x1a, 0x12


class Allocator:
    """Guest-physical memory, handed out upwards and zeroed."""

    def __init__(self, vm, base=0x200000, size=0x1000000):
        self.vm, self.next, self.end = vm, base, base + size

    def alloc(self, size, align=16):
        addr = (self.next + align - 1) & ~(align - 1)
        if addr + size > self.end:
            raise AssertionError('test allocator: out of guest memory')
        self.next = addr + size
        self.vm.memset(addr, size, 0)
        return addr


class Window:
    """Addresses for BARs, handed out upwards."""

    def __init__(self, base, size):
        self.next, self.end = base, base + size

    def align(self, align):
        self.next = (self.next + align - 1) & ~(align - 1)
        return self.next

    def alloc(self, size):
        addr = self.align(size)
        if addr + size > self.end:
            raise AssertionError('test enumeration: window full')
        self.next = addr + size
        return addr


# machine -> ECAM, 32-bit window, 64-bit window (inside for up to 8 GiB of RAM), I/O window (x86:
# ports; Arm: where it is in memory)
MACHINES = {
    'virt': dict(ecam=0x80000000, mem=(0x90000000, 0x30000000), mem64=(0x400000000, 0x200000000),
                 io=(0x6000, 0x8000)),
    'q35': dict(ecam=0xb0000000, mem=(0xc0000000, 0x30000000), mem64=(0x2000000000, 0x100000000),
                io=(0x6000, 0x8000), pciexbar=True),
    'arm-virt': dict(ecam=0x4010000000, mem=(0x10000000, 0x2e000000),
                     mem64=(0x8000000000, 0x100000000), io=(0x1000, 0xe000), io_base=0x3eff0000),
}


class Bar:
    """A mapped BAR: accesses by offset."""

    def __init__(self, function, index, addr, size, io):
        self.function, self.index = function, index
        self.vm = function.host.vm
        self.addr, self.size, self.io = addr, size, io
        self.io_base = function.host.io_base

    def read(self, offset, width):
        if self.io and self.io_base is None:
            return {1: self.vm.inb, 2: self.vm.inw, 4: self.vm.inl}[width](self.addr + offset)
        return self.vm.mem_read((self.io_base if self.io else 0) + self.addr + offset, width)

    def write(self, offset, value, width):
        if self.io and self.io_base is None:
            {1: self.vm.outb, 2: self.vm.outw, 4: self.vm.outl}[width](self.addr + offset, value)
        else:
            self.vm.mem_write((self.io_base if self.io else 0) + self.addr + offset, value, width)

    def readb(self, offset):
        return self.read(offset, 1)

    def readw(self, offset):
        return self.read(offset, 2)

    def readl(self, offset):
        return self.read(offset, 4)

    def readq(self, offset):
        return self.read(offset, 8)

    def writeb(self, offset, value):
        self.write(offset, value, 1)

    def writew(self, offset, value):
        self.write(offset, value, 2)

    def writel(self, offset, value):
        self.write(offset, value, 4)

    def writeq(self, offset, value):
        self.write(offset, value, 8)


class Msix:
    """The MSI-X table of a function. Each vector writes its own word of guest memory.

    Under qtest a message is a 32-bit store to its address.
    """

    def __init__(self, function, alloc):
        self.function, self.vm = function, function.host.vm
        self.cap = function.find_cap(CAP_MSIX)
        if not self.cap:
            raise AssertionError('no MSI-X capability')
        self.count = (function.readw(self.cap + 2) & 0x7ff) + 1
        table, pba = function.readl(self.cap + 4), function.readl(self.cap + 8)
        self.table_bar, self.table = function.bar(table & 7), table & ~7
        self.pba_bar, self.pba = function.bar(pba & 7), pba & ~7
        self.words = alloc.alloc(4 * self.count)
        for n in range(self.count):
            self.set_vector(n, self.words + 4 * n, 0x40 + n)

    def set_vector(self, n, addr, data, masked=False):
        entry = self.table + 16 * n
        self.table_bar.writel(entry, addr & 0xffffffff)
        self.table_bar.writel(entry + 4, addr >> 32)
        self.table_bar.writel(entry + 8, data)
        self.mask(n, masked)

    def mask(self, n, masked=True):
        self.table_bar.writel(self.table + 16 * n + 12, int(masked))

    def control(self, enable, function_mask=False):
        word = self.function.readw(self.cap + 2) & 0x3fff
        self.function.writew(self.cap + 2, word | enable << 15 | function_mask << 14)

    def pending(self, n):
        return bool(self.pba_bar.readl(self.pba + n // 32 * 4) >> (n % 32) & 1)

    def fired(self, n):
        """True once per delivery of vector @n (deliveries in between merge)."""
        if self.vm.readl(self.words + 4 * n) != 0x40 + n:
            return False
        self.vm.writel(self.words + 4 * n, 0)
        return True

    def wait(self, n, timeout=30):
        self.vm.wait_for(lambda: self.fired(n), timeout, 'MSI-X vector %d' % n)


class Function:
    def __init__(self, host, bus, slot, fn):
        self.host, self.bus, self.slot, self.fn = host, bus, slot, fn
        self.vendor, self.device = self.readw(VENDOR), self.readw(DEVICE)
        self.class_id = self.readw(CLASS)
        self.header = self.readb(HEADER_TYPE) & 0x7f
        self.bars = {}

    def __repr__(self):
        return '%02x:%02x.%x %04x:%04x' % (self.bus, self.slot, self.fn, self.vendor, self.device)

    # ---- configuration space ----

    def read(self, reg, width):
        return self.host.read(self.bus, self.slot << 3 | self.fn, reg, width)

    def write(self, reg, value, width):
        self.host.write(self.bus, self.slot << 3 | self.fn, reg, value, width)

    def readb(self, reg):
        return self.read(reg, 1)

    def readw(self, reg):
        return self.read(reg, 2)

    def readl(self, reg):
        return self.read(reg, 4)

    def writeb(self, reg, value):
        self.write(reg, value, 1)

    def writew(self, reg, value):
        self.write(reg, value, 2)

    def writel(self, reg, value):
        self.write(reg, value, 4)

    def caps(self):
        """[(id, offset)] of the standard capabilities; a loop in the list is a failure."""
        found = []
        if not self.readw(STATUS) & 0x10:
            return found
        offset = self.readb(CAP_PTR) & ~3
        while offset:
            if len(found) > 48:
                raise AssertionError('endless capability list')
            found.append((self.readb(offset), offset))
            offset = self.readb(offset + 1) & ~3
        return found

    def find_cap(self, ident, nth=0):
        offsets = [o for i, o in self.caps() if i == ident]
        return offsets[nth] if nth < len(offsets) else 0

    def ext_caps(self):
        """[(id, version, offset)] of the extended ones."""
        found, offset = [], 0x100
        while offset:
            head = self.readl(offset)
            if head in (0, 0xffffffff):
                break
            if len(found) > 960:
                raise AssertionError('endless extended capability list')
            found.append((head & 0xffff, head >> 16 & 15, offset))
            offset = head >> 20 & ~3
        return found

    def enable(self, bits=CMD_IO | CMD_MEMORY | CMD_MASTER):
        self.writew(COMMAND, self.readw(COMMAND) | bits)

    # ---- BARs ----

    def bar_probe(self, n):
        """(size, type bits) of BAR @n as sizing shows them; (0, 0) when absent."""
        reg = BAR0 + 4 * n
        old = self.readl(reg)
        self.writel(reg, 0xffffffff)
        mask = self.readl(reg)
        self.writel(reg, old)
        if not mask:
            return 0, 0
        if mask & 1:
            mask |= 0xffff0000
            return (~(mask & ~3) & 0xffffffff) + 1, mask & 3
        kind = mask & 0xf
        size_mask = mask & ~0xf
        if kind & 6 == 4:
            old_high = self.readl(reg + 4)
            self.writel(reg + 4, 0xffffffff)
            size_mask |= self.readl(reg + 4) << 32
            self.writel(reg + 4, old_high)
        else:
            size_mask |= 0xffffffff << 32
        return (~size_mask & (1 << 64) - 1) + 1, kind

    def map_bars(self, windows=None):
        """Gives every BAR an address. Leaves the command register alone."""
        windows = windows or self.host.windows
        n, count = 0, 2 if self.header == 1 else 6
        while n < count:
            size, kind = self.bar_probe(n)
            if size:
                io = bool(kind & 1)
                wide = not io and kind & 6 == 4
                window = windows['io' if io else 'mem64' if wide and kind & 8 and 'mem64' in windows
                                 else 'mem']
                addr = window.alloc(size)
                self.writel(BAR0 + 4 * n, addr & 0xffffffff)
                if wide:
                    self.writel(BAR0 + 4 * n + 4, addr >> 32)
                self.bars[n] = Bar(self, n, addr, size, io)
                n += wide
            n += 1

    def bar(self, n):
        if n not in self.bars:
            raise AssertionError('%r has no BAR %d' % (self, n))
        return self.bars[n]

    def msix_enable(self, alloc):
        msix = Msix(self, alloc)
        msix.control(True)
        return msix


class Host:
    """A host bridge. @machine: a key of MACHINES. cf8: use the configuration ports."""

    def __init__(self, vm, machine=None, cf8=False):
        if machine is None:
            machine = ('arm-virt' if vm.program.endswith('aarch64')
                       else 'q35' if 'q35' in ' '.join(vm.argv) else 'virt')
        params = MACHINES[machine]
        self.vm, self.ecam, self.cf8 = vm, params['ecam'], cf8
        self.io_base = params.get('io_base')
        self.windows = {k: Window(*params[k]) for k in ('io', 'mem', 'mem64')}
        self.functions = []
        if params.get('pciexbar'):
            for reg, value in ((0x60, 0), (0x64, 0), (0x60, self.ecam | 1)):
                self.cf8_access(0, 0, reg)
                vm.outl(0xcfc, value)

    def cf8_access(self, bus, devfn, reg):
        self.vm.outl(0xcf8, 0x80000000 | bus << 16 | devfn << 8 | reg & 0xfc)

    def read(self, bus, devfn, reg, width):
        if self.cf8:
            self.cf8_access(bus, devfn, reg)
            return {1: self.vm.inb, 2: self.vm.inw, 4: self.vm.inl}[width](0xcfc + (reg & 3))
        return self.vm.mem_read(self.ecam + (bus << 20) + (devfn << 12) + reg, width)

    def write(self, bus, devfn, reg, value, width):
        if self.cf8:
            self.cf8_access(bus, devfn, reg)
            {1: self.vm.outb, 2: self.vm.outw, 4: self.vm.outl}[width](0xcfc + (reg & 3), value)
        else:
            self.vm.mem_write(self.ecam + (bus << 20) + (devfn << 12) + reg, value, width)

    def function(self, bus, slot, fn=0):
        """None when nothing answers there."""
        if self.read(bus, slot << 3 | fn, VENDOR, 2) == 0xffff:
            return None
        return Function(self, bus, slot, fn)

    def scan_bus(self, bus):
        found = []
        for slot in range(32):
            first = self.function(bus, slot)
            if not first:
                continue
            found.append(first)
            if first.readb(HEADER_TYPE) & 0x80:
                found += filter(None, (self.function(bus, slot, fn) for fn in range(1, 8)))
        return found

    def enumerate(self):
        """Numbers all buses, opens bridge windows, maps all BARs; the list of functions."""
        self.functions = []
        self.next_bus = 1
        self._enumerate_bus(0)
        return self.functions

    def _enumerate_bus(self, bus):
        for f in self.scan_bus(bus):
            self.functions.append(f)
            f.map_bars()
            if f.header == 1:
                self._open_bridge(f)

    def _open_bridge(self, bridge):
        """Windows of at least 4 KiB, 4 MiB and 16 MiB, so that a hot-plugged device finds room."""
        number = self.next_bus
        self.next_bus += 1
        bridge.writeb(PRIMARY_BUS, bridge.bus)
        bridge.writeb(SECONDARY_BUS, number)
        bridge.writeb(SUBORDINATE_BUS, 0xff)
        outer = self.windows
        start = {'io': outer['io'].align(0x1000), 'mem': outer['mem'].align(1 << 22),
                 'mem64': outer['mem64'].align(1 << 24)}
        room = {'io': 0x1000, 'mem': 1 << 22, 'mem64': 1 << 24}
        before = len(self.functions)
        self._enumerate_bus(number)
        end = {k: max(outer[k].align(0x100000 if k != 'io' else 0x1000), start[k] + room[k])
               for k in outer}
        for k, w in outer.items():
            w.next = end[k]
        bridge.writew(IO_BASE, start['io'] >> 8 & 0xf0 | (end['io'] - 1) & 0xf000)
        bridge.writel(MEM_BASE, start['mem'] >> 16 & 0xfff0 | (end['mem'] - 1) & 0xfff00000)
        bridge.writel(PREF_BASE, start['mem64'] >> 16 & 0xfff0 | (end['mem64'] - 1) & 0xfff00000)
        bridge.writel(PREF_BASE_HIGH, start['mem64'] >> 32)
        bridge.writel(PREF_LIMIT_HIGH, end['mem64'] - 1 >> 32)
        bridge.writeb(SUBORDINATE_BUS, self.next_bus - 1)
        bridge.enable()
        bridge.secondary = number
        # What is left of the window, for devices that come later.
        bridge.spare = {k: Window(start[k] if len(self.functions) == before else end[k],
                                  end[k] - start[k] if len(self.functions) == before else 0)
                        for k in outer}

    def find(self, vendor, device, nth=0):
        """After enumerate(); a failure when it is not there."""
        found = [f for f in self.functions if (f.vendor, f.device) == (vendor, device)]
        if nth >= len(found):
            raise AssertionError('no function %04x:%04x (%d); present: %r'
                                 % (vendor, device, nth, self.functions))
        return found[nth]

    def at(self, bus, slot, fn=0):
        for f in self.functions:
            if (f.bus, f.slot, f.fn) == (bus, slot, fn):
                return f
        raise AssertionError('no function at %02x:%02x.%x' % (bus, slot, fn))


def ready_device(vm, vendor, device, machine=None):
    """The usual start: enumerate, enable that one function, and an allocator."""
    host = Host(vm, machine)
    host.enumerate()
    function = host.find(vendor, device)
    function.enable()
    return function, Allocator(vm)
