# SPDX-License-Identifier: GPL-2.0-or-later
"""Starts an emulator the way register-level tests do, and drives it.

    with qtest.Emulator('-machine', 'virt', '-device', 'virtio-rng-pci') as vm:
        vm.writel(0x1000, 1)
        vm.qmp.cmd('query-status')

Leaving the block ends the emulator with SIGTERM; its exit status must be 0,
no process may stay behind and no sanitizer may have complained. When the block
fails, what the emulator wrote to stderr is printed.

The program: $QTEST_QEMU_BINARY, or qemu-system-ARCH in $NEMU_BUILD_DIR (default:
build/ in the source tree). Any qemu-system-* that speaks the protocol will do.
"""
import base64
import ctypes
import functools
import os
import select
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from lib import qmp as qmplib
from lib import runner

SOURCE_DIR = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
START_TIMEOUT = 50
EXIT_TIMEOUT = 30
SANITIZER_MARKS = ('runtime error:', 'ERROR: AddressSanitizer', 'ERROR: LeakSanitizer',
                   'WARNING: ThreadSanitizer')

_libc = ctypes.CDLL(None, use_errno=True)


def _die_with_parent():
    _libc.prctl(1, signal.SIGKILL)      # PR_SET_PDEATHSIG


def build_dir():
    return os.environ.get('NEMU_BUILD_DIR') or os.path.join(SOURCE_DIR, 'build')


def binary(arch='x86_64'):
    """The emulator under test; skips when it is not built."""
    path = os.environ.get('QTEST_QEMU_BINARY')
    if path and path.rsplit('-', 1)[-1] == arch:
        return path
    path = os.path.join(build_dir(), 'qemu-system-' + arch)
    runner.require(os.access(path, os.X_OK), path + ' is not built')
    return path


@functools.lru_cache
def is_nemu(path):
    """False for another program with the same interfaces (tests being tried against it)."""
    return b'nemu' in subprocess.run([path, '--version'], stdout=subprocess.PIPE, check=True).stdout


class Process:
    """An emulator process with its own folder for sockets and files."""

    def __init__(self, argv, env=None, pass_fds=()):
        self.argv = argv
        self.stderr = tempfile.TemporaryFile()
        full_env = dict(os.environ)
        full_env.setdefault('ASAN_OPTIONS', 'abort_on_error=0:detect_leaks=0')
        full_env.setdefault('UBSAN_OPTIONS', 'print_stacktrace=1')
        full_env.update(env or {})
        self.proc = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self.stderr,
                                     stderr=self.stderr, env=full_env, pass_fds=pass_fds,
                                     start_new_session=True, preexec_fn=_die_with_parent)
        self.pid = self.proc.pid

    def output(self):
        self.stderr.seek(0)
        return self.stderr.read().decode(errors='replace')

    def dump(self):
        print('# command: ' + ' '.join(shlex.quote(a) for a in self.argv))
        for line in self.output().splitlines():
            print('# | ' + line)
        sys.stdout.flush()

    def accept(self, sock, timeout=START_TIMEOUT):
        """The connection that the emulator makes to our listening socket."""
        pidfd = os.pidfd_open(self.pid)
        try:
            ready = select.select([sock, pidfd], [], [], timeout)[0]
        finally:
            os.close(pidfd)
        if sock in ready:
            return sock.accept()[0]
        if ready:
            raise AssertionError('the emulator ended with status %s instead of connecting'
                                 % self.proc.wait())
        raise AssertionError('the emulator did not connect in time')

    def wait(self, timeout=EXIT_TIMEOUT):
        try:
            return self.proc.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError('the emulator does not end') from None

    def kill(self):
        if self.proc.poll() is None:
            self.proc.kill()
            self.proc.wait()

    def check_clean(self):
        """After its end: nothing of its process group is left, no sanitizer report."""
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            pass
        else:
            raise AssertionError('the emulator left processes behind')
        text = self.output()
        for mark in SANITIZER_MARKS:
            if mark in text:
                raise AssertionError('sanitizer report')


class Emulator(Process):
    """An emulator under qtest control, with a QMP monitor.

    accel: what runs it ('qtest'); None gives no -accel of ours.
    """

    def __init__(self, *args, arch='x86_64', program=None, accel='qtest', env=None, pass_fds=(),
                 negotiate=True):
        self.dir = tempfile.mkdtemp(prefix='nemu-qtest-')
        self.program = program or binary(arch)
        self.has_clock = True
        self.irq_levels = {}    # line -> level, once intercepted
        self.irq_log = []       # (line, level) in order
        self.pending = b''
        self.sock = self.qmp = None
        qtest_path, qmp_path = self.path('qtest.sock'), self.path('qmp.sock')
        qtest_listener = qmplib.listener(qtest_path)
        qmp_listener = qmplib.listener(qmp_path)
        argv = [self.program, '-qtest', 'unix:' + qtest_path, '-qtest-log', '/dev/null',
                '-chardev', 'socket,path=%s,id=char0' % qmp_path, '-mon', 'chardev=char0,mode=control',
                '-display', 'none', *args]
        if accel == 'qtest' and not is_nemu(self.program):
            # Distributions leave that accelerator out: a stopped CPU is as good, but
            # for virtual time, which then does not move at all.
            accel = None
            argv += ['-accel', 'tcg', '-S']
            self.has_clock = False
        if accel:
            argv += ['-accel', accel]
        super().__init__(argv, env, pass_fds)
        try:
            self.sock = self.accept(qtest_listener)
            self.qmp = qmplib.QmpClient(self.accept(qmp_listener))
            if self.command('endianness') != 'little':
                raise AssertionError('the target is not little-endian')
            if negotiate:
                self.qmp.negotiate()
        except BaseException:
            self.kill()
            self.dump()
            self._cleanup()
            raise
        finally:
            qtest_listener.close()
            qmp_listener.close()

    def path(self, name):
        """A file name in this emulator's own folder, which goes away with it."""
        return os.path.join(self.dir, name)

    def _cleanup(self):
        if self.sock:
            self.sock.close()
        if self.qmp:
            self.qmp.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, exc_type, exc, tb):
        try:
            if exc_type is not None:
                self.kill()
                if not issubclass(exc_type, runner.Skip):
                    self.dump()
                return
            try:
                self.stop()
            except BaseException:
                self.kill()
                self.dump()
                raise
        finally:
            self._cleanup()

    def stop(self, status=0):
        """Ends it (unless it has ended, as after quit) and checks the exit status."""
        if self.proc.poll() is None:
            self.proc.send_signal(signal.SIGTERM)
        runner.equal(self.wait(), status, 'exit status')
        self.check_clean()

    # ---- the protocol ----

    def _line(self, timeout=60):
        end = time.monotonic() + timeout
        while b'\n' not in self.pending:
            left = end - time.monotonic()
            if left < 0 or not select.select([self.sock], [], [], left)[0]:
                raise AssertionError('no qtest reply in time')
            try:
                data = self.sock.recv(1 << 14)
            except ConnectionResetError:
                data = b''
            if not data:
                raise AssertionError('the emulator closed the qtest connection (exit status %s)'
                                     % self.wait())
            self.pending += data
        line, self.pending = self.pending.split(b'\n', 1)
        return line.decode().split()

    def command_raw(self, text):
        """The words of the reply; interrupt lines before it are noted."""
        self.sock.sendall(text.encode() + b'\n')
        return self._reply()

    def _reply(self, timeout=60):
        while True:
            words = self._line(timeout)
            if words[:1] != ['IRQ']:
                return words
            line, level = int(words[2], 0), words[1] == 'raise'
            self.irq_levels[line] = level
            self.irq_log.append((line, level))

    def command(self, text):
        """The text after OK."""
        words = self.command_raw(text)
        if words[:1] != ['OK']:
            raise AssertionError('qtest %r gave %r' % (text[:100], ' '.join(words)))
        return ' '.join(words[1:])

    def batch(self, lines, timeout=120):
        """Many commands without waiting for each; every one must be answered by OK."""
        for start in range(0, len(lines), 400):
            piece = lines[start:start + 400]
            self.sock.sendall('\n'.join(piece).encode() + b'\n')
            for text in piece:
                words = self._reply(timeout)
                if words[:1] != ['OK']:
                    raise AssertionError('qtest %r gave %r' % (text[:100], ' '.join(words)))

    def _get(self, op, addr):
        return int(self.command('%s 0x%x' % (op, addr)), 0)

    def _put(self, op, addr, value, bits):
        self.command('%s 0x%x 0x%x' % (op, addr, value & ((1 << bits) - 1)))

    def inb(self, port):
        return self._get('inb', port)

    def inw(self, port):
        return self._get('inw', port)

    def inl(self, port):
        return self._get('inl', port)

    def outb(self, port, value):
        self._put('outb', port, value, 8)

    def outw(self, port, value):
        self._put('outw', port, value, 16)

    def outl(self, port, value):
        self._put('outl', port, value, 32)

    def readb(self, addr):
        return self._get('readb', addr)

    def readw(self, addr):
        return self._get('readw', addr)

    def readl(self, addr):
        return self._get('readl', addr)

    def readq(self, addr):
        return self._get('readq', addr)

    def writeb(self, addr, value):
        self._put('writeb', addr, value, 8)

    def writew(self, addr, value):
        self._put('writew', addr, value, 16)

    def writel(self, addr, value):
        self._put('writel', addr, value, 32)

    def writeq(self, addr, value):
        self._put('writeq', addr, value, 64)

    def mem_read(self, addr, width):
        """One access; @width 1, 2, 4 or 8 bytes, by number."""
        return self._get('read' + {1: 'b', 2: 'w', 4: 'l', 8: 'q'}[width], addr)

    def mem_write(self, addr, value, width):
        self._put('write' + {1: 'b', 2: 'w', 4: 'l', 8: 'q'}[width], addr, value, width * 8)

    def read(self, addr, size):
        """Bytes of memory."""
        if not size:
            return b''
        return base64.b64decode(self.command('b64read 0x%x 0x%x' % (addr, size)))

    def write(self, addr, data):
        if data:
            self.command('b64write 0x%x 0x%x %s'
                         % (addr, len(data), base64.b64encode(bytes(data)).decode()))

    def memset(self, addr, size, byte):
        self.command('memset 0x%x 0x%x 0x%x' % (addr, size, byte))

    def clock_step(self, ns=None):
        """Virtual time by @ns, or to the next timer; the new time."""
        return int(self.command('clock_step' + ('' if ns is None else ' %d' % ns)), 0)

    def clock_set(self, ns):
        return int(self.command('clock_set %d' % ns), 0)

    def irq_intercept_in(self, path):
        self.command('irq_intercept_in ' + path)

    def irq_intercept_out(self, path):
        self.command('irq_intercept_out ' + path)

    def set_irq_in(self, path, name, line, level):
        self.command('set_irq_in %s %s %d %d' % (path, name or 'unnamed-gpio-in', line, level))

    def irq_level(self, line):
        self.command('endianness')      # anything sent so far is in before its reply
        return self.irq_levels.get(line, False)

    def wait_for(self, cond, timeout=30, what='condition'):
        """Lets virtual time pass until cond() is true."""
        step = (lambda: self.clock_step(100)) if self.has_clock else None
        return runner.wait_for(cond, timeout, what, step)

    def system_reset(self):
        self.qmp.cmd('system_reset')
        self.qmp.wait_event('RESET')


def run(*args, arch='x86_64', program=None, timeout=30, pass_fds=()):
    """Runs the program to its end: (status, what it wrote)."""
    proc = Process([program or binary(arch), *args], pass_fds=pass_fds)
    try:
        status = proc.wait(timeout)
        proc.check_clean()
        return status, proc.output()
    except BaseException:
        proc.kill()
        proc.dump()
        raise


def start_error(*args, arch='x86_64', program=None, accel='qtest', pass_fds=()):
    """The message of a command line that must be refused with exit status 1."""
    program = program or binary(arch)
    if accel == 'qtest' and not is_nemu(program):
        accel = 'tcg'
    status, text = run('-display', 'none', *args, '-accel', accel, program=program, pass_fds=pass_fds)
    runner.equal(status, 1, 'exit status (output: %r)' % text)
    return text
