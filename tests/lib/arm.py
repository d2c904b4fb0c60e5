# SPDX-License-Identifier: GPL-2.0-or-later
"""The AArch64 `virt` machine from outside: addresses, device trees, memory-mapped virtio, fw_cfg."""
import struct

from lib import pci, qtest, virtio

RAM = 0x40000000
GICD, GICC, V2M, ITS, GICR = 0x8000000, 0x8010000, 0x8020000, 0x8080000, 0x80a0000
UART, RTC, FW_CFG, GPIO, GED = 0x9000000, 0x9010000, 0x9020000, 0x9030000, 0x9080000
VIRTIO, VIRTIO_STRIDE, VIRTIO_COUNT = 0xa000000, 0x200, 32
SPI_UART, SPI_RTC, SPI_INTX, SPI_GPIO, SPI_GED, SPI_VIRTIO = 1, 2, 3, 7, 9, 16
GIC_PATH = '/machine/gic'
WIDTHS = (1, 2, 4, 8)


def machine(*args, options='', memory='64'):
    return ['-machine', 'virt' + options, '-m', memory, '-nodefaults', *args]


def start(*args, options='', memory='64', **kwargs):
    return qtest.Emulator(*machine(*args, options=options, memory=memory), arch='aarch64', **kwargs)


def allocator(vm):
    return pci.Allocator(vm, RAM + 0x800000, 0x1000000)


def poke(vm, base, size, step=1):
    """Every width at every offset of [base, base + size), around its ends too; nothing may happen to the emulator."""
    for addr in range(base - 8, base + size + 8, step):
        for width in WIDTHS:
            vm.mem_read(addr, width)
            vm.mem_write(addr, 0, width)
            vm.mem_write(addr, (1 << 8 * width) - 1, width)


# ---- device trees ----

class Node:
    def __init__(self, name):
        self.name, self.props, self.children = name, {}, {}

    def __getitem__(self, path):
        node = self
        for part in filter(None, path.split('/')):
            node = node.children[part]
        return node

    def cells(self, name):
        data = self.props[name]
        return list(struct.unpack('>%dI' % (len(data) // 4), data))

    def wide(self, name):
        data = self.props[name]
        return list(struct.unpack('>%dQ' % (len(data) // 8), data))

    def strings(self, name):
        return self.props[name].rstrip(b'\0').decode().split('\0')

    def walk(self, path=''):
        yield path or '/', self
        for child in self.children.values():
            yield from child.walk(path + '/' + child.name)


def parse_tree(data):
    """The root of a flattened device tree (Devicetree Specification 0.4, chapter 5)."""
    magic, total, struct_at, strings_at = struct.unpack_from('>IIII', data)
    assert magic == 0xd00dfeed and total <= len(data), 'no device tree'
    stack, root, at = [], None, struct_at
    while True:
        token, = struct.unpack_from('>I', data, at)
        at += 4
        if token == 1:
            end = data.index(b'\0', at)
            node = Node(data[at:end].decode())
            at = end + 4 & ~3
            if stack:
                stack[-1].children[node.name] = node
            else:
                root = node
            stack.append(node)
        elif token == 2:
            stack.pop()
        elif token == 3:
            size, name_at = struct.unpack_from('>II', data, at)
            name_at += strings_at
            name = data[name_at:data.index(b'\0', name_at)].decode()
            stack[-1].props[name] = data[at + 8:at + 8 + size]
            at = at + 8 + size + 3 & ~3
        elif token == 9:
            return root


def read_tree(vm, addr=RAM):
    size, = struct.unpack('>I', vm.read(addr + 4, 4))
    return parse_tree(vm.read(addr, size))


# ---- kernels ----

def image(payload=b'\x1f\x20\x03\xd5' * 16, text_offset=0, size=None):
    """An arm64 Image of known bytes."""
    head = struct.pack('<IIQQQQQQII', 0x14000010, 0, text_offset,
                       (64 + len(payload)) if size is None else size, 10, 0, 0, 0, 0x644d5241, 0)
    return head + payload


# ---- fw_cfg in memory ----

class FwCfg:
    DATA, SELECTOR, DMA = FW_CFG, FW_CFG + 8, FW_CFG + 16

    def __init__(self, vm, scratch=RAM + 0x700000):
        self.vm, self.scratch = vm, scratch

    def select(self, key):
        self.vm.writew(self.SELECTOR, key >> 8 | (key & 0xff) << 8)

    def bytes(self, n):
        return bytes(self.vm.readb(self.DATA) for _ in range(n))

    def key(self, key, n):
        self.select(key)
        return self.bytes(n)

    def dma(self, control, length, address):
        """Runs a command; its control word afterwards."""
        self.vm.write(self.scratch, struct.pack('>IIQ', control, length, address))
        self.vm.writeq(self.DMA, struct.unpack('<Q', struct.pack('>Q', self.scratch))[0])
        return struct.unpack('>I', self.vm.read(self.scratch, 4))[0]

    def dma_key(self, key, n):
        buf = self.scratch + 64
        status = self.dma(key << 16 | 8 | 2, n, buf)
        assert not status, 'DMA of key 0x%x failed with 0x%x' % (key, status)
        return self.vm.read(buf, n)

    def directory(self):
        count, = struct.unpack('>I', self.key(0x19, 4))
        entries = {}
        for _ in range(count):
            size, key, _, name = struct.unpack('>IHH56s', self.bytes(64))
            entries[name.rstrip(b'\0').decode()] = key, size
        return entries

    def file(self, name):
        key, size = self.directory()[name]
        return self.dma_key(key, size)


# ---- virtio ----

class Mmio:
    """The registers of one memory-mapped transport, by the names that virtio.Device uses."""

    READ = {'magic': 0x0, 'version': 0x4, 'device_id': 0x8, 'vendor': 0xc, 'device_feature': 0x10,
            'queue_max': 0x34, 'queue_enable': 0x44, 'isr': 0x60, 'status': 0x70,
            'queue_reset': 0xc0, 'generation': 0xfc, 'shm_len': 0xb0, 'shm_base': 0xb8}
    WRITE = {'device_feature_select': 0x14, 'driver_feature': 0x20, 'driver_feature_select': 0x24,
             'queue_select': 0x30, 'queue_size': 0x38, 'queue_enable': 0x44, 'notify': 0x50,
             'ack': 0x64, 'status': 0x70, 'queue_desc_lo': 0x80, 'queue_desc_hi': 0x84,
             'queue_driver_lo': 0x90, 'queue_driver_hi': 0x94, 'queue_device_lo': 0xa0,
             'queue_device_hi': 0xa4, 'queue_reset': 0xc0}

    def __init__(self, vm, index):
        self.vm, self.index, self.base = vm, index, VIRTIO + index * VIRTIO_STRIDE

    def read(self, name):
        return self.vm.readl(self.base + self.READ[name])

    def write(self, name, value):
        self.vm.writel(self.base + self.WRITE[name], value)


class MmioDevice(virtio.Device):
    """A virtio driver on memory-mapped registers."""

    def __init__(self, regs, alloc):
        self.regs, self.alloc, self.vm = regs, alloc, regs.vm
        self.msix, self.features, self.queues = None, 0, []
        self.notify = self.isr = self
        self.notify_multiplier = 0

    def get(self, name):
        if name == 'queue_size':
            name = 'queue_max'
        if name == 'num_queues':
            return self.count_queues()
        return 0 if name == 'queue_notify_off' else self.regs.read(name)

    def set(self, name, value):
        if name not in ('queue_vector', 'config_vector'):
            self.regs.write(name, value)

    def count_queues(self):
        n = 0
        while True:
            self.set('queue_select', n)
            if not self.regs.read('queue_max'):
                return n
            n += 1

    # The notification area and the interrupt status, as rings use them.

    def write(self, offset, value, width):
        self.regs.write('notify', value)

    def read(self, offset, width):
        value = self.regs.read('isr')
        self.regs.write('ack', value)
        return value


def find_device(vm, device_id):
    """The transport with a device of that kind."""
    for n in range(VIRTIO_COUNT):
        regs = Mmio(vm, n)
        if regs.read('device_id') == device_id:
            return regs
    raise AssertionError('no virtio device of type %d' % device_id)
