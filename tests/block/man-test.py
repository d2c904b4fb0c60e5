#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The manual pages: good roff, and everything that --help has."""
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import disktools, qtest, runner  # noqa: E402

PAGES = {'qemu-img': '1', 'qemu-io': '1', 'qemu-nbd': '8', 'qemu-storage-daemon': '1'}


def page(name):
    return os.path.join(qtest.build_dir(), 'docs', '%s.%s' % (name, PAGES[name]))


def shown(name):
    """What a reader sees, without hyphenation."""
    runner.require(shutil.which('groff'), 'no groff (Debian package groff-base)')
    p = subprocess.run(['groff', '-man', '-ww', '-Tascii', '-P-c', '-rHY=0', '-rLL=2000n', page(name)], stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, text=True, check=True)
    runner.equal(p.stderr, '', 'warnings of groff about ' + name)
    return re.sub('.\b', '', p.stdout)


def test_options():
    for name in PAGES:
        text = re.sub(r'[^-a-z]', ' ', shown(name)).split()
        said = disktools.run(disktools.ours(name), '--help').out
        options = re.findall(r'(?<![-\w])--?[a-z][-a-z]*', said)
        assert len(options) > 10, said
        missing = [o for o in options if o not in text]
        runner.equal(missing, [], 'options missing from ' + page(name))


def test_commands():
    """Each command of qemu-img has its text, and each of Debian's is there."""
    with open(page('qemu-img'), encoding='utf-8') as f:
        entries = re.findall(r'^\.TP\n\\fB([a-z]+) .*\n.*\n\.RS\n', f.read(), re.M)
    theirs = disktools.run(os.path.join(disktools.ORACLE, 'qemu-img'), '--help').out
    runner.equal(sorted(entries), sorted(re.findall(r'^  ([a-z]+) ', theirs, re.M)), 'commands')


if __name__ == '__main__':
    runner.main(globals())
