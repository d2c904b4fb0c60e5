#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Character devices at the user's level: a shared terminal (mux), telnet, udp,
log files, the EGD protocol."""
import os
import select
import socket
import struct
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import pci, qmp, qtest, runner, virtio      # noqa: E402

COM1 = 0x3f8


def virt(*args):
    return qtest.Emulator('-machine', 'virt', '-m', '32', '-nodefaults', *args)


class Peer:
    """The other end of a socket, with what it has sent so far."""

    def __init__(self, sock):
        self.sock = sock
        self.seen = b''

    def expect(self, text, timeout=20):
        while text not in self.seen:
            if not select.select([self.sock], [], [], timeout)[0]:
                raise AssertionError('%r did not come; so far %r' % (text, self.seen))
            data = self.sock.recv(4096)
            assert data, 'closed; so far %r' % self.seen
            self.seen += data
        before, _, self.seen = self.seen.partition(text)
        return before

    def send(self, data):
        self.sock.sendall(data)


def listener():
    s = socket.socket()
    s.bind(('127.0.0.1', 0))
    s.listen(1)
    return s


def guest_writes(vm, text):
    for byte in text:
        vm.outb(COM1, byte)


def guest_reads(vm):
    """What the UART has received, byte by byte as the line status says."""
    data = b''
    while vm.inb(COM1 + 5) & 1:
        data += bytes([vm.inb(COM1)])
    return data


def wait_guest(vm, text):
    got = b''

    def arrived():
        nonlocal got
        got += guest_reads(vm)
        return len(got) >= len(text)
    vm.wait_for(arrived)
    runner.equal(got, text, 'input of the guest')


def test_shared_terminal():
    """-serial mon:...: a UART and a human monitor."""
    with listener() as s:
        with virt('-serial', 'mon:tcp:127.0.0.1:%d' % s.getsockname()[1]) as vm:
            t = Peer(s.accept()[0])
            guest_writes(vm, b'from the guest\n')
            t.expect(b'from the guest\n')
            t.send(b'abc')
            wait_guest(vm, b'abc')
            t.send(b'\x01c')                            # to the monitor
            t.expect(b"type 'help' for more information\r\n(qemu) ")
            t.send(b'info name\r')
            t.expect(b'(qemu) ')
            guest_writes(vm, b'still heard')            # output is everybody's
            t.expect(b'still heard')
            t.send(b'\x01c')                            # back
            t.send(b'x\x01\x01y')                       # the key itself
            wait_guest(vm, b'x\x01y')
            t.send(b'\x01h')
            assert b'C-a x    exit emulator' in t.expect(b'C-a C-a  sends C-a'), t.seen
            t.send(b'\x01t')                            # time stamps
            vm.qmp.cmd('query-status')
            guest_writes(vm, b'one\ntwo\n')
            t.expect(b'one\n[00:00:0')
            t.expect(b'] two\n')
            devices = {c['label']: c['filename'] for c in vm.qmp.cmd('query-chardev')}
            runner.equal(devices['serial0'], 'mux', 'query-chardev')
            assert devices['serial0-base'].startswith('tcp:'), devices
            t.send(b'\x01x')
            t.expect(b'QEMU: Terminated\r\n')
            runner.equal(vm.wait(), 0, 'exit status')


def test_mux_option():
    with listener() as s:
        port = s.getsockname()[1]
        with virt('-chardev', 'socket,host=127.0.0.1,port=%d,id=m0,mux=on' % port, '-echr', '0x14',
                  '-device', 'isa-serial,chardev=m0,index=0', '-mon', 'chardev=m0,mode=readline',
                  '-device', 'virtio-serial-pci', '-device', 'virtconsole,chardev=m0') as vm:
            t = Peer(s.accept()[0])
            t.expect(b'(qemu) ')                        # the last user has the focus
            t.send(b'\x14c\x14c')                       # monitor, console, UART
            vm.qmp.cmd('query-status')
            reply = vm.qmp.cmd_raw('chardev-remove', {'id': 'm0'})
            runner.equal(reply['error']['desc'], "Chardev 'm0' is busy", 'remove')
            reply = vm.qmp.cmd_raw('chardev-change', {'id': 'm0', 'backend': {'type': 'null', 'data': {}}})
            assert 'Mux' in reply['error']['desc'], reply
            t.send(b'\x14cdir')
            vm.qmp.cmd('query-status')
        text = qtest.start_error('-machine', 'none', '-chardev', 'mux,id=a,chardev=nosuch')
        assert 'base chardev nosuch not found' in text, text


def test_mux_by_command():
    with virt('-chardev', 'null,id=b0') as vm:
        vm.qmp.cmd('chardev-add', id='m0', backend={'type': 'mux', 'data': {'chardev': 'b0'}})
        reply = vm.qmp.cmd_raw('chardev-remove', {'id': 'b0'})
        runner.equal(reply['error']['desc'], "Chardev 'b0' is busy", 'the base')
        vm.qmp.cmd('chardev-remove', id='m0')
        vm.qmp.cmd('chardev-remove', id='b0')


def test_telnet():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 't')
        with virt('-chardev', 'socket,path=%s,server=on,wait=off,telnet=on,id=t0' % path,
                  '-device', 'isa-serial,chardev=t0') as vm:
            for _ in range(2):
                with socket.socket(socket.AF_UNIX) as c:
                    c.connect(path)
                    t = Peer(c)
                    t.expect(bytes([255, 251, 1, 255, 251, 3, 255, 251, 0, 255, 253, 0]))
                    # Options, a subnegotiation, an escaped 255, CR NUL and CR LF.
                    t.send(bytes([255, 253, 1, 255, 250, 24, 0, 65, 255, 255, 66, 255, 240]) + b'a\xff\xffb\r\0c\r\nd')
                    wait_guest(vm, b'a\xffb\rc\rd')
                    guest_writes(vm, b'hi')
                    t.expect(b'hi')
                    t.send(bytes([255, 243]))           # break
                    vm.wait_for(lambda: vm.inb(COM1 + 5) & 0x10)
                    guest_reads(vm)


def test_udp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(('127.0.0.1', 0))
        s.settimeout(20)
        with virt('-serial', 'udp:127.0.0.1:%d@127.0.0.1:0' % s.getsockname()[1]) as vm:
            guest_writes(vm, b'x')
            data, peer = s.recvfrom(100)
            runner.equal(data, b'x', 'datagram')
            s.sendto(b'more than one byte at a time', peer)
            wait_guest(vm, b'more than one byte at a time')


def test_log():
    """logfile= gets the output, also of what has no reader."""
    with tempfile.TemporaryDirectory() as folder:
        log = os.path.join(folder, 'log')
        with open(log, 'w', encoding='ascii') as f:
            f.write('before ')
        for append, want in (('on', b'before hello'), ('off', b'hello')):
            with virt('-chardev', 'null,id=n0,logfile=%s,logappend=%s' % (log, append), '-serial', 'chardev:n0') as vm:
                guest_writes(vm, b'hello')
                with open(log, 'rb') as f:
                    runner.equal(f.read(), want, 'log')


def test_egd():
    """The daemon's end of rng-egd."""
    with listener() as s:
        with virt('-chardev', 'socket,host=127.0.0.1,port=%d,id=e0' % s.getsockname()[1],
                  '-object', 'rng-egd,id=rng0,chardev=e0', '-device', 'virtio-rng-pci,rng=rng0,addr=4') as vm:
            daemon = s.accept()[0]
            daemon.settimeout(20)
            function, alloc = pci.ready_device(vm, virtio.VENDOR, virtio.pci_id(virtio.RNG))
            dev = virtio.Device(function, alloc)
            dev.start()
            queue = dev.queues[0]
            buf = dev.buffer(64)
            ident = queue.add([], [(buf, 64)])
            queue.kick()
            request = daemon.recv(2)
            runner.equal(request, bytes([2, 64]), 'request')
            daemon.sendall(bytes(range(32)))
            vm.clock_step(1000)
            daemon.sendall(bytes(range(32, 64)) + b'nobody asked for this')
            runner.equal(queue.wait_used(), (ident, 64), 'used')
            runner.equal(vm.read(buf, 64), bytes(range(64)), 'entropy')
            vm.qmp.cmd_error('object-del', id='rng0')
        for text, args in (("Device 'nosuch' not found", 'id=a,chardev=nosuch'), ('chardev', 'id=a')):
            assert text in qtest.start_error('-machine', 'none', '-object', 'rng-egd,' + args), text


def test_thread_context():
    cpus = sorted(os.sched_getaffinity(0))
    with virt('-object', 'thread-context,id=tc0,cpu-affinity=%d' % cpus[-1],
              '-object', 'memory-backend-ram,id=m0,size=4M,prealloc=on,prealloc-threads=2,prealloc-context=tc0',
              '-sandbox', 'on,resourcecontrol=deny') as vm:
        runner.equal(vm.qmp.cmd('qom-get', path='/objects/tc0', property='cpu-affinity'), [cpus[-1]], 'affinity')
        tid = vm.qmp.cmd('qom-get', path='/objects/tc0', property='thread-id')
        runner.equal(os.sched_getaffinity(tid), {cpus[-1]}, "the thread's")
        reply = vm.qmp.cmd_raw('object-add', {'qom-type': 'thread-context', 'id': 'tc1', 'cpu-affinity': [4000]})
        assert 'error' in reply, reply
        vm.qmp.cmd('object-add', {'qom-type': 'memory-backend-ram', 'id': 'm1', 'size': 1 << 20, 'prealloc': True,
                                  'prealloc-context': 'tc0'})
        runner.equal(vm.qmp.cmd_error('object-add', {'qom-type': 'memory-backend-ram', 'id': 'm2', 'size': 1 << 20,
                                                     'prealloc-context': 'nosuch'}), "Device 'nosuch' not found")


if __name__ == '__main__':
    runner.main(globals())
