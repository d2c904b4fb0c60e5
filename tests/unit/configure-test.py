#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""configure: its help lists every switch of meson_options.txt, unknown words are refused, the list of packages
stands in one place only."""
import os
import re
import subprocess
import sys
import tempfile

SOURCE = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..'))


def configure(*args):
    with tempfile.TemporaryDirectory() as folder:
        return subprocess.run([os.path.join(SOURCE, 'configure'), *args], cwd=folder, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)


def options():
    """[(name, type)]"""
    with open(os.path.join(SOURCE, 'meson_options.txt'), encoding='utf-8') as f:
        return re.findall(r"^option\('(\w+)',\s*type: '(\w+)'", f.read(), re.M)


def test_help():
    done = configure('--help')
    assert done.returncode == 0, done.stdout
    for name, kind in options():
        if kind in ('feature', 'boolean'):
            assert re.search(r'^  %s\s+\S' % name.replace('_', '-'), done.stdout, re.M), name
    for option in ('--target-list', '--prefix', '--enable-werror', '--enable-sanitizers'):
        assert option in done.stdout, option


def test_refused():
    for word in ('--enable-nothing', '--disable-werror-too', '--nothing', 'nothing'):
        done = configure(word)
        assert done.returncode == 1 and 'unknown' in done.stdout, (word, done.stdout)
    done = configure('--target-list=m68k-softmmu')
    assert done.returncode != 0 and 'm68k-softmmu' in done.stdout, done.stdout[-500:]


def test_packages():
    """scripts/setup.sh is the only place that installs packages of the host."""
    files = subprocess.run(['git', 'ls-files', '-z'], cwd=SOURCE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                           check=False).stdout.decode().split('\0')
    for name in filter(None, files):
        if name in ('scripts/setup.sh', os.path.relpath(__file__, SOURCE)) or name.endswith('.md'):
            continue
        with open(os.path.join(SOURCE, name), encoding='utf-8', errors='replace') as f:
            for line in f:
                assert not re.search(r'(?<!_private )\bapt(-get)? .*\binstall\b', line), (name, line)


if __name__ == '__main__':
    for case in (test_help, test_refused, test_packages):
        case()
        print('ok', case.__name__)
    sys.exit(0)
