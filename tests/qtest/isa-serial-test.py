#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The 16550A UART on the ISA bus."""
import os
import random
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import qmp, qtest, runner

COM1, COM2 = 0x3f8, 0x2f8
DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR = range(8)
FCR = IIR
NONE, THR, RX, LINE, TIMEOUT, MODEM = 1, 2, 4, 6, 0xc, 0


def machine(*args):
    return ['-machine', 'virt', '-m', '64', '-nodefaults', *args]


class Uart:
    """An emulator with a UART whose other end is self.peer."""

    def __init__(self):
        self.base = COM1
        self.dir = None

    def __enter__(self):
        import tempfile
        self.dir = tempfile.TemporaryDirectory(prefix='nemu-uart-')
        path = os.path.join(self.dir.name, 's')
        listener = qmp.listener(path)
        self.vm = qtest.Emulator(*machine('-chardev', 'socket,id=c,path=' + path,
                                          '-device', 'isa-serial,chardev=c,id=s'))
        self.vm.__enter__()
        self.peer = listener.accept()[0]
        self.peer.settimeout(10)
        listener.close()
        self.vm.irq_intercept_in('/machine/gsi')
        return self

    def __exit__(self, *exc):
        self.peer.close()
        self.dir.cleanup()
        return self.vm.__exit__(*exc)

    def get(self, reg):
        return self.vm.inb(self.base + reg)

    def put(self, reg, value):
        self.vm.outb(self.base + reg, value)

    def irq(self):
        return self.vm.irq_level(4)

    def receive(self, data):
        """From the peer, until the UART has it (at least one character of it)."""
        self.peer.sendall(data)
        runner.wait_for(lambda: self.get(LSR) & 1, what='data ready')


def test_power_on():
    with Uart() as u:
        runner.equal([u.get(r) for r in (IER, IIR, LCR, LSR, MSR, SCR)], [0, 1, 0, 0x60, 0xb0, 0])
        u.put(SCR, 0x5a)
        u.put(LCR, 0x80)
        u.put(DATA, 0x34)
        u.put(IER, 0x12)
        runner.equal((u.get(DATA), u.get(IER)), (0x34, 0x12), 'divisor')
        u.put(LCR, 3)
        runner.equal((u.get(IER), u.get(SCR), u.get(LCR)), (0, 0x5a, 3))
        u.vm.system_reset()
        runner.equal((u.get(LCR), u.get(SCR)), (0, 0))


def test_send():
    with Uart() as u:
        for c in b'hello':
            u.put(DATA, c)
        got = b''
        while len(got) < 5:
            got += u.peer.recv(100)
        runner.equal(got, b'hello')
        runner.equal(u.get(LSR), 0x60)


def test_thr_interrupt():
    with Uart() as u:
        u.put(IER, 2)
        runner.equal(u.irq(), True, 'enabling with an empty transmitter')
        runner.equal(u.get(IIR), THR)
        runner.equal(u.irq(), False, 'reading IIR clears it')
        runner.equal(u.get(IIR), NONE)
        u.put(DATA, ord('x'))
        runner.equal(u.irq(), True, 'sent')
        u.put(IER, 0)
        runner.equal(u.irq(), False)
        u.put(IER, 2)
        runner.equal(u.irq(), True)


def test_receive():
    with Uart() as u:
        u.put(IER, 1)
        u.receive(b'ab')
        runner.equal(u.irq(), True)
        runner.equal(u.get(IIR), RX)
        runner.equal(u.get(DATA), ord('a'))
        runner.wait_for(lambda: u.get(LSR) & 1, what='second character')
        runner.equal(u.get(DATA), ord('b'))
        runner.equal(u.irq(), False)
        runner.equal(u.get(LSR), 0x60)


def test_fifo():
    with Uart() as u:
        u.put(FCR, 0xc7)                # on, cleared, trigger at 14
        u.put(IER, 1)
        runner.equal(u.get(IIR), 0xc0 | NONE)
        u.receive(b'0123456')
        runner.wait_for(lambda: u.get(IIR) == 0xc0 | TIMEOUT, what='time-out interrupt')
        u.peer.sendall(b'789abcdefghij')
        runner.wait_for(lambda: u.get(IIR) == 0xc0 | RX, what='trigger level')
        text = b''
        for _ in range(20):
            runner.wait_for(lambda: u.get(LSR) & 1, what='data')
            text += bytes([u.get(DATA)])
        runner.equal(text, b'0123456789abcdefghij', 'nothing lost')
        runner.equal((u.get(LSR), u.irq()), (0x60, False))
        u.receive(b'zzz')
        u.put(FCR, 0xc3)
        runner.equal(u.get(LSR) & 1, 0, 'cleared')
        u.put(FCR, 0)
        runner.equal(u.get(IIR), NONE)


def test_loopback():
    with Uart() as u:
        u.put(MCR, 0x1a)
        runner.equal(u.get(MSR) & 0xf0, 0x90, 'RTS and OUT2 come back')
        u.put(MCR, 0x15)
        runner.equal(u.get(MSR) & 0xf0, 0x60)
        u.put(IER, 1)
        u.put(DATA, 0x42)
        runner.equal(u.irq(), True)
        runner.equal((u.get(LSR), u.get(DATA)), (0x61, 0x42))
        u.put(DATA, 1)
        u.put(DATA, 2)
        runner.equal(u.get(LSR) & 2, 2, 'overrun')
        runner.equal(u.get(LSR) & 2, 0, 'reading clears it')
        u.put(IER, 8)
        u.get(MSR)
        u.put(MCR, 0x10)
        runner.equal((u.get(IIR), u.irq()), (MODEM, True), 'modem lines changed')
        u.get(MSR)
        runner.equal(u.irq(), False)
        u.put(MCR, 0)
        u.peer.setblocking(False)
        try:
            raise AssertionError('leaked to the line: %r' % u.peer.recv(10))
        except BlockingIOError:
            pass


def test_slow_peer():
    """The host end takes nothing for a while: the transmitter says so, and goes on later."""
    with Uart() as u:
        u.put(FCR, 1)
        u.put(IER, 2)
        u.get(IIR)
        sent = 0
        while u.get(LSR) & 0x20:
            u.put(DATA, sent & 0xff)
            sent += 1
            if sent > 1000000:
                raise AssertionError('never full')
            if sent % 4096 == 0:
                u.get(IIR)
        u.get(IIR)
        runner.equal(u.irq(), False, 'not empty')
        got = b''
        while len(got) < sent:
            got += u.peer.recv(1 << 20)
        runner.equal(got, bytes(i & 0xff for i in range(sent)))
        runner.wait_for(u.irq, what='transmitter empty')
        runner.equal(u.get(LSR), 0x60)


def test_places():
    with qtest.Emulator(*machine('-serial', 'null', '-serial', 'none', '-serial', 'null')) as vm:
        runner.equal([vm.inb(p + LSR) for p in (0x3f8, 0x2f8, 0x3e8, 0x2e8)], [0x60, 0xff, 0x60, 0xff])
    with qtest.Emulator(*machine('-device', 'isa-serial', '-device', 'isa-serial',
                                 '-device', 'isa-serial,index=3,iobase=0x1000,irq=9')) as vm:
        runner.equal([vm.inb(p + LSR) for p in (0x3f8, 0x2f8, 0x3e8, 0x1000)], [0x60, 0x60, 0xff, 0x60])
        vm.irq_intercept_in('/machine/gsi')
        vm.outb(0x1000 + IER, 2)
        runner.equal(vm.irq_level(9), True)
    with qtest.Emulator(*machine()) as vm:
        runner.equal(vm.inb(COM1 + LSR), 0xff, 'no UART unless asked for')
    out = qtest.start_error(*machine('-device', 'isa-serial,index=4'))
    assert 'Max. supported number' in out, out
    out = qtest.start_error(*machine('-device', 'isa-serial,irq=16'))
    assert 'irq 16' in out, out
    out = qtest.start_error(*machine(*['-device', 'isa-serial'] * 5))
    assert 'Max. supported number' in out, out


def test_shared_line():
    with qtest.Emulator(*machine('-device', 'isa-serial,index=0', '-device', 'isa-serial,index=2')) as vm:
        vm.irq_intercept_in('/machine/gsi')
        vm.outb(0x3f8 + IER, 2)
        vm.outb(0x3e8 + IER, 2)
        vm.inb(0x3f8 + IIR)
        runner.equal(vm.irq_level(4), True, 'the other still holds it')
        vm.inb(0x3e8 + IIR)
        runner.equal(vm.irq_level(4), False)


def test_random():
    with Uart() as u:
        rng = random.Random(1)
        for _ in range(3000):
            port = COM1 + rng.randrange(8)
            if rng.random() < 0.1:
                u.vm.outl(port, rng.getrandbits(32))
                u.vm.inw(port)
            elif rng.random() < 0.5:
                u.vm.outb(port, rng.getrandbits(8))
            else:
                u.vm.inb(port)
            if rng.random() < 0.02:
                u.peer.sendall(b'noise')


if __name__ == '__main__':
    runner.main(globals())
