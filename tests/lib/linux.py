# SPDX-License-Identifier: GPL-2.0-or-later
"""What tests of stock Linux guests share: the steps of tests/nested/guest-init.sh, and what they are given."""
import fcntl
import functools
import hashlib
import http.server
import os
import random
import re
import socket
import struct
import threading
import time

from lib import guest, runner


def step(g, name, timeout=240):
    """Waits for the result of a step; returns what follows "ok"."""
    def result():
        found = re.search(r'^STEP %s (ok|failed)\b ?(.*?)\r?\n' % name, g.console(), re.M)
        if not found:
            g.check_untroubled()
            g.watch_host()
        if not found and g.proc.poll() is not None:
            raise AssertionError('the emulator ended during step ' + name)
        return found
    found = runner.wait_for(result, timeout, 'step ' + name, interval=0.05)
    runner.equal(found.group(1), 'ok', 'step %s (%s)' % (name, found.group(2)))
    return found.group(2)


def serve(folder, address='127.0.0.1'):
    """An HTTP server on a free port."""
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass
    server = http.server.ThreadingHTTPServer((address, 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def random_file(path, size):
    data = os.urandom(size)
    with open(path, 'wb') as f:
        f.write(data)
    return hashlib.sha256(data).hexdigest()


TUNSETIFF, TUNSETPERSIST = 0x400454ca, 0x400454cb
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR, IFF_MULTI_QUEUE = 2, 0x1000, 0x4000, 0x100
SIOCSIFADDR, SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8916, 0x8913, 0x8914, 1


def make_tap(name, address):
    """A TAP interface that stays, up and with an address."""
    flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE
    with open('/dev/net/tun', 'rb+', buffering=0) as tun:
        fcntl.ioctl(tun, TUNSETIFF, struct.pack('16sH22x', name.encode(), flags))
        fcntl.ioctl(tun, TUNSETPERSIST, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, SIOCSIFADDR, struct.pack('16sHH4s16x', name.encode(), socket.AF_INET, 0,
                                                socket.inet_aton(address)))
        fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack('16sH22x', name.encode(), IFF_UP))


def once_more(case):
    """A case that ended because the emulated host got stuck tells nothing: it runs again, once."""
    def run():
        try:
            case()
        except guest.HostStuck as e:
            print('\n'.join('# ' + line for line in str(e).splitlines()) + '\n# once more', flush=True)
            case()
    return run


class Shell:
    """The step "shell": commands for the guest's shell through a named port."""

    def __init__(self, path):
        self.path = path
        self.sock = None

    def args(self):
        return ['-device', 'virtio-serial-pci,id=shell',
                '-chardev', 'socket,id=shell,path=%s,server=on,wait=off' % self.path,
                '-device', 'virtserialport,bus=shell.0,chardev=shell,name=org.nemu.shell']

    def connect(self):
        """Once for each process of the emulator."""
        self.close()
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(240)
        self.sock.connect(self.path)
        self.lines = self.sock.makefile('r', encoding='utf-8')

    def close(self):
        if self.sock:
            self.lines.close()
            self.sock.close()
            self.sock = None

    def run(self, command, status=0):
        """What @command printed. It must not leave anything behind that holds its output open."""
        assert '\n' not in command
        self.sock.sendall(command.encode() + b'\n')
        output = []
        while True:
            line = self.lines.readline()
            if not line:
                raise AssertionError('the port closed during %r' % command)
            if line.startswith('STATUS '):
                break
            output.append(line)
        text = ''.join(output).strip()
        runner.equal(int(line.split()[1]), status, 'status of %r (%s)' % (command, text))
        return text

    def start(self, command):
        self.run('(%s) </dev/null >/dev/null 2>&1 &' % command)


class Connections:
    """Two TCP connections of the guest that live as long as the test.

    On one the guest sends back what it gets; on the other it adds up what it gets.
    """
    BLOCK, AHEAD = 4096, 8

    def __init__(self, address):
        self.address = address
        self.stop = threading.Event()
        self.failure = None
        self.sent = self.returned = self.summed = 0
        self.sum = hashlib.sha256()
        self.room = threading.Semaphore(self.AHEAD)
        self.echo_port = self.listen(self.run_echo)
        self.sum_port = self.listen(self.run_sum)

    def listen(self, fn):
        server = socket.create_server((self.address, 0))

        def run():
            try:
                sock = server.accept()[0]
                server.close()
                with sock:
                    fn(sock)
            except BaseException as e:
                self.failure = self.failure or e
        threading.Thread(target=run, daemon=True).start()
        return server.getsockname()[1]

    def run_echo(self, sock):
        receiver = threading.Thread(target=self.receive_echo, args=[sock], daemon=True)
        receiver.start()
        rng = random.Random(1)
        while not self.stop.is_set():
            if self.room.acquire(timeout=0.5):
                sock.sendall(rng.randbytes(self.BLOCK))
                self.sent += 1
                time.sleep(0.01)
        sock.shutdown(socket.SHUT_WR)
        receiver.join()

    def receive_echo(self, sock):
        rng = random.Random(1)
        stream = sock.makefile('rb')
        while True:
            data = stream.read(self.BLOCK)
            if not data and self.stop.is_set():
                return
            if data != rng.randbytes(self.BLOCK):
                self.failure = AssertionError('block %d came back as %d other bytes' % (self.returned, len(data)))
                return
            self.returned += 1
            self.room.release()

    def run_sum(self, sock):
        while not self.stop.is_set():
            data = os.urandom(self.BLOCK)
            sock.sendall(data)
            self.sum.update(data)
            self.summed += 1
            time.sleep(0.02)

    def check(self):
        if self.failure:
            raise AssertionError('a connection failed: %r' % self.failure)

    def wait_progress(self, returned, summed):
        """Until more went over both than these counts."""
        def moved():
            self.check()
            return self.returned > returned and self.summed > summed
        runner.wait_for(moved, 240, 'progress of the connections', interval=0.02)

    def finish(self):
        """Ends both; returns the sum of what the guest got."""
        self.stop.set()
        runner.wait_for(lambda: self.check() or self.returned == self.sent, 240, 'the rest', interval=0.02)
        return self.sum.hexdigest()
