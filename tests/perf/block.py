#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The disk tools side by side with Debian's, in one run: time and peak memory.

Prints medians and ratios (ours / theirs: below 1 is better). The tools take
turns, so that a busy host disturbs both alike; files lie in the page cache.
Nothing here is a test: the numbers are read by people.
"""
import argparse
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ORACLE = '/usr/bin/qemu-img'
MIB = 1 << 20

# What is measured: a name, the command after the program, and files that it makes. {d}: where images lie.
CASES = [
    ('info raw', 'info -f raw full.raw'),
    ('create raw', 'create -q -f raw out.img 10G'),
    ('create qcow2', 'create -q -f qcow2 out.img 64G'),
    ('info qcow2', 'info -f qcow2 full.qcow2'),
    ('convert raw to raw, full', 'convert -f raw -O raw full.raw out.img'),
    ('convert raw to raw, sparse', 'convert -f raw -O raw sparse.raw out.img'),
    ('convert raw to raw, -W -m 16', 'convert -W -m 16 -f raw -O raw full.raw out.img'),
    ('convert raw to raw, -C', 'convert -C -f raw -O raw full.raw out.img'),
    ('convert raw to qcow2, full', 'convert -f raw -O qcow2 full.raw out.img'),
    ('convert raw to qcow2, sparse', 'convert -f raw -O qcow2 sparse.raw out.img'),
    ('convert qcow2 to raw, full', 'convert -f qcow2 -O raw full.qcow2 out.img'),
    ('convert raw to qcow2, zlib', 'convert -c -W -f raw -O qcow2 text.raw out.img'),
    ('convert raw to qcow2, zstd', 'convert -c -W -f raw -O qcow2 -o compression_type=zstd text.raw out.img'),
    ('convert vmdk to raw', 'convert -f vmdk -O raw full.vmdk out.img'),
    ('compare raw, raw', 'compare -f raw -F raw full.raw full.raw'),
    ('compare raw, qcow2', 'compare -f raw -F qcow2 full.raw full.qcow2'),
    ('check, fragmented', 'check -f qcow2 fragments.qcow2'),
    ('map, fragmented', 'map -f qcow2 --output=json fragments.qcow2'),
    ('bench read raw, depth 1', 'bench -f raw -c 20000 -d 1 full.raw'),
    ('bench read raw, depth 64', 'bench -f raw -c 50000 -d 64 full.raw'),
    ('bench write raw, depth 64', 'bench -w -f raw -c 50000 -d 64 scratch.raw'),
    ('bench read qcow2, depth 1', 'bench -f qcow2 -c 20000 -d 1 full.qcow2'),
    ('bench read qcow2, depth 64', 'bench -f qcow2 -c 50000 -d 64 full.qcow2'),
    ('bench write qcow2, depth 64', 'bench -w -f qcow2 -c 50000 -d 64 scratch.qcow2'),
    ('bench read, backing file', 'bench -f qcow2 -c 50000 -d 64 overlay.qcow2'),
]


def theirs(*args):
    subprocess.run([ORACLE, *args], check=True, stdout=subprocess.DEVNULL)


def make_images(size):
    """Where random bytes, text and holes lie."""
    rnd = random.Random(1)
    block = rnd.randbytes(4 * MIB)
    with open('full.raw', 'wb') as f:
        for _ in range(size // len(block)):
            f.write(block)
    with open('sparse.raw', 'wb') as f:
        f.truncate(64 * size)
        for at in range(0, 64 * size, 64 * MIB):
            f.seek(at)
            f.write(block[:MIB])
    words = [b'%08x' % rnd.randrange(4096) for _ in range(4096)]
    with open('text.raw', 'wb') as f:
        for _ in range(size // 4 // MIB):
            f.write(b''.join(rnd.choice(words) for _ in range(MIB // 8)))
    shutil.copyfile('full.raw', 'scratch.raw')
    for fmt in ('qcow2', 'vmdk'):
        theirs('convert', '-f', 'raw', '-O', fmt, 'full.raw', 'full.' + fmt)
    shutil.copyfile('full.qcow2', 'scratch.qcow2')
    theirs('create', '-f', 'qcow2', '-b', 'full.qcow2', '-F', 'qcow2', 'overlay.qcow2')
    # Small clusters, written in no order, over a large disk.
    theirs('create', '-f', 'qcow2', '-o', 'cluster_size=4k', 'fragments.qcow2', '64G')
    commands = ''.join('write -q %dk 4k\n' % (4 * rnd.randrange(16 << 20)) for _ in range(20000))
    subprocess.run(['/usr/bin/qemu-io', '-f', 'qcow2', '-t', 'unsafe', 'fragments.qcow2'], check=True, text=True,
                   input=commands, stdout=subprocess.DEVNULL)


def run_once(program, command):
    """Seconds and peak KiB; for bench the time that it prints. None: it failed."""
    if os.path.exists('out.img'):
        os.unlink('out.img')
    with tempfile.TemporaryFile() as out:
        start = time.perf_counter()
        # By way of time(1), a small program: a child begins with its parent's peak.
        proc = subprocess.run(['/usr/bin/time', '-f', 'peak %M', program, *command.split()], stdout=out, stderr=out,
                              stdin=subprocess.DEVNULL, check=False)
        seconds = time.perf_counter() - start
        out.seek(0)
        text = out.read().decode(errors='replace')
    if proc.returncode:
        return None
    printed = re.search(r'completed in ([0-9.]+) seconds', text)
    return (float(printed[1]) if printed else seconds), int(re.search(r'^peak (\d+)$', text, re.M)[1])


def measure(programs, command, repeats):
    """The medians of each program, or None."""
    results = [[] for _ in programs]
    for _ in range(repeats):
        for i, program in enumerate(programs):
            results[i].append(run_once(program, command))
    return [None if None in r else tuple(statistics.median(c) for c in zip(*r)) for r in results]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--build', default='build')
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--size', type=int, default=256, help='MiB of the full image')
    parser.add_argument('names', nargs='*', help='only cases whose name contains one of these')
    args = parser.parse_args()
    ours = os.path.abspath(os.path.join(args.build, 'qemu-img'))
    for needed in (ORACLE, '/usr/bin/time'):
        if not os.access(needed, os.X_OK):
            sys.exit(needed + ' is not installed')
    with tempfile.TemporaryDirectory(prefix='nemu-perf-', dir='/var/tmp') as folder:
        os.chdir(folder)
        make_images(args.size * MIB)
        print('%-32s %9s %9s %7s %9s %9s %7s' % ('', 'theirs s', 'ours s', 'ratio', 'MiB', 'MiB', 'ratio'))
        for name, command in CASES:
            if args.names and not any(n in name for n in args.names):
                continue
            a, b = measure([ORACLE, ours], command, args.repeats)
            if not a or not b:
                print('%-32s %s' % (name, 'failed: ' + ' and '.join(n for n, r in (('theirs', a), ('ours', b)) if not r)))
                continue
            print('%-32s %9.4f %9.4f %7.2f %9.1f %9.1f %7.2f' % (name, a[0], b[0], b[0] / a[0], a[1] / 1024,
                                                                b[1] / 1024, b[1] / a[1]), flush=True)
        os.chdir('/')


if __name__ == '__main__':
    main()
