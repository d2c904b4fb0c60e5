# SPDX-License-Identifier: GPL-2.0-or-later
"""fw_cfg as a guest reads it."""
import struct

SELECTOR, DATA, DMA = 0x510, 0x511, 0x514
SIGNATURE, ID, NB_CPUS, FILE_DIR = 0, 1, 5, 0x19
DMA_ERROR, DMA_READ, DMA_SKIP, DMA_SELECT, DMA_WRITE = 1, 2, 4, 8, 16


class FwCfg:
    def __init__(self, vm, scratch=0x10000):
        self.vm = vm
        self.scratch = scratch          # guest memory for DMA commands

    def select(self, key):
        self.vm.outw(SELECTOR, key)

    def bytes(self, n):
        return bytes(self.vm.inb(DATA) for _ in range(n))

    def key(self, key, n):
        """@n bytes through the data port."""
        self.select(key)
        return self.bytes(n)

    def dma_raw(self, control, length, address, command=None):
        """Runs a DMA command; its control word afterwards."""
        at = self.scratch if command is None else command
        self.vm.write(at, struct.pack('>IIQ', control, length, address))
        self.vm.outl(DMA, struct.unpack('<I', struct.pack('>I', at >> 32))[0])
        self.vm.outl(DMA + 4, struct.unpack('<I', struct.pack('>I', at & 0xffffffff))[0])
        return struct.unpack('>I', self.vm.read(at, 4))[0]

    def dma_key(self, key, n):
        """@n bytes by DMA."""
        buf = self.scratch + 64
        status = self.dma_raw(key << 16 | DMA_SELECT | DMA_READ, n, buf)
        if status:
            raise AssertionError('DMA of key 0x%x failed with 0x%x' % (key, status))
        return self.vm.read(buf, n)

    def directory(self):
        """name -> (key, size), in the directory's order."""
        count = struct.unpack('>I', self.key(FILE_DIR, 4))[0]
        entries = {}
        for _ in range(count):
            size, key, _, name = struct.unpack('>IHH56s', self.bytes(64))
            entries[name.rstrip(b'\0').decode()] = key, size
        return entries

    def file(self, name):
        key, size = self.directory()[name]
        return self.dma_key(key, size)
