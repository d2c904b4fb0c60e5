#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""qcow2 images, byte by byte as Debian's tools make them; each side works on the other's images."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
# pylint: disable=wrong-import-position
from lib import disktools, runner

disktools.require_oracle()

# Byte by byte also after the writes; the others are compared by content.
DIFFERS = ['cluster_size=512', 'compat=0.10,cluster_size=1024', 'refcount_bits=64,cluster_size=1024']
OPTIONS = ['cluster_size=65536', 'cluster_size=512', 'cluster_size=4096,refcount_bits=1', 'cluster_size=2M',
           'compat=0.10', 'compat=0.10,cluster_size=1024', 'refcount_bits=64,cluster_size=1024',
           'lazy_refcounts=on', 'extended_l2=on', 'extended_l2=on,cluster_size=16k',
           'compression_type=zstd', 'preallocation=metadata', 'refcount_bits=8']

WRITES = ['write -P 1 0 4k', 'write -P 2 1M 128k', 'write -P 3 70000 512', 'write -P 4 5M 64k',
          'write -P 5 4096 100k', 'write -z 2M 64k', 'flush', 'write -P 6 3M 300k']


def io(p, name, *commands):
    args = ['-f', 'qcow2']
    for c in commands:
        args += ['-c', c]
    return p.io(*args, name)


def create(p, name, options, size='8M', **kw):
    p.img('create', '-f', 'qcow2', '-o', options, name, size, **kw)


def test_create_and_write():
    for options in OPTIONS:
        with disktools.Pair() as p:
            create(p, 'x.qcow2', options)
            p.same_bytes('x.qcow2')
            p.img('info', 'x.qcow2', ignore_out=True)
            io(p, 'x.qcow2', *WRITES)
            p.same_content('x.qcow2', 'qcow2')
            if options not in DIFFERS:
                p.same_bytes('x.qcow2')
            p.img('check', 'x.qcow2', ignore_out=options in DIFFERS, status=0)
            p.swap('x.qcow2')
            io(p, 'x.qcow2', 'read -P 5 4096 60k', 'write -P 9 6M 70k', 'write -P 7 0 512')
            p.same_content('x.qcow2', 'qcow2')
            p.img('check', 'x.qcow2', ignore_out=options in DIFFERS, status=0)


def test_growth():
    """Refcount blocks and table, and the L1 table, move."""
    for options in ('cluster_size=512', 'cluster_size=512,refcount_bits=64'):
        with disktools.Pair() as p:
            create(p, 'x.qcow2', options, '64M')
            for at in (0, 8):
                p.io('-t', 'unsafe', '-f', 'qcow2', '-c', 'write -P 3 %dM 4M' % at, 'x.qcow2')
            p.same_content('x.qcow2', 'qcow2')
            p.img('check', 'x.qcow2', ignore_out=True, status=0)
            p.img('resize', 'x.qcow2', '128M')
            p.swap('x.qcow2')
            p.img('resize', '--shrink', 'x.qcow2', '5M')
            p.same_content('x.qcow2', 'qcow2')
            p.img('check', 'x.qcow2', ignore_out=True, status=0)


def test_preallocation():
    """All modes, at creation and when the disk grows."""
    for options in ('cluster_size=64k', 'cluster_size=512', 'cluster_size=512,refcount_bits=64', 'cluster_size=2M',
                    'extended_l2=on', 'compat=0.10,cluster_size=1k', 'lazy_refcounts=on'):
        for size, modes in (('1000k', ('metadata', 'falloc', 'full')), ('7M', ('falloc',))):
            with disktools.Pair() as p:
                for mode in modes:
                    create(p, 'x.qcow2', options + ',preallocation=' + mode, size)
                    if (mode, options) != ('metadata', 'extended_l2=on'):   # the file's end differs
                        p.same_bytes('x.qcow2')
                    p.img('check', 'x.qcow2', status=0)
                    p.img('resize', '--preallocation=' + mode, 'x.qcow2', '+1000k')
                    p.img('check', 'x.qcow2', ignore_out=True, status=0)
                    p.same_content('x.qcow2', 'qcow2')


def test_preallocation_keeps_data():
    """The last cluster of a disk of odd length is not lost when the disk grows."""
    for mode in ('metadata', 'falloc', 'full'):
        for how in ('write', 'write -c', 'snapshot', 'zero'):
            with disktools.Pair() as p:
                create(p, 'x.qcow2', 'cluster_size=64k', '1000k')
                io(p, 'x.qcow2', how + ' -P 7 960k 40k' if 'write' in how else 'write -P 7 960k 40k')
                if how == 'snapshot':
                    p.img('snapshot', '-c', 's', 'x.qcow2')
                elif how == 'zero':
                    io(p, 'x.qcow2', 'write -z 960k 40k')
                p.img('resize', '--preallocation=' + mode, 'x.qcow2', '+1M')
                io(p, 'x.qcow2', 'read -P %d 960k 40k' % (0 if how == 'zero' else 7))
                p.img('check', 'x.qcow2', ignore_out=True, status=0)


def test_emptied():
    """After a commit the overlay is as long as a new one."""
    for options in ('cluster_size=64k', 'cluster_size=512', 'compat=0.10', 'extended_l2=on', 'lazy_refcounts=on',
                    'refcount_bits=1'):
        with disktools.Pair() as p:
            create(p, 'base.qcow2', options, '4M')
            p.img('create', '-f', 'qcow2', '-o', options, '-b', 'base.qcow2', '-F', 'qcow2', 'x.qcow2')
            io(p, 'x.qcow2', 'write -P 3 0 1M', 'flush')
            p.img('commit', 'x.qcow2')
            p.same_bytes('x.qcow2')
            p.same_content('base.qcow2', 'qcow2')
            p.img('check', 'x.qcow2', status=0)
            io(p, 'x.qcow2', 'read -P 3 0 1M', 'write -P 4 512k 1M')
            p.same_bytes('x.qcow2')
            p.img('snapshot', '-c', 's', 'x.qcow2', ignore_err=True)
            p.img('commit', 'x.qcow2')
            p.img('check', 'x.qcow2', ignore_out=True, status=0)
            p.same_content('x.qcow2', 'qcow2')


def test_measure():
    with disktools.Pair() as p:
        create(p, 'x.qcow2', 'cluster_size=64k', '10M')
        create(p, 'y.qcow2', 'compat=0.10', '10M')
        p.img('bitmap', '--add', 'x.qcow2', 'b')
        for name in ('x.qcow2', 'y.qcow2'):
            for o in ('cluster_size=64k', 'compat=0.10', 'compat=v3', 'cluster_size=512', 'preallocation=full',
                      'data_file=d', 'extended_l2=on', 'refcount_bits=1', 'backing_file=b,backing_fmt=raw'):
                p.img('measure', '-O', 'qcow2', '-o', o, name)
                p.img('measure', '-O', 'qcow2', '-o', o, '--output=json', name)
            p.img('measure', '-O', 'raw', name)


def test_snapshots():
    for options in ('cluster_size=64k', 'cluster_size=1024', 'compat=0.10', 'extended_l2=on'):
        with disktools.Pair() as p:
            create(p, 'x.qcow2', options)
            io(p, 'x.qcow2', 'write -P 1 0 1M')
            for name in ('one', 'two'):
                p.img('snapshot', '-c', name, 'x.qcow2')
                io(p, 'x.qcow2', 'write -P 2 500k 200k', 'write -P 3 3M 64k')
                p.same_content('x.qcow2', 'qcow2')
                p.img('check', 'x.qcow2', status=0)
            p.img('snapshot', '-l', 'x.qcow2')
            p.swap('x.qcow2')
            p.img('snapshot', '-a', 'one', 'x.qcow2')
            io(p, 'x.qcow2', 'read -P 1 0 1M')
            p.img('snapshot', '-d', 'one', 'x.qcow2')
            p.img('snapshot', '-d', 'two', 'x.qcow2')
            p.img('check', 'x.qcow2', status=0)
            p.same_content('x.qcow2', 'qcow2')


def test_compressed():
    for options in ('cluster_size=64k', 'cluster_size=4096', 'compression_type=zstd', 'extended_l2=on'):
        with disktools.Pair() as p:
            for path in p.paths('src.raw'):
                disktools.pattern_file(path, 4 << 20, [(i << 16, 40000, i + 1) for i in range(0, 60, 3)])
            p.img('convert', '-c', '-f', 'raw', '-O', 'qcow2', '-o', options, 'src.raw', 'x.qcow2')
            p.same_content('x.qcow2', 'qcow2')
            p.img('check', 'x.qcow2', ignore_out=True, status=0)
            p.swap('x.qcow2')
            io(p, 'x.qcow2', 'write -P 99 10k 100k', 'read -P 4 192k 4k')
            p.same_content('x.qcow2', 'qcow2')
            p.img('check', 'x.qcow2', ignore_out=True, status=0)


def test_data_file():
    for options in ('data_file=d.raw', 'data_file=d.raw,data_file_raw=on'):
        with disktools.Pair() as p:
            create(p, 'x.qcow2', options)
            io(p, 'x.qcow2', 'write -P 1 0 64k', 'write -P 2 1M 4k', 'write -z 2M 64k')
            p.img('check', 'x.qcow2', status=0)
            p.same_bytes('x.qcow2')
            p.same_bytes('d.raw')


def test_backing():
    for options in ('cluster_size=64k', 'extended_l2=on', 'compat=0.10'):
        with disktools.Pair() as p:
            for path in p.paths('base.raw'):
                disktools.pattern_file(path, 4 << 20, [(0, 1 << 20, 7), (3 << 20, 100000, 8)])
            p.img('create', '-f', 'qcow2', '-o', options, '-b', 'base.raw', '-F', 'raw', 'x.qcow2')
            p.same_bytes('x.qcow2')
            io(p, 'x.qcow2', 'write -P 1 1000 1000', 'write -P 2 3M 4k', 'read -P 7 512k 64k')
            p.same_bytes('x.qcow2')
            p.img('map', '--output=json', 'x.qcow2')
            p.img('resize', 'x.qcow2', '6M')
            p.same_content('x.qcow2', 'qcow2')


def test_discard():
    with disktools.Pair() as p:
        create(p, 'x.qcow2', 'cluster_size=64k')
        io(p, 'x.qcow2', 'write -P 1 0 2M')
        p.io('-f', 'qcow2', '-d', 'unmap', '-c', 'discard 64k 256k', '-c', 'write -z -u 1M 128k', 'x.qcow2')
        p.same_content('x.qcow2', 'qcow2')
        p.same_bytes('x.qcow2')
        p.img('map', '--output=json', 'x.qcow2')
        p.img('check', 'x.qcow2', status=0)


def test_amend_and_bitmaps():
    with disktools.Pair() as p:
        create(p, 'x.qcow2', 'cluster_size=4096')
        io(p, 'x.qcow2', 'write -P 1 0 1M')
        for words in (['refcount_bits=64'], ['refcount_bits=1'], ['refcount_bits=16'], ['lazy_refcounts=on'],
                      ['lazy_refcounts=off'], ['compat=0.10'], ['compat=1.1'], ['size=9M'], ['compat=0.42'],
                      ['backing_file=x'], ['backing_file='], ['backing_fmt=raw'], ['backing_file=x,backing_fmt=raw']):
            p.img('amend', '-f', 'qcow2', '-o', *words, 'x.qcow2')
            p.img('check', 'x.qcow2', ignore_out=True, status=0)
            p.same_content('x.qcow2', 'qcow2')
        p.img('bitmap', '--add', 'x.qcow2', 'b0')
        p.img('bitmap', '--add', '-g', '4k', 'x.qcow2', 'b1')
        io(p, 'x.qcow2', 'write -P 2 0 100k')
        p.img('bitmap', '--merge', 'b1', 'x.qcow2', 'b0')
        p.img('bitmap', '--disable', 'x.qcow2', 'b1')
        p.img('info', '--output=json', 'x.qcow2', ignore_out=True)
        p.img('check', 'x.qcow2', ignore_out=True, status=0)
        p.swap('x.qcow2')
        p.img('bitmap', '--remove', 'x.qcow2', 'b0')
        p.img('check', 'x.qcow2', ignore_out=True, status=0)
        p.same_content('x.qcow2', 'qcow2')


if __name__ == '__main__':
    runner.main(globals())
