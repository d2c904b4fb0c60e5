#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Network back ends over sockets (stream, dgram) and the filters, with frames of a virtio card."""
import os
import socket
import struct
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import pci, qtest, runner, virtio      # noqa: E402

HEADER = 12
FRAME = bytes.fromhex('525400112233' '525400aabbcc' '0800') + bytes(range(60))
ANSWER = bytes.fromhex('525400aabbcc' '525400112233' '0800') + bytes(range(60, 120))


class Card:
    """An emulator with a virtio card on back end n0, and its driver."""

    def __init__(self, *args):
        self.vm = qtest.Emulator('-machine', 'virt', '-m', '64', '-nodefaults', *args, '-device',
                                 'virtio-net-pci,netdev=n0,id=nic,addr=4,mac=52:54:00:aa:bb:cc')

    def __enter__(self):
        self.vm.__enter__()
        function, alloc = pci.ready_device(self.vm, virtio.VENDOR, virtio.pci_id(virtio.NET))
        self.dev = virtio.Device(function, alloc)
        self.dev.start()
        self.rx, self.tx = self.dev.queues[:2]
        return self

    def __exit__(self, *exc):
        self.vm.__exit__(*exc)

    def send(self, frame=FRAME):
        data = bytes(HEADER) + frame
        self.tx.send([(self.dev.buffer(data), len(data))], [])

    def post(self):
        self.buf = self.dev.buffer(2048)
        self.rx.add([], [(self.buf, 2048)])
        self.rx.kick()

    def receive(self):
        _, length = self.rx.wait_used()
        return self.vm.read(self.buf, length)[HEADER:]

    def settle(self):
        for _ in range(10):
            self.vm.clock_step(1000)
        self.vm.qmp.cmd('query-status')


def framed(frame):
    return struct.pack('>I', len(frame)) + frame


def exactly(sock, size):
    data = b''
    while len(data) < size:
        piece = sock.recv(size - len(data))
        assert piece, 'closed'
        data += piece
    return data


def frame_of(sock):
    return exactly(sock, struct.unpack('>I', exactly(sock, 4))[0])


def listening(path):
    s = socket.socket(socket.AF_UNIX)
    s.bind(path)
    s.listen(1)
    s.settimeout(20)
    return s


def connected(path):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(20)
    s.connect(path)
    return s


def both_ways(card, send, receive):
    card.post()
    card.send()
    runner.equal(receive(), FRAME, 'on the wire')
    send(ANSWER)
    runner.equal(card.receive(), ANSWER, 'received')


def test_stream_client():
    with tempfile.TemporaryDirectory() as folder, listening(folder + '/s') as s:
        with Card('-netdev', 'stream,id=n0,addr.type=unix,addr.path=%s/s' % folder) as card:
            wire = s.accept()[0]
            wire.settimeout(20)
            both_ways(card, lambda f: wire.sendall(framed(f)), lambda: frame_of(wire))
            wire.close()
            event = card.vm.qmp.wait_event('NETDEV_STREAM_DISCONNECTED')
            runner.equal(event['data'], {'netdev-id': 'n0'}, 'event')


def test_stream_server():
    with tempfile.TemporaryDirectory() as folder:
        path = folder + '/s'
        with Card('-netdev', 'stream,id=n0,server=on,addr.type=unix,addr.path=' + path) as card:
            for _ in range(2):
                with connected(path) as wire:
                    event = card.vm.qmp.wait_event('NETDEV_STREAM_CONNECTED')
                    runner.equal(event['data']['netdev-id'], 'n0', 'event')
                    both_ways(card, lambda f: wire.sendall(framed(f)), lambda: frame_of(wire))
                card.vm.qmp.wait_event('NETDEV_STREAM_DISCONNECTED')
            with connected(path) as wire:
                card.vm.qmp.wait_event('NETDEV_STREAM_CONNECTED')
                wire.sendall(struct.pack('>I', 0xffffffff))         # a length that cannot be
                card.vm.qmp.wait_event('NETDEV_STREAM_DISCONNECTED')


def test_dgram():
    with tempfile.TemporaryDirectory() as folder:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.bind(folder + '/there')
            s.settimeout(20)
            with Card('-netdev', 'dgram,id=n0,local.type=unix,local.path=%s/here,remote.type=unix,remote.path=%s/there'
                      % (folder, folder)) as card:
                both_ways(card, lambda f: s.sendto(f, folder + '/here'), lambda: s.recv(4096))
            runner.equal(os.path.exists(folder + '/here'), False, 'our own socket is gone')
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s, \
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            for end in (s, free):
                end.bind(('127.0.0.1', 0))
                end.settimeout(20)
            port = free.getsockname()[1]
            free.close()
            with Card('-netdev', 'dgram,id=n0,local.type=inet,local.host=127.0.0.1,local.port=%d,remote.type=inet,'
                      'remote.host=127.0.0.1,remote.port=%d' % (port, s.getsockname()[1])) as card:
                both_ways(card, lambda f: s.sendto(f, ('127.0.0.1', port)), lambda: s.recv(4096))


def test_refused():
    for text, option in (("Parameter 'addr' is missing", 'stream,id=n0'),
                         ('dgram requires local= parameter', 'dgram,id=n0'),
                         ('only support inet, unix', 'dgram,id=n0,local.type=vsock,local.cid=1,local.port=2'),
                         ('remote and local types must be the same',
                          'dgram,id=n0,local.type=unix,local.path=/tmp/x,remote.type=inet,remote.host=127.0.0.1,'
                          'remote.port=9'),
                         ('Failed to connect', 'stream,id=n0,addr.type=unix,addr.path=/nonexistent/x')):
        out = qtest.start_error('-machine', 'none', '-netdev', option)
        assert text in out, (option, out)


def cabled(*args):
    """A card whose cable ends in a socket of ours: (card, socket)."""
    ours, theirs = socket.socketpair()
    ours.settimeout(20)
    card = Card.__new__(Card)
    with theirs:
        card.vm = qtest.Emulator('-machine', 'virt', '-m', '64', '-nodefaults', '-netdev',
                                 'socket,id=n0,fd=%d' % theirs.fileno(), *args, '-device',
                                 'virtio-net-pci,netdev=n0,id=nic,addr=4,mac=52:54:00:aa:bb:cc',
                                 pass_fds=[theirs.fileno()])
    return card, ours


def quiet(card, sock):
    card.settle()
    sock.setblocking(False)
    try:
        raise AssertionError('unexpected: %r' % sock.recv(100))
    except BlockingIOError:
        pass
    finally:
        sock.settimeout(20)


def packets(path):
    with open(path, 'rb') as f:
        data = f.read()
    magic, major, minor, _, _, snap, link = struct.unpack_from('<IHHIIII', data)
    runner.equal((magic, major, minor, link), (0xa1b2c3d4, 2, 4, 1), 'file header')
    at, found = 24, []
    while at < len(data):
        _, _, kept, size = struct.unpack_from('<IIII', data, at)
        found.append((size, data[at + 16:at + 16 + kept]))
        at += 16 + kept
    return snap, found


def test_filter_dump():
    with tempfile.TemporaryDirectory() as folder:
        card, wire = cabled('-object', 'filter-dump,id=d0,netdev=n0,file=%s/a' % folder,
                            '-object', 'filter-dump,id=d1,netdev=n0,queue=tx,maxlen=20,file=%s/b' % folder)
        with card:
            both_ways(card, lambda f: wire.sendall(framed(f)), lambda: frame_of(wire))
            runner.equal(packets(folder + '/a'), (65536, [(len(FRAME), FRAME), (len(ANSWER), ANSWER)]), 'all')
            runner.equal(packets(folder + '/b'), (20, [(len(ANSWER), ANSWER[:20])]), 'tx, cut')
            text = card.vm.qmp.hmp('info network')
            assert '  - d0: type=filter-dump' in text, text
            card.vm.qmp.cmd('qom-set', path='/objects/d0', property='status', value='off')
            card.send()
            frame_of(wire)
            card.vm.qmp.cmd('object-del', id='d1')
            runner.equal(len(packets(folder + '/a')[1]), 2, 'off')


def test_filter_mirror():
    with tempfile.TemporaryDirectory() as folder, listening(folder + '/m') as m:
        card, wire = cabled('-chardev', 'socket,id=c0,path=%s/m' % folder,
                            '-object', 'filter-mirror,id=f0,netdev=n0,queue=rx,outdev=c0')
        with card:
            copy = m.accept()[0]
            copy.settimeout(20)
            both_ways(card, lambda f: wire.sendall(framed(f)), lambda: frame_of(wire))
            runner.equal(frame_of(copy), FRAME, 'copy')
            quiet(card, copy)
            runner.equal(card.vm.qmp.cmd_error('chardev-remove', id='c0'), "Chardev 'c0' is busy")
            card.vm.qmp.cmd('object-del', id='f0')
            card.vm.qmp.cmd('chardev-remove', id='c0')


def test_filter_redirector():
    with tempfile.TemporaryDirectory() as folder, listening(folder + '/o') as o, listening(folder + '/i') as i:
        card, wire = cabled('-chardev', 'socket,id=o0,path=%s/o' % folder, '-chardev', 'socket,id=i0,path=%s/i' % folder,
                            '-object', 'filter-redirector,id=out,netdev=n0,queue=rx,outdev=o0',
                            '-object', 'filter-redirector,id=in,netdev=n0,queue=tx,indev=i0')
        with card:
            out, into = o.accept()[0], i.accept()[0]
            out.settimeout(20)
            card.post()
            card.send()
            runner.equal(frame_of(out), FRAME, 'redirected')
            quiet(card, wire)
            into.sendall(framed(ANSWER)[:7])
            into.sendall(framed(ANSWER)[7:])
            runner.equal(card.receive(), ANSWER, 'injected')
            into.sendall(b'\xff' * 16)                              # no frame
            card.settle()
            runner.equal(card.vm.qmp.cmd('query-status')['running'], True, 'alive')


def test_filter_buffer():
    card, wire = cabled('-object', 'filter-buffer,id=b0,netdev=n0,queue=rx,interval=1000000')
    with card:
        for n in range(3):
            card.send(FRAME + bytes([n]))
        quiet(card, wire)
        card.vm.clock_step(1000 * 1000 * 1000)
        runner.equal([frame_of(wire)[-1] for n in range(3)], [0, 1, 2], 'released in order')
        card.send()
        quiet(card, wire)
        card.vm.qmp.cmd('object-del', id='b0')                      # nothing is lost
        runner.equal(frame_of(wire), FRAME, 'the last one')
        card.send()
        runner.equal(frame_of(wire), FRAME, 'without a filter')
        # The back end goes before its filter.
        card.vm.qmp.cmd('object-add', {'qom-type': 'filter-buffer', 'id': 'b1', 'netdev': 'n0', 'interval': 10})
        card.vm.qmp.cmd('netdev_del', id='n0')
        card.vm.clock_step(1000000)
        card.vm.qmp.cmd('object-del', id='b1')


def test_announce():
    card, wire = cabled()
    mac = bytes.fromhex('525400aabbcc')
    want = b'\xff' * 6 + mac + bytes.fromhex('8035' '0001' '0800' '06' '04' '0003') + mac + bytes(4) + mac + bytes(4)
    with card:
        card.vm.qmp.cmd('announce-self', initial=1, max=2, rounds=2, step=1)
        for _ in range(2):
            runner.equal(frame_of(wire), want.ljust(60, b'\0'), 'reverse ARP')
        quiet(card, wire)
        card.vm.qmp.cmd('announce-self', initial=1, max=2, rounds=1, step=1, interfaces=['another'])
        quiet(card, wire)
        runner.equal(card.vm.qmp.hmp('announce_self nic a'), '', 'announce_self')
        runner.equal(frame_of(wire), want.ljust(60, b'\0'), 'by hand')


def test_filter_errors():
    with qtest.Emulator('-machine', 'none', '-netdev', 'user,id=n0') as vm:
        for text, args in (("Parameter 'netdev' expects a network backend id", {'netdev': 'nosuch', 'interval': 1}),
                           ("Parameter 'interval' expects a non-zero interval", {'netdev': 'n0', 'interval': 0}),
                           ("Invalid value for netfilter status, should be 'on' or 'off'",
                            {'netdev': 'n0', 'interval': 1, 'status': 'x'}),
                           ("Invalid value for netfilter position, should be 'head', 'tail', or 'id=<id>'",
                            {'netdev': 'n0', 'interval': 1, 'position': 'x'}),
                           ("filter 'nosuch' not found", {'netdev': 'n0', 'interval': 1, 'position': 'id=nosuch'})):
            runner.equal(vm.qmp.cmd_error('object-add', dict(args, **{'qom-type': 'filter-buffer', 'id': 'f'})), text)
        runner.equal(vm.qmp.cmd('qom-list', path='/objects'), [{'name': 'type', 'type': 'string'}], 'nothing stays')


if __name__ == '__main__':
    runner.main(globals())
