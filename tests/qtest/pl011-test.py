#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""PL011, the UART of the AArch64 machine."""
import os
import random
import socket
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import arm, qmp, qtest, runner

DR, ECR, FR, ILPR, IBRD, FBRD, LCR, CR, IFLS = 0, 4, 0x18, 0x20, 0x24, 0x28, 0x2c, 0x30, 0x34
IMSC, RIS, MIS, ICR, DMACR = 0x38, 0x3c, 0x40, 0x44, 0x48
RX, TX, TIMEOUT, BREAK, OVERRUN = 1 << 4, 1 << 5, 1 << 6, 1 << 9, 1 << 10
RX_EMPTY, TX_FULL, RX_FULL, TX_EMPTY = 1 << 4, 1 << 5, 1 << 6, 1 << 7


class Uart:
    """A machine whose UART's other end is self.peer."""

    def __enter__(self):
        self.dir = tempfile.TemporaryDirectory(prefix='nemu-uart-')
        path = os.path.join(self.dir.name, 's')
        listener = qmp.listener(path)
        self.vm = arm.start('-serial', 'unix:' + path)
        self.vm.__enter__()
        self.peer = listener.accept()[0]
        self.peer.settimeout(10)
        listener.close()
        self.vm.irq_intercept_in(arm.GIC_PATH)
        return self

    def __exit__(self, *exc):
        self.peer.close()
        self.dir.cleanup()
        return self.vm.__exit__(*exc)

    def get(self, reg):
        return self.vm.readl(arm.UART + reg)

    def put(self, reg, value):
        self.vm.writel(arm.UART + reg, value)

    def irq(self):
        return self.vm.irq_level(arm.SPI_UART)

    def receive(self, data):
        self.peer.sendall(data)
        runner.wait_for(lambda: not self.get(FR) & RX_EMPTY, 10, 'a character')


RESET = {ECR: 0, FR: 0x97 & ~8, ILPR: 0, IBRD: 0, FBRD: 0, LCR: 0, CR: 0x300, IFLS: 0x12, IMSC: 0, RIS: 0,
         MIS: 0, DMACR: 0}


def test_reset_values():
    with Uart() as u:
        for reg, value in RESET.items():
            runner.equal(u.get(reg), value, 'register 0x%x' % reg)
        runner.equal([u.get(0xfe0 + 4 * i) for i in range(8)], [0x11, 0x10, 0x14, 0, 0xd, 0xf0, 5, 0xb1])
        for reg, value, want in ((ILPR, ~0, 0xff), (IBRD, ~0, 0xffff), (FBRD, ~0, 0x3f), (LCR, 0x70, 0x70),
                                 (CR, 0xffff & ~0x80, 0xff7f), (IFLS, ~0, 0x3f), (IMSC, ~0, 0x7ff),
                                 (DMACR, ~0, 7)):
            u.put(reg, value)
            runner.equal(u.get(reg), want, 'register 0x%x' % reg)
        u.vm.system_reset()
        for reg, value in RESET.items():
            runner.equal(u.get(reg), value, 'register 0x%x after a reset' % reg)


def test_widths():
    with Uart() as u:
        u.put(IBRD, 0x1234)
        runner.equal((u.vm.readw(arm.UART + IBRD), u.vm.readb(arm.UART + IBRD + 1)), (0x1234, 0x12))
        runner.equal(u.vm.readq(arm.UART + ILPR), 0x1234 << 32)
        # A narrow write of the data register sends one character; one beside it none.
        u.vm.writeb(arm.UART + DR, ord('a'))
        u.vm.writew(arm.UART + DR, ord('b'))
        u.vm.writeb(arm.UART + DR + 1, ord('x'))
        u.vm.writel(arm.UART + DR, ord('c'))
        runner.equal(u.peer.recv(100, socket.MSG_PEEK)[:1], b'a')
        runner.wait_for(lambda: u.peer.recv(100, socket.MSG_PEEK) == b'abc', 10, 'three characters')
        arm.poke(u.vm, arm.UART, 0x50)
        arm.poke(u.vm, arm.UART + 0xff8, 8)


def test_send():
    with Uart() as u:
        data = bytes(range(256)) * 4
        u.put(LCR, 0x70)
        got = b''
        for i, c in enumerate(data):
            runner.wait_for(lambda: not u.get(FR) & TX_FULL, 10, 'room')
            u.put(DR, c)
            if i % 64 == 63:
                got += u.peer.recv(4096)
        while len(got) < len(data):
            got += u.peer.recv(4096)
        runner.equal(got, data)
        runner.equal(u.get(FR) & TX_EMPTY, TX_EMPTY)
        runner.equal(u.get(RIS) & TX, TX)
        u.put(IMSC, TX)
        runner.equal((u.irq(), u.get(MIS)), (True, TX))
        u.put(ICR, TX)
        runner.equal(u.irq(), False)


def test_slow_peer():
    """What the host end does not take waits, fills the FIFO, and goes on when there is room."""
    with Uart() as u:
        u.put(LCR, 0x70)
        sent = 0
        while not u.get(FR) & TX_FULL:
            u.put(DR, sent & 0xff)
            sent += 1
            assert sent < 100000, 'the peer is never slow'
        runner.equal(u.get(FR) & TX_EMPTY, 0)
        got = b''
        while len(got) < sent:
            got += u.peer.recv(65536)
        runner.equal(got, bytes(i & 0xff for i in range(sent)))
        runner.wait_for(lambda: u.get(FR) & TX_EMPTY, 10, 'an empty FIFO')


def test_receive():
    with Uart() as u:
        u.put(IMSC, RX | TIMEOUT)
        u.receive(b'x')
        runner.equal(u.irq(), True)
        runner.equal(u.get(FR) & RX_FULL, RX_FULL, 'without FIFO one fills it')
        runner.equal(u.get(DR), ord('x'))
        runner.equal((u.irq(), u.get(FR) & RX_EMPTY), (False, RX_EMPTY))
        runner.equal(u.get(DR), 0)
        u.put(LCR, 0x70)
        data = bytes(random.randrange(256) for _ in range(1000))
        u.peer.sendall(data)
        got = b''
        while len(got) < len(data):
            runner.wait_for(lambda: not u.get(FR) & RX_EMPTY, 10, 'a character')
            got += bytes([u.get(DR) & 0xff])
        runner.equal(got, data)


def test_trigger_level():
    with Uart() as u:
        u.put(LCR, 0x70)
        u.put(IMSC, RX)
        for field, level in ((0, 2), (1, 4), (2, 8), (3, 12), (4, 14)):
            u.put(IFLS, field << 3)
            u.peer.sendall(b'y' * level)
            runner.wait_for(u.irq, 10, '%d characters' % level)
            for left in range(level - 1, -1, -1):
                runner.equal(u.get(DR), ord('y'))
                runner.equal(u.get(RIS) & RX, 0, 'below the level, %d left' % left)
            runner.equal(u.irq(), False)


def test_loopback():
    with Uart() as u:
        u.put(CR, 0x380)
        u.put(LCR, 0x70)
        for c in b'loop':
            u.put(DR, c)
        runner.equal(bytes(u.get(DR) for _ in range(4)), b'loop')
        for c in range(17):
            u.put(DR, c)
        runner.equal(u.get(RIS) & OVERRUN, OVERRUN)
        runner.equal(u.get(ECR), 8)
        u.put(ECR, 0)
        runner.equal(u.get(ECR), 0)
        u.put(ICR, OVERRUN)
        runner.equal(u.get(RIS) & OVERRUN, 0)
        # Switching the FIFO off empties it.
        u.put(LCR, 0)
        runner.equal(u.get(FR) & RX_EMPTY, RX_EMPTY)


def test_no_chardev():
    with arm.start() as vm:
        for c in b'nobody listens':
            vm.writel(arm.UART + DR, c)
        runner.equal(vm.readl(arm.UART + FR) & TX_EMPTY, TX_EMPTY)


if __name__ == '__main__':
    runner.main(globals())
