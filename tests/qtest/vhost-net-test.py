#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Queues of virtio-net that the kernel serves. The kernel is played by this test, as most hosts of tests have no
/dev/vhost-net: rings go over to it and come back, at every change of hands where they stood."""
import fcntl
import itertools
import os
import socket
import struct
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import pci, qtest, runner, virtio

# Numbers of requests; what differs in direction only has one.
GET_FEATURES, SET_FEATURES, SET_OWNER, SET_MEM_TABLE = 0, 0, 1, 3
VRING_NUM, VRING_ADDR, SET_VRING_BASE, GET_VRING_BASE = 0x10, 0x11, 0x12, 0x12
VRING_KICK, VRING_CALL, VRING_ERR, BUSYLOOP, NET_SET_BACKEND = 0x20, 0x21, 0x22, 0x23, 0x30
IOC_READ = 2 << 30
VERSION_1, EVENT_IDX, INDIRECT, MRG_RXBUF, RING_RESET = 1 << 32, 1 << 29, 1 << 28, 1 << 15, 1 << 40
KNOWN = VERSION_1 | INDIRECT | MRG_RXBUF
HEADER = 12
RX, TX = 0, 1
TUNSETIFF, IFF_TAP, IFF_NO_PI, IFF_VNET_HDR, IFF_MULTI_QUEUE = 0x400454ca, 2, 0x1000, 0x4000, 0x100
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
MACHINE = ['-machine', 'virt', '-m', '64', '-nodefaults']


class Ring:
    base = size = 0
    kick = call = None
    addr = None
    backend = -1


class Kernel(threading.Thread):
    """Answers the requests of one vhost device, and serves a ring when told to."""

    def __init__(self):
        super().__init__(daemon=True)
        self.sock, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.rings = [Ring(), Ring()]
        self.owner, self.features, self.memory = 0, None, None
        self.fail = None        # request number to refuse
        self.start()

    def run(self):
        with self.sock:
            self.serve()

    def serve(self):
        while True:
            data, fds, _, _ = socket.recv_fds(self.sock, 8192, 1)
            if not data:
                return
            request, = struct.unpack_from('<Q', data)
            result, arg = self.handle(request & 0xff, bool(request & IOC_READ), data[8:], fds)
            self.sock.send(struct.pack('<q', result) + arg)

    def handle(self, number, reads, arg, fds):
        if number == self.fail:
            return -22, arg
        if number == GET_FEATURES and reads:
            return 0, struct.pack('<Q', KNOWN)
        if number == SET_FEATURES:
            self.features, = struct.unpack('<Q', arg)
        elif number == SET_OWNER:
            self.owner += 1
        elif number == SET_MEM_TABLE:
            n, = struct.unpack_from('<I', arg)
            self.memory = [struct.unpack_from('<QQQ', arg, 8 + 32 * i) for i in range(n)]
        else:
            ring = self.rings[struct.unpack_from('<I', arg)[0]]
            value, = struct.unpack_from('<i', arg, 4)
            if number == VRING_NUM:
                ring.size = value
            elif number == VRING_ADDR:
                ring.addr = struct.unpack_from('<QQQ', arg, 8)
            elif number == GET_VRING_BASE and reads:
                assert ring.backend < 0, 'still serving'
                return 0, arg[:4] + struct.pack('<I', ring.base)
            elif number == SET_VRING_BASE:
                ring.base = value
            elif number == VRING_KICK:
                ring.kick = fds[0] if fds else None
            elif number == VRING_CALL:
                ring.call = fds[0] if fds else None
            elif number == NET_SET_BACKEND:
                ring.backend = value
        return 0, arg

    def serving(self):
        return all(r.backend >= 0 for r in self.rings)

    def guest(self, host):
        """The guest's address of a piece of its RAM."""
        for addr, size, start in self.memory:
            if start <= host < start + size:
                return addr + host - start
        raise AssertionError('0x%x is not in the memory table' % host)

    def work(self, vm, index, fill=b''):
        """Use the next available buffer of a ring as the kernel would; its readable bytes."""
        ring = self.rings[index]
        desc, used, avail = (self.guest(a) for a in (ring.addr[0], ring.addr[1], ring.addr[2]))
        runner.wait_for(lambda: vm.readw(avail + 2) != ring.base & 0xffff, what='an available buffer')
        head = vm.readw(avail + 4 + 2 * (ring.base % ring.size))
        data, at = b'', head
        while True:
            addr, length, flags, following = struct.unpack('<QIHH', vm.read(desc + 16 * at, 16))
            if flags & 2:
                vm.write(addr, fill[:length])
            else:
                data += vm.read(addr, length)
            if not flags & 1:
                break
            at = following
        vm.write(used + 4 + 8 * (ring.base % ring.size), struct.pack('<II', head, len(fill)))
        ring.base = (ring.base + 1) & 0xffff
        vm.write(used + 2, struct.pack('<H', ring.base))
        os.write(ring.call, struct.pack('<Q', 1))
        return data


def kicked(ring):
    def look():
        try:
            return os.read(ring.kick, 8)
        except BlockingIOError:
            return None
    os.set_blocking(ring.kick, False)
    return runner.wait_for(look, what='kick')


def shim():
    path = os.environ.get('NEMU_FAKE_VHOST') or os.path.join(qtest.build_dir(), 'tests/qtest/fake-vhost.so')
    runner.require(os.path.exists(path), path + ' is not built')
    return {'LD_PRELOAD': path, 'ASAN_OPTIONS': 'detect_leaks=0:verify_asan_link_order=0'}


numbers = itertools.count()


def open_tap(flags=IFF_TAP | IFF_NO_PI | IFF_VNET_HDR):
    """A TAP interface that is up, for the frames that the emulator moves itself; None where there cannot be one."""
    name = 'nemuv%d.%d' % (os.getpid() % 100000, next(numbers))
    try:
        fd = os.open('/dev/net/tun', os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(fd, TUNSETIFF, struct.pack('16sH22x', name.encode(), flags))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack('16sH22x', name.encode(), IFF_UP))
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        wire.bind((name, 0))
    except OSError as e:
        raise runner.Skip('no TAP interface here (%s)' % e) from e
    wire.settimeout(20)
    return fd, wire


FRAME = b'\xff' * 6 + bytes.fromhex('525400aabbcc') + b'\x88\xb5' + b'nemu'.ljust(60, b'.')


def on_wire(wire, frame):
    while wire.recv(2000)[:len(frame)] != frame:
        pass


class Setup:
    def __init__(self, options='', **start):
        self.env = shim()
        self.tap, self.wire = open_tap()
        self.kernel = Kernel()
        fds = (self.tap, self.kernel.theirs.fileno())
        self.vm = qtest.Emulator(*MACHINE, '-netdev', 'tap,id=n0,fd=%d,vhost=on,vhostfd=%d' % fds, '-device',
                                 'virtio-net-pci,netdev=n0,id=nic,addr=4,disable-legacy=on' + options,
                                 pass_fds=fds, env=self.env)
        self.how = start

    def __enter__(self):
        self.vm.__enter__()
        self.dev = virtio.Device(*pci.ready_device(self.vm, virtio.VENDOR, virtio.pci_id(virtio.NET)))
        self.dev.start(**self.how)
        return self

    def __exit__(self, *exc):
        self.vm.__exit__(*exc)
        self.wire.close()
        os.close(self.tap)

    def send(self, n):
        data = bytes(HEADER) + FRAME + bytes([n])
        self.dev.queues[TX].add([(self.dev.buffer(data), len(data))], [])
        self.dev.queues[TX].kick()
        return data

    def served_by_kernel(self, n):
        data = self.send(n)
        kicked(self.kernel.rings[TX])
        runner.equal(self.kernel.work(self.vm, TX), data, 'what the kernel sends')
        self.dev.queues[TX].wait_used()

    def served_by_us(self, n):
        self.send(n)
        on_wire(self.wire, FRAME + bytes([n]))
        self.dev.queues[TX].wait_used()


def test_hands():
    """Every reason for which rings go over to the kernel and come back."""
    for msix in (True, False):
        with Setup(msix=msix) as s:
            k = s.kernel
            offered = s.dev.offered()
            runner.equal((offered & EVENT_IDX, offered & RING_RESET, bool(offered & INDIRECT)), (0, 0, True), 'features')
            runner.equal((k.owner, k.features & ~KNOWN, bool(k.features & VERSION_1), k.serving()), (1, 0, True, True), 'kernel')
            assert sum(size for _, size, _ in k.memory) >= 64 << 20, k.memory
            s.served_by_kernel(1)
            buf = s.dev.buffer(2048)
            s.dev.queues[RX].add([], [(buf, 2048)])
            s.dev.queues[RX].kick()
            k.work(s.vm, RX, bytes(HEADER) + FRAME)
            runner.equal(s.dev.queues[RX].wait_used()[1], HEADER + len(FRAME), 'length')
            s.vm.qmp.cmd('stop')
            runner.equal(k.serving(), False, 'serving while stopped')
            s.vm.qmp.cmd('cont')
            runner.equal((k.serving(), k.rings[TX].base, k.rings[RX].base), (True, 1, 1), 'back again')
            s.served_by_kernel(2)
            s.vm.qmp.cmd('set_link', {'name': 'n0', 'up': False})
            runner.equal(k.serving(), False, 'serving without link')
            s.vm.qmp.cmd('set_link', {'name': 'n0', 'up': True})
            s.served_by_kernel(3)
            # While writes are logged frames pass through the emulator.
            s.vm.qmp.cmd('migrate-set-parameters', **{'max-bandwidth': 4096})
            s.vm.qmp.cmd('migrate', uri='exec:cat >/dev/null')
            runner.wait_for(lambda: not k.serving(), what='the end of service')
            s.served_by_us(4)
            s.vm.qmp.cmd('migrate_cancel')
            runner.wait_for(k.serving, 60, what='service again')
            s.served_by_kernel(5)
            s.vm.qmp.cmd('netdev_del', id='n0')
            runner.equal(k.serving(), False, 'serving without back end')
            s.send(6)
            s.dev.queues[TX].wait_used()


def test_kernel_cannot():
    """A kernel that refuses leaves the work to the emulator, from the start or in the middle."""
    with Setup(msix=True) as s:
        s.kernel.fail = SET_MEM_TABLE
        s.vm.qmp.cmd('stop')
        s.vm.qmp.cmd('cont')
        runner.equal(s.kernel.serving(), False, 'serving')
        s.served_by_us(1)
        s.kernel.fail = NET_SET_BACKEND
        s.vm.qmp.cmd('stop')
        s.vm.qmp.cmd('cont')
        s.served_by_us(2)
        s.kernel.fail = None
        s.vm.qmp.cmd('stop')
        s.vm.qmp.cmd('cont')
        s.served_by_kernel(3)
        s.vm.qmp.cmd('system_reset')
        runner.wait_for(lambda: not s.kernel.serving(), what='the end of service')
    with Setup(',ioeventfd=off', msix=True) as s:
        runner.equal(s.kernel.serving(), False, 'serving without eventfds')
        s.served_by_us(1)


def test_options():
    tap, wire = open_tap()
    with open('/dev/null', 'rb') as null:
        fd, vhost = 'tap,id=n,fd=%d,' % tap, null.fileno()
        for options, error in (
                (fd + 'vhost=off,vhostfd=3', 'vhostfd(s)= is not valid without vhost'),
                (fd + 'vhost=on,vhostfds=3', 'ifname=, script=, downscript=, vnet_hdr=, helper=, queues=, and vhostfds= are invalid with fd='),
                (fd + 'vhostforce=on,vhostfd=%d' % vhost, 'vhost_set_owner failed: Inappropriate ioctl for device'),
                ('tap,id=n,fds=%d,vhostfds=3:4,vhost=on' % tap, 'The number of fds passed does not match the number of vhostfds passed'),
                ('tap,id=n,vhost=on,vhostfds=3', "vhostfds= is invalid if fds= wasn't specified"),
                ('tap,id=n,helper=/bin/false', 'bridge helper failed'), ('bridge,id=n,helper=/nonexistent', 'bridge helper failed'),
                ('tap,id=n,helper=/bin/false,ifname=x', 'queues=, and vhostfds= are invalid with helper='),
                ('bridge,id=n,helper=/bin/true', 'bridge helper failed')):
            text = qtest.start_error('-machine', 'none', '-netdev', options, pass_fds=[tap, vhost])
            assert error in text, (options, text)
        # Without force it is a warning, and frames pass through the emulator.
        with qtest.Emulator(*MACHINE, '-netdev', fd + 'vhost=on,vhostfd=%d' % vhost, '-device', 'virtio-net-pci,netdev=n',
                            pass_fds=[tap, vhost]) as vm:
            assert 'vhost-net requested but could not be initialized' in vm.output(), vm.output()
    wire.close()
    os.close(tap)


HELPER = """#!/usr/bin/python3
import fcntl, os, socket, struct, sys
args = dict(a.lstrip('-').partition('=')[::2] for a in sys.argv[1:])
assert args == {'use-vnet': '', 'fd': args['fd'], 'br': 'nemubr'}, args
tun = os.open('/dev/net/tun', os.O_RDWR)
fcntl.ioctl(tun, 0x400454ca, struct.pack('16sH22x', b'', 0x5002))
socket.send_fds(socket.socket(fileno=int(args['fd'])), [b'x'], [tun])
"""


def test_bridge():
    """A helper of our own makes the interface; by its name, and in a command for the shell."""
    os.close(open_tap()[0])
    with qtest.Emulator(*MACHINE) as vm:
        path = vm.path('helper')
        with open(path, 'w', encoding='utf-8') as f:
            f.write(HELPER)
        os.chmod(path, 0o755)
        vm.qmp.cmd('netdev_add', type='bridge', id='b', br='nemubr', helper=path)
        vm.qmp.cmd('netdev_add', type='tap', id='t', br='nemubr', helper='exec ' + path)
        assert "ifname=tap" in vm.qmp.hmp('info network'), vm.qmp.hmp('info network')
        vm.qmp.cmd('netdev_del', id='b')
        vm.qmp.cmd('netdev_del', id='t')


if __name__ == '__main__':
    runner.main(globals())
