#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The program dies (SIGKILL) in the middle of a job: what the guest had flushed is there, every image of the
chain is sound, and the job can be done once more. Usage: jobs-crash-test.py [--rounds N] [NAME...]"""
import json
import os
import random
import shutil
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import disk, disktools, runner
from lib.jobvm import MIB, Chain, same, tool

ROUNDS = 1
if '--rounds' in sys.argv:
    at = sys.argv.index('--rounds')
    ROUNDS = int(sys.argv[at + 1])
    del sys.argv[at:at + 2]

template = None         # folder with the chain's files, their common start, what the guest sees


class Victim(Chain):
    """A chain as Chain makes it, but copied; the guest flushes each of its writes."""

    def disk_options(self):
        global template
        if not template:
            args = super().disk_options()
            template = (tempfile.mkdtemp(prefix='nemu-crash-'), args, bytes(self.model))
            for name in self.LAYERS:
                shutil.copy(self.file(name), template[0])
            return args
        for name in self.LAYERS:
            shutil.copy(os.path.join(template[0], os.path.basename(self.file(name))), self.file(name))
        self.model[:] = template[2]
        return template[1]

    def busy_guest(self, writes):
        for _ in range(writes):
            self.write_some(1)
            self.request(disk.FLUSH)

    def stop(self, status=-9):
        super().stop(status)

    def die(self, seconds):
        time.sleep(seconds)
        self.kill()

    def check_dead(self, name='top', model=None):
        """Leaks are no loss; anything else is."""
        for layer in [n for n in [*self.LAYERS, name] if os.path.exists(self.file(n))]:
            r = disktools.run('/usr/bin/qemu-img', 'check', '-q', '-f', 'qcow2', self.file(layer))
            runner.equal(r.status in (0, 3), True, 'check of %s: %s %s' % (layer, r.out, r.err))
            r = disktools.run(disktools.ours('qemu-img'), 'check', '-q', '-r', 'leaks', '-f', 'qcow2', self.file(layer))
            runner.equal((r.status, r.err), (0, ''), 'repair of ' + layer)
            tool('qemu-img', 'check', '-q', '-f', 'qcow2', self.file(layer))
        self.check_content(name, model)

    def check_content(self, name, model=None):
        raw = self.file('flat')
        tool('qemu-img', 'convert', '-f', 'qcow2', '-O', 'raw', self.file(name), raw)
        same(self.content('flat'), self.model if model is None else model, 'what %s shows' % name)

    def empty(self, node, size):
        """A qcow2 node on a new image."""
        tool('qemu-img', 'create', '-q', '-f', 'qcow2', self.file(node), str(size))
        self.qmp.cmd('blockdev-add', {'driver': 'qcow2', 'node-name': node,
                                      'file': {'driver': 'file', 'filename': self.file(node)}})


def crash(start, after=None, writes=(0, 2, 9), **check):
    """Starts a job, kills the program at different moments; @after: once it is dead and checked."""
    rng = random.Random(start.__code__.co_firstlineno)
    for i in range(ROUNDS):
        for count in writes:
            with Victim() as vm:
                vm.rng.seed(rng.random())
                start(vm)
                vm.busy_guest(count)
                vm.die(rng.choice((0, 0.01, 0.05, 0.2)) * (i + 1))
                vm.check_dead(**check)
                if after:
                    after(vm)
                    vm.check_content('top')


def job(vm, name, **args):
    vm.qmp.cmd(name, {'job-id': 'j', 'speed': MIB, **args})


def test_commit():
    def again(vm):
        r = disktools.run(disktools.ours('qemu-img'), 'commit', '-q', '-f', 'qcow2', '-b', vm.file('base'), '-d',
                          vm.file('mid'))
        runner.equal((r.status, r.err), (0, ''))
    crash(lambda vm: job(vm, 'block-commit', device='top', **{'top-node': 'mid', 'base-node': 'base'}), again)


def test_active_commit():
    crash(lambda vm: job(vm, 'block-commit', device='top', **{'base-node': 'low'}))


def test_active_commit_ends():
    """When the job is done and nobody has said yet that it is final, and right after that."""
    def start(vm, last):
        job(vm, 'block-commit', device='top', **{'base-node': 'base', 'auto-finalize': False, 'auto-dismiss': False,
                                                 'speed': 0})
        vm.status('j', 'ready')
        vm.busy_guest(3)
        vm.qmp.cmd('job-complete', {'id': 'j'})
        vm.status('j', 'pending')
        if last:
            # The guest is on its own: what it has is in the base from here on.
            vm.qmp.cmd('job-finalize', {'id': 'j'})
    crash(lambda vm: start(vm, False), writes=(0, 4))
    crash(lambda vm: start(vm, True), writes=(0,))

    def concluded(vm):
        start(vm, True)
        vm.status('j', 'concluded')
    crash(concluded, writes=(0, 4), name='base')


def test_mirror():
    for mode in ('background', 'write-blocking'):
        def start(vm, mode=mode):
            vm.empty('copy', vm.size)
            job(vm, 'blockdev-mirror', device='top', target='copy', sync='full', **{'copy-mode': mode})
        crash(start)


def test_mirror_ends():
    """The copy is what the guest has once the job is concluded, whenever the program dies after that."""
    def start(vm):
        vm.empty('copy', vm.size)
        job(vm, 'blockdev-mirror', device='top', target='copy', sync='full', speed=0, **{'auto-dismiss': False})
        vm.status('j', 'ready')
        vm.busy_guest(3)
        vm.qmp.cmd('job-complete', {'id': 'j'})
        vm.status('j', 'concluded')
    crash(start, writes=(0, 4), name='copy')


def test_stream():
    def again(vm):
        r = disktools.run(disktools.ours('qemu-img'), 'rebase', '-q', '-f', 'qcow2', '-b', '', vm.file('top'))
        runner.equal((r.status, r.err), (0, ''))
    crash(lambda vm: job(vm, 'block-stream', device='top'), again)


def test_backup():
    def start(vm):
        vm.empty('copy', vm.size)
        job(vm, 'blockdev-backup', device='top', target='copy', sync='full')
    crash(start)


def test_overlay():
    """A snapshot in an overlay: whether it was taken or not, the overlay shows what the guest had."""
    def start(vm):
        tool('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', os.path.basename(vm.file('top')), '-F', 'qcow2',
             vm.file('over'))
        vm.busy_guest(2)
        vm.qmp.cmd('blockdev-add', {'driver': 'qcow2', 'node-name': 'over', 'backing': None,
                                    'file': {'driver': 'file', 'filename': vm.file('over')}})
        vm.qmp.cmd('blockdev-snapshot', {'node': 'top', 'overlay': 'over'})
    crash(start, name='over')


def test_internal_snapshot():
    moments = []

    def start(vm):
        vm.busy_guest(2)
        moments.append(bytes(vm.model))
        vm.qmp.cmd('blockdev-snapshot-internal-sync', {'device': 'top', 'name': 's'})

    def check(vm):
        info = json.loads(tool('qemu-img', 'info', '--output=json', vm.file('top')))
        runner.equal([s['name'] for s in info['snapshots']], ['s'])
        raw = vm.file('flat')
        tool('qemu-img', 'convert', '-f', 'qcow2', '-l', 's', '-O', 'raw', vm.file('top'), raw)
        same(vm.content('flat'), moments[-1], 'the snapshot')
    crash(start, check)


if __name__ == '__main__':
    try:
        runner.main(globals())
    finally:
        if template:
            shutil.rmtree(template[0])
