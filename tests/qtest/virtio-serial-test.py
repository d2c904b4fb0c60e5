#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""virtio-serial: control protocol, data both ways, flow control, open and close, hot-plug, hostile messages."""
import os
import random
import socket
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import pci, qtest, runner, virtio

DEVICE_READY, PORT_ADD, PORT_REMOVE, PORT_READY, CONSOLE_PORT, RESIZE, PORT_OPEN, PORT_NAME = range(8)
F_MULTIPORT, F_EMERG_WRITE = 1, 2


def machine():
    """The same tests run against another emulator's q35 when that is what is given."""
    name = 'virt' if qtest.is_nemu(qtest.binary()) else 'q35'
    return ['-machine', name, '-m', '64', '-nodefaults']


def start(ports, options='', packed=False):
    """@ports: (device options, socket name or None)."""
    base = '/tmp/nemu-vser-%d-' % os.getpid()
    args, paths = [], {}
    for i, (port, name) in enumerate(ports):
        if name:
            paths[name] = base + name
            args += ['-chardev', 'socket,id=c%d,path=%s,server=on,wait=off' % (i, paths[name])]
            port += ',chardev=c%d' % i
        args += ['-device', port]
    vm = qtest.Emulator(*machine(), '-device',
                        'virtio-serial-pci,id=vs0,addr=4,disable-legacy=on'
                        + (',packed=on' if packed else '') + options, *args)
    vm.paths = paths
    return vm


class Serial:
    """The driver: control queues served, one receive buffer a port."""

    def __init__(self, vm, packed=False, ports=3, ready=True, drop=0):
        function, alloc = pci.ready_device(vm, virtio.VENDOR, virtio.pci_id(virtio.CONSOLE))
        self.vm = vm
        self.dev = virtio.Device(function, alloc)
        self.dev.start(queues=2 + 2 * ports, packed=packed, drop=drop)
        self.control_in, self.control_out = self.dev.queues[2], self.dev.queues[3]
        self.bufs = {}
        self.out_buf = self.dev.buffer(4096)
        for _ in range(16):
            buf = self.dev.buffer(64)
            self.bufs[self.control_in.add([], [(buf, 64)])] = buf
        self.control_in.kick()
        if ready:
            self.send(0xffffffff, DEVICE_READY, 1)

    def send(self, port, event, value):
        self.send_raw(struct.pack('<IHH', port, event, value))

    def send_raw(self, data):
        self.vm.write(self.out_buf, data)
        self.control_out.send([(self.out_buf, len(data))], [])

    def receive(self):
        """The next control message: (port, event, value, text)."""
        ident, length = self.control_in.wait_used()
        buf = self.bufs.pop(ident)
        data = self.vm.read(buf, length)
        self.bufs[self.control_in.add([], [(buf, 64)])] = buf
        self.control_in.kick()
        return (*struct.unpack('<IHH', data[:8]), data[8:].rstrip(b'\0'))

    def quiet(self):
        for _ in range(5):
            self.vm.clock_step(1000) if self.vm.has_clock else self.dev.status
        runner.equal(self.control_in.get_used(), None, 'control message')

    def rx(self, port):
        return self.dev.queues[4 + 2 * (port - 1) if port else 0]

    def tx(self, port):
        return self.dev.queues[5 + 2 * (port - 1) if port else 1]

    def ready(self, port):
        """Port added and ready: the messages about it until its name or console-ness is told."""
        self.send(port, PORT_READY, 1)

    def write(self, port, data):
        buf = self.dev.buffer(data)
        self.tx(port).send([(buf, len(data))], [])

    def read(self, port, size=256):
        buf = self.dev.buffer(size)
        queue = self.rx(port)
        queue.add([], [(buf, size)])
        queue.kick()
        return self.vm.read(buf, queue.wait_used()[1])


PORTS = [('virtconsole', 'con'), ('virtserialport,id=p1,name=org.test.1', 'one')]


def connect(vm, name):
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(vm.paths[name])
    sock.settimeout(10)
    # Until it is accepted, what the guest writes goes nowhere.
    runner.wait_for(lambda: any(c['filename'].startswith('unix:' + vm.paths[name])
                                for c in vm.qmp.cmd('query-chardev')), what='connection of ' + name)
    return sock


def receive_exactly(sock, size):
    data = b''
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            raise AssertionError('connection closed after %d bytes' % len(data))
        data += piece
    return data


def open_all(s):
    """The start of a driver for PORTS, nobody connected to the second."""
    runner.equal(s.receive()[:3], (0, PORT_ADD, 1), 'first message')
    runner.equal(s.receive()[:3], (1, PORT_ADD, 1), 'second message')
    s.ready(0)
    runner.equal(s.receive()[:3], (0, CONSOLE_PORT, 1), 'console')
    runner.equal(s.receive()[:3], (0, PORT_OPEN, 1), 'console is open')
    s.ready(1)
    runner.equal(s.receive(), (1, PORT_NAME, 1, b'org.test.1'), 'name')
    s.send(0, PORT_OPEN, 1)


def test_config():
    with start(PORTS, ',max_ports=7') as vm:
        s = Serial(vm, ready=False)
        f = s.dev.function
        runner.equal((f.device, f.class_id), (0x1043, 0x0780), 'ids')
        runner.equal(s.dev.config.read(4, 4), 7, 'max_nr_ports')
        runner.equal(s.dev.config.read(12, 4), 0, 'behind the configuration')
        runner.equal(s.dev.get('num_queues'), 16, 'queues')
        runner.equal(s.dev.offered() & 7, 1 << F_MULTIPORT | 1 << F_EMERG_WRITE, 'features')
        s.quiet()


def test_data():
    for packed in (False, True):
        with start(PORTS, packed=packed) as vm:
            s = Serial(vm, packed)
            open_all(s)
            s.quiet()
            con, one = connect(vm, 'con'), connect(vm, 'one')
            runner.equal(s.receive()[:3], (1, PORT_OPEN, 1), 'peer is there')
            # Nothing is delivered before the driver opens its end.
            one.sendall(b'early')
            s.send(1, PORT_OPEN, 1)
            vm.qmp.wait_event('VSERPORT_CHANGE')
            runner.equal(s.read(1), b'early', 'input')
            for n in range(12):
                text = b'%d times ' % n * (n + 1)
                s.write(0, text)
                runner.equal(receive_exactly(con, len(text)), text, 'console output')
                s.write(1, text)
                runner.equal(receive_exactly(one, len(text)), text, 'port output')
                con.sendall(text)
                runner.equal(s.read(0, 4096), text, 'console input')
                one.sendall(text)
                runner.equal(s.read(1, 4096), text, 'port input')
            # A long input in small buffers.
            one.sendall(bytes(range(200)))
            got = b''
            while len(got) < 200:
                got += s.read(1, 16)
            runner.equal(got, bytes(range(200)), 'input in pieces')
            s.rx(1).add([], [(s.dev.buffer(64), 64)])
            s.rx(1).kick()
            one.close()
            runner.equal(s.receive()[:3], (1, PORT_OPEN, 0), 'peer is gone')
            s.write(1, b'to nobody')
            s.send(1, PORT_OPEN, 0)
            runner.equal(vm.qmp.wait_event('VSERPORT_CHANGE')['data'], {'id': 'p1', 'open': False},
                         'event')
            con.close()


def test_throttle():
    """Output that nobody reads stays in the driver's buffers, all of it arrives in the end."""
    with start(PORTS) as vm:
        s = Serial(vm)
        open_all(s)
        one = connect(vm, 'one')
        runner.equal(s.receive()[:3], (1, PORT_OPEN, 1), 'peer is there')
        chunk, count = 65536, 32
        buf = s.dev.buffer(chunk)
        data = bytes(i * 7 & 0xff for i in range(chunk))
        vm.write(buf, data)
        queue = s.tx(1)
        for _ in range(count):
            queue.add([(buf, chunk)], [])
        queue.kick()
        done = 0
        for _ in range(50):
            vm.clock_step(1000) if vm.has_clock else s.dev.status
            done += queue.get_used() is not None
        if not 0 < done < count:
            raise AssertionError('%d of %d buffers used without a reader' % (done, count))
        for n in range(count):
            runner.equal(receive_exactly(one, chunk) == data, True, 'chunk %d' % n)
        while done < count:
            queue.wait_used()
            done += 1
        # A reset with output that is stuck.
        for _ in range(16):
            queue.add([(buf, chunk)], [])
        queue.kick()
        s = Serial(vm)
        open_all_again = s.receive()[:3]
        runner.equal(open_all_again, (0, PORT_ADD, 1), 'after a reset')
        one.close()


def test_one_port():
    """Without the control protocol there is a console that is always open."""
    with start([('virtconsole', 'con')], ',max_ports=1') as vm:
        function, alloc = pci.ready_device(vm, virtio.VENDOR, virtio.pci_id(virtio.CONSOLE))
        dev = virtio.Device(function, alloc)
        runner.equal(dev.offered() >> F_MULTIPORT & 1, 0, 'MULTIPORT')
        dev.start(queues=2)
        con = connect(vm, 'con')
        con.sendall(b'input')
        buf = dev.buffer(64)
        runner.equal(dev.queues[0].send([], [(buf, 64)]), 5, 'input')
        runner.equal(vm.read(buf, 5), b'input', 'input')
        vm.write(buf, b'output')
        dev.queues[1].send([(buf, 6)], [])
        runner.equal(receive_exactly(con, 6), b'output', 'output')
        con.close()


def test_emergency_write():
    with start(PORTS) as vm:
        function, alloc = pci.ready_device(vm, virtio.VENDOR, virtio.pci_id(virtio.CONSOLE))
        dev = virtio.Device(function, alloc)
        con = connect(vm, 'con')
        for c in b'help!':
            dev.config.write(8, c, 4)
        runner.equal(receive_exactly(con, 5), b'help!', 'emergency output')
        dev.config.write(4, 1, 4)
        con.close()


def test_hotplug():
    with start(PORTS) as vm:
        s = Serial(vm)
        open_all(s)
        for n in range(3):
            vm.qmp.cmd('chardev-add', id='hot', backend={'type': 'null', 'data': {}})
            vm.qmp.cmd('device_add', dict(driver='virtserialport', id='hp', bus='vs0.0', nr=2,
                                          chardev='hot', name='org.test.hot'))
            runner.equal(s.receive()[:3], (2, PORT_ADD, 1), 'added')
            s.ready(2)
            runner.equal(s.receive(), (2, PORT_NAME, 1, b'org.test.hot'), 'name')
            runner.equal(s.receive()[:3], (2, PORT_OPEN, 1), 'open')
            s.send(2, PORT_OPEN, 1)
            s.write(2, b'x' * 100)
            vm.qmp.cmd('device_del', id='hp')
            vm.qmp.wait_event('DEVICE_DELETED')
            runner.equal(s.receive()[0:2], (2, PORT_REMOVE), 'removed')
            vm.qmp.cmd('chardev-remove', id='hot')
            s.write(2, b'to a port that went')


def test_refused():
    def error(*ports, options=''):
        args = []
        for p in ports:
            args += ['-device', p]
        return qtest.start_error(*machine(), '-device', 'virtio-serial-pci,id=vs0' + options, *args)
    cases = [
        (error('virtserialport,nr=0'), 'Port number 0 on virtio-serial devices reserved'),
        (error('virtserialport,nr=31'), 'Out-of-range port id specified, max. allowed: 30'),
        (error('virtserialport,nr=3', 'virtserialport,nr=3'), 'A port already exists at id 3'),
        (error('virtserialport,name=a', 'virtserialport,name=a'), 'A port already exists by name a'),
        (error('virtserialport', options=',max_ports=1'), 'Maximum port limit'),
        (error(options=',max_ports=600'), 'maximum ports supported: 511'),
    ]
    for text, words in cases:
        if words not in text:
            raise AssertionError('%r is not in %r' % (words, text))


def test_hostile_control():
    rng = random.Random(4)
    with start(PORTS) as vm:
        s = Serial(vm)
        open_all(s)
        # Short, empty and strange messages.
        for size in (1, 4, 7):
            s.send_raw(bytes(size))
        s.control_out.send([], [(s.out_buf, 64)])
        for port in (2, 30, 31, 32, 511, 0x7fffffff, 0xffffffff):
            for event in (*range(10), 0xffff):
                if event != DEVICE_READY:
                    s.send(port, event, 1)
        for _ in range(200):
            s.send_raw(struct.pack('<IHH', rng.choice((0, 1, 2, 99)), rng.choice((1, 2, 4, 5, 7, 8)),
                                   rng.getrandbits(16)))
        s.quiet()
        # Questions without buffers for the answers cost nothing; one set of answers comes.
        for _ in range(300):
            s.send(1, PORT_READY, 1)
            s.send(0, PORT_READY, 1)
        seen = 0
        while True:
            vm.clock_step(1000) if vm.has_clock else None
            used = s.control_in.get_used()
            if not used:
                break
            seen += 1
        runner.equal(seen, 16, 'messages, as many as there were buffers')
        # Receive buffers that cannot take anything, and a message buffer that is too small.
        con = connect(vm, 'con')
        con.sendall(b'x')
        buf = s.dev.buffer(64)
        s.rx(0).send([(buf, 16)], [])
        runner.equal(s.read(0), b'x', 'input behind a useless buffer')
        con.close()
        s.control_in.add([], [(buf, 3)])
        s.control_in.kick()
        runner.equal(s.control_in.wait_used()[1], 3, 'bytes in a short buffer')
        s = Serial(vm)
        open_all(s)


def test_odd_queues():
    """Only some queues are set up; kicks go to those that are not."""
    with start(PORTS) as vm:
        function, alloc = pci.ready_device(vm, virtio.VENDOR, virtio.pci_id(virtio.CONSOLE))
        dev = virtio.Device(function, alloc)
        dev.start(queues=1)
        for n in range(70):
            dev.notify.write(4 * n, n, 2)
        con = connect(vm, 'con')
        con.sendall(b'no')
        runner.equal(dev.status, 15, 'status')
        con.close()


if __name__ == '__main__':
    runner.main(globals())
