# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest's side of virtio-blk: requests by hand, for tests of the device and of what lies below it."""
import random
import struct

from lib import pci, runner, virtio

IN, OUT, FLUSH, GET_ID, DISCARD, WRITE_ZEROES = 0, 1, 4, 8, 11, 13
OK, IOERR, UNSUPP = 0, 1, 2


def device(vm):
    function, alloc = pci.ready_device(vm, virtio.VENDOR, virtio.pci_id(virtio.BLOCK))
    return virtio.Device(function, alloc)


class Request:
    """One request in guest memory."""

    def __init__(self, dev, kind, sector=0, data=b'', size=0, header=None):
        self.dev, self.size = dev, size
        header = struct.pack('<IIQ', kind, 0, sector) if header is None else header
        self.out = [(dev.buffer(header), len(header))] if header else []
        if data:
            self.out.append((dev.buffer(data), len(data)))
        self.buf = dev.buffer(size) if size else 0
        self.status = dev.buffer(b'\xff')
        self.into = ([(self.buf, size)] if size else []) + [(self.status, 1)]

    def add(self, queue, **how):
        self.id = queue.add(self.out, self.into, **how)
        return self.id

    def result(self):
        return self.dev.vm.readb(self.status), self.dev.vm.read(self.buf, self.size)


def send(dev, kind, sector=0, data=b'', size=0, queue=0, **how):
    """(status, data read) of one request."""
    r = Request(dev, kind, sector, data, size)
    dev.queues[queue].send(r.out, r.into, **how)
    return r.result()


def check(dev, kind, *args, want=OK, **kwargs):
    status, data = send(dev, kind, *args, **kwargs)
    runner.equal(status, want, 'status of request %d' % kind)
    return data


def pattern(size, seed):
    return random.Random(seed).randbytes(size)


def segment(sector, count, flags=0):
    return struct.pack('<QII', sector, count, flags)
