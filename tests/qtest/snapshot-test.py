#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Snapshots of the machine inside of its images: savevm, loadvm, delvm, -loadvm, the QMP jobs."""
import contextlib
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import disk, pci, qtest, runner, virtio  # noqa: E402

RAM = 0x700000
QEMU_IMG = os.path.join(qtest.build_dir(), 'qemu-img')
HEADING = 'ID        TAG               VM SIZE                DATE     VM CLOCK     ICOUNT'


def qemu_img(*args):
    return subprocess.run([QEMU_IMG, *args], check=True, stdout=subprocess.PIPE).stdout.decode()


@contextlib.contextmanager
def images():
    """The options for two qcow2 disks and a read-only one."""
    with tempfile.TemporaryDirectory(prefix='nemu-snap-') as d:
        args = []
        for name in 'ab':
            path = os.path.join(d, name)
            qemu_img('create', '-q', '-f', 'qcow2', path, '8M')
            args += ['-drive', 'if=none,id=d%s,node-name=%s,file=%s' % (name, name, path),
                     '-device', 'virtio-blk-pci,drive=d' + name]
        path = os.path.join(d, 'ro')
        open(path, 'wb').truncate(1 << 20)
        yield d, args + ['-drive', 'if=none,id=ro,format=raw,readonly=on,file=' + path]


def machine(*args):
    return qtest.Emulator('-machine', 'virt', '-nodefaults', '-m', '32', '-device', 'virtio-rng-pci', *args)


def hmp(vm, line):
    return vm.qmp.hmp(line).replace('\r\n', '\n')


def job(vm, name, **args):
    """Runs a snapshot job; its error, or None."""
    vm.qmp.cmd(name, dict(args, **{'job-id': 'j'}))
    vm.qmp.wait_event('JOB_STATUS_CHANGE', id='j', status='concluded')
    info = vm.qmp.cmd('query-jobs')[0]
    runner.equal((info['type'], info['current-progress'], info['total-progress']), (name, 1, 1))
    vm.qmp.cmd('job-dismiss', id='j')
    return info.get('error')


def disks(vm):
    """Both, as a driver finds and resets them."""
    host = pci.Host(vm)
    host.enumerate()
    alloc = pci.Allocator(vm, base=0x800000)
    for nth in range(2):
        function = host.find(virtio.VENDOR, virtio.pci_id(virtio.BLOCK), nth)
        function.enable()
        dev = virtio.Device(function, alloc)
        dev.start()
        yield dev


def put(vm, value):
    """@value into memory and onto both disks."""
    for dev in disks(vm):
        disk.check(dev, disk.OUT, 8, bytes([value]) * 65536)
    vm.writeq(RAM, value)


def check(vm, value):
    vm.qmp.cmd('query-status')      # a -loadvm is over then
    runner.equal(vm.readq(RAM), value, 'memory')
    for dev in disks(vm):
        runner.equal(disk.check(dev, disk.IN, 8, size=65536), bytes([value]) * 65536, 'disk')


def test_human_monitor():
    with images() as (d, args):
        with machine(*args) as vm:
            runner.equal(hmp(vm, 'info snapshots'), 'There is no snapshot available.\n')
            vm.qmp.cmd('cont')
            put(vm, 1)
            runner.equal(hmp(vm, 'savevm one'), '')
            runner.equal(vm.qmp.cmd('query-status')['status'], 'running')
            put(vm, 2)
            runner.equal(hmp(vm, 'savevm two'), '')
            put(vm, 3)
            runner.equal(hmp(vm, 'loadvm one'), '')
            runner.equal(vm.qmp.cmd('query-status')['status'], 'running')
            check(vm, 1)
            runner.equal(hmp(vm, 'loadvm two'), '')
            check(vm, 2)
            vm.qmp.cmd('stop')
            runner.equal(hmp(vm, 'savevm'), '')         # the name is made up
            runner.equal(hmp(vm, 'savevm one'), '')     # replaced
            runner.equal(vm.qmp.cmd('query-status')['status'], 'paused')
            lines = hmp(vm, 'info snapshots').splitlines()
            runner.equal(lines[:2], ['List of snapshots present on all disks:', HEADING])
            runner.equal([line.split()[1].rstrip('0123456789') for line in lines[2:]], ['two', 'vm-', 'one'])
            for line in lines[2:]:
                runner.equal(line.split()[0], '--')
                assert re.search(r' [0-9.]+ [KM]iB 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d 00:', line), line
            runner.equal(hmp(vm, 'delvm two'), '')
            runner.equal(hmp(vm, 'delvm two'), '')
            assert ' two ' not in hmp(vm, 'info snapshots')
        for name, size in ('a', 'iB'), ('b', ' 0 B'):
            text = qemu_img('snapshot', '-l', os.path.join(d, name))
            runner.equal(text.splitlines()[:2], ['Snapshot list:', HEADING])
            assert re.search('one .*' + size, text), text
            qemu_img('check', '-q', os.path.join(d, name))


def test_new_process():
    with images() as (d, args):
        with machine(*args) as vm:
            vm.qmp.cmd('cont')
            put(vm, 7)
            hmp(vm, 'savevm s')
            put(vm, 8)
        with machine(*args, '-loadvm', 's') as vm:
            check(vm, 7)
            put(vm, 9)
            runner.equal(hmp(vm, 'loadvm s'), '')
            check(vm, 7)
        for tag, text in ('nope', "Snapshot 'nope' does not exist in one or more devices"),:
            assert text in qtest.start_error('-machine', 'virt', '-nodefaults', *args, '-loadvm', tag)
        # Another machine than the one that was saved.
        text = qtest.start_error('-machine', 'virt', '-nodefaults', '-m', '64', *args, '-loadvm', 's')
        assert 'Error while loading VM state: ' in text and 'virt.ram' in text, text


def test_jobs():
    both = {'vmstate': 'a', 'devices': ['a', 'b']}
    with images() as (d, args):
        with machine(*args) as vm:
            vm.qmp.cmd('cont')
            put(vm, 1)
            vm.qmp.cmd('stop')
            runner.equal(job(vm, 'snapshot-save', tag='t', **both), None)
            runner.equal(job(vm, 'snapshot-load', tag='t', **both), None)
            runner.equal(vm.qmp.cmd('query-status')['status'], 'paused')
            vm.qmp.cmd('cont')
            check(vm, 1)
            put(vm, 3)
            runner.equal(job(vm, 'snapshot-load', tag='t', **both), None)
            runner.equal(vm.qmp.cmd('query-status')['status'], 'running')
            check(vm, 1)
            for name, tag, vmstate, devices, error in [
                    ('save', 't', 'a', ['a'], "Snapshot 't' already exists in one or more devices"),
                    ('save', 'u', 'zz', ['a'], "vmstate block device 'zz' does not exist"),
                    ('save', 'u', 'a', ['b'], "vmstate block device 'a' does not exist"),
                    ('save', 'u', 'a', ['zz'], "No block device node 'zz'"),
                    ('save', 'u', 'a', [], 'At least one device is required for snapshot'),
                    ('load', 'u', 'a', ['a'], "Snapshot 'u' does not exist in one or more devices"),
                    ('load', 't', 'b', ['a', 'b'],
                     'This is a disk-only snapshot. Revert to it  offline using qemu-img')]:
                runner.equal(job(vm, 'snapshot-' + name, tag=tag, vmstate=vmstate, devices=devices), error)
                runner.equal(vm.qmp.cmd('query-status')['status'], 'running')
            check(vm, 1)
            runner.equal(job(vm, 'snapshot-delete', tag='t', devices=['a', 'b']), None)
            runner.equal(job(vm, 'snapshot-delete', tag='t', devices=['a', 'b']), None)
            runner.equal(hmp(vm, 'info snapshots'), 'There is no snapshot available.\n')


def test_refused():
    with images() as (d, args):
        with machine() as vm:
            runner.equal(hmp(vm, 'savevm x'), 'Error: no block device can store vmstate for snapshot\n')
            runner.equal(hmp(vm, 'loadvm x'), 'Error: no block device can store vmstate for snapshot\n')
            runner.equal(hmp(vm, 'delvm x'), '')
            runner.equal(hmp(vm, 'info snapshots'), 'no block device can store vmstate for snapshot\n')
        raw = os.path.join(d, 'raw')
        open(raw, 'wb').truncate(1 << 20)
        with machine(*args, '-drive', 'if=none,id=r,format=raw,file=' + raw) as vm:
            for name in 'savevm', 'loadvm', 'delvm':
                runner.equal(hmp(vm, name + ' x'), "Error: Device 'r' is writable but does not support snapshots\n")
        qemu_img('snapshot', '-c', 'part', os.path.join(d, 'a'))
        for name in 'ab':
            qemu_img('snapshot', '-c', 'disk', os.path.join(d, name))
        with machine(*args) as vm:
            lines = hmp(vm, 'info snapshots').splitlines()
            runner.equal([line[:10] for line in lines],
                         ['List of sn', 'ID        ', '--        ', '', 'List of pa', 'ID        ', '1         '])
            runner.equal(lines[4], "List of partial (non-loadable) snapshots on 'da':")
            runner.equal(hmp(vm, 'loadvm part'), "Error: Snapshot 'part' does not exist in one or more devices\n")
            runner.equal(hmp(vm, 'loadvm disk'),
                         'Error: This is a disk-only snapshot. Revert to it  offline using qemu-img\n')


def test_damaged_state():
    """A state that was overwritten is found; the machine stays stopped, and another snapshot brings it back."""
    with images() as (d, args):
        with machine(*args) as vm:
            vm.qmp.cmd('cont')
            put(vm, 1)
            hmp(vm, 'savevm good')
            hmp(vm, 'savevm bad')
        with open(os.path.join(d, 'a'), 'r+b') as f:
            data = f.read()
            at = data.rindex(b'nemu-vm\n')
            f.seek(at + 64)
            f.write(b'?')
        with machine(*args) as vm:
            vm.qmp.cmd('cont')
            texts = [hmp(vm, 'loadvm ' + tag) for tag in ('good', 'bad')]
            runner.equal(sorted(bool(t) for t in texts), [False, True])
            assert 'the stream is damaged' in ''.join(texts), texts
            runner.equal(hmp(vm, 'loadvm ' + ('good' if texts[1] else 'bad')), '')
            vm.qmp.cmd('cont')
            check(vm, 1)


if __name__ == '__main__':
    runner.main(globals())
