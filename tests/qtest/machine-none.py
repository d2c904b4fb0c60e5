#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Machine "none": what management tools start to ask questions."""
import os
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import qmp as qmplib
from lib import qtest, runner


def start_probe(folder, machine='none,accel=kvm:tcg'):
    """The command line of libvirt's capability probe; the parent's result."""
    return subprocess.run(
        [qtest.binary(), '-S', '-no-user-config', '-nodefaults', '-nographic',
         '-machine', machine, '-qmp', 'unix:%s/qmp.monitor,server=on,wait=off' % folder,
         '-pidfile', folder + '/qmp.pid', '-daemonize'],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30,
        env={'LC_ALL': 'C', 'PATH': os.environ['PATH'], 'HOME': '/'}, check=False)


def wait_gone(pid):
    def gone():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        with open('/proc/%d/stat' % pid) as f:      # nobody may be there to reap it
            return f.read().rsplit(')', 1)[1].split()[0] == 'Z'
    runner.wait_for(gone, what='end of the daemon')


def test_probe():
    with tempfile.TemporaryDirectory() as folder:
        done = start_probe(folder)
        runner.equal((done.returncode, done.stdout, done.stderr), (0, b'', b''), 'parent')
        # Both are there as soon as the parent has left.
        with open(folder + '/qmp.pid') as f:
            pid = int(f.read())
        qmp = qmplib.QmpClient.connect(folder + '/qmp.monitor')
        try:
            runner.equal(qmp.cmd('query-status')['status'], 'prelaunch', 'status')
            runner.equal(qmp.cmd('query-target'), {'arch': 'x86_64'}, 'target')
            runner.equal(qmp.cmd('query-kvm')['present'], True, 'KVM present')
            again = start_probe(folder, 'none')
            runner.equal(again.returncode, 1, 'second start with the same pidfile')
            assert b'cannot create PID file' in again.stderr, again.stderr
        finally:
            os.kill(pid, signal.SIGTERM)
        wait_gone(pid)
        runner.equal(os.path.exists(folder + '/qmp.pid'), False, 'pidfile after the end')


def test_failed_daemon():
    with tempfile.TemporaryDirectory() as folder:
        done = start_probe(folder, 'nothing')
        runner.equal(done.returncode, 1, 'status')
        assert b'unsupported machine type' in done.stderr, done.stderr


def test_answers():
    """What libvirt 9.0.0 needs an array or a class for, see docs/interop."""
    with qtest.Emulator('-machine', 'none', '-nodefaults', '-S') as vm:
        names = {t['name'] for t in vm.qmp.cmd('qom-list-types')}
        for wanted in ('none-machine', 'iothread', 'memory-backend-file', 'memory-backend-memfd',
                       'rng-random', 'rng-builtin', 'container'):
            assert wanted in names, wanted
        for unwanted in ('tcg-accel', 'qemu-xhci', 'rtl8139', 'e1000', 'kvm-pit'):
            assert unwanted not in names, unwanted
        for name in sorted(names):
            assert isinstance(vm.qmp.cmd('qom-list-properties', typename=name), list), name
        machines = {m['name']: m for m in vm.qmp.cmd('query-machines')}
        runner.equal(machines['none']['cpu-max'], 1, 'cpu-max')
        assert isinstance(vm.qmp.cmd('query-cpu-definitions'), list)
        runner.equal(vm.qmp.cmd('query-cpus-fast'), [], 'CPUs')
        runner.equal(vm.qmp.cmd('query-memory-size-summary'),
                     {'base-memory': 0, 'plugged-memory': 0}, 'memory')
        options = {o['option']: o['parameters'] for o in vm.qmp.cmd('query-command-line-options')}
        assert 'hpet' not in [p['name'] for p in options['machine']]
        runner.equal({p['name'] for p in options['memory']}, {'size', 'slots', 'maxmem'}, '-m')


def test_every_device_lists_its_properties():
    with qtest.Emulator('-machine', 'none', '-nodefaults') as vm:
        for info in vm.qmp.cmd('qom-list-types', implements='device', abstract=False):
            props = vm.qmp.cmd('device-list-properties', typename=info['name'])
            seen = [p['name'] for p in props]
            runner.equal(len(seen), len(set(seen)), info['name'] + ' has each property once')
            assert not set(seen) & {'type', 'realized', 'parent_bus', 'hotplugged'}, info['name']


if __name__ == '__main__':
    runner.main(globals())
