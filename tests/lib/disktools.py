# SPDX-License-Identifier: GPL-2.0-or-later
"""The same disk tool commands with Debian's tools and with ours, in a folder each.

    with disktools.Pair() as p:
        p.img('create', '-f', 'raw', 'x.raw', '1M')
        p.io('-f', 'raw', '-c', 'write -P 1 0 64k', 'x.raw')
        p.same_content('x.raw')

Each call runs both sides and compares status, standard output and standard
error. swap() gives each side the other's file.
"""
import hashlib
import os
import re
import shutil
import subprocess
import tempfile

from . import runner

BUILD = os.environ.get('NEMU_BUILD_DIR', 'build')
ORACLE = '/usr/bin'
TIMEOUT = 120


def ours(tool):
    """The path of our own tool."""
    return os.path.join(BUILD, tool)


def require_oracle(*tools):
    """Skips without Debian's tools."""
    for tool in tools or ('qemu-img', 'qemu-io'):
        path = os.path.join(ORACLE, tool)
        runner.require(os.access(path, os.X_OK), path + ' is not installed')


class Result:
    """What a command did."""

    def __init__(self, proc):
        self.status = proc.returncode
        self.out = proc.stdout
        self.err = proc.stderr


def run(tool, *args, cwd=None, data=None, env=None):
    """Runs a tool (a path) to its end."""
    full = dict(os.environ, TZ='UTC', LC_ALL='C', **(env or {}))
    proc = subprocess.run([tool, *args], cwd=cwd, input=data, capture_output=True, env=full,
                          timeout=TIMEOUT, check=False, text=True, errors='surrogateescape')
    return Result(proc)


# What differs from run to run, or by design.
NORMALIZE = [
    (re.compile(r'(\d+:\d\d:\d\d\.\d+|\d\d\.\d+ sec) \('), 'T ('),
    (re.compile(r'\([^()\n]*/sec and [^()\n]* ops/sec\)'), '(rate)'),
    (re.compile(r'completed in [0-9.]+ seconds'), 'completed in T seconds'),
    (re.compile(r'20\d\d-\d\d-\d\d \d\d:\d\d:\d\d'), 'DATE'),
    (re.compile(r'"date-n?sec": \d+'), '"date": N'),
    (re.compile(r'#block\d+'), '#blockN'),
]


def normalize(text, more=()):
    """@text without what may differ; @more: further (pattern, replacement) pairs."""
    for pattern, to in [*NORMALIZE, *more]:
        text = re.sub(pattern, to, text)
    return text


class Pair:
    """Two folders, @theirs and @ours, and the commands that ran in them."""

    def __init__(self, where=None):
        self.top = None
        self.faults = []
        self.where = where

    def __enter__(self):
        self.top = tempfile.mkdtemp(prefix='nemu-disk-', dir=self.where)
        self.theirs = os.path.join(self.top, 'a')
        self.ours = os.path.join(self.top, 'b')
        os.mkdir(self.theirs)
        os.mkdir(self.ours)
        return self

    def __exit__(self, kind, value, trace):
        shutil.rmtree(self.top, ignore_errors=True)
        if self.faults and not kind:
            raise AssertionError('%d differences:\n%s' % (len(self.faults), '\n'.join(self.faults)))

    def both(self, tool, *args, data=None, ignore_out=False, ignore_err=False, more=(), status=None):
        """One command on both sides; returns ours."""
        a = run(os.path.join(ORACLE, tool), *args, cwd=self.theirs, data=data)
        b = run(ours(tool), *args, cwd=self.ours, data=data)
        what = ' '.join([tool, *args])
        detail = '\n--- theirs\n%s%s--- ours\n%s%s' % (a.out, a.err, b.out, b.err)
        if a.status != b.status:
            self.fault('%s: status %d, expected %d%s' % (what, b.status, a.status, detail))
        elif not ignore_out and normalize(a.out, more) != normalize(b.out, more):
            self.fault('%s: different output%s' % (what, detail))
        elif not ignore_err and normalize(a.err, more) != normalize(b.err, more):
            self.fault('%s: different messages%s' % (what, detail))
        if status is not None:
            runner.equal(b.status, status, what + detail)
        return b

    def fault(self, text):
        """A difference; the end of the block fails and shows them all."""
        self.faults.append(text)

    def img(self, *args, **kw):
        """qemu-img on both sides."""
        return self.both('qemu-img', *args, **kw)

    def io(self, *args, **kw):
        """qemu-io on both sides."""
        return self.both('qemu-io', *args, **kw)

    def paths(self, name):
        """Both sides' files of that name."""
        return os.path.join(self.theirs, name), os.path.join(self.ours, name)

    def write(self, name, data):
        """The same file on both sides."""
        for path in self.paths(name):
            with open(path, 'wb') as f:
                f.write(data)

    def same_bytes(self, name):
        """The files are equal byte by byte."""
        a, b = self.paths(name)
        if digest(a) != digest(b):
            self.fault('%s: different bytes' % name)

    def same_content(self, name, fmt='raw'):
        """Debian's qemu-img finds the same guest-visible content in both files."""
        a, b = self.paths(name)
        r = run(os.path.join(ORACLE, 'qemu-img'), 'compare', '-f', fmt, '-F', fmt, a, b)
        if r.status:
            self.fault('%s: %s%s' % (name, r.out, r.err))

    def swap(self, *names):
        """Each side gets the other's files."""
        for name in names:
            a, b = self.paths(name)
            os.rename(a, a + '.swap')
            os.rename(b, a)
            os.rename(a + '.swap', b)


def digest(path):
    """SHA-256 of a file; holes are read as zeroes."""
    h = hashlib.sha256()
    with open(path, 'rb') as f:
        while True:
            block = f.read(1 << 20)
            if not block:
                return h.hexdigest()
            h.update(block)


def pattern_file(path, size, pieces):
    """A sparse file of @size bytes with (offset, length, byte) @pieces."""
    with open(path, 'wb') as f:
        f.truncate(size)
        for offset, length, byte in pieces:
            f.seek(offset)
            f.write(bytes([byte]) * length)
