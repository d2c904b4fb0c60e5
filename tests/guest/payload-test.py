#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The bare-metal payload on the machine `virt` and KVM: what a guest sees, and what management sees of it."""
import os
import re
import socket
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import guest, qtest, runner  # noqa: E402

PAYLOAD = os.path.join(qtest.build_dir(), 'tests', 'guest', 'payload.elf')
DISK_SIZE = 16 << 20
PATTERN_SECTORS = range(1024, 1024 + 32)


def make_disk(path):
    with open(path, 'wb') as f:
        f.truncate(DISK_SIZE)


def check_tap(text, plans=1):
    """Every line of the payload's report is "ok", and nothing is missing."""
    lines = re.findall(r'^(ok|not ok) (\d+)', text, re.M)
    for result, number in lines:
        runner.equal(result, 'ok', 'payload test ' + number)
    counts = [int(n) for n in re.findall(r'^1\.\.(\d+)', text, re.M)]
    runner.equal(len(counts), plans, 'number of complete reports')
    runner.equal(len(lines), sum(counts), 'number of results')
    assert lines, 'no results'


def device_args(disk, packed=False, extra_blk='', port=None):
    ring = ',packed=on' if packed else ''
    args = ['-device', 'virtio-rng-pci' + ring,
            '-blockdev', 'driver=file,node-name=f0,filename=%s,discard=unmap' % disk,
            '-blockdev', 'driver=raw,node-name=d0,file=f0,discard=unmap',
            '-device', 'virtio-blk-pci,drive=d0' + ring + extra_blk,
            '-netdev', 'user,id=n0', '-device', 'virtio-net-pci,netdev=n0' + ring,
            '-device', 'virtio-serial-pci,id=vs0',
            '-chardev', 'null,id=c0', '-device', 'virtconsole,chardev=c0']
    if port:
        args += ['-chardev', 'socket,id=p0,path=%s,server=on,wait=off' % port,
                 '-device', 'virtserialport,bus=vs0.0,chardev=p0,name=test.0']
    return args


def payload(*args, append='end=off', smp=2):
    return guest.Guest('-m', '128', '-smp', str(smp), '-kernel', PAYLOAD, '-append', append, *args)


def check_pattern(disk):
    with open(disk, 'rb') as f:
        for n in PATTERN_SECTORS:
            f.seek(512 * n)
            runner.equal(f.read(512), struct.pack('<I', n) * 128, 'sector %d' % n)


def connect_port(path):
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(60)
    runner.wait_for(lambda: os.path.exists(path), what='socket of the port')
    sock.connect(path)
    return sock


def talk(path, between=lambda: None):
    """The payload greets on its named port and returns our line in capitals."""
    with connect_port(path) as sock, sock.makefile('rb') as stream:
        runner.equal(stream.readline(), b'ready\n', 'greeting on the port')
    between()
    with connect_port(path) as sock, sock.makefile('rb') as stream:
        sock.sendall(b'some words\n')
        runner.equal(stream.readline(), b'SOME WORDS\n', 'answer on the port')


def run_restored(packed=False, extra_blk='', extra=(), smp=2):
    """The same as run_all() without the port, and the machine moves to a new process again and again."""
    disk = '/tmp/nemu-payload-%d.img' % os.getpid()
    make_disk(disk)
    g = payload(*extra, *device_args(disk, packed, extra_blk), append='end=halt', smp=smp)
    moves = 0
    try:
        while not re.search(r'^1\.\.\d+', g.console(), re.M):
            time.sleep(0.03 * (moves % 5))
            g = g.restore_in_new_process()
            moves += 1
            assert moves < 200, 'the payload makes no progress'
        check_tap(g.console())
        check_pattern(disk)
        assert moves >= 3, 'moved only %d times' % moves
        print('# moved %d times' % moves)
        with g:
            g.qmp.cmd('quit')
            runner.equal(g.wait(), 0, 'exit status')
    except BaseException:
        g.kill()
        g.dump()
        print(''.join('# console: %s\n' % line for line in g.console().splitlines()[-30:]), flush=True)
        raise
    finally:
        os.unlink(disk)


def run_all(packed=False, extra_blk='', extra=()):
    disk = '/tmp/nemu-payload-%d.img' % os.getpid()
    port = '/tmp/nemu-payload-%d.sock' % os.getpid()
    make_disk(disk)
    try:
        with payload(*extra, *device_args(disk, packed, extra_blk, port)) as g:
            talk(port)
            shutdown = g.qmp.wait_event('SHUTDOWN', timeout=120)
            runner.equal(shutdown['data'], {'guest': True, 'reason': 'guest-shutdown'}, 'SHUTDOWN')
            runner.equal(g.wait(), 0, 'exit status')
            check_tap(g.console())
        check_pattern(disk)
    finally:
        os.unlink(disk)
        if os.path.exists(port):
            os.unlink(port)


def test_all():
    run_all()


def test_all_packed():
    run_all(packed=True)


def test_all_iothread():
    run_all(extra_blk=',iothread=io0', extra=['-object', 'iothread,id=io0'])


def test_all_restored():
    run_restored()


def test_all_packed_restored():
    run_restored(packed=True)


def test_all_iothread_restored():
    run_restored(extra_blk=',iothread=io0', extra=['-object', 'iothread,id=io0'], smp=1)


def test_snapshot():
    """While its devices work the guest is saved in its disk; it goes back there in the same process and in a new one."""
    with tempfile.TemporaryDirectory(prefix='nemu-payload-') as d:
        disk = os.path.join(d, 'disk')
        subprocess.run([os.path.join(qtest.build_dir(), 'qemu-img'), 'create', '-q', '-f', 'qcow2', disk, str(DISK_SIZE)],
                       check=True)
        args = ['-object', 'iothread,id=io0', '-device', 'virtio-rng-pci',
                '-blockdev', 'driver=file,node-name=f0,filename=%s,discard=unmap' % disk,
                '-blockdev', 'driver=qcow2,node-name=d0,file=f0,discard=unmap',
                '-device', 'virtio-blk-pci,drive=d0,iothread=io0', '-netdev', 'user,id=n0',
                '-device', 'virtio-net-pci,netdev=n0']
        with payload(*args, append='end=halt') as g:
            g.wait_console(' - rng')
            for i in range(3):
                time.sleep(0.05)
                runner.equal(g.qmp.hmp('savevm s%d' % i), '')
            g.qmp.poll_events()
            for i in 0, 2, 1, 1:
                seen = len(re.findall(r'^1\.\.', g.console(), re.M))
                runner.equal(g.qmp.hmp('loadvm s%d' % i), '')
                g.qmp.poll_events()
                runner.wait_for(lambda: len(re.findall(r'^1\.\.', g.console(), re.M)) > seen, 120, 'the end of the report')
            assert 'not ok' not in g.console(), g.console()
            g.qmp.cmd('quit')
            runner.equal(g.wait(), 0, 'exit status')
        with payload(*args, '-loadvm', 's1', append='end=halt') as g:
            g.wait_console('1..')
            assert 'not ok' not in g.console(), g.console()
            g.qmp.cmd('quit')
            runner.equal(g.wait(), 0, 'exit status')
        subprocess.run([os.path.join(qtest.build_dir(), 'qemu-img'), 'check', '-q', disk], check=True)


def case_port(then):
    """A conversation on the named port, whose host side goes away and comes back."""
    port = '/tmp/nemu-payload-%d.sock' % os.getpid()
    with payload('-device', 'virtio-serial-pci,id=vs0', '-chardev', 'socket,id=p0,path=%s,server=on,wait=off' % port,
                 '-device', 'virtserialport,bus=vs0.0,chardev=p0,name=test.0', append='end=halt only=port') as g:
        talk(port, lambda: then(g))
        g.wait_console('1..1')
        check_tap(g.console())


def case_reset(then):
    """A guest that resets itself starts over, with the event that says so."""
    with payload('-device', 'virtio-rng-pci', append='end=reset only=rng') as g:
        for _ in range(2):
            runner.equal(g.qmp.wait_event('RESET', timeout=60)['data'], {'guest': True, 'reason': 'guest-reset'})
            then(g)
        g.qmp.cmd('quit')
        runner.equal(g.wait(), 0, 'exit status')
        runs = g.console().rsplit('TAP version', 1)[0]
        check_tap(runs, plans=runs.count('1..'))


def case_no_reboot(then):
    with payload('-S', '-no-reboot', append='end=reset only=acpi') as g:
        then(g)
        g.qmp.cmd('cont')
        runner.equal(g.qmp.wait_event('SHUTDOWN', timeout=60)['data'], {'guest': True, 'reason': 'guest-reset'})
        runner.equal(g.wait(), 0, 'exit status')


def case_no_shutdown(then):
    """With -no-shutdown the process stays after power-off and can be reset and run again."""
    with payload('-no-shutdown', append='end=off only=acpi') as g:
        g.qmp.wait_event('SHUTDOWN', timeout=60)
        g.qmp.wait_event('STOP')
        then(g)
        runner.equal(g.qmp.cmd('query-status')['status'], 'shutdown')
        g.qmp.cmd('system_reset')
        g.qmp.wait_event('RESET')
        g.qmp.cmd('cont')
        g.qmp.wait_event('SHUTDOWN', timeout=60)
        runner.equal(len(re.findall('^1\\.\\.', g.console(), re.M)), 2, 'complete reports')


def case_debug_exit(then):
    with payload('-S', '-device', 'isa-debug-exit', append='end=debug only=acpi') as g:
        then(g)
        g.qmp.cmd('cont')
        runner.equal(g.wait(60), 0x10 << 1 | 1, 'exit status')


def case_stop_cont(then):
    with payload('-S', append='end=halt only=acpi') as g:
        runner.equal(g.qmp.cmd('query-status')['status'], 'prelaunch')
        runner.equal(g.console(), '')
        g.qmp.cmd('cont')
        g.qmp.wait_event('RESUME')
        g.wait_console('1..1')
        for i in range(20):
            g.qmp.cmd('stop')
            g.qmp.wait_event('STOP')
            runner.equal(g.qmp.cmd('query-status'), {'running': False, 'singlestep': False, 'status': 'paused'})
            if i % 5 == 0:
                then(g)
            g.qmp.cmd('cont')
            g.qmp.wait_event('RESUME')
        cpus = g.qmp.cmd('query-cpus-fast')
        runner.equal([c['cpu-index'] for c in cpus], [0, 1])
        assert len({c['thread-id'] for c in cpus}) == 2
        g.qmp.cmd('system_reset')
        g.qmp.wait_event('RESET')
        runner.wait_for(lambda: g.console().count('1..1') == 2, 60, 'the second run')
        g.qmp.cmd('quit')
        runner.equal(g.qmp.wait_event('SHUTDOWN')['data'], {'guest': False, 'reason': 'host-qmp-quit'})
        runner.equal(g.wait(), 0, 'exit status')


def case_nmi(then):
    """inject-nmi reaches the guest, once for each command."""
    with payload(append='end=off only=nmi', smp=1) as g:
        g.wait_console('waiting for an NMI')
        then(g)
        g.qmp.cmd('inject-nmi')
        runner.equal(g.qmp.wait_event('SHUTDOWN', timeout=120)['data'], {'guest': True, 'reason': 'guest-shutdown'})
        runner.equal(g.wait(), 0, 'exit status')
        check_tap(g.console())


if __name__ == '__main__':
    guest.require_kvm()
    runner.main(guest.straight_and_restored(globals()))
