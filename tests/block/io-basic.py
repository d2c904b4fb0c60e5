#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""qemu-io on raw images, beside Debian's."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
# pylint: disable=wrong-import-position
from lib import disktools, runner

disktools.require_oracle()
M = 1 << 20


def raw_pair(p, name='x.raw', size=M):
    for path in p.paths(name):
        disktools.pattern_file(path, size, ())


def each(p, commands, *args):
    """Each command by itself."""
    for c in commands:
        p.io(*args, '-f', 'raw', '-c', c, 'x.raw')


def together(p, commands, *args):
    words = []
    for c in commands:
        words += ['-c', c]
    p.io('-f', 'raw', *args, *words, 'x.raw')


TRANSFERS = [
    'write 0 64k', 'read 0 64k', 'read -P 0 0 4k', 'read -P 0xcd 0 4k', 'write -P 0x11 1k 3k', 'read -v 1k 64',
    'read -v 1k 10', 'read -v 0 33', 'write -z 8k 8k', 'write -z -u 0 4k', 'write -z -n 4k 1k', 'write -f 0 512',
    'write -q 0 4k', 'write -p 0 4k', 'write 1 1', 'write 0 1536', 'write 3 1000', 'write 0 1M', 'write 512 1023k',
    'write -P 255 100 200', 'read -P 1 -s 1 0 4k', 'read -P 0 -s 1k -l 1k 0 4k', 'read -P 0xcd -l 100 0 4k',
    'readv 0 4k 4k', 'writev -P 3 0 4k 8k', 'readv -v 0 16 16', 'readv -P 3 0 4k 8k', 'readv -P 4 0 4k 8k',
    'writev 0 1 2 3', 'discard 0 4k', 'discard -q 0 4k', 'flush', 'length', 'info', 'map', 'alloc 0', 'alloc 0 1M',
    'alloc 0 4k', 'alloc 100 4k', 'r 0 1k', 'w 0 1k', 'rv 0 1k', 'wv 0 1k', 'd 0 1k', 'f', 'l', 'i', 'a 0',
]

WRONG = [
    'write -n 0 1k', 'write -u 0 1k', 'write -z -P 1 0 1k', 'write -c 0 64k', 'write -b 0 4k', 'read -b 0 4k', 'write 0',
    'write', 'write a b', 'write 0 a', 'write 2M 4k', 'write -1 4', 'write 0 3G', 'write 1048570 100', 'read 2M 1',
    'foo', 'write -P 256 0 1', 'write -P a 0 1', 'write -x 0 1', 'read -s 5k 0 4k', 'read -P 0 -l 8k 0 4k',
    'read -P 0 -s 8k 0 4k', 'read -r 0 4k', 'read -i 0 1', 'readv 0', 'readv a 1', 'readv 0 a', 'alloc', 'alloc a',
    'alloc 0 a', 'alloc 0 4k 1', 'alloc 2M', 'discard 5M 4k', 'discard', 'discard -x 0 1', 'discard 0 a', 'discard a 1',
    'truncate -m foo 4M', 'truncate a', 'truncate', 'sleep a', 'sleep', 'flush a', 'info a', 'map a', 'length a',
    'read -x', 'aio_read', 'aio_read -x', 'aio_write 0', 'aio_read a 1', 'aio_read -q 0 1', 'writev', 'writev -x',
    'writev -x 0 1', 'sigraise', 'help foo', 'quit foo', 'open', 'open x.raw', 'reopen a', 'reopen -c foo',
    'reopen -r -w', 'write -s nonex 0 4k', 'write -b -c 0 4k', 'write -b -z 0 4k', 'write -f -b 0 4k', 'write -c 0 100',
    'aio_write -z 0 1 2', 'aio_write -u 0 1', 'aio_write -z -P 1 0 1',
]


def test_transfers():
    with disktools.Pair() as p:
        raw_pair(p)
        each(p, TRANSFERS)
        p.same_bytes('x.raw')
        together(p, TRANSFERS)
        p.same_bytes('x.raw')


def test_wrong():
    with disktools.Pair() as p:
        raw_pair(p)
        each(p, WRONG)
        p.same_bytes('x.raw')


def test_asynchronous():
    with disktools.Pair() as p:
        raw_pair(p)
        together(p, ['aio_write -P 4 0 4k', 'aio_flush', 'aio_read -P 4 0 4k', 'aio_flush', 'aio_read -P 5 0 4k',
                     'aio_flush', 'aio_write -i 0 4k', 'aio_read -i 0 4k', 'aio_write 5M 4k', 'aio_flush',
                     'aio_read -v 0 16', 'aio_flush', 'aio_read -q 0 1k 1k', 'aio_flush', 'aio_write -z 0 1k', 'aio_flush'])
        # Without a flush the results come at the end.
        together(p, ['aio_write -P 6 8k 4k', 'close'])
        p.same_bytes('x.raw')


def test_truncate():
    with disktools.Pair() as p:
        raw_pair(p)
        together(p, ['truncate 2M', 'length', 'truncate -m full 3M', 'length', 'truncate -m falloc 4M', 'length',
                     'truncate 1M', 'length', 'write 2M 4k', 'truncate 1000', 'length', 'map'])
        p.same_bytes('x.raw')


def test_source_file():
    with disktools.Pair() as p:
        raw_pair(p)
        p.write('pattern', b'abcdefg')
        p.write('none', b'')
        each(p, ['write -s pattern 0 100', 'write -s none 0 100', 'read -v 0 32'])
        p.same_bytes('x.raw')


def test_program():
    with disktools.Pair() as p:
        raw_pair(p)
        for words in (['-c', 'length'], ['nonex'], ['-f', 'raw', 'nonex'], ['-f', 'foo', 'x.raw'],
                      ['-r', '-f', 'raw', '-c', 'write 0 4k', 'x.raw'], ['-r', '-f', 'raw', '-c', 'reopen', 'x.raw'],
                      ['-r', '-f', 'raw', '-c', 'reopen -w', '-c', 'write 0 4k', 'x.raw'],
                      ['-f', 'raw', '-c', 'reopen -r', '-c', 'write 0 4k', '-c', 'reopen -w', '-c', 'write 0 4k', 'x.raw'],
                      ['-f', 'raw', '-c', 'reopen -c none', '-c', 'read 0 4k', '-c', 'write 1 1', 'x.raw'],
                      ['-f', 'raw', '-c', 'reopen -o foo=1', 'x.raw'],
                      ['-c', 'open -r x.raw', '-c', 'write 0 4k', '-c', 'open x.raw', '-c', 'close', '-c', 'length'],
                      ['-c', 'open -o driver=raw x.raw', '-c', 'read 0 4k', '-c', 'quit', '-c', 'length'],
                      ['-c', 'open -o driver=raw,file.filename=x.raw', '-c', 'read 0 4k'],
                      ['-c', 'open -o driver=raw nonex'], ['-n', '-f', 'raw', '-c', 'length', 'x.raw'],
                      ['-t', 'foo', '-f', 'raw', '-c', 'length', 'x.raw'], ['-i', 'foo', '-f', 'raw', 'x.raw'],
                      ['-d', 'unmap', '-f', 'raw', '-c', 'discard 0 64k', '-c', 'map', 'x.raw'], ['-d', 'foo', 'x.raw'],
                      ['--image-opts', '-c', 'length', 'driver=raw,file.filename=x.raw'],
                      ['--image-opts', '-f', 'raw', '-c', 'length', 'x.raw'],
                      ['-m', '-n', '-f', 'raw', '-c', 'write 0 1k', '-c', 'read 0 1k', 'x.raw'],
                      ['-U', '-f', 'raw', '-c', 'length', 'x.raw'], ['-U', '-r', '-f', 'raw', '-c', 'length', 'x.raw'],
                      ['-c', 'write 0 4k', 'x.raw'], ['-c', '', '-f', 'raw', 'x.raw'], ['-c', 'length', 'null-co://']):
            p.io(*words)
        p.same_bytes('x.raw')


def test_input():
    with disktools.Pair() as p:
        raw_pair(p)
        for data in ('length\nread 0 4k\nfoo\nquit\nlength\n', 'length\n', '', 'length', '\n\nlength\n', 'quit\n'):
            p.io('-f', 'raw', 'x.raw', data=data)


def test_help():
    r = disktools.run(disktools.ours('qemu-io'), '-c', 'help')
    theirs = disktools.run(os.path.join(disktools.ORACLE, 'qemu-io'), '-c', 'help')
    runner.equal(r.status, 0)

    def names(text):
        return {line.split()[0] for line in text.splitlines() if ' -- ' in line}
    missing = names(theirs.out) - names(r.out)
    runner.equal(missing, set(), 'commands that only theirs has')


if __name__ == '__main__':
    runner.main(globals())
