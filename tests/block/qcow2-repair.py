#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Damaged qcow2 images: what a check tells and what a repair leaves, beside Debian's tools."""
import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
# pylint: disable=wrong-import-position
from lib import disktools, runner

disktools.require_oracle()


def be64(value):
    return struct.pack('>Q', value)


# Where, what. In the image: refcount table at 0x10000, block at 0x20000, L1 at 0x30000, L2 at 0x40000, then data.
DAMAGE = {
    'leak': (0x20010, b'\0\1'),
    'many leaks': (0x20100, b'\0\1' * 20),
    'count too high': (0x20008, b'\0\2'),
    'count too low': (0x20008, b'\0\0'),
    'count of header': (0x20000, b'\0\0'),
    'copied flag of a table': (0x30000, b'\0'),
    'copied flag of data': (0x40000, b'\0'),
    'reserved bits of L2': (0x40008, be64(0x8800000000060000)),
    'one cluster twice': (0x40008, be64(0x8000000000050000)),
    'zero cluster out of line': (0x40008, be64(0x8000000000060201)),
    'metadata as data': (0x40000, be64(0x8000000000020000)),
    'reserved bits of the refcount table': (0x10007, b'\1'),
    'refcount block out of line': (0x10000, be64(0x20200)),
    'no refcount block': (0x10000, bytes(8)),
}
# Repaired by us, while Debian's gives up.
OURS_REPAIRS = ['reserved bits of the refcount table', 'refcount block out of line']


def damaged(p, where, data):
    p.img('create', '-q', '-f', 'qcow2', 'x.qcow2', '4M')
    p.io('-f', 'qcow2', '-c', 'write -P 1 0 128k', '-c', 'write -P 2 1M 64k', 'x.qcow2')
    for path in p.paths('x.qcow2'):
        with open(path, 'r+b') as f:
            f.seek(where)
            f.write(data)


def test_damage():
    for name, (where, data) in DAMAGE.items():
        with disktools.Pair() as p:
            for args in ([], ['-r', 'leaks'], ['-r', 'all'], ['--output=json'], ['-r', 'leaks', '--output=json'],
                         ['-r', 'all', '--output=json']):
                damaged(p, where, data)
                if name in OURS_REPAIRS and 'all' in args:
                    r = disktools.run(disktools.ours('qemu-img'), 'check', *args, 'x.qcow2', cwd=p.ours)
                    runner.equal(r.status, 0, name + r.out + r.err)
                    r = disktools.run('/usr/bin/qemu-img', 'check', 'x.qcow2', cwd=p.ours)
                    runner.equal(r.status, 0, name + r.out + r.err)
                    continue
                p.img('check', *args, 'x.qcow2')
                p.img('check', 'x.qcow2')


def test_endless_refcounts():
    """A table that names one full block a million times: no search through what is not there."""
    with disktools.Pair() as p:
        p.img('create', '-q', '-f', 'qcow2', 'x.qcow2', '64M')
        path = os.path.join(p.ours, 'x.qcow2')
        with open(path, 'r+b') as f:
            f.seek(48)
            f.write(struct.pack('>QI', 1 << 20, 128))
            f.seek(0x20000)
            f.write(b'\0\1' * 32768)
            f.seek(1 << 20)
            f.write(be64(0x20000) * (1 << 20))
        r = disktools.run(disktools.ours('qemu-io'), '-f', 'qcow2', '-c', 'write 3M 64k', '-c', 'read 0 64k', path)
        assert r.status == 1 and 'write failed: Input/output error' in r.out + r.err, (r.out, r.err)
        assert 'Refblock offset 0x20000 is in the refcount table more than once' in r.err, r.err
        r = disktools.run(disktools.ours('qemu-img'), 'info', path)
        assert 'corrupt: true' in r.out, r.out
        r = disktools.run(disktools.ours('qemu-img'), 'check', path)
        assert r.status in (1, 2), (r.status, r.out, r.err)


if __name__ == '__main__':
    runner.main(globals())
