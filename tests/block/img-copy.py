#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""qemu-img convert, dd, bench and bitmap on raw images, beside Debian's."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
# pylint: disable=wrong-import-position
from lib import disktools, runner

disktools.require_oracle()
M = 1 << 20
K = 1 << 10


def each(p, commands, **kw):
    for words in commands:
        p.img(*words.split(), **kw)


def raw_pair(p, name='x.raw', size=10 * M, pieces=((M, 128 * K, 1), (5 * M, 64 * K, 2))):
    for path in p.paths(name):
        disktools.pattern_file(path, size, pieces)


def extents(path):
    """What of a file is allocated, as SEEK_DATA tells."""
    found, at = [], 0
    with open(path, 'rb') as f:
        while True:
            try:
                at = os.lseek(f.fileno(), at, os.SEEK_DATA)
            except OSError:
                return found
            end = os.lseek(f.fileno(), at, os.SEEK_HOLE)
            found.append((at, end))
            at = end


def same_extents(p, name):
    a, b = p.paths(name)
    if extents(a) != extents(b):
        p.fault('%s: allocated %r, expected %r' % (name, extents(b), extents(a)))


def test_usage():
    with disktools.Pair() as p:
        raw_pair(p)
        each(p, ['convert', 'convert a', 'convert x.raw', 'convert -O foo x.raw y', 'convert -f foo x.raw y',
                 'convert nonex y', 'convert -m 0 x.raw y', 'convert -m 17 x.raw y', 'convert -m a x.raw y',
                 'convert -S a x.raw y', 'convert -S 1 x.raw y', 'convert -S 1000 x.raw y', 'convert -S 32M x.raw y',
                 'convert -r a x.raw y', 'convert -l foo x.raw y', 'convert -l snapshot.foo=1 x.raw y',
                 'convert -l snapshot.id=1 x.raw y', 'convert -t foo x.raw y', 'convert -T foo x.raw y',
                 'convert -n x.raw nonex', 'convert -C -S 4k x.raw y', 'convert -C -c x.raw y',
                 'convert --salvage -C x.raw y', 'convert --skip-broken-bitmaps x.raw y',
                 'convert --bitmaps x.raw y', 'convert --target-is-zero x.raw y', 'convert --target-image-opts x.raw y',
                 'convert --target-image-opts -n x.raw y', 'convert -n -o size=1 x.raw y', 'convert -c -O raw x.raw y',
                 'convert -B z x.raw y', 'convert -O raw x.raw x.raw', 'convert x.raw /nonexist/x',
                 'convert -o foo=1 x.raw y', 'convert -o , x.raw y', 'convert -o help x.raw y', 'convert -O foo -o help',
                 'convert --image-opts x.raw y', 'convert -Z x.raw y', 'convert x.raw foo:y',
                 'dd', 'dd if=x.raw', 'dd of=x', 'dd if=x.raw of=y foo=1', 'dd if=x.raw of=y bs=a', 'dd if=x.raw of=y bs=0',
                 'dd if=x.raw of=y count=a', 'dd if=x.raw of=y skip=a', 'dd -O foo if=x.raw of=y', 'dd if=nonex of=y',
                 'dd x.raw', 'dd -n if=x.raw of=y', 'dd if=x.raw of=/nonexist/y',
                 'bench', 'bench -c a x.raw', 'bench -d a x.raw', 'bench -s a x.raw', 'bench -S a x.raw',
                 'bench -o a x.raw', 'bench -i foo x.raw', 'bench -f raw -c 5 -i native x.raw', 'bench nonex',
                 'bench -f raw --flush-interval=5 x.raw', 'bench -f raw -w --flush-interval=5 x.raw',
                 'bench --flush-interval=a x.raw', 'bench -w --pattern=300 x.raw', 'bench -t foo x.raw',
                 'bitmap', 'bitmap a', 'bitmap a b', 'bitmap --add a', 'bitmap --add a b c', 'bitmap --clear -g 4k x.raw c',
                 'bitmap --add -g a x.raw b', 'bitmap -F qcow2 --merge c x.raw b', 'bitmap -b y --add x.raw b',
                 'bitmap --add nonex b', 'bitmap --add -f raw x.raw b', 'bitmap --clear -f raw x.raw b',
                 'commit', 'commit nonex', 'commit -f raw x.raw', 'commit -f raw -b y x.raw', 'commit -t foo x.raw',
                 'commit x.raw y', 'commit -r a x.raw',
                 'rebase', 'rebase x.raw', 'rebase -f raw -b y -F foo x.raw', 'rebase -t foo -b y x.raw',
                 'rebase -f raw -b nonex -F raw x.raw', 'rebase -f raw -u -b x.raw -F raw x.raw', 'rebase a b'])


def test_convert():
    with disktools.Pair() as p:
        raw_pair(p)
        raw_pair(p, 'z.raw', 4 * M, ((0, 3 * M, 0), (M, 4 * K, 9), (M + 12 * K, 512, 9), (M + 16 * K, 3 * K, 9)))
        raw_pair(p, 'odd.raw', 3 * M + 1000, ((3 * M - 100, 300, 5),))
        raw_pair(p, 'empty.raw', 0, ())
        for name in ('x.raw', 'z.raw', 'odd.raw', 'empty.raw'):
            for options in ('', '-S 0', '-S 512', '-S 64k', '-S 12k', '-W', '-m 1', '-m 16 -W', '-C', '-t none', '-T none',
                            '-t directsync', '-r 100M', '-p', '-q', '-p -q', '-U', '--salvage', '-o preallocation=full',
                            '-o preallocation=falloc', '-o size=15M'):
                p.img('convert', '-f', 'raw', '-O', 'raw', *options.split(), name, 'out.raw')
                p.same_bytes('out.raw')
                p.same_content('out.raw')
                if '-C' not in options and 'full' not in options and 'falloc' not in options:
                    same_extents(p, 'out.raw')
        each(p, ['convert x.raw z.raw odd.raw cat.raw', 'convert -W odd.raw odd.raw x.raw cat2.raw',
                 'convert --image-opts driver=raw,offset=1M,size=1M,file.filename=x.raw part.raw'])
        for name in ('cat.raw', 'cat2.raw', 'part.raw'):
            p.same_bytes(name)


def test_memory_file_system():
    """On tmpfs: no hints, and no rule for direct access."""
    shm = '/dev/shm'
    runner.require(os.path.isdir(shm), 'no ' + shm)
    with disktools.Pair(shm) as p:
        each(p, ['create -f raw h.raw 1M', 'create -f raw -o extent_size_hint=1M h.raw 1M',
                 'create -f qcow2 -o extent_size_hint=1M h.qcow2 1M'])
        raw_pair(p, 'odd.raw', 3 * M + 1000, ((3 * M - 100, 300, 5),))
        for options in ('', '-t none', '-T none', '-t directsync'):
            p.img('convert', '-f', 'raw', '-O', 'raw', *options.split(), 'odd.raw', 'out.raw')
            p.same_bytes('out.raw')


def test_convert_existing():
    with disktools.Pair() as p:
        raw_pair(p)
        for options in ('', '-S 0', '-W', '--target-is-zero', '-t none'):
            raw_pair(p, 'out.raw', 12 * M, () if 'zero' in options else ((0, 12 * M, 0x77),))
            p.img('convert', '-f', 'raw', '-O', 'raw', '-n', *options.split(), 'x.raw', 'out.raw')
            p.same_bytes('out.raw')
        raw_pair(p, 'out.raw', 9 * M, ())
        p.img('convert', '-n', 'x.raw', 'out.raw')
        raw_pair(p, 'out.raw', 20 * M, ())
        p.img('convert', '-n', '--target-image-opts', 'x.raw', 'driver=raw,offset=1M,file.filename=out.raw')
        p.same_bytes('out.raw')


def test_dd():
    with disktools.Pair() as p:
        raw_pair(p)
        for operands in ('', 'bs=1M count=2 skip=1', 'bs=1000 count=3', 'bs=1 count=700', 'count=0', 'skip=1000000',
                         'bs=100k count=2 skip=3', 'bs=4M', 'bs=3M skip=1', 'count=1M', 'bs=64k skip=160',
                         'bs=1M count=20 skip=9'):
            p.img('dd', '-f', 'raw', '-O', 'raw', *operands.split(), 'if=x.raw', 'of=out.raw')
            p.same_bytes('out.raw')
        p.img('dd', '--image-opts', 'if=driver=raw,file.filename=x.raw', 'of=out.raw', 'bs=1M')
        p.img('dd', 'if=x.raw', 'of=y', 'if=out.raw')
        p.same_bytes('y')


def test_bench():
    with disktools.Pair() as p:
        raw_pair(p)
        each(p, ['bench -f raw -c 10 x.raw', 'bench -f raw -c 10 -w x.raw', 'bench -f raw -c 0 x.raw',
                 'bench -f raw -c 50 -w -d 4 --flush-interval=8 x.raw', 'bench -f raw -c 10 -w --pattern=65 x.raw',
                 'bench -f raw -c 50 -w -d 4 --flush-interval=8 --no-drain x.raw', 'bench -q -c 5 -f raw x.raw',
                 'bench -f raw -c 5 -s 1000 -S 7 -o 512 -d 2 x.raw', 'bench -f raw -c 5 -t none -i native x.raw',
                 'bench -f raw -c 5 -t none -n x.raw', 'bench -f raw -c 5 -i threads x.raw'])
        p.same_bytes('x.raw')
        # The message comes before or after the first line, as buffers go.
        p.img('bench', '-f', 'raw', '-c', '10', '-o', '10M', 'x.raw')
        p.img('bench', '-f', 'raw', '-c', '10', '-w', '-o', '10M', 'x.raw')


if __name__ == '__main__':
    runner.main(globals())
