#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""virtio-net: frames both ways with all ring formats, buffers that are merged or too small, flow control,
the control queue and what it filters, link state, resets, hot-plug, several queue pairs, hostile buffers."""
import fcntl
import os
import random
import socket
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import pci, qtest, runner, virtio

F_CSUM, F_GUEST_CSUM, F_MTU, F_MAC = 0, 1, 3, 5
F_GUEST_TSO4, F_HOST_TSO4, F_MRG_RXBUF, F_STATUS, F_CTRL_VQ, F_CTRL_RX, F_CTRL_VLAN = 7, 11, 15, 16, 17, 18, 19
F_CTRL_RX_EXTRA, F_GUEST_ANNOUNCE, F_MQ, F_CTRL_MAC_ADDR, F_SPEED_DUPLEX = 20, 21, 22, 23, 63
RX, TX, CTRL = 0, 1, 2
HEADER = 12
MAC = bytes.fromhex('525400aabbcc')
PEER = bytes.fromhex('525400112233')
CTRL_RX, CTRL_MAC, CTRL_VLAN, CTRL_ANNOUNCE, CTRL_MQ = range(5)
CTRL_OFFLOADS = 5


MACHINE = ['-machine', 'virt', '-m', '64', '-nodefaults']


class Nic:
    """A card whose cable ends in our socket."""

    def __init__(self, options='', *args, **features):
        self.cable, theirs = socket.socketpair()
        self.cable.settimeout(20)
        with theirs:
            self.vm = qtest.Emulator(*MACHINE, '-netdev', 'socket,id=n0,fd=%d' % theirs.fileno(), *args, '-device',
                                     'virtio-net-pci,netdev=n0,id=nic,addr=4,disable-legacy=on,mac=52:54:00:aa:bb:cc'
                                     + options, pass_fds=[theirs.fileno()])
        self.features = features

    def __enter__(self):
        self.vm.__enter__()
        function, alloc = pci.ready_device(self.vm, virtio.VENDOR, virtio.pci_id(virtio.NET))
        self.dev = virtio.Device(function, alloc)
        self.start(**self.features)
        return self

    def __exit__(self, *exc):
        self.vm.__exit__(*exc)
        self.cable.close()

    def start(self, **features):
        self.dev.start(**features)
        self.rx, self.tx, self.ctrl = self.dev.queues
        # Driver memory is handed out once; each start gets a fresh piece of it.
        return self

    def again(self, **features):
        """Start over with the driver's memory free again."""
        self.dev.alloc = pci.Allocator(self.vm)
        return self.start(**features)

    # ---- the wire ----

    def on_wire(self, frame):
        self.cable.sendall(struct.pack('>I', len(frame)) + frame)

    def from_wire(self):
        size = struct.unpack('>I', self._exactly(4))[0]
        return self._exactly(size)

    def _exactly(self, size):
        data = b''
        while len(data) < size:
            piece = self.cable.recv(size - len(data))
            if not piece:
                raise AssertionError('the cable was cut')
            data += piece
        return data

    def wire_is_quiet(self):
        self.settle()
        self.cable.setblocking(False)
        try:
            raise AssertionError('on the wire: %r' % self.cable.recv(100))
        except BlockingIOError:
            pass
        finally:
            self.cable.settimeout(20)

    def settle(self):
        for _ in range(10):
            self.vm.clock_step(1000)

    # ---- the driver ----

    def send(self, frame, pieces=1, **how):
        """Transmits a frame behind its header, in @pieces buffers."""
        data = bytes(HEADER) + frame
        step = -(-len(data) // pieces)
        out = [(self.dev.buffer(data[i:i + step]), len(data[i:i + step])) for i in range(0, len(data), step)]
        runner.equal(self.tx.send(out, [], **how), 0, 'used length of a transmitted frame')

    def post(self, size, count=1):
        """Gives receive buffers; their addresses."""
        bufs = [self.dev.buffer(size) for _ in range(count)]
        self.rx_bufs = getattr(self, 'rx_bufs', {})
        for buf in bufs:
            self.rx_bufs[self.rx.add([], [(buf, size)])] = buf
        self.rx.kick()
        return bufs

    def receive(self):
        """The frame of the next used buffers, and how many they were."""
        ident, length = self.rx.wait_used()
        data = self.vm.read(self.rx_bufs.pop(ident), length)
        runner.equal(data[:10], bytes(10), 'header of a received frame')
        count = struct.unpack('<H', data[10:12])[0]
        for _ in range(count - 1):
            ident, length = self.rx.wait_used()
            data += self.vm.read(self.rx_bufs.pop(ident), length)
        return data[HEADER:], count

    def nothing_received(self):
        self.settle()
        runner.equal(self.rx.get_used(), None, 'received')

    def command(self, kind, cmd, data=b''):
        """The answer of the control queue: 0 or 1."""
        answer = self.dev.buffer(b'\xff')
        out = [(self.dev.buffer(bytes((kind, cmd))), 2)]
        if data:
            out.append((self.dev.buffer(data), len(data)))
        runner.equal(self.ctrl.send(out, [(answer, 1)]), 1, 'used length of an answer')
        return self.vm.readb(answer)


def frame(size=60, dst=MAC, seed=0):
    body = bytes((i * 7 + seed) & 0xff for i in range(max(size - 14, 0)))
    return dst + PEER + b'\x08\x00' + body


def check_both_ways(nic):
    nic.send(frame(dst=PEER))
    runner.equal(nic.from_wire(), frame(dst=PEER), 'transmitted frame')
    nic.post(2048)
    nic.on_wire(frame())
    runner.equal(nic.receive(), (frame(), 1), 'received frame')


def test_identity():
    with Nic(',host_mtu=1400,speed=1000,duplex=full') as nic:
        f, dev = nic.dev.function, nic.dev
        runner.equal((f.device, f.class_id), (0x1041, 0x0200), 'ids')
        runner.equal(dev.get('num_queues'), 3, 'queues')
        runner.equal(bytes(dev.config.read(i, 1) for i in range(6)), MAC, 'address')
        runner.equal(dev.config.read(6, 2), 1, 'status: link up')
        runner.equal(dev.config.read(8, 2), 1, 'queue pairs')
        runner.equal(dev.config.read(10, 2), 1400, 'MTU')
        runner.equal((dev.config.read(12, 4), dev.config.read(16, 1)), (1000, 1), 'speed, duplex')
        offered = dev.offered()
        for bit in (F_MTU, F_MAC, F_MRG_RXBUF, F_STATUS, F_CTRL_VQ, F_CTRL_RX, F_CTRL_VLAN, F_CTRL_RX_EXTRA,
                    F_GUEST_ANNOUNCE, F_CTRL_MAC_ADDR, F_SPEED_DUPLEX):
            runner.equal(offered >> bit & 1, 1, 'feature %d' % bit)
        # A socket takes no offload header, and has one queue.
        for bit in (F_CSUM, F_GUEST_CSUM, F_GUEST_TSO4, F_HOST_TSO4, F_MQ):
            runner.equal(offered >> bit & 1, 0, 'feature %d' % bit)
        # Configuration is read-only for a modern driver.
        for i in range(20):
            dev.config.write(i, 0xff, 1)
        runner.equal(bytes(dev.config.read(i, 1) for i in range(6)), MAC, 'address after writes')


def test_feature_rules():
    with Nic() as nic:
        dev = nic.dev
        for bit in (F_CTRL_RX, F_CTRL_VLAN, F_GUEST_ANNOUNCE, F_CTRL_MAC_ADDR):
            dev.reset()
            dev.add_status(virtio.ACKNOWLEDGE)
            dev.add_status(virtio.DRIVER)
            runner.equal(dev.accept(1 << virtio.F_VERSION_1 | 1 << bit), False, 'feature %d without a queue' % bit)
        nic.again()
        check_both_ways(nic)


def test_transmit():
    for packed in (False, True):
        with Nic(',packed=on' if packed else '') as nic:
            for msix in (False, True):
                for event_idx in (False, True):
                    nic.again(packed=packed, msix=msix, event_idx=event_idx, size=8)
                    for n in range(20):         # more than two laps
                        want = frame(60 + 70 * n, PEER, n)
                        nic.tx.want_interrupt(True)
                        nic.send(want, pieces=1 + n % 4, indirect=n % 3 == 2)
                        runner.equal(nic.from_wire(), want, 'transmitted frame')
                        if not nic.tx.interrupted():
                            raise AssertionError('no interrupt')
            # The header apart from the frame, as drivers without ANY_LAYOUT did; and the longest frame.
            header, data = nic.dev.buffer(HEADER), frame(65535, PEER)
            nic.tx.send([(header, HEADER), (nic.dev.buffer(data), len(data))], [])
            runner.equal(nic.from_wire() == data, True, 'the longest frame')
            # A header and nothing behind it is no frame.
            nic.tx.send([(header, HEADER)], [])
            nic.send(frame(dst=PEER))
            runner.equal(nic.from_wire(), frame(dst=PEER), 'the frame behind an empty one')


def test_receive():
    for packed in (False, True):
        with Nic(',packed=on' if packed else '') as nic:
            for msix in (False, True):
                nic.again(packed=packed, msix=msix, size=16)
                for n in range(40):
                    nic.rx.want_interrupt(True)
                    want = frame(60 + 30 * n, seed=n)
                    nic.post(1518 + HEADER)
                    nic.on_wire(want)
                    runner.equal(nic.receive(), (want, 1), 'received frame')
                    if not nic.rx.interrupted():
                        raise AssertionError('no interrupt')


def test_merged_buffers():
    for packed in (False, True):
        with Nic(',packed=on' if packed else '') as nic:
            nic.again(packed=packed, size=32)
            for n in range(6):
                want = frame(3000, seed=n)
                nic.post(512, 8)
                nic.on_wire(want)
                runner.equal(nic.receive(), (want, 6), 'frame in six buffers')
                # Two stay for the next; it needs one more, so that nothing comes before it is there.
                nic.on_wire(frame(1300, seed=n))
                nic.nothing_received()
                nic.post(512)
                runner.equal(nic.receive(), (frame(1300, seed=n), 3), 'frame that waited')


def test_short_buffers():
    """Without merging a frame that does not fit is lost, the one behind it is not."""
    with Nic(drop=1 << F_MRG_RXBUF) as nic:
        nic.post(256, 2)
        nic.on_wire(frame(1000))
        nic.on_wire(frame(100))
        runner.equal(nic.receive(), (frame(100), 1), 'the frame that fits')
        nic.nothing_received()


def test_receive_flow():
    """Frames wait while there are no buffers, while the VM is stopped, before the driver is ready."""
    with Nic() as nic:
        for n in range(10):
            nic.on_wire(frame(100, seed=n))
        nic.nothing_received()
        nic.post(2048, 10)
        for n in range(10):
            runner.equal(nic.receive()[0], frame(100, seed=n), 'frame %d' % n)
        nic.vm.qmp.cmd('stop')
        nic.post(2048)
        nic.on_wire(frame())
        nic.nothing_received()
        nic.vm.qmp.cmd('cont')
        runner.equal(nic.receive()[0], frame(), 'frame that came while stopped')
        nic.dev.reset()
        nic.on_wire(frame(seed=1))
        nic.settle()
        nic.again()
        nic.post(2048)
        nic.on_wire(frame(seed=2))
        got = nic.receive()[0]
        if got == frame(seed=1):
            nic.post(2048)
            got = nic.receive()[0]
        runner.equal(got, frame(seed=2), 'frame after a reset')


def test_transmit_flow():
    """A peer that does not read holds the buffers; nothing is lost, and resets do not wait for it."""
    with Nic() as nic:
        nic.again(size=64)
        data = bytes(HEADER) + frame(16384, PEER)
        buf = nic.dev.buffer(data)
        for _ in range(60):
            nic.tx.add([(buf, len(data))], [])
        nic.tx.kick()
        nic.settle()
        done = 0
        while nic.tx.get_used():
            done += 1
        if not done < 60:
            raise AssertionError('60 frames of 16 KiB went into a socket that nobody reads')
        for n in range(60):
            runner.equal(nic.from_wire() == data[HEADER:], True, 'frame %d' % n)
        while done < 60:
            nic.tx.wait_used()
            done += 1
        # A queue reset, a device reset, a system reset with frames that are stuck.
        for how in ('queue', 'device', 'system'):
            nic.again(size=64)
            buf = nic.dev.buffer(data)
            for _ in range(60):
                nic.tx.add([(buf, len(data))], [])
            nic.tx.kick()
            nic.settle()
            if how == 'queue':
                nic.dev.set('queue_select', TX)
                nic.dev.set('queue_reset', 1)
                nic.vm.wait_for(lambda: nic.dev.get('queue_reset') == 0, 10, 'the end of the queue reset')
            elif how == 'device':
                nic.dev.reset()
            else:
                nic.vm.system_reset()
                nic.dev = virtio.Device(*pci.ready_device(nic.vm, virtio.VENDOR, virtio.pci_id(virtio.NET)))
            drain(nic)


def drain(nic):
    """Takes what is on the wire until it stays quiet (a frame may be there in part)."""
    nic.cable.settimeout(0.2)
    try:
        while nic.cable.recv(1 << 16):
            nic.settle()
    except TimeoutError:
        pass
    nic.cable.settimeout(20)


def test_link():
    with Nic() as nic:
        nic.again(msix=True)
        nic.vm.qmp.cmd('set_link', {'name': 'nic', 'up': False})
        nic.dev.msix.wait(0)
        runner.equal(nic.dev.config.read(6, 2), 0, 'status: link down')
        nic.post(2048)
        nic.on_wire(frame(seed=1))
        nic.send(frame(dst=PEER))
        nic.nothing_received()
        nic.wire_is_quiet()
        nic.vm.qmp.cmd('set_link', {'name': 'nic', 'up': True})
        nic.dev.msix.wait(0)
        runner.equal(nic.dev.config.read(6, 2), 1, 'status: link up')
        nic.on_wire(frame(seed=2))
        runner.equal(nic.receive()[0], frame(seed=2), 'frame after the link came back')
        nic.send(frame(dst=PEER, seed=3))
        runner.equal(nic.from_wire(), frame(dst=PEER, seed=3), 'frame after the link came back')


def mac_list(*macs):
    return struct.pack('<I', len(macs)) + b''.join(macs)


def test_control():
    """Every command of the control queue, as query-rx-filter shows its effect; wrong ones change nothing."""
    with Nic() as nic:
        def info():
            return nic.vm.qmp.cmd('query-rx-filter', {'name': 'nic'})[0]
        runner.equal((info()['promiscuous'], info()['main-mac']), (True, '52:54:00:aa:bb:cc'), 'at the start')
        for cmd, key, on, off in ((0, 'promiscuous', True, False), (1, 'multicast', 'all', 'normal'),
                                  (2, 'unicast', 'all', 'normal'), (3, 'multicast', 'none', 'normal'),
                                  (4, 'unicast', 'none', 'normal'), (5, 'broadcast-allowed', False, True)):
            for value, want in ((1, on), (0, off)):
                runner.equal(nic.command(CTRL_RX, cmd, bytes((value,))), 0, 'answer')
                runner.equal(info()[key], want, key)
        nic.vm.qmp.wait_event('NIC_RX_FILTER_CHANGED')
        a, b, c = (bytes.fromhex(t) for t in ('525400000001', '525400000002', '01005e000001'))
        runner.equal(nic.command(CTRL_MAC, 0, mac_list(a, b) + mac_list(c)), 0, 'answer')
        runner.equal(sorted(info()['unicast-table']), ['52:54:00:00:00:01', '52:54:00:00:00:02'], 'unicast table')
        runner.equal(info()['multicast-table'], ['01:00:5e:00:00:01'], 'multicast table')
        runner.equal(nic.command(CTRL_MAC, 0, mac_list(*[a] * 65) + mac_list(c)), 0, 'answer to a long list')
        runner.equal((info()['unicast-overflow'], info()['multicast-overflow']), (True, False), 'overflow')
        runner.equal(nic.command(CTRL_MAC, 1, b), 0, 'answer')
        runner.equal(info()['main-mac'], '52:54:00:00:00:02', 'the new address')
        runner.equal(bytes(nic.dev.config.read(i, 1) for i in range(6)), b, 'the new address')
        for vlan in (0, 5, 4095):
            runner.equal(nic.command(CTRL_VLAN, 0, struct.pack('<H', vlan)), 0, 'answer')
        runner.equal(nic.command(CTRL_VLAN, 1, struct.pack('<H', 5)), 0, 'answer')
        runner.equal(sorted(info()['vlan-table']), [0, 4095], 'VLANs')
        before = info()
        for kind, cmd, data in ((0, 0, b''), (0, 0, b'\1\1'), (0, 6, b'\1'), (0, 255, b'\1'), (1, 0, b''),
                                (1, 0, mac_list(a)), (1, 0, struct.pack('<I', 0xffffffff) + bytes(12)),
                                (1, 0, struct.pack('<I', 0x2aaaaaab) + bytes(12)), (1, 1, bytes(5)), (1, 1, bytes(7)),
                                (1, 2, bytes(6)), (2, 0, b'\0'), (2, 0, struct.pack('<H', 4096)), (2, 2, bytes(2)),
                                (3, 0, b''), (4, 0, struct.pack('<H', 1)), (5, 0, struct.pack('<Q', 2)), (5, 0, bytes(7)), (6, 0, b''),
                                (255, 255, bytes(64))):
            runner.equal(nic.command(kind, cmd, data), 1, 'answer to %d.%d %r' % (kind, cmd, data[:8]))
        runner.equal(info(), before, 'after wrong commands')
        nic.again()
        runner.equal((info()['promiscuous'], info()['main-mac'], info().get('unicast-table')),
                     (True, '52:54:00:aa:bb:cc', []), 'after a reset')


def test_filter():
    with Nic() as nic:
        other, group, group2 = (bytes.fromhex(t) for t in ('525400000009', '01005e000001', '01005e000002'))
        everyone = b'\xff' * 6

        def passes(dst, vlan=None):
            body = frame(dst=dst) if vlan is None else dst + PEER + struct.pack('>HH', 0x8100, vlan) + bytes(50)
            nic.on_wire(body)
            nic.on_wire(frame(dst=nic.mac, seed=9))     # this one always comes
            got = nic.receive()[0]
            nic.post(2048)
            if got == body:
                got = nic.receive()[0]
                nic.post(2048)
                runner.equal(got, frame(dst=nic.mac, seed=9), 'the frame behind it')
                return True
            runner.equal(got, frame(dst=nic.mac, seed=9), 'the frame that always passes')
            return False
        nic.mac = MAC
        nic.post(2048, 8)
        runner.equal(passes(other), True, 'other unicast, promiscuous')
        nic.command(CTRL_RX, 0, b'\0')
        runner.equal([passes(other), passes(everyone), passes(group)], [False, True, False], 'unicast, broadcast, group')
        nic.command(CTRL_MAC, 0, mac_list(other) + mac_list(group))
        runner.equal([passes(other), passes(group), passes(group2)], [True, True, False], 'with tables')
        nic.command(CTRL_RX, 1, b'\1')
        runner.equal(passes(group2), True, 'all multicast')
        nic.command(CTRL_RX, 3, b'\1')
        runner.equal(passes(group), False, 'no multicast')
        nic.command(CTRL_RX, 5, b'\1')
        runner.equal(passes(everyone), False, 'no broadcast')
        nic.command(CTRL_VLAN, 0, struct.pack('<H', 7))
        runner.equal([passes(MAC, 7), passes(MAC, 8)], [True, False], 'VLANs')
        nic.command(CTRL_MAC, 1, other)
        nic.mac = other
        nic.command(CTRL_MAC, 0, mac_list() + mac_list())
        runner.equal(passes(MAC), False, 'the old address')


def test_hotplug():
    ours_end, theirs = socket.socketpair()
    with qtest.Emulator(*MACHINE, '-device', 'pcie-root-port,id=rp,chassis=1,addr=2',
                        pass_fds=[theirs.fileno()]) as vm:
        for n in range(2):
            fd = os.dup(theirs.fileno())
            vm.qmp.cmd('getfd', {'fdname': 'cable'}, fds=[fd])
            os.close(fd)
            vm.qmp.cmd('netdev_add', type='socket', id='n0', fd='cable')
            vm.qmp.cmd('device_add', driver='virtio-net-pci', id='nic', bus='rp', netdev='n0')
            host = pci.Host(vm)
            host.enumerate()
            port = host.at(0, 2)
            exp = port.find_cap(pci.CAP_EXP)
            port.writew(exp + pci.EXP_SLTCTL, 0x1c0)
            host.enumerate()
            function = host.find(virtio.VENDOR, virtio.pci_id(virtio.NET))
            function.enable()
            dev = virtio.Device(function, pci.Allocator(vm)).start()
            data = bytes(HEADER) + frame(dst=PEER, seed=n)
            dev.queues[TX].send([(dev.buffer(data), len(data))], [])
            ours_end.settimeout(20)
            runner.equal(ours_end.recv(4096)[4:], frame(dst=PEER, seed=n), 'transmitted frame')
            dev.queues[RX].add([], [(dev.buffer(2048), 2048)])
            dev.queues[RX].kick()
            vm.qmp.cmd('device_del', id='nic')
            port.writew(exp + pci.EXP_SLTCTL, 0x2c0)
            port.writew(exp + pci.EXP_SLTCTL, 0x7c0)
            vm.qmp.wait_event('DEVICE_DELETED', device='nic')
            vm.qmp.cmd('netdev_del', id='n0')
    ours_end.close()
    theirs.close()


def test_user():
    """The user-mode back end answers: an ARP request for the gateway."""
    with qtest.Emulator(*MACHINE, '-netdev', 'user,id=n0', '-device',
                        'virtio-net-pci,netdev=n0,addr=4,disable-legacy=on,mac=52:54:00:aa:bb:cc') as vm:
        dev = virtio.Device(*pci.ready_device(vm, virtio.VENDOR, virtio.pci_id(virtio.NET))).start()
        buf = dev.buffer(2048)
        dev.queues[RX].add([], [(buf, 2048)])
        dev.queues[RX].kick()
        arp = b'\xff' * 6 + MAC + b'\x08\x06' + struct.pack('>HHBBH', 1, 0x800, 6, 4, 1)
        arp += MAC + bytes((10, 0, 2, 15)) + bytes(6) + bytes((10, 0, 2, 2))
        data = bytes(HEADER) + arp.ljust(60, b'\0')
        dev.queues[TX].send([(dev.buffer(data), len(data))], [])
        length = dev.queues[RX].wait_used()[1]
        answer = vm.read(buf, length)[HEADER:]
        runner.equal((answer[:6], answer[12:14], answer[20:22], answer[28:32]),
                     (MAC, b'\x08\x06', b'\0\2', bytes((10, 0, 2, 2))), 'ARP answer')


TUNSETIFF, TUNSETPERSIST = 0x400454ca, 0x400454cb
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR, IFF_MULTI_QUEUE = 2, 0x1000, 0x4000, 0x100


def test_tap_queues():
    """Several pairs over a TAP interface, and the offloads that its header makes possible."""
    name = 'nemu%d' % (os.getpid() % 100000)
    try:
        fds = []
        for _ in range(2):
            fd = os.open('/dev/net/tun', os.O_RDWR | os.O_NONBLOCK)
            fds.append(fd)
            fcntl.ioctl(fd, TUNSETIFF, struct.pack('16sH22x', name.encode(),
                                                   IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE))
    except OSError as e:
        for fd in fds:
            os.close(fd)
        if guest_level():
            raise
        print('# no TAP interface here (%s); the nested tests use one' % e)
        return
    with qtest.Emulator(*MACHINE, '-netdev', 'tap,id=n0,fds=%d:%d' % tuple(fds), '-device',
                        'virtio-net-pci,netdev=n0,addr=4,disable-legacy=on,mq=on,vectors=6', pass_fds=fds) as vm:
        dev = virtio.Device(*pci.ready_device(vm, virtio.VENDOR, virtio.pci_id(virtio.NET)))
        offered = dev.offered()
        for bit in (F_CSUM, F_GUEST_CSUM, F_GUEST_TSO4, F_HOST_TSO4, F_MQ):
            runner.equal(offered >> bit & 1, 1, 'feature %d' % bit)
        runner.equal((dev.get('num_queues'), dev.config.read(8, 2)), (5, 2), 'queues, pairs')
        dev.start(size=16)
        for data, want in ((1, 0), (2, 0), (0, 1), (3, 1), (0x8000, 1)):
            answer = dev.buffer(b'\xff')
            dev.queues[4].send([(dev.buffer(bytes((CTRL_MQ, 0))), 2), (dev.buffer(struct.pack('<H', data)), 2)],
                               [(answer, 1)])
            runner.equal(vm.readb(answer), want, 'answer to %d pairs' % data)
        for offloads, want in ((1 << F_GUEST_CSUM, 0), (0, 0), (1 << F_HOST_TSO4, 1), (1 << 63, 1)):
            answer = dev.buffer(b'\xff')
            dev.queues[4].send([(dev.buffer(bytes((CTRL_OFFLOADS, 0))), 2),
                                (dev.buffer(struct.pack('<Q', offloads)), 8)], [(answer, 1)])
            runner.equal(vm.readb(answer), want, 'answer to offloads 0x%x' % offloads)
        # Frames of both pairs, and headers that the kernel must refuse.
        rng = random.Random(5)
        for n in range(40):
            header = bytes(HEADER) if n < 4 else rng.randbytes(HEADER)
            data = header + frame(60 + 20 * n, PEER)
            dev.queues[1 + 2 * (n % 2)].send([(dev.buffer(data), len(data))], [])
        runner.equal(dev.status, 15, 'status')
    for fd in fds:
        os.close(fd)


def guest_level():
    return 'NEMU_EMULATED_HOST' in os.environ


def test_broken_buffers():
    """What no driver may do: the device needs a reset, and works after it."""
    with Nic(',packed=on') as nic:
        for packed in (False, True):
            for case in range(6):
                nic.again(packed=packed, msix=True)
                buf = nic.dev.buffer(4096)
                if case == 0:
                    nic.tx.add([(buf, HEADER - 1)], [])
                elif case == 1:
                    nic.tx.add([(buf, 64)], [(buf, 64)])
                elif case == 2:
                    nic.tx.add([], [(buf, 64)])
                elif case == 3:
                    nic.rx.add([], [(buf, HEADER)])
                    nic.rx.kick()
                    nic.on_wire(frame())
                elif case == 4:
                    nic.ctrl.add([(buf, 2)], [])
                else:
                    nic.ctrl.add([(buf, 1)], [(buf, 1)])
                nic.tx.kick()
                nic.ctrl.kick()
                nic.dev.wait_broken()
                nic.dev.msix.wait(0)
                nic.again(packed=packed)
                nic.post(2048)
                nic.on_wire(frame(seed=7))
                if nic.receive()[0] != frame(seed=7):       # the frame that broke it may have waited
                    nic.post(2048)
                    runner.equal(nic.receive()[0], frame(seed=7), 'after a reset')


def random_parts(nic, rng, queue):
    """Buffers of a queue: mostly in the right direction, of any small size."""
    def some(most):
        return [(nic.dev.buffer(rng.randbytes(64)), rng.choice((1, 2, 11, 12, 13, 64)))
                for _ in range(rng.randint(0, most))]
    wrong = rng.random() < 0.05
    out = some(4) if queue is not nic.rx or wrong else []
    into = some(4) if queue is nic.rx or wrong else some(1) if queue is nic.ctrl else []
    return out, into


def test_random_buffers():
    """Rubbish in all queues while frames come in: the device breaks, or works, but does not fall over."""
    rng = random.Random(6)
    states = set()
    with Nic(',packed=on') as nic:
        nic.cable.setblocking(False)
        for n in range(150):
            nic.again(packed=bool(n % 2), size=32)
            for queue in nic.dev.queues:
                for _ in range(4):
                    out, into = random_parts(nic, rng, queue)
                    if out or into:
                        queue.add(out, into, indirect=rng.random() < 0.3)
                queue.kick(force=True)
            try:
                nic.on_wire(frame(rng.choice((14, 60, 200, 1514))))
                nic.cable.recv(1 << 20)
            except BlockingIOError:
                pass
            nic.settle()
            states.add(nic.dev.status)
        runner.equal(states, {15, 15 | virtio.NEEDS_RESET}, 'what became of the device')
        nic.dev.reset()
        drain(nic)
        nic.vm.qmp.cmd('query-rx-filter')
        nic.again()
        nic.send(frame(dst=PEER))
        drain_until(nic, frame(dst=PEER))


def drain_until(nic, want):
    data = b''
    while not data.endswith(want):
        piece = nic.cable.recv(1 << 16)
        if not piece:
            raise AssertionError('the cable was cut')
        data += piece


def test_refused():
    for options, words in ((',rx_queue_size=100', 'rx_queue_size'), (',tx_queue_size=32', 'tx_queue_size'),
                           (',host_mtu=60', 'host_mtu'), (',duplex=both', 'duplex'), (',speed=-5', 'speed'),
                           (',tx=timer', 'tx'), (',mac=1:2', 'mac'), (',netdev=nothing', 'nothing')):
        text = qtest.start_error(*MACHINE, '-device', 'virtio-net-pci' + options)
        if words not in text:
            raise AssertionError('%r is not in %r' % (words, text))


if __name__ == '__main__':
    runner.main(globals())
