#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The human monitor: texts of commands (also beside Debian's QEMU, where both
have the same thing to say), and the interactive one with its line editing."""
import os
import pty
import re
import select
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import qmp, qtest, runner      # noqa: E402

REFERENCE = '/usr/bin/qemu-system-x86_64'


def emulator(*args, **kwargs):
    return qtest.Emulator('-machine', 'virt', '-m', '64', '-smp', '2', '-nodefaults', *args, **kwargs)


def hmp(vm, line):
    """The text with plain line ends."""
    return vm.qmp.hmp(line).replace('\r\n', '\n')


def lines_of(program, lines, *args):
    """What each line prints, in a process without a machine."""
    with qtest.Emulator('-machine', 'none', '-nodefaults', *args, program=program) as vm:
        return [vm.qmp.hmp(line) for line in lines]


# The same words from both, whatever the machine.
SAME = ['nosuch', 'info nosuch', 'help nosuch', 'help info nosuch', 'help cont', 'help c', 'help quit',
        'help info status', 'cont x', 'stop extra', 'info status x', 'chardev-add', 'trace-event', 'logfile',
        'info name', 'info uuid', 'info iothreads', 'info memdev', 'info memory_size_summary',
        'info chardev', 'info block', 'info blockstats', 'info pci', 'info vnc', 'info usb', 'info replay', 'info history',
        'p 1+2', 'p /x 255', 'p /d 0x10', 'p (1+2)*3', 'p 1/0', 'p /c 65', 'p /o 8', 'p /u -1', 'p 1+', 'p 0x10', 'p',
        'p ~0', "p 'a'", 'p 7%4', 'p 6&3', 'p 1|8', 'p 5^1', 'p -(2)', 'p 1+2*3', 'p 1 2', 'p (1', 'p $nosuch', 'p 0x',
        'p 99999999999999999999', 'p "x"', 'print /d 5', 'p 5', 'p /z 1',
        'x', 'xp /z 0', 'xp 0xfffffff0000', 'gpa2hva 0xffffffff0', 'sum 0', 'i', 'o /b 0x80',
        'device_add', 'device_add nosuch', 'device_del nosuch', 'device_del', 'object_add nosuch,id=x', 'object_add',
        'object_add iothread,id=io9', 'object_del io9', 'object_del nosuch', 'netdev_add', 'netdev_del nosuch',
        'netdev_add user,id=n9', 'netdev_del n9', 'chardev-add null,id=c9', 'chardev-add foo', 'chardev-add foo,id=x',
        'chardev-add null,id=c9', 'chardev-change c9 null', 'chardev-change nosuch null', 'chardev-remove c9',
        'chardev-remove nosuch', 'chardev-send-break nosuch', 'ringbuf_read nosuch 1', 'ringbuf_write nosuch x',
        'ringbuf_write rb hello', 'ringbuf_write rb "a b\\n"', 'ringbuf_read rb 100', 'ringbuf_read rb 0',
        'set_link nosuch on', 'set_link nosuch foo', 'set_link nosuch', 'getfd foo', 'closefd foo',
        'drive_add 0 if=none,id=dd', 'drive_add 0 if=none,id=dd', 'info block dd', 'drive_del dd', 'drive_del nosuch',
        'block_resize nosuch 1M', 'block_resize nosuch x', 'watchdog_action pause', 'watchdog_action foo', 'nmi',
        'log trace:nosuch*', 'trace-event nosuch on', 'info trace-events nosuch', 'cpu 9', 'info registers',
        'qom-list /nosuch', 'qom-list /objects', 'qom-get /machine nosuch', 'qom-get /machine usb',
        'qom-set /machine nosuch 1', 'qom-set -j /machine usb {', 'qom-get /objects/io0 poll-max-ns',
        'qom-set /objects/io0 poll-max-ns 7', 'qom-get /objects/io0 poll-max-ns',
        'info qom-tree /nosuch', 'info qom-tree /objects',
        'info block-jobs', 'info balloon', 'balloon 100', 'balloon', 'block_job_cancel x', 'block_job_pause x', 'block_job_set_speed x 1',
        'block_job_complete x', 'nbd_server_stop', 'nbd_server_start -w x:1', 'nbd_server_add x', 'nbd_server_remove x', 'snapshot_blkdev x',
        'drive_backup x /tmp/y', 'drive_mirror x /tmp/y', 'block_stream x', 'snapshot_blkdev_internal x y',
        'hostfwd_add tcp::1-:2', 'hostfwd_remove tcp::1', 'info usernet', 'netdev_add user,id=u9', 'info usernet', 'hostfwd_add nosuch tcp::1-:2',
        'hostfwd_add xyz::1-:2', 'hostfwd_add tcp::x-:2', 'hostfwd_remove tcp::1', 'hostfwd_remove u9 udp::1', 'hostfwd_remove foo',
        'hostfwd_remove io0 tcp::1', 'netdev_del u9', 'stop', 'cont', 'info status', 's', 'c', '', '   ', 'system_powerdown', 'info balloon x']
# Texts that name the machine or the program.
DIFFERENT = {'info balloon x', 'nbd_server_add x', 'drive_mirror x /tmp/y', 'chardev-add null,id=c9', 'info qom-tree /objects', 'qom-set -j /machine usb {', 'drive_add 0 if=none,id=dd',
             'info chardev', 'log trace:nosuch*', 'info registers', 'device_add'}


def test_texts_beside_the_reference():
    if not os.path.exists(REFERENCE) or not qtest.is_nemu(qtest.binary()):
        runner.skip('no %s' % REFERENCE)
    args = ['-chardev', 'ringbuf,id=rb', '-object', 'iothread,id=io0', '-name', 'guest=one']
    ours = lines_of(qtest.binary(), SAME, *args)
    theirs = lines_of(REFERENCE, SAME, *args)
    faults = []
    for line, a, b in zip(SAME, ours, theirs):
        a, b = (re.sub(r'thread_id=\d+', 'thread_id=N', t) for t in (a, b))
        if a != b and line not in DIFFERENT:
            faults.append('%s:\n    %r\n    %r' % (line, a, b))
    runner.equal('\n'.join(faults), '', 'differences')


def test_help():
    with emulator() as vm:
        text = hmp(vm, 'help')
        for name in ('quit|q', 'info', 'x', 'device_add', 'help|?', 'trace-event'):
            assert re.search(r'^%s .*-- ' % re.escape(name), text, re.M), name
        names = [line.split(' ')[0] for line in text.splitlines() if ' -- ' in line and line[0].isalpha()]
        runner.equal(names, sorted(names), 'order')
        runner.equal(hmp(vm, 'info'), hmp(vm, 'help info'), 'info')
        runner.equal(hmp(vm, '?'), text, '?')


def test_every_info():
    """None ends the program or complains about itself."""
    args = ['-netdev', 'user,id=n0', '-device', 'virtio-net-pci,netdev=n0,id=net0', '-device', 'pcie-root-port,id=rp',
            '-blockdev', 'null-co,node-name=b0,size=1048576', '-device', 'virtio-blk-pci,drive=b0,id=d0',
            '-object', 'iothread,id=io0', '-chardev', 'null,id=c0', '-device', 'virtio-serial-pci',
            '-device', 'virtconsole,chardev=c0']
    with emulator(*args) as vm:
        for line in hmp(vm, 'help info').splitlines():
            if line.startswith('info '):
                out = hmp(vm, line.split()[0] + ' ' + line.split()[1])
                assert 'unknown command' not in out, line
        runner.equal(hmp(vm, 'info network'),
                     'net0: index=0,type=nic,model=virtio-net-pci,macaddr=52:54:00:12:34:56\n'
                     ' \\ n0: index=0,type=user,net=10.0.2.0,restrict=off\n', 'info network')
        assert 'Attached to:      /machine/peripheral/d0' in hmp(vm, 'info block')
        runner.equal(len(re.findall(r'CPU #\d', hmp(vm, 'info cpus'))), 2, 'CPUs')
        tree = hmp(vm, 'info qtree')
        assert re.search(r'^ +dev: virtio-blk-pci, id "d0"$', tree, re.M) and 'bus: pcie.0' in tree, tree
        assert re.search(r'^ +/d0 \(virtio-blk-pci\)$', hmp(vm, 'info qom-tree'), re.M)
        assert re.search(r'^ +id "rp"$', hmp(vm, 'info pci'), re.M)
        assert '(prio 0, ram): ' in hmp(vm, 'info mtree -f')
        assert 'CPU#1' in hmp(vm, 'info registers -a') and 'CPU#1' not in hmp(vm, 'info registers')
        runner.equal(hmp(vm, 'info tlb'), 'PG disabled\n', 'info tlb')


def test_memory():
    with emulator() as vm:
        vm.write(0x1000, bytes(range(1, 33)))
        runner.equal(hmp(vm, 'xp /4xb 0x1000'), '0000000000001000: 0x01 0x02 0x03 0x04\n')
        runner.equal(hmp(vm, 'xp /2xw 0x1000'), '0000000000001000: 0x04030201 0x08070605\n')
        runner.equal(hmp(vm, 'xp /3gx 0x1000'), '0000000000001000: 0x0807060504030201 0x100f0e0d0c0b0a09\n'
                     '0000000000001010: 0x1817161514131211\n')
        runner.equal(hmp(vm, 'xp /2uh 0x1000'), '0000000000001000:   513  1027\n')
        runner.equal(hmp(vm, 'x /1xb 0x1000+1'), '0000000000001001: 0x02\n')
        vm.write(0x1000, b'Hi\n\xff')
        runner.equal(hmp(vm, 'xp /4cb 0x1000'), "0000000000001000: 'H' 'i' '\\n' '\\xff'\n")
        runner.equal(hmp(vm, 'xp /1dw 0x1000'), '0000000000001000:  -16094904\n')
        assert 'Cannot access memory' in hmp(vm, 'xp 0xffffff0000')
        assert re.match(r'Host virtual address for 0x1000 \(virt.ram\) is 0x[0-9a-f]+1000\n$', hmp(vm, 'gpa2hva 0x1000'))
        runner.equal(hmp(vm, 'gva2gpa 0x1234'), 'gpa: 0x1234\n', 'gva2gpa')
        path = vm.path('mem')
        for command in ('memsave', 'pmemsave'):
            runner.equal(hmp(vm, '%s 0x1000 4 "%s"' % (command, path)), '', command)
            with open(path, 'rb') as f:
                runner.equal(f.read(), b'Hi\n\xff', command)
        # The BSD checksum of "Hi".
        runner.equal(hmp(vm, 'sum 0x1000 2'), '%05d\n' % (((ord('H') >> 1) | 0) + ord('i')), 'sum')
        runner.equal(hmp(vm, 'p /x $rip'), '0xfff0\n', 'register')
        assert re.match(r'portb\[0x0510\] = 0x[0-9a-f]{2}\n$', hmp(vm, 'i /b 0x510'))
        runner.equal(hmp(vm, 'o /b 0x80 1'), '', 'o')


def test_jobs():
    """A disk is copied, gets a snapshot on top and is served, all by the human monitor."""
    with emulator('-netdev', 'user,id=u', '-device', 'virtio-net-pci,netdev=u') as vm:
        disk, copy, top = (vm.path(n) for n in ('disk', 'copy', 'top'))
        with open(disk, 'wb') as f:
            f.write(os.urandom(1 << 20))
        runner.equal(hmp(vm, 'drive_add 0 if=none,id=dd,file=%s,format=raw' % disk), 'OK\n', 'drive_add')
        runner.equal(hmp(vm, 'drive_backup -f dd "%s" raw' % copy), '', 'drive_backup')
        vm.qmp.wait_event('BLOCK_JOB_COMPLETED')
        with open(disk, 'rb') as a, open(copy, 'rb') as b:
            assert a.read() == b.read(), 'the copy differs'
        assert 'Formatting' in hmp(vm, 'snapshot_blkdev dd "%s"' % top) or 'qcow2' in hmp(vm, 'info block dd'), hmp(vm, 'info block')
        runner.equal(hmp(vm, 'snapshot_blkdev_internal dd one'), '', 'snapshot')
        runner.equal(hmp(vm, 'snapshot_delete_blkdev_internal dd one'), '', 'its end')
        runner.equal(hmp(vm, 'block_stream dd 64k'), '', 'stream')
        assert re.match(r'Streaming device dd: Completed \d+ of 1048576 bytes, speed limit 65536 bytes/s\n', hmp(vm, 'info block-jobs')), \
            hmp(vm, 'info block-jobs')
        for command in ('pause', 'resume', 'cancel'):
            runner.equal(hmp(vm, 'block_job_%s dd' % command), '', command)
        vm.qmp.wait_event('BLOCK_JOB_CANCELLED')
        runner.equal(hmp(vm, 'nbd_server_start -a unix:%s' % vm.path('nbd')), '', 'nbd')
        runner.equal(hmp(vm, 'nbd_server_remove -f dd'), '', 'export')
        runner.equal(hmp(vm, 'nbd_server_stop'), '', 'nbd')
        runner.equal(hmp(vm, 'hostfwd_add u tcp:127.0.0.1:0-:80'), '', 'forwarding')
        assert 'TCP[HOST_FORWARD]' in hmp(vm, 'info usernet'), hmp(vm, 'info usernet')


def test_memsave():
    with emulator() as vm:
        runner.equal(vm.qmp.cmd('memsave', val=0, size=16, filename=vm.path('x')), {}, 'memsave')
        runner.equal(vm.qmp.cmd_error('memsave', {'val': 0, 'size': 16, 'filename': vm.path('x'), 'cpu-index': 7}),
                     "Parameter 'cpu-index' expects a CPU number")


def test_hotplug():
    with emulator('-device', 'pcie-root-port,id=rp0') as vm:
        runner.equal(hmp(vm, 'device_add virtio-rng-pci,id=r0,bus=rp0'), '', 'device_add')
        assert hmp(vm, 'device_add virtio-rng-pci,id=r0').startswith('Error: '), 'twice'
        assert 'id "r0"' in hmp(vm, 'info qtree')
        runner.equal(hmp(vm, 'drive_add 0 if=none,id=dd,file=/dev/null,format=raw'), 'OK\n', 'drive_add')
        assert 'dd (' in hmp(vm, 'info block')
        runner.equal(hmp(vm, 'drive_del dd'), '', 'drive_del')
        assert 'dd' not in hmp(vm, 'info block')


class Terminal:
    """An emulator whose human monitor is on a terminal."""

    def __init__(self, *args):
        self.master, slave = pty.openpty()
        argv = [qtest.binary(), '-machine', 'none', '-nodefaults', '-display', 'none', '-monitor', 'stdio', *args]
        self.proc = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave, close_fds=True)
        os.close(slave)
        self.seen = b''

    def expect(self, text, timeout=20):
        end = time.monotonic() + timeout
        while text not in self.seen:
            left = end - time.monotonic()
            if left < 0 or not select.select([self.master], [], [], left)[0]:
                raise AssertionError('%r did not come; so far %r' % (text, self.seen))
            # The terminal adds a carriage return, too.
            self.seen = (self.seen + os.read(self.master, 4096)).replace(b'\r\r\n', b'\r\n')
        before, _, self.seen = self.seen.partition(text)
        return before

    def send(self, data):
        os.write(self.master, data)

    def __enter__(self):
        self.expect(b'monitor - type \'help\' for more information\r\n(qemu) ')
        return self

    def __exit__(self, *exc):
        self.proc.kill()
        self.proc.wait()
        os.close(self.master)


def test_interactive():
    with Terminal('-object', 'iothread,id=io0', '-name', 'guest=editor') as t:
        t.send(b'info name\r')
        runner.equal(t.expect(b'(qemu) '), b'info name\r\neditor\r\n', 'command')
        t.send(b'info nXme\x1b[D\x1b[D\x7fa\r')             # left, left, backspace over the X, a
        t.expect(b'editor\r\n(qemu) ')
        t.send(b'xyz name\x01\x1b[3~\x1b[3~\x1b[3~info\r')  # to the start, delete three, type
        t.expect(b'editor\r\n(qemu) ')
        t.send(b'garbage\x15info name\r')                  # kill the line
        t.expect(b'editor\r\n(qemu) ')
        t.send(b'info bad\x17name\r')                      # kill the word
        t.expect(b'editor\r\n(qemu) ')
        t.send(b'\x1b[A\x1b[A\r')                          # the one before the last
        t.expect(b'editor\r\n(qemu) ')
        t.send(b'info his\t\r')                            # completion
        before = t.expect(b'(qemu) ')
        assert b'info history \r\n' in before and b"0: 'info nXme" not in before and b"'info name'" in before, before
        t.send(b'object_del io\t\r')
        t.expect(b'object_del io0 \r\n(qemu) ')
        t.send(b'info ioth\t\r')
        runner.equal(t.expect(b'(qemu) '), b'info iothreads \r\n', 'no iothread left')
        t.send(b'inf\xff\x00\x1b[999zo name\r')             # bytes that mean nothing
        t.expect(b'(qemu) ')
        t.send(b's\t')                                     # several
        assert b'system_reset' in t.expect(b'(qemu) s'), t.seen
        t.send(b'\x15quit\r')
        runner.equal(t.proc.wait(20), 0, 'exit status')


def test_on_a_socket():
    """A client that leaves in mid-line, and the next one."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'hm')
        with qtest.Emulator('-machine', 'none', '-monitor', 'unix:%s,server=on,wait=off' % path) as vm:
            for _ in range(3):
                with socket.socket(socket.AF_UNIX) as s:
                    s.connect(path)
                    f = s.makefile('rb')
                    runner.equal(f.readline(), b"QEMU 7.2.0 monitor - type 'help' for more information\r\n")
                    s.sendall(b'info sta')
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(path)
                f = s.makefile('rb')
                f.readline()
                s.sendall(b'info status\n')
                runner.equal(f.readline(), b'(qemu) info status\r\n', 'echo')
                runner.equal(f.readline(), b'VM status: running\r\n', 'answer')
            vm.qmp.cmd('query-status')


def test_qmp_side():
    with emulator() as vm:
        runner.equal(vm.qmp.cmd('human-monitor-command', {'command-line': 'cpu 1', 'cpu-index': 0}), '', 'cpu')
        assert '* CPU #1' in vm.qmp.cmd('human-monitor-command', {'command-line': 'info cpus', 'cpu-index': 1})
        assert '* CPU #0' in hmp(vm, 'info cpus')
        try:
            vm.qmp.cmd('human-monitor-command', {'command-line': 'info cpus', 'cpu-index': -1})
        except qmp.QmpError as e:
            assert 'cpu-index' in e.desc, e.desc


if __name__ == '__main__':
    runner.main(globals())
