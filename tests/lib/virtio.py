# SPDX-License-Identifier: GPL-2.0-or-later
"""A virtio driver over qtest: the modern PCI transport, split and packed rings.

    function, alloc = pci.ready_device(vm, virtio.VENDOR, virtio.pci_id(virtio.RNG))
    dev = virtio.Device(function, alloc)
    dev.start()                             # reset, features, queues, DRIVER_OK
    buf = dev.buffer(64)
    dev.queues[0].send([], [(buf, 64)])     # add, kick, wait; the used length

Device.start(packed=True, ...) chooses what to negotiate. With msix=True each
queue has its own vector; without, INTx through the ISR register.
"""
import struct

from lib import pci

VENDOR = 0x1af4
NET, BLOCK, CONSOLE, RNG = 1, 2, 3, 4

ACKNOWLEDGE, DRIVER, DRIVER_OK, FEATURES_OK, NEEDS_RESET, FAILED = 1, 2, 4, 8, 0x40, 0x80

F_INDIRECT, F_EVENT_IDX, F_VERSION_1, F_ACCESS_PLATFORM = 28, 29, 32, 33
F_PACKED, F_RING_RESET = 34, 40

# Common configuration: offset and width.
FIELDS = {
    'device_feature_select': (0, 4), 'device_feature': (4, 4),
    'driver_feature_select': (8, 4), 'driver_feature': (12, 4),
    'config_vector': (16, 2), 'num_queues': (18, 2), 'status': (20, 1), 'generation': (21, 1),
    'queue_select': (22, 2), 'queue_size': (24, 2), 'queue_vector': (26, 2),
    'queue_enable': (28, 2), 'queue_notify_off': (30, 2),
    'queue_desc_lo': (32, 4), 'queue_desc_hi': (36, 4),
    'queue_driver_lo': (40, 4), 'queue_driver_hi': (44, 4),
    'queue_device_lo': (48, 4), 'queue_device_hi': (52, 4),
    'queue_notify_data': (56, 2), 'queue_reset': (58, 2),
}
NO_VECTOR = 0xffff

NEXT, WRITE, INDIRECT = 1, 2, 4         # descriptor flags
AVAIL, USED = 1 << 7, 1 << 15           # of packed descriptors


def pci_id(device_type):
    return 0x1040 + device_type


def pad(size, align):
    return (size + align - 1) // align * align


class Window:
    """A structure that a vendor capability describes."""

    def __init__(self, function, cap):
        self.cap = cap
        self.bar = function.bar(function.readb(cap + 4))
        self.offset, self.length = function.readl(cap + 8), function.readl(cap + 12)

    def read(self, offset, width):
        return self.bar.read(self.offset + offset, width)

    def write(self, offset, value, width):
        self.bar.write(self.offset + offset, value, width)


class Queue:
    """What both ring formats share. Buffers are lists of (address, length)."""

    def __init__(self, dev, index, size):
        self.dev, self.vm, self.index, self.size = dev, dev.vm, index, size
        self.event_idx = dev.has(F_EVENT_IDX)
        self.free = size
        self.slots = {}                 # id -> ring slots that it takes
        self.added = 0                  # since the last look at kicks
        self.desc = self.driver = self.device = 0
        self.vector = NO_VECTOR

    def enable(self):
        d = self.dev
        d.set('queue_select', self.index)
        d.set('queue_size', self.size)
        d.set('queue_vector', self.vector)
        for name in ('desc', 'driver', 'device'):
            d.set('queue_%s_lo' % name, getattr(self, name) & 0xffffffff)
            d.set('queue_%s_hi' % name, getattr(self, name) >> 32)
        self.notify_off = d.get('queue_notify_off')
        d.set('queue_enable', 1)

    def kick(self, force=False):
        """Kicks when the device wants it; whether it did."""
        wanted = self.wants_kick() or force
        if wanted:
            self.dev.notify.write(self.notify_off * self.dev.notify_multiplier, self.index, 2)
        return wanted

    def write_desc(self, at, addr, length, third, fourth):
        self.vm.write(at, struct.pack('<QIHH', addr, length, third, fourth))

    def interrupted(self):
        """Was there an interrupt of this queue since the last question?"""
        if self.dev.msix:
            return self.dev.msix.fired(self.vector)
        return bool(self.dev.isr.read(0, 1) & 1)

    def wait_used(self, timeout=30):
        """(id, length) of the next used buffer."""
        found = []

        def look():
            used = self.get_used()
            if used:
                found.append(used)
            return used is not None
        self.vm.wait_for(look, timeout, 'a used buffer of queue %d' % self.index)
        return found[0]

    def send(self, out, into, indirect=False, timeout=30):
        """One buffer there and back: the used length."""
        ident = self.add(out, into, indirect)
        self.kick()
        used = self.wait_used(timeout)
        if used[0] != ident:
            raise AssertionError('used buffer %d, expected %d' % (used[0], ident))
        return used[1]

    def table(self, out, into):
        """An indirect table: its address and length."""
        count = len(out) + len(into)
        at = self.dev.alloc.alloc(16 * count)
        for i, (addr, length) in enumerate([*out, *into]):
            flags = WRITE if i >= len(out) else 0
            if isinstance(self, PackedQueue):
                self.write_desc(at + 16 * i, addr, length, 0, flags)
            else:
                last = i + 1 == count
                self.write_desc(at + 16 * i, addr, length, flags | (0 if last else NEXT),
                                0 if last else i + 1)
        return at, 16 * count


class SplitQueue(Queue):
    def __init__(self, dev, index, size):
        super().__init__(dev, index, size)
        self.desc = dev.alloc.alloc(16 * size, 16)
        self.driver = dev.alloc.alloc(6 + 2 * size, 2)
        self.device = dev.alloc.alloc(6 + 8 * size, 4)
        self.free_ids = list(range(size))
        self.avail = self.used = 0

    def add(self, out, into, indirect=False, publish=True):
        parts = [(a, n, 0) for a, n in out] + [(a, n, WRITE) for a, n in into]
        if indirect:
            parts = [(*self.table(out, into), INDIRECT)]
        if len(parts) > len(self.free_ids):
            raise AssertionError('ring full')
        ids = [self.free_ids.pop(0) for _ in parts]
        for i, (addr, length, flags) in enumerate(parts):
            last = i + 1 == len(parts)
            self.write_desc(self.desc + 16 * ids[i], addr, length, flags | (0 if last else NEXT),
                            0 if last else ids[i + 1])
        self.slots[ids[0]] = ids
        self.vm.writew(self.driver + 4 + 2 * (self.avail % self.size), ids[0])
        self.avail = self.avail + 1 & 0xffff
        self.added += 1
        if publish:
            self.publish()
        return ids[0]

    def publish(self):
        self.vm.writew(self.driver + 2, self.avail)

    def wants_kick(self):
        added, self.added = self.added, 0
        if not self.event_idx:
            return not self.vm.readw(self.device) & 1
        event = self.vm.readw(self.device + 4 + 8 * self.size)
        return (self.avail - event - 1 & 0xffff) < added

    def get_used(self):
        if self.vm.readw(self.device + 2) == self.used:
            return None
        ident, length = struct.unpack('<II', self.vm.read(
            self.device + 4 + 8 * (self.used % self.size), 8))
        self.used = self.used + 1 & 0xffff
        if ident not in self.slots:
            raise AssertionError('the device returned buffer %d, which it does not have' % ident)
        self.free_ids += self.slots.pop(ident)
        return ident, length

    def want_interrupt(self, enable, delay=0):
        self.vm.writew(self.driver, 0 if enable or self.event_idx else 1)
        if self.event_idx:
            event = self.used + delay if enable else self.used - 1
            self.vm.writew(self.driver + 4 + 2 * self.size, event & 0xffff)


class PackedQueue(Queue):
    def __init__(self, dev, index, size):
        super().__init__(dev, index, size)
        self.desc = dev.alloc.alloc(16 * size, 16)
        self.driver = dev.alloc.alloc(4, 4)
        self.device = dev.alloc.alloc(4, 4)
        self.free_ids = list(range(size))
        self.avail = self.used = 0
        self.avail_wrap = self.used_wrap = 1

    def add(self, out, into, indirect=False, publish=True):
        parts = [(a, n, 0) for a, n in out] + [(a, n, WRITE) for a, n in into]
        if indirect:
            parts = [(*self.table(out, into), INDIRECT)]
        if len(parts) > self.free:
            raise AssertionError('ring full')
        ident = self.free_ids.pop(0)
        first = None
        for i, (addr, length, flags) in enumerate(parts):
            flags |= 0 if i + 1 == len(parts) else NEXT
            flags |= AVAIL if self.avail_wrap else USED
            at = self.desc + 16 * self.avail
            if first is None:
                first = at, flags
                self.write_desc(at, addr, length, ident, self.vm.readw(at + 14))
            else:
                self.write_desc(at, addr, length, ident, flags)
            self.avail += 1
            if self.avail == self.size:
                self.avail, self.avail_wrap = 0, 1 - self.avail_wrap
        self.free -= len(parts)
        self.added += len(parts)
        self.slots[ident] = len(parts)
        self.vm.writew(first[0] + 14, first[1])
        return ident

    def wants_kick(self):
        added, self.added = self.added, 0
        event, flags = struct.unpack('<HH', self.vm.read(self.device, 4))
        if flags != 2:
            return flags == 0
        place = event & 0x7fff
        if event >> 15 != self.avail_wrap:
            place -= self.size
        return (self.avail - place - 1 & 0xffff) < added

    def get_used(self):
        length, ident, flags = struct.unpack('<IHH', self.vm.read(
            self.desc + 16 * self.used + 8, 8))
        if bool(flags & AVAIL) != self.used_wrap or bool(flags & USED) != self.used_wrap:
            return None
        if ident not in self.slots:
            raise AssertionError('the device returned buffer %d, which it does not have' % ident)
        count = self.slots.pop(ident)
        self.free_ids.append(ident)
        self.free += count
        self.used += count
        if self.used >= self.size:
            self.used, self.used_wrap = self.used - self.size, 1 - self.used_wrap
        return ident, length

    def want_interrupt(self, enable, delay=0):
        place, wrap = self.used + delay, self.used_wrap
        if place >= self.size:
            place, wrap = place - self.size, 1 - wrap
        self.vm.write(self.driver, struct.pack('<HH', place | wrap << 15,
                                               (2 if self.event_idx else 0) if enable else 1))


class Device:
    def __init__(self, function, alloc):
        self.function, self.alloc, self.vm = function, alloc, function.host.vm
        self.msix = None
        self.features = 0
        self.queues = []
        self.pci_cfg = 0
        for ident, cap in function.caps():
            if ident != pci.CAP_VENDOR:
                continue
            kind = function.readb(cap + 3)
            if kind == 1:
                self.common = Window(function, cap)
            elif kind == 2:
                self.notify = Window(function, cap)
                self.notify_multiplier = function.readl(cap + 16)
            elif kind == 3:
                self.isr = Window(function, cap)
            elif kind == 4:
                self.config = Window(function, cap)
            elif kind == 5:
                self.pci_cfg = cap
        msix = function.find_cap(pci.CAP_MSIX)
        if msix:
            function.writew(msix + 2, function.readw(msix + 2) & 0x3fff)

    # ---- registers ----

    def get(self, name):
        return self.common.read(*FIELDS[name])

    def set(self, name, value):
        self.common.write(FIELDS[name][0], value, FIELDS[name][1])

    @property
    def status(self):
        return self.get('status')

    def add_status(self, bits):
        self.set('status', self.status | bits)

    def offered(self):
        value = 0
        for half in (0, 1):
            self.set('device_feature_select', half)
            value |= self.get('device_feature') << 32 * half
        return value

    def has(self, bit):
        return bool(self.features >> bit & 1)

    def reset(self):
        self.set('status', 0)
        self.vm.wait_for(lambda: self.status == 0, 10, 'status 0 after a reset')
        self.queues = []

    def accept(self, features):
        """Writes the features and FEATURES_OK; whether the device agreed."""
        for half in (0, 1):
            self.set('driver_feature_select', half)
            self.set('driver_feature', features >> 32 * half & 0xffffffff)
        self.features = features
        self.add_status(FEATURES_OK)
        return bool(self.status & FEATURES_OK)

    # ---- the usual start ----

    def negotiate(self, packed=False, event_idx=True, indirect=True, drop=0):
        """From reset to FEATURES_OK."""
        self.reset()
        self.add_status(ACKNOWLEDGE)
        self.add_status(DRIVER)
        features = self.offered() & ~(1 << F_PACKED) & ~drop
        if packed:
            features |= 1 << F_PACKED
        if not event_idx:
            features &= ~(1 << F_EVENT_IDX)
        if not indirect:
            features &= ~(1 << F_INDIRECT)
        if not self.accept(features):
            raise AssertionError('the device refused features 0x%x' % features)

    def add_queue(self, index, size=None, vector=None):
        self.set('queue_select', index)
        if size is None:
            size = self.get('queue_size')
        queue = (PackedQueue if self.has(F_PACKED) else SplitQueue)(self, index, size)
        if self.msix:
            queue.vector = min(index + 1, self.msix.count - 1) if vector is None else vector
        queue.enable()
        return queue

    def start(self, msix=False, size=None, queues=None, **features):
        """From reset to DRIVER_OK with all queues (or the first @queues of them)."""
        self.negotiate(**features)
        if msix and not self.msix:
            self.msix = self.function.msix_enable(self.alloc)
        if self.msix:
            self.set('config_vector', 0)
        count = self.get('num_queues') if queues is None else queues
        self.queues = [self.add_queue(i, size) for i in range(count)]
        self.add_status(DRIVER_OK)
        return self

    def buffer(self, size_or_data):
        """Guest memory for a buffer."""
        if isinstance(size_or_data, int):
            return self.alloc.alloc(size_or_data)
        addr = self.alloc.alloc(len(size_or_data))
        self.vm.write(addr, size_or_data)
        return addr

    def wait_broken(self):
        self.vm.wait_for(lambda: self.status & NEEDS_RESET, 10, 'NEEDS_RESET')
