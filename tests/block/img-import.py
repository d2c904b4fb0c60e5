#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Images of foreign formats, made by Debian's qemu-img, as ours reads and describes them."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
# pylint: disable=wrong-import-position
from lib import disktools, runner

disktools.require_oracle()
M = 1 << 20
K = 1 << 10
THEIRS = os.path.join(disktools.ORACLE, 'qemu-img')

# Format, options of creation, whether the block map is the same as theirs.
FORMATS = [
    ('vdi', '', True), ('vdi', 'static=on', True), ('parallels', '', True), ('parallels', 'cluster_size=64k', True),
    ('qcow', '', True), ('qed', '', True), ('qed', 'cluster_size=4k', True),
    ('qed', 'cluster_size=1M', True), ('vpc', 'force_size=on', True), ('vpc', 'subformat=fixed,force_size=on', True),
    ('vmdk', '', True), ('vmdk', 'subformat=streamOptimized', True), ('vmdk', 'subformat=monolithicFlat', True),
    ('vmdk', 'subformat=twoGbMaxExtentSparse', True), ('vmdk', 'subformat=twoGbMaxExtentFlat', True),
    ('vmdk', 'zeroed_grain=on', True),
]


def make(p, fmt, options, size=10 * M):
    """x.raw and the same content as x.FMT, in both folders."""
    for path in p.paths('x.raw'):
        disktools.pattern_file(path, size, ((0, 512, 7), (M, 128 * K, 1), (5 * M, 64 * K, 2), (6 * M + 12 * K, 512, 3),
                                            (size - 512, 512, 4)))
    words = ['-o', options] if options else []
    for folder in (p.theirs, p.ours):
        r = disktools.run(THEIRS, 'convert', '-f', 'raw', '-O', fmt, *words, 'x.raw', 'x.' + fmt, cwd=folder)
        runner.equal((r.status, r.err), (0, ''))


def test_content():
    with disktools.Pair() as p:
        for fmt, options, same_map in FORMATS:
            make(p, fmt, options)
            name = 'x.' + fmt
            more = [(disktools.re.compile(r'disk size: .*|"actual-size": .*'), '')]
            # Theirs also tells about a VMDK's extents.
            if fmt != 'vmdk':
                p.img('info', name, more=more)
                p.img('info', '--output=json', name, more=more)
            p.img('convert', '-f', fmt, '-O', 'raw', name, 'out.raw')
            p.same_bytes('out.raw')
            p.img('compare', '-f', fmt, '-F', 'raw', name, 'x.raw')
            p.img('measure', '-O', 'raw', name)
            p.io('-r', '-f', fmt, '-c', 'read -P 1 1100k 20k', '-c', 'read -P 0 4M 1M', '-c', 'length', name)
            if same_map:
                p.img('map', '-f', fmt, '--output=json', name)
                p.img('map', '-f', fmt, name)


def test_odd_sizes():
    with disktools.Pair() as p:
        for fmt, options, _ in FORMATS:
            make(p, fmt, options, 7 * M + 1536)
            p.img('convert', '-f', fmt, '-O', 'raw', 'x.' + fmt, 'out.raw')
            p.same_bytes('out.raw')


def test_compressed():
    with disktools.Pair() as p:
        make(p, 'qcow', '')
        for path in p.paths('c.qcow'):
            disktools.run(THEIRS, 'convert', '-c', '-O', 'qcow', 'x.raw', path, cwd=os.path.dirname(path))
        p.img('convert', '-O', 'raw', 'c.qcow', 'out.raw')
        p.same_bytes('out.raw')
        p.io('-r', '-c', 'read -P 1 1100k 20k', '-c', 'read -v 1M 16', 'c.qcow')


def test_backing():
    with disktools.Pair() as p:
        for fmt in ('qcow', 'qed'):
            make(p, fmt, '')
            for path in p.paths('o.' + fmt):
                folder = os.path.dirname(path)
                disktools.run(THEIRS, 'create', '-f', fmt, '-b', 'x.raw', '-F', 'raw', path, cwd=folder)
                disktools.run(os.path.join(disktools.ORACLE, 'qemu-io'), '-f', fmt, '-c', 'write -P 9 1M 4k', path,
                              cwd=folder)
            p.img('info', 'o.' + fmt)
            p.img('convert', '-O', 'raw', 'o.' + fmt, 'out.raw', ignore_err=True)
            p.same_bytes('out.raw')
            p.img('map', '--output=json', 'o.' + fmt)


def test_read_only():
    """What cannot be written says so, and stays as it is."""
    with disktools.Pair() as p:
        for fmt, options, _ in FORMATS:
            make(p, fmt, options)
            path = p.paths('x.' + fmt)[1]
            before = disktools.digest(path)
            for words in (('qemu-io', '-f', fmt, '-c', 'write 0 4k', path), ('qemu-img', 'resize', '-f', fmt, path, '20M')):
                r = disktools.run(disktools.ours(words[0]), *words[1:])
                assert r.status == 1 and 'not supported' in r.err, r.err
            runner.equal(disktools.digest(path), before)


if __name__ == '__main__':
    runner.main(globals())
