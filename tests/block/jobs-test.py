#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Jobs on the disk of a guest that goes on writing: the result is compared block by block, and events
and errors with what QEMU's users know."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import disk, runner
from lib.jobvm import MIB, SIZE, Chain, Vm, same, tool


def mirror_case(copy_mode, iothread):
    with Vm(iothread=iothread) as vm:
        vm.target('copy')
        before = vm.node_names()
        vm.qmp.cmd('blockdev-mirror', {'job-id': 'j', 'device': 'top', 'target': 'copy', 'sync': 'full',
                                       'copy-mode': copy_mode, 'speed': 32 * MIB})
        vm.write_some()
        vm.status('j', 'ready')
        vm.write_some()
        runner.equal(vm.qmp.cmd('query-block-jobs')[0]['ready'], True)
        vm.qmp.cmd('job-complete', {'id': 'j'})
        seen, last = vm.end()
        runner.equal(seen, ['waiting', 'pending', 'concluded', 'null'])
        runner.equal(last['event'], 'BLOCK_JOB_COMPLETED')
        runner.equal('error' in last['data'], False)
        # The target has taken the source's place.
        same(vm.content('copy'), vm.model, 'the copy')
        runner.equal(vm.qmp.cmd('query-block')[0]['inserted']['node-name'], 'copy')
        runner.equal(vm.node_names(), before, 'nodes')
        old = bytes(vm.model)
        vm.write_some()
        vm.check_guest()
        vm.request(disk.FLUSH)
        same(vm.content('copy'), vm.model, 'the copy, after more writes')
        same(vm.content('source'), old, 'the old source')


def test_mirror_background():
    mirror_case('background', False)


def test_mirror_background_iothread():
    mirror_case('background', True)


def test_mirror_write_blocking():
    mirror_case('write-blocking', False)


def test_mirror_write_blocking_iothread():
    mirror_case('write-blocking', True)


def test_mirror_ends_as_copy():
    """Cancelled when it is ready: a copy of that moment; forced: no promise, and the guest stays."""
    with Vm() as vm:
        vm.target('copy')
        vm.qmp.cmd('blockdev-mirror', {'job-id': 'j', 'device': 'top', 'target': 'copy', 'sync': 'full'})
        vm.status('j', 'ready')
        vm.write_some()
        vm.qmp.cmd('block-job-cancel', {'device': 'j'})
        runner.equal(vm.end()[1]['event'], 'BLOCK_JOB_COMPLETED')
        same(vm.content('copy'), vm.model, 'the copy')
        vm.write_some()
        vm.check_guest()
        runner.equal(vm.qmp.cmd('query-block')[0]['inserted']['node-name'], 'top')
        vm.qmp.cmd('blockdev-mirror', {'job-id': 'j', 'device': 'top', 'target': 'copy', 'sync': 'full', 'speed': MIB})
        vm.write_some(5)
        vm.qmp.cmd('job-cancel', {'id': 'j'})
        seen, last = vm.end()
        runner.equal(seen[-3:], ['aborting', 'concluded', 'null'])
        runner.equal(last['event'], 'BLOCK_JOB_CANCELLED')
        vm.write_some()
        vm.check_guest()


def test_quit():
    """The program ends whatever its jobs are at; the guest's disk is whole."""
    for mode in ('running', 'paused', 'ready', 'concluded'):
        with Vm() as vm:
            vm.target('copy')
            vm.qmp.cmd('blockdev-mirror', {'job-id': 'j', 'device': 'top', 'target': 'copy', 'sync': 'full',
                                           'auto-dismiss': False, 'speed': 0 if mode in ('ready', 'concluded') else MIB})
            if mode == 'paused':
                vm.qmp.cmd('job-pause', {'id': 'j'})
                vm.status('j', 'paused')
            elif mode == 'ready':
                vm.status('j', 'ready')
            elif mode == 'concluded':
                vm.qmp.cmd('job-cancel', {'id': 'j'})
                vm.status('j', 'concluded')
            vm.write_some(5)
            vm.qmp.cmd('quit')
            runner.equal(vm.wait(), 0, 'exit status, job ' + mode)
            same(vm.content('source'), vm.model, 'the disk')


def test_pause_and_states():
    with Vm() as vm:
        vm.target('copy')
        vm.qmp.cmd('blockdev-mirror', {'job-id': 'j', 'device': 'top', 'target': 'copy', 'sync': 'full', 'speed': MIB,
                                       'auto-finalize': False, 'auto-dismiss': False})
        vm.status('j', 'running')
        vm.qmp.cmd('job-pause', {'id': 'j'})
        vm.status('j', 'paused')
        info = vm.qmp.cmd('query-block-jobs')[0]
        runner.equal((info['status'], info['paused'], info['busy']), ('paused', True, False))
        vm.write_some(5)
        vm.qmp.cmd('job-resume', {'id': 'j'})
        vm.qmp.cmd('block-job-set-speed', {'device': 'j', 'speed': 0})
        vm.status('j', 'ready')
        vm.qmp.cmd('job-pause', {'id': 'j'})
        vm.status('j', 'standby')
        vm.qmp.cmd('job-resume', {'id': 'j'})
        vm.qmp.cmd('job-complete', {'id': 'j'})
        vm.status('j', 'pending')
        # The guest writes on until somebody says that the result is final.
        vm.write_some()
        runner.equal(vm.qmp.wait_event('BLOCK_JOB_PENDING')['data'], {'type': 'mirror', 'id': 'j'})
        vm.qmp.cmd('job-finalize', {'id': 'j'})
        vm.status('j', 'concluded')
        same(vm.content('copy'), vm.model, 'the copy')
        runner.equal(vm.qmp.cmd('query-jobs')[0]['status'], 'concluded')
        vm.qmp.cmd('job-dismiss', {'id': 'j'})
        runner.equal(vm.qmp.cmd('query-jobs'), [])


def backup_case(iothread):
    with Vm(iothread=iothread) as vm:
        vm.target('copy')
        moment = bytes(vm.model)
        vm.qmp.cmd('blockdev-backup', {'job-id': 'j', 'device': 'top', 'target': 'copy', 'sync': 'full',
                                       'speed': 16 * MIB})
        vm.write_some(60)
        seen, last = vm.end()
        runner.equal(seen[-4:], ['waiting', 'pending', 'concluded', 'null'])
        same(vm.content('copy'), moment, 'the backup')
        vm.check_guest()


def test_backup():
    backup_case(False)


def test_backup_iothread():
    backup_case(True)


def test_incremental():
    """A chain of backups by bitmap; a failed one forgets nothing."""
    with Vm() as vm:
        vm.target('full')
        vm.qmp.cmd('transaction', {'actions': [
            {'type': 'block-dirty-bitmap-add', 'data': {'node': 'top', 'name': 'b'}},
            {'type': 'blockdev-backup', 'data': {'job-id': 'j', 'device': 'top', 'target': 'full', 'sync': 'full'}}]})
        moment = bytes(vm.model)
        vm.guest_write(100, b'a' * 512)
        vm.end()
        same(vm.content('full'), moment, 'the full backup')
        vm.guest_write(20000, b'b' * 4096)
        bitmap = vm.bitmap('b')
        runner.equal((bitmap['name'], bitmap['count'], bitmap['recording']), ('b', 131072, True))
        # Into the copy of the full one, only what changed.
        vm.target('inc', content=moment)
        vm.qmp.cmd('blockdev-backup', {'job-id': 'j', 'device': 'top', 'target': 'inc', 'sync': 'incremental',
                                       'bitmap': 'b', 'speed': 65536})
        moment = bytes(vm.model)
        runner.equal(vm.bitmap('b')['busy'], True)
        vm.guest_write(30000, b'c' * 512)
        error = vm.error('block-dirty-bitmap-remove', {'node': 'top', 'name': 'b'})
        runner.equal('currently in use' in error[1], True)
        vm.qmp.cmd('block-job-set-speed', {'device': 'j', 'speed': 0})
        vm.end()
        same(vm.content('inc'), moment, 'the incremental backup')
        runner.equal(vm.bitmap('b')['count'], 65536)
        vm.qmp.cmd('blockdev-backup', {'job-id': 'j', 'device': 'top', 'target': 'inc', 'sync': 'incremental',
                                       'bitmap': 'b', 'speed': 1})
        vm.guest_write(10000, b'd' * 512)
        vm.qmp.cmd('job-cancel', {'id': 'j'})
        vm.end()
        runner.equal(vm.bitmap('b')['count'], 131072)


def test_transactions():
    """All or nothing."""
    with Vm() as vm:
        vm.target('copy', content=bytes(SIZE))
        vm.qmp.cmd('block-dirty-bitmap-add', {'node': 'top', 'name': 'b'})
        vm.guest_write(0, b'x' * 512)
        before = vm.qmp.cmd('query-block')
        nodes = vm.node_names()
        error = vm.error('transaction', {'actions': [
            {'type': 'block-dirty-bitmap-clear', 'data': {'node': 'top', 'name': 'b'}},
            {'type': 'block-dirty-bitmap-disable', 'data': {'node': 'top', 'name': 'b'}},
            {'type': 'block-dirty-bitmap-add', 'data': {'node': 'top', 'name': 'c'}},
            {'type': 'block-dirty-bitmap-merge', 'data': {'node': 'top', 'target': 'c', 'bitmaps': ['b']}},
            {'type': 'blockdev-backup', 'data': {'job-id': 'j', 'device': 'top', 'target': 'copy', 'sync': 'full'}},
            {'type': 'abort', 'data': {}}]})
        runner.equal(error[1], 'Transaction aborted using Abort action')
        runner.equal(vm.qmp.cmd('query-block'), before, 'after an aborted transaction')
        runner.equal(vm.node_names(), nodes)
        runner.equal(vm.qmp.cmd('query-jobs'), [])
        vm.qmp.cmd('transaction', {'actions': [
            {'type': 'block-dirty-bitmap-add', 'data': {'node': 'top', 'name': 'c', 'disabled': True}},
            {'type': 'block-dirty-bitmap-merge', 'data': {'node': 'top', 'target': 'c', 'bitmaps': ['b']}},
            {'type': 'block-dirty-bitmap-remove', 'data': {'node': 'top', 'name': 'b'}}]})
        left = vm.qmp.cmd('query-block')[0]['inserted']['dirty-bitmaps']
        runner.equal([(b['name'], b['count']) for b in left], [('c', 65536)])
        same(bytes(vm.content('copy')), bytes(SIZE), 'the target of what was aborted')


def test_grouped():
    """One job of a group fails: the other one is cancelled."""
    with Vm() as vm:
        vm.target('copy')
        vm.target('copy2')
        vm.target('other', content=bytes(SIZE))
        vm.qmp.cmd('transaction', {'properties': {'completion-mode': 'grouped'}, 'actions': [
            {'type': 'blockdev-backup', 'data': {'job-id': 'j', 'device': 'top', 'target': 'copy', 'sync': 'full',
                                                 'speed': MIB}},
            {'type': 'blockdev-backup', 'data': {'job-id': 'k', 'device': 'other', 'target': 'copy2',
                                                 'sync': 'full'}}]})
        vm.status('k', 'waiting')
        vm.write_some(5)
        vm.qmp.cmd('job-cancel', {'id': 'j'})
        vm.status('k', 'aborting')
        vm.status('k', 'null')
        runner.equal(vm.qmp.cmd('query-jobs'), [])
        vm.write_some(5)
        vm.check_guest()


def chain_case(command, args, want, complete=False, iothread=False):
    with Chain(iothread=iothread) as vm:
        runner.equal(vm.layers(), ['top', 'mid', 'low', 'base'], 'layers before')
        vm.write_some()
        vm.qmp.cmd(command, {'job-id': 'j', 'device': 'top', 'speed': 64 * MIB, **args})
        vm.write_some(40)
        if complete:
            vm.status('j', 'ready')
            vm.write_some()
            vm.qmp.cmd('job-complete', {'id': 'j'})
        seen, last = vm.end()
        runner.equal(seen[-3:], ['pending', 'concluded', 'null'])
        runner.equal('error' in last['data'], False, 'error: %r' % last)
        runner.equal(vm.layers(), want, 'layers after')
        vm.write_some()
        vm.check_guest()
        vm.stop()
        vm.check_images(want)


def test_stream():
    chain_case('block-stream', {}, ['top'])


def test_stream_iothread():
    chain_case('block-stream', {}, ['top'], iothread=True)


def test_stream_to_base():
    chain_case('block-stream', {'base-node': 'low'}, ['top', 'low', 'base'])


def test_stream_bottom():
    chain_case('block-stream', {'bottom': 'mid'}, ['top', 'low', 'base'])


def test_commit():
    chain_case('block-commit', {'top-node': 'mid', 'base-node': 'base'}, ['top', 'base'])


def test_commit_one():
    chain_case('block-commit', {'top-node': 'mid', 'base-node': 'low'}, ['top', 'low', 'base'], iothread=True)


def test_commit_active():
    chain_case('block-commit', {'base-node': 'low'}, ['low', 'base'], complete=True)


def test_commit_active_iothread():
    chain_case('block-commit', {}, ['base'], complete=True, iothread=True)


def test_cancel_in_chain():
    """A cancelled commit or stream leaves chain and content as they were."""
    for command, args in (('block-stream', {}), ('block-commit', {'top-node': 'mid'}), ('block-commit', {})):
        with Chain() as vm:
            vm.qmp.cmd(command, {'job-id': 'j', 'device': 'top', 'speed': 65536, **args})
            vm.write_some(5)
            vm.qmp.cmd('job-cancel', {'id': 'j'})
            runner.equal(vm.end()[1]['event'], 'BLOCK_JOB_CANCELLED')
            runner.equal(vm.layers(), ['top', 'mid', 'low', 'base'], 'layers')
            vm.write_some()
            vm.check_guest()
            vm.stop()
            vm.check_images(['top', 'mid', 'low', 'base'])


def test_overlay():
    """An overlay, made by the command and given by the user; a job gets rid of it again."""
    with Vm() as vm:
        moment = bytes(vm.model)
        vm.qmp.cmd('blockdev-snapshot-sync', {'node-name': 'top', 'snapshot-file': vm.file('one'),
                                              'snapshot-node-name': 'one'})
        vm.write_some()
        same(vm.content('source'), moment, 'what is below')
        tool('qemu-img', 'create', '-q', '-f', 'qcow2', vm.file('two'), str(vm.size))
        vm.qmp.cmd('blockdev-add', {'driver': 'qcow2', 'node-name': 'two', 'backing': None,
                                    'file': {'driver': 'file', 'filename': vm.file('two')}})
        vm.qmp.cmd('blockdev-snapshot', {'node': 'one', 'overlay': 'two'})
        runner.equal(vm.error('blockdev-snapshot', {'node': 'one', 'overlay': 'two'})[1],
                     "Node 'one' is busy: node is used as backing hd of 'two'")
        vm.write_some()
        vm.check_guest()
        vm.qmp.cmd('block-commit', {'job-id': 'j', 'device': 'two'})
        vm.status('j', 'ready')
        vm.qmp.cmd('job-complete', {'id': 'j'})
        vm.end()
        vm.check_guest()
        runner.equal(vm.qmp.cmd('query-block')[0]['inserted']['node-name'], 'top')
        vm.request(disk.FLUSH)
        same(vm.content('source'), vm.model, 'what was committed')


def test_create():
    """An overlay by blockdev-create, on a file that is made by it, too."""
    with Vm() as vm:
        def create(options, error=None):
            vm.qmp.cmd('blockdev-create', {'job-id': 'c', 'options': options})
            vm.status('c', 'concluded')
            job = vm.qmp.cmd('query-jobs')[0]
            runner.equal((job['type'], job.get('error')), ('create', error))
            vm.qmp.cmd('job-dismiss', {'id': 'c'})
        create({'driver': 'file', 'filename': vm.file('new'), 'size': 0})
        vm.qmp.cmd('blockdev-add', {'driver': 'file', 'node-name': 'new-file', 'filename': vm.file('new')})
        create({'driver': 'qcow2', 'file': 'new-file', 'size': vm.size, 'backing-file': os.path.basename(vm.file('source')),
                'backing-fmt': 'raw', 'cluster-size': 4096})
        vm.qmp.cmd('blockdev-add', {'driver': 'qcow2', 'node-name': 'new', 'file': 'new-file', 'backing': None})
        vm.qmp.cmd('blockdev-snapshot', {'node': 'top', 'overlay': 'new'})
        vm.write_some()
        vm.check_guest()
        create({'driver': 'file', 'filename': '/nonexistent/x', 'size': 1},
               "Could not create '/nonexistent/x': No such file or directory")
        runner.equal(vm.error('blockdev-create', {'job-id': 'c', 'options': {'driver': 'null-co'}})[1],
                     'Driver does not support blockdev-create')
        vm.stop()
        tool('qemu-img', 'check', '-q', vm.file('new'))
        tool('qemu-img', 'convert', '-O', 'raw', vm.file('new'), vm.file('flat'))
        same(vm.content('flat'), vm.model, 'overlay and what is below')


def test_errors():
    with Vm() as vm:
        vm.target('copy')
        vm.target('small', size=MIB)
        for name, args, desc in (
                ('blockdev-mirror', {'device': 'zz', 'target': 'copy', 'sync': 'full'},
                 "Cannot find device='zz' nor node-name='zz'"),
                ('blockdev-mirror', {'device': 'top', 'target': 'top', 'sync': 'full'}, "Can't mirror node into itself"),
                ('blockdev-mirror', {'device': 'top', 'target': 'copy', 'sync': 'bitmap'},
                 "Sync mode 'bitmap' not supported"),
                ('blockdev-mirror', {'device': 'top', 'target': 'copy', 'sync': 'full', 'granularity': 100},
                 "Parameter 'granularity' expects a value in range [512B, 64MB]"),
                ('blockdev-mirror', {'device': 'top', 'target': 'copy', 'sync': 'full', 'granularity': 10000},
                 "Parameter 'granularity' expects a power of 2"),
                ('blockdev-mirror', {'device': 'top', 'target': 'copy', 'sync': 'full', 'buf-size': -1},
                 "Invalid parameter 'buf-size'"),
                ('blockdev-backup', {'device': 'top', 'target': 'top', 'sync': 'full'},
                 'Source and target cannot be the same'),
                ('blockdev-backup', {'device': 'top', 'target': 'small', 'sync': 'full'},
                 'Source and target image have different sizes'),
                ('blockdev-backup', {'device': 'top', 'target': 'copy', 'sync': 'bitmap'},
                 "must provide a valid bitmap name for 'bitmap' sync mode"),
                ('blockdev-backup', {'device': 'top', 'target': 'copy', 'sync': 'incremental', 'bitmap': 'zz'},
                 "Bitmap 'zz' could not be found"),
                ('block-commit', {'device': 'zz'}, "Device 'zz' not found"),
                ('block-commit', {'device': 'top'}, 'cannot commit an image into itself'),
                ('block-stream', {'device': 'top', 'base': 'x', 'base-node': 'y'},
                 "'base' and 'base-node' cannot be specified at the same time")):
            runner.equal(vm.error(name, {'job-id': 'j', **args})[1], desc, name)
        runner.equal(vm.qmp.cmd('query-jobs'), [])
        # Found by the job itself.
        vm.qmp.cmd('blockdev-mirror', {'job-id': 'j', 'device': 'top', 'target': 'small', 'sync': 'full'})
        last = vm.end()[1]
        runner.equal(last['data']['error'], 'Source and target image have different sizes')
        for name, args, cls in (('block-job-cancel', {'device': 'zz'}, 'DeviceNotActive'),
                                ('job-cancel', {'id': 'zz'}, 'GenericError'),
                                ('block-job-dismiss', {'id': 'zz'}, 'DeviceNotActive')):
            runner.equal(vm.error(name, args)[0], cls, name)
        vm.write_some(5)
        vm.check_guest()


if __name__ == '__main__':
    runner.main(globals())
