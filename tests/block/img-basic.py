#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""qemu-img's general behaviour, and the commands on raw images, beside Debian's."""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
# pylint: disable=wrong-import-position
from lib import disktools, runner

disktools.require_oracle()
M = 1 << 20


def each(p, commands, **kw):
    for words in commands:
        p.img(*words.split(), **kw)


def raw_pair(p, name='x.raw', size=10 * M, pieces=((M, 128 << 10, 1), (5 * M, 64 << 10, 2))):
    for path in p.paths(name):
        disktools.pattern_file(path, size, pieces)


def test_usage():
    with disktools.Pair() as p:
        raw_pair(p)
        for words in [[], ['foo'], ['-x'], ['--foo', 'create'], ['-T'], ['create'], ['create', '-f'],
                      ['create', '-x', 'a'], ['create', 'a', '1', '2'], ['info'], ['info', '-x'],
                      ['info', 'a', 'b'], ['info', 'nonex'], ['info', '--output=foo', 'x.raw'],
                      ['info', '--image-opts', '-f', 'raw', 'x'], ['info', '/'],
                      ['info', '-f', 'foo', 'x.raw'], ['info', '--object', 'foo', 'x.raw'],
                      ['info', '--image-opts', 'driver=raw'],
                      ['map'], ['map', 'nonex'], ['map', '-s', 'a', 'x.raw'], ['map', '-l', '-1', 'x.raw'],
                      ['check'], ['check', 'nonex'], ['check', '-r', 'foo', 'x.raw'],
                      ['check', '-T', 'foo', 'x.raw'], ['check', 'x.raw'], ['check', '--output=json', 'x.raw'],
                      ['compare'], ['compare', 'x.raw'], ['compare', 'x.raw', 'b', 'c'],
                      ['compare', 'x.raw', 'nonex'], ['compare', '-T', 'foo', 'x.raw', 'nonex'],
                      ['measure'], ['measure', '--size', 'a'], ['measure', '--size', '1G', 'x.raw'],
                      ['measure', '-O', 'foo', '--size', '1G'], ['measure', '-o', 'foo=1', '--size', '1G'],
                      ['measure', '--size', '1G', '-f', 'raw'], ['measure', 'nonex'],
                      ['resize'], ['resize', 'a'], ['resize', 'a', 'b', 'c'],
                      ['snapshot'], ['snapshot', '-c', 'x', '-d', 'y', 'x.raw'], ['snapshot', 'nonex'],
                      ['amend'], ['amend', 'x.raw'], ['amend', '-o', 'help'], ['amend', '-f', 'foo', '-o', 'help'],
                      ['amend', '-f', 'raw', '-o', 'help'], ['amend', '-f', 'raw', '-o', 'size=5M', 'x.raw'],
                      ['amend', '-o', '', 'x.raw'], ['amend', '-o', 'a=b', 'nonex']]:
            p.img(*words)


def test_help():
    for tool_args in (['--help'], ['-h'], ['create', '-h'], ['info', '--help']):
        r = disktools.run(disktools.ours('qemu-img'), *tool_args)
        runner.equal(r.status, 0)
        assert re.search(r'^Supported formats:( [a-z0-9_-]+)+$', r.out, re.M), r.out
        formats = re.search(r'^Supported formats: (.*)$', r.out, re.M).group(1).split()
        runner.equal(formats, sorted(formats))
    r = disktools.run(disktools.ours('qemu-img'), '--version')
    assert re.match(r'qemu-img version \d+\.\d+\.\d+ \(', r.out), r.out


def test_create_raw():
    with disktools.Pair() as p:
        each(p, ['create -f raw x.raw 10M', 'create x.raw 513', 'create -f raw x.raw 1.5K',
                 'create -f raw -o size=2M x.raw', 'create -f raw -o size=2M x.raw 2M',
                 'create -q -f raw x.raw 1M', 'create -f raw -o preallocation=full,nocow=on x.raw 1M',
                 'create -f raw -o preallocation=falloc x.raw 1M', 'create -f raw -o nocow x.raw 1M',
                 'create -f raw -o nonocow x.raw 1M', 'create -f raw -o nocow=on -o nocow=off x.raw 1M',
                 'create -f raw -o extent_size_hint=1M x.raw 1M',
                 'create -f raw file:y.raw 1M', 'create -f raw x.raw 0'])
        p.same_bytes('x.raw')
        p.same_bytes('y.raw')
        each(p, ['create -f raw -o preallocation=metadata x.raw 10M', 'create -f raw -o preallocation=foo x.raw 1M',
                 'create -f raw -o bar=foo x.raw 10M', 'create -f raw -o nocow=12 x.raw 10M',
                 'create -f raw -o size=1X y.raw', 'create -f raw x.raw', 'create -f raw x.raw 5X',
                 'create -f raw x.raw 8E', 'create -f raw x.raw -- -5', 'create -f raw x.raw 1e3',
                 'create -f raw /nonexist/x.raw 8M', 'create -f raw foo:x.raw 5M', 'create -f foo x.raw 5M',
                 'create -f raw -b x.raw y.raw 5M', 'create -f raw -b x.raw -F raw y.raw 5M',
                 'create -f raw -F raw y.raw 5M', 'create -f raw -o , x.raw 1M', 'create -f raw -o a=b, x.raw 1M',
                 'create -f raw -o ,a=b x.raw 1M', 'create -o help -f foo', 'create -f raw -o help',
                 'create -f raw -o ? x.raw', 'create -f raw -o size=1M,help x.raw'])
        p.img('create', '-f', 'raw', '-o', '', 'x.raw', '1M')
        p.img('create', '-f', 'raw', '', '1M')
        p.img('create', '-f', 'raw', 'x.raw', '')
        p.img('create', '-f', 'raw', 'a,b=c.raw', '1M')


def test_info_raw():
    with disktools.Pair() as p:
        raw_pair(p)
        spec = '{"driver":"raw","offset":512,"file":{"filename":"x.raw","driver":"file"}}'
        each(p, ['info x.raw', 'info --output=json x.raw', 'info -f raw x.raw', 'info --backing-chain x.raw',
                 'info --backing-chain --output=json x.raw', 'info -U x.raw',
                 'info --image-opts driver=raw,file.filename=x.raw', 'info --image-opts file.filename=x.raw',
                 'info --image-opts driver=raw,file.driver=file,file.filename=x.raw,size=1M',
                 'info --image-opts driver=raw,file.filename=x.raw,foo=1', 'info file:x.raw', 'info ./x.raw',
                 'info --image-opts driver=file,filename=x.raw', 'info -f file x.raw', 'info null-co://'])
        p.img('info', 'json:' + spec)
        p.img('info', 'json:{"driver":"raw","file":{"filename":"x.raw"}}')
        p.img('info', 'json:{"driver":"raw"}')
        p.img('info', 'json:{"driver":"foo","file":{"filename":"x.raw"}}')
        for size in (0, 1, 511, 512, 1000, 1023 * 1024, 999 * 1024, 1000 * 1024, 1 << 40, 1536 << 20):
            for path in p.paths('s.raw'):
                disktools.pattern_file(path, size, ())
            p.img('info', '-f', 'raw', 's.raw')
            p.img('info', '-f', 'raw', '--output=json', 's.raw')


def test_map_raw():
    with disktools.Pair() as p:
        raw_pair(p)
        each(p, ['map x.raw', 'map --output=json x.raw', 'map -s 1M -l 64k x.raw',
                 'map --start-offset=1M --max-length=64k --output=json x.raw', 'map -s 20M --output=json x.raw',
                 'map -s 10M x.raw', 'map -s 10M --output=json x.raw', 'map -l 0 --output=json x.raw',
                 'map -s 1000 -l 2000000 --output=json x.raw', 'map -U x.raw',
                 'map --output=json --image-opts driver=raw,offset=1M,file.filename=x.raw',
                 'map --image-opts driver=raw,offset=1M,size=1M,file.filename=x.raw',
                 'map --output=json null-co://', 'map null-co://'])
        for path in p.paths('odd.raw'):
            disktools.pattern_file(path, 70000, ((65536, 1000, 3),))
        p.img('map', '--output=json', 'odd.raw')


def test_compare_raw():
    with disktools.Pair() as p:
        raw_pair(p)
        raw_pair(p, 'same.raw')
        raw_pair(p, 'diff.raw', pieces=((M, 128 << 10, 1), (5 * M, 60 << 10, 2), (5 * M + (60 << 10), 512, 3)))
        raw_pair(p, 'longer.raw', 11 * M)
        raw_pair(p, 'longer-data.raw', 11 * M, ((M, 128 << 10, 1), (5 * M, 64 << 10, 2), (10 * M + 4096, 1, 1)))
        raw_pair(p, 'zero.raw', pieces=((0, 10 * M, 0),))
        raw_pair(p, 'hole.raw', pieces=())
        names = ['x.raw', 'same.raw', 'diff.raw', 'longer.raw', 'longer-data.raw', 'zero.raw', 'hole.raw']
        for a in names:
            for b in names[names.index(a):]:
                for options in ([], ['-s'], ['-p']):
                    p.img('compare', *options, a, b)
        each(p, ['compare -q x.raw diff.raw', 'compare -f raw -F raw longer.raw x.raw', 'compare -F foo x.raw x.raw'])


def test_measure_raw():
    with disktools.Pair() as p:
        raw_pair(p)
        each(p, ['measure x.raw', 'measure --output=json x.raw', 'measure --size 1G', 'measure --size 1000 -O raw',
                 'measure -o size=3M --size 1M', 'measure -o size=3M x.raw', 'measure -U x.raw'])


def test_resize_raw():
    with disktools.Pair() as p:
        raw_pair(p)
        each(p, ['resize -f raw x.raw +1M', 'resize -f raw x.raw -1M', 'resize -f raw x.raw 1M',
                 'resize -f raw --shrink x.raw 9M', 'resize -f raw --shrink x.raw -50M', 'resize -f raw x.raw a',
                 'resize -q -f raw x.raw 12M', 'resize --preallocation=foo -f raw x.raw 2M',
                 'resize --preallocation=full -f raw x.raw 13M', 'resize --preallocation=falloc -f raw x.raw +512k',
                 'resize --preallocation=full --shrink -f raw x.raw 2M', 'resize -f raw x.raw 1000',
                 'resize --preallocation=metadata -f raw x.raw 25M', 'resize -f raw --shrink x.raw 1000',
                 'resize x.raw +0', 'resize x.raw +1000', 'resize --image-opts driver=raw,file.filename=x.raw +1M',
                 'resize -f raw nonex 1M'])
        for path in p.paths('x.raw'):
            print('#', path, os.path.getsize(path))
        p.same_bytes('x.raw')


def test_snapshot_raw():
    with disktools.Pair() as p:
        raw_pair(p)
        each(p, ['snapshot x.raw', 'snapshot -l x.raw', 'snapshot -c a x.raw', 'snapshot -d a x.raw'])
        # Theirs opens the image twice for -a and warns twice.
        p.img('snapshot', '-a', 'a', 'x.raw', ignore_err=True)


def test_locks():
    with disktools.Pair() as p:
        raw_pair(p)
        for path in p.paths('x.raw'):
            r = disktools.run(disktools.ours('qemu-img'), 'info', path)
            runner.equal(r.status, 0)


if __name__ == '__main__':
    runner.main(globals())
