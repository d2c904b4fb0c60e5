#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""virtio-blk: all requests with all ring formats, queues, engines, iothreads, hot-plug, errors of the
host, hostile requests, resize, and the answers of the block queries."""
import os
import random
import resource
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import pci, qmp, qtest, runner, virtio
from lib.disk import (DISCARD, FLUSH, GET_ID, IN, IOERR, OK, OUT, UNSUPP, WRITE_ZEROES, Request, check, device,
                      pattern, segment, send)

F_SEG_MAX, F_GEOMETRY, F_RO, F_BLK_SIZE, F_FLUSH = 2, 4, 5, 6, 9
F_TOPOLOGY, F_CONFIG_WCE, F_MQ, F_DISCARD, F_WRITE_ZEROES = 10, 11, 12, 13, 14
CAPACITY, SEG_MAX, BLK_SIZE, WCE, NUM_QUEUES = 0, 12, 20, 32, 34
MIB = 1 << 20


def machine():
    """The same tests run against another emulator's q35 when that is what is given."""
    name = 'virt' if qtest.is_nemu(qtest.binary()) else 'q35'
    return ['-machine', name, '-m', '64', '-nodefaults']


class Image:
    """A file in the working folder (which, unlike /tmp, has O_DIRECT)."""

    def __init__(self, size=4 * MIB):
        self.path = os.path.join(os.environ.get('NEMU_BUILD_DIR', '.'), 'virtio-blk-%d.img' % os.getpid())
        with open(self.path, 'wb') as f:
            f.truncate(size)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        os.unlink(self.path)

    def read(self, offset, size):
        with open(self.path, 'rb') as f:
            f.seek(offset)
            return f.read(size)

    def nodes(self, file='', raw=''):
        return ['-blockdev', 'driver=file,node-name=f0,filename=%s%s' % (self.path, file),
                '-blockdev', 'driver=raw,node-name=d0,file=f0' + raw]


def start(nodes, options='', *args, **kwargs):
    return qtest.Emulator(*machine(), *args, *nodes, '-device',
                          'virtio-blk-pci,drive=d0,id=disk,addr=4,disable-legacy=on' + options, **kwargs)


def exercise(dev, image, queue=0, seed=0):
    """Each kind of request, on the sectors of its own that @seed chooses."""
    base = 64 * seed
    one, two = pattern(4096, seed), pattern(512, seed + 1000)
    check(dev, OUT, base, one, queue=queue)
    check(dev, OUT, base + 8, two, queue=queue, indirect=True)
    check(dev, FLUSH, queue=queue)
    runner.equal(image.read(base * 512, 4608), one + two, 'content of the file')
    runner.equal(check(dev, IN, base, size=4608, queue=queue), one + two, 'what was read')
    check(dev, WRITE_ZEROES, 0, segment(base + 1, 2), queue=queue)
    check(dev, WRITE_ZEROES, 0, segment(base + 4, 1, 1), queue=queue)
    check(dev, DISCARD, 0, segment(base + 16, 8), queue=queue)
    want = one[:512] + bytes(1024) + one[1536:2048] + bytes(512) + one[2560:]
    runner.equal(check(dev, IN, base, size=4096, queue=queue), want, 'after write zeroes')
    runner.equal(check(dev, GET_ID, size=20, queue=queue), b'serial-0'.ljust(20, b'\0'), 'id')


def test_identity():
    with Image() as image, start(image.nodes(), ',serial=x,num-queues=2,logical_block_size=512') as vm:
        dev = device(vm)
        f = dev.function
        runner.equal((f.vendor, f.device, f.class_id), (0x1af4, 0x1042, 0x0100), 'ids')
        offered = dev.offered()
        for bit in (F_SEG_MAX, F_GEOMETRY, F_BLK_SIZE, F_FLUSH, F_TOPOLOGY, F_CONFIG_WCE, F_MQ, F_DISCARD,
                    F_WRITE_ZEROES):
            runner.equal(offered >> bit & 1, 1, 'feature %d' % bit)
        runner.equal(offered >> F_RO & 1, 0, 'read-only')
        config = dev.config
        runner.equal(config.read(CAPACITY, 4), 8192, 'capacity')
        runner.equal(config.read(SEG_MAX, 4), 254, 'seg_max')
        runner.equal(config.read(BLK_SIZE, 4), 512, 'blk_size')
        runner.equal(config.read(NUM_QUEUES, 2), 2, 'queues')


def test_requests():
    with Image() as image:
        for packed in (False, True):
            with start(image.nodes(',discard=unmap', ',discard=unmap'),
                       ',serial=serial-0' + (',packed=on' if packed else '')) as vm:
                dev = device(vm)
                for n, msix in enumerate((False, True)):
                    for event_idx in (False, True):
                        dev.start(packed=packed, event_idx=event_idx, msix=msix)
                        exercise(dev, image, seed=n)


def test_queues():
    with Image() as image, start(image.nodes(), ',serial=serial-0,num-queues=4') as vm:
        dev = device(vm).start(msix=True)
        runner.equal(len(dev.queues), 4, 'queues')
        for n in range(4):
            exercise(dev, image, queue=n, seed=n)


def test_engines():
    for file, raw in ((',aio=threads', ''), (',aio=io_uring', ''),
                      (',aio=native,cache.direct=on', ',cache.direct=on'),
                      (',aio=io_uring,cache.direct=on', ',cache.direct=on')):
        with Image() as image, start(image.nodes(file, raw), ',serial=serial-0') as vm:
            exercise(device(vm).start(), image)


def test_iothread():
    with Image() as image, start(image.nodes(), ',serial=serial-0,iothread=t0,num-queues=2', '-object',
                                 'iothread,id=t0') as vm:
        dev = device(vm)
        for n in range(3):
            dev.start(msix=True)
            exercise(dev, image, queue=n % 2, seed=n)
        vm.qmp.cmd('block_resize', node_name='d0', size=5 * MIB)
        runner.equal(dev.config.read(CAPACITY, 4), 10240, 'capacity')
        vm.qmp.cmd('block-set-write-threshold', node_name='f0', write_threshold=MIB)
        check(dev, OUT, 3000, pattern(512, 1))
        vm.qmp.wait_event('BLOCK_WRITE_THRESHOLD', node_name='f0', write_threshold=MIB,
                          amount_exceeded=3001 * 512 - MIB)
        vm.system_reset()
        exercise(device(vm).start(), image)


def test_batch():
    """Adjacent requests of one kick are joined, and each gets its own data and status."""
    with Image() as image, start(image.nodes()) as vm:
        dev = device(vm).start()
        queue = dev.queues[0]
        data = pattern(40 * 1024, 7)
        writes = [Request(dev, OUT, 2 * i, data[1024 * i:1024 * i + 1024]) for i in range(40)]
        for kind in ('write', 'read'):
            requests = writes
            if kind == 'read':
                requests = [Request(dev, IN, 2 * i, size=1024) for i in range(40)]
            ids = {r.add(queue) for r in requests}
            queue.kick()
            got = {queue.wait_used()[0] for _ in range(40)}
            runner.equal(got, ids, 'finished requests')
            runner.equal([r.result()[0] for r in requests], [OK] * 40, 'status')
        runner.equal(image.read(0, len(data)), data, 'content of the file')
        runner.equal(b''.join(r.result()[1] for r in requests), data, 'what was read')
        stats = vm.qmp.cmd('query-blockstats')[0]['stats']
        runner.equal((stats['wr_operations'], stats['wr_bytes'], stats['rd_bytes']), (40, 40960, 40960), 'statistics')
        if not stats['wr_merged'] or not stats['rd_merged']:
            raise AssertionError('nothing was merged: %r' % stats)


def test_write_cache():
    with Image() as image, start(image.nodes()) as vm:
        dev = device(vm).start()
        runner.equal(dev.config.read(WCE, 1), 1, 'write cache')
        dev.config.write(WCE, 0, 1)
        runner.equal(dev.config.read(WCE, 1), 0, 'write cache')
        check(dev, OUT, 0, pattern(512, 1))
        dev.reset()
        runner.equal(dev.config.read(WCE, 1), 1, 'write cache after a reset')
        dev.start(drop=1 << F_FLUSH | 1 << F_CONFIG_WCE)
        runner.equal(vm.qmp.cmd('query-block')[0]['inserted']['cache']['writeback'], False, 'writeback')


def test_read_only():
    with Image() as image, start(image.nodes(',read-only=on', ',read-only=on')) as vm:
        dev = device(vm)
        runner.equal(dev.offered() >> F_RO & 1, 1, 'read-only')
        dev.start()
        check(dev, OUT, 0, bytes(512), want=IOERR)
        check(dev, IN, 0, size=512)
        runner.equal(vm.qmp.cmd('query-block')[0]['inserted']['ro'], True, 'ro')


def test_resize():
    with Image() as image, start(image.nodes()) as vm:
        dev = device(vm).start()
        check(dev, IN, 8192, size=512, want=IOERR)
        generation = dev.get('generation')
        vm.qmp.cmd('block_resize', node_name='d0', size=6 * MIB)
        vm.wait_for(lambda: dev.isr.read(0, 1) & 2, 10, 'configuration interrupt')
        runner.equal(dev.config.read(CAPACITY, 4), 12288, 'capacity')
        if dev.get('generation') == generation:
            raise AssertionError('same generation')
        check(dev, IN, 8192, size=512)


def test_bad_requests():
    """What the specification answers with a status."""
    with Image() as image, start(image.nodes(), ',logical_block_size=4096,physical_block_size=4096') as vm:
        dev = device(vm).start()
        block = bytes(4096)
        for sector in (8192, 1 << 40, (1 << 64) - 1, (1 << 64) - 8, 1 << 55, (1 << 63) // 512):
            check(dev, IN, sector, size=4096, want=IOERR)
            check(dev, OUT, sector, block, want=IOERR)
            check(dev, DISCARD, 0, segment(sector, 8), want=IOERR)
            check(dev, WRITE_ZEROES, 0, segment(sector, 8), want=IOERR)
        check(dev, IN, 8184, size=8192, want=IOERR)
        check(dev, IN, 0, size=512, want=IOERR)         # not a whole block
        check(dev, IN, 1, size=4096, want=IOERR)
        check(dev, OUT, 1, block, want=IOERR)
        check(dev, OUT, 0, bytes(100), want=IOERR)
        check(dev, 77, 0, want=UNSUPP)
        check(dev, DISCARD, 0, segment(0, 8, 1), want=UNSUPP)
        check(dev, WRITE_ZEROES, 0, segment(0, 8, 2), want=UNSUPP)
        check(dev, DISCARD, 0, segment(0, 0xffffffff), want=IOERR)
        check(dev, DISCARD, 0, segment(0, 8) * 2, want=IOERR)
        check(dev, DISCARD, 0, segment(0, 8)[:-1], want=IOERR)
        check(dev, WRITE_ZEROES, 0, want=IOERR)
        check(dev, IN, 0, size=4096)
        stats = vm.qmp.cmd('query-blockstats')[0]['stats']
        runner.equal(stats['invalid_rd_operations'], 9, 'invalid reads')


def test_broken_framing():
    """No header, no room for the status: only a reset helps."""
    with Image() as image, start(image.nodes()) as vm:
        dev = device(vm)
        header = struct.pack('<IIQ', IN, 0, 0)
        cases = (([], 513), ([header[:15]], 513), ([header], 0), ([b''], 0))
        for out, into in cases:
            dev.start()
            queue = dev.queues[0]
            queue.add([(dev.buffer(o), len(o)) for o in out if o],
                      [(dev.buffer(into), into)] if into else [] if out[0:] and out[0] else [(dev.buffer(4), 0)])
            queue.kick()
            dev.wait_broken()
        dev.start()
        # Header and status in pieces of one byte are fine.
        head = dev.buffer(header)
        status = dev.buffer(b'\xff')
        buf = dev.buffer(512)
        dev.queues[0].send([(head + i, 1) for i in range(16)], [(buf, 512), (status, 1)])
        runner.equal(vm.readb(status), OK, 'status')
        # And so is a status at the end of the data.
        dev.queues[0].send([(head, 16)], [(buf, 513)])
        runner.equal(vm.readb(buf + 512), OK, 'status')


def test_garbage():
    """Random headers, lengths and directions: the device answers or is broken, and a reset helps."""
    rng = random.Random(1)
    with Image() as image, start(image.nodes(), ',serial=serial-0') as vm:
        dev = device(vm)
        for _ in range(40):
            dev.start()
            queue = dev.queues[0]
            for _ in range(8):
                kind = rng.choice((0, 1, 4, 8, 11, 13, rng.getrandbits(32)))
                header = struct.pack('<IIQ', kind, rng.getrandbits(32), rng.choice((0, 5, rng.getrandbits(64))))
                header += rng.randbytes(rng.choice((0, 0, 16, 512, 777)))
                header = header[:rng.choice((3, 16, 2000, 2000, 2000))]
                size = rng.choice((0, 1, 2, 21, 513, 4097))
                queue.add([(dev.buffer(header), len(header))], [(dev.buffer(size), size)] if size else [])
            queue.kick()
            for _ in range(20):
                queue.get_used()
        dev.start()
        exercise(dev, image)


def wrapper(vm_dir):
    """The emulator with SIGXFSZ ignored, so that a file size limit is an error and no death."""
    path = os.path.join(vm_dir, 'x-system-x86_64')
    with open(path, 'w', encoding='utf-8') as f:
        f.write('#!/bin/sh\ntrap "" XFSZ\nexec %s "$@"\n' % qtest.binary())
    os.chmod(path, 0o755)
    return path


def limit_file_size(vm, limit):
    hard = resource.prlimit(vm.pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(vm.pid, resource.RLIMIT_FSIZE, (hard if limit is None else limit, hard))


def test_host_errors():
    runner.require(qtest.is_nemu(qtest.binary()), 'needs a guest that runs')
    with Image() as image:
        program = wrapper(os.environ.get('NEMU_BUILD_DIR', '.'))
        try:
            for iothread in ('', ',iothread=t0'):
                check_host_errors(image, program, iothread)
        finally:
            os.unlink(program)


def check_host_errors(image, program, iothread):
    args = ('-object', 'iothread,id=t0')
    with start(image.nodes(), ',werror=report' + iothread, *args, program=program) as vm:
        dev = device(vm).start()
        limit_file_size(vm, MIB)
        check(dev, OUT, 4096, bytes(512), want=IOERR)
        vm.qmp.wait_event('BLOCK_IO_ERROR', action='report', operation='write', node_name='d0')
        runner.equal(vm.qmp.cmd('query-status')['status'], 'running', 'run state')
        limit_file_size(vm, None)
    with start(image.nodes(), ',werror=stop' + iothread, *args, program=program) as vm:
        dev = device(vm).start()
        limit_file_size(vm, MIB)
        requests = [Request(dev, OUT, 4096 + 16 * i, pattern(512, i)) for i in range(5)]
        for r in requests:
            r.add(dev.queues[0])
        dev.queues[0].kick()
        event = vm.qmp.wait_event('BLOCK_IO_ERROR', action='stop')
        runner.equal(event['data']['nospace'], False, 'nospace')
        vm.qmp.wait_event('STOP')
        runner.equal(vm.qmp.cmd('query-status')['status'], 'io-error', 'run state')
        runner.equal(vm.qmp.cmd('query-block')[0]['io-status'], 'failed', 'io-status')
        runner.equal(dev.queues[0].get_used(), None, 'a request that failed is kept')
        # Still no room: it stops again.
        vm.qmp.cmd('cont')
        vm.qmp.wait_event('STOP')
        limit_file_size(vm, None)
        vm.qmp.cmd('cont')
        for _ in requests:
            dev.queues[0].wait_used()
        runner.equal([r.result()[0] for r in requests], [OK] * 5, 'status')
        runner.equal(image.read(4096 * 512, 512), pattern(512, 0), 'content of the file')
        runner.equal(vm.qmp.cmd('query-block')[0]['io-status'], 'ok', 'io-status')
        # Kept requests go away with a reset.
        limit_file_size(vm, MIB)
        Request(dev, OUT, 4096, bytes(512)).add(dev.queues[0])
        dev.queues[0].kick()
        vm.qmp.wait_event('STOP')
        dev.start()
        limit_file_size(vm, None)
        vm.qmp.cmd('cont')
        check(dev, OUT, 4096, bytes(512))


def slow_nodes(latency_ms):
    return ['-blockdev', 'null-co,node-name=d0,size=%d,latency-ns=%d' % (4 * MIB, latency_ms * 1000000)]


def test_reset_in_flight():
    for options in ('', ',iothread=t0'):
        with start(slow_nodes(100), options, '-object', 'iothread,id=t0') as vm:
            dev = device(vm)
            for n in range(4):
                dev.start()
                requests = [Request(dev, OUT, i, bytes(512)) for i in range(8)]
                for r in requests:
                    r.add(dev.queues[0])
                dev.queues[0].kick()
                if n % 2:
                    vm.system_reset()
                    dev = device(vm)
                else:
                    dev.reset()
            dev.start()
            check(dev, IN, 0, size=512)


def test_queue_reset():
    with start(slow_nodes(50), ',num-queues=2') as vm:
        dev = device(vm).start()
        runner.require(dev.has(virtio.F_RING_RESET), 'no ring reset')
        for _ in range(3):
            for q in dev.queues:
                Request(dev, OUT, 0, bytes(512)).add(q)
                q.kick()
            dev.set('queue_select', 0)
            dev.set('queue_reset', 1)
            vm.wait_for(lambda: dev.get('queue_reset') == 0, 10, 'the end of the queue reset')
            dev.queues[1].wait_used()
            dev.queues[0] = dev.add_queue(0)
            check(dev, IN, 0, size=512)


def test_hotplug():
    with Image() as image, qtest.Emulator(*machine(), '-device', 'pcie-root-port,id=rp,chassis=1,addr=2',
                                          '-object', 'iothread,id=t0') as vm:
        for n in range(3):
            vm.qmp.cmd('blockdev-add', driver='file', node_name='f0', filename=image.path, auto_read_only=True,
                       discard='unmap')
            vm.qmp.cmd('blockdev-add', driver='raw', node_name='d0', file='f0', read_only=False)
            vm.qmp.cmd('device_add', {'driver': 'virtio-blk-pci', 'id': 'disk', 'bus': 'rp', 'drive': 'd0',
                                      'serial': 'serial-0', **({'iothread': 't0'} if n % 2 else {})})
            runner.equal(vm.qmp.cmd_error('blockdev-del', node_name='d0'), 'Node d0 is in use', 'error')
            host = pci.Host(vm)
            host.enumerate()
            port = host.at(0, 2)
            exp = port.find_cap(pci.CAP_EXP)
            port.writew(exp + pci.EXP_SLTCTL, 0x1c0)
            host.enumerate()
            function = host.find(virtio.VENDOR, virtio.pci_id(virtio.BLOCK))
            function.enable()
            dev = virtio.Device(function, pci.Allocator(vm)).start()
            exercise(dev, image)
            for i in range(8):
                Request(dev, OUT, i, bytes(512)).add(dev.queues[0])
            dev.queues[0].kick()
            vm.qmp.cmd('device_del', id='disk')
            port.writew(exp + pci.EXP_SLTCTL, 0x2c0)
            port.writew(exp + pci.EXP_SLTCTL, 0x7c0)
            vm.qmp.wait_event('DEVICE_DELETED')
            vm.qmp.cmd('blockdev-del', node_name='d0')
            vm.qmp.cmd('blockdev-del', node_name='f0')
            runner.equal(vm.qmp.cmd('query-named-block-nodes'), [], 'nodes left')


def test_refusals():
    with Image() as image:
        nodes = image.nodes()
        for options, words in ((',num-queues=0', 'num-queues property must be larger than 0'),
                               (',queue-size=3', 'invalid queue-size property (3), must be a power of 2 (max 1024)'),
                               (',queue-size=2', 'invalid queue-size property (2), must be > 2'),
                               (',logical_block_size=3', "Property .logical_block_size doesn't take value 3 "
                                '(minimum: 512, maximum: 2097152)'),
                               (',logical_block_size=4096,physical_block_size=512',
                                'logical_block_size > physical_block_size not supported'),
                               (',max-discard-sectors=0', 'invalid max-discard-sectors property (0), must be '
                                'between 1 and 4194303'),
                               (',min_io_size=3', 'min_io_size must be a multiple of logical_block_size'),
                               (',cyls=70000,heads=16,secs=63', 'cyls must be between 1 and 65535'),
                               (',werror=bogus', "Parameter 'werror' does not accept value 'bogus'")):
            text = qtest.start_error(*machine(), *nodes, '-device', 'virtio-blk-pci,drive=d0' + options)
            if words not in text:
                raise AssertionError('%r is not in %r' % (words, text))
        text = qtest.start_error(*machine(), '-device', 'virtio-blk-pci')
        if 'drive property not set' not in text:
            raise AssertionError(text)
        text = qtest.start_error(*machine(), *nodes, '-device', 'virtio-blk-pci,drive=d0', '-device',
                                 'virtio-blk-pci,drive=d0')
        if "Permission conflict on node 'd0': permissions 'write' are both required by" not in text:
            raise AssertionError(text)


def normal(value):
    """What two programs must agree on: without names and numbers that are made up."""
    if isinstance(value, dict):
        return {k: normal(v) for k, v in value.items()
                if not (k == 'node-name' and v.startswith('#block')) and k not in ('id', 'parent-id')}
    if isinstance(value, list):
        return sorted((normal(v) for v in value), key=repr)
    return value


def test_query_shapes():
    """The same answers as the reference, member by member."""
    reference = '/usr/bin/qemu-system-x86_64'
    runner.require(os.access(reference, os.X_OK), reference + ' is not installed')
    with Image() as image, Image() as other:
        other.path += '2'
        with open(other.path, 'wb') as f:
            f.truncate(1000)
        args = [*image.nodes(',auto-read-only=on'), '-drive', 'if=none,id=e0', '-drive',
                'if=none,id=r0,format=raw,readonly=on,cache=none,file=' + other.path,
                '-blockdev', 'null-co,node-name=n0,size=4096,read-zeroes=on']
        answers = []
        for program in (qtest.binary(), reference):
            name = 'virt' if qtest.is_nemu(program) else 'q35'
            with qtest.Emulator('-machine', name, '-nodefaults', *args, '-device',
                                'virtio-blk-pci,drive=d0,id=disk', program=program) as vm:
                answers.append({
                    command + str(kwargs): normal(vm.qmp.cmd(command, **kwargs))
                    for command, kwargs in (('query-block', {}), ('query-blockstats', {}),
                                            ('query-named-block-nodes', {}),
                                            ('query-named-block-nodes', {'flat': True}),
                                            ('query-blockstats', {'query_nodes': True}))})
        for key in answers[0]:
            runner.equal(answers[0][key], answers[1][key], key)


if __name__ == '__main__':
    runner.main(globals())
