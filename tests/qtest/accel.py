#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Hosts where KVM is missing or is not KVM, as one clear error; what a start loads into the process."""
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import qtest, runner

MACHINE = ['-machine', 'virt', '-m', '16', '-nodefaults', '-display', 'none', '-S']


def run_with(mount, *args):
    """(status, output) in a mount name space of its own that was changed by @mount."""
    runner.require(shutil.which('unshare'), 'no unshare (Debian package util-linux)')
    runner.require(subprocess.run(['unshare', '-rm', 'true'], stderr=subprocess.DEVNULL, check=False).returncode == 0,
                   'name spaces are not allowed here')
    done = subprocess.run(['unshare', '-rm', 'sh', '-c', mount + ' && exec "$0" "$@"', qtest.binary(), *args],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=60, check=False)
    return done.returncode, done.stdout


def test_no_kvm():
    status, text = run_with('mount -t tmpfs none /dev', *MACHINE, '-accel', 'kvm')
    runner.equal(status, 1, 'exit status')
    for words in ('Could not access KVM kernel module: No such file or directory', 'failed to initialize kvm'):
        if words not in text:
            raise AssertionError('%r is not in %r' % (words, text))


def test_not_kvm():
    runner.require(os.path.exists('/dev/kvm'), 'no /dev/kvm to put something else over')
    status, text = run_with('mount --bind /dev/null /dev/kvm', *MACHINE, '-accel', 'kvm')
    runner.equal(status, 1, 'exit status')
    if 'Inappropriate ioctl' not in text:
        raise AssertionError('the cause is not in %r' % text)


def test_libraries():
    """Heavy libraries are modules: a start without TLS and user-mode network loads none of them."""
    for args in (['-machine', 'none'], [*MACHINE, '-device', 'virtio-net-pci', '-device', 'virtio-rng-pci',
                                        '-device', 'virtio-serial-pci']):
        with qtest.Emulator(*args) as vm:
            with open('/proc/%d/maps' % vm.pid, encoding='utf-8') as f:
                loaded = set(re.findall(r'([^/\s]+\.so[.\d]*)$', f.read(), re.M))
            loaded -= {name for name in loaded if re.match(r'lib[atu]*san', name)}
            heavy = [name for name in loaded if re.match(r'lib(gnutls|slirp|fdt|seccomp|gcrypt|nettle)', name)]
            runner.equal(heavy, [], 'heavy libraries of %s' % args)
            if len(loaded) > 12:
                raise AssertionError('more than 12 libraries: %s' % sorted(loaded))


if __name__ == '__main__':
    runner.main(globals())
