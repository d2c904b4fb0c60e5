# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests that run code: an emulator on KVM with a QMP monitor and a serial console.

A script that needs KVM calls require_kvm() first. Where the host has no usable
/dev/kvm, the script then runs once more inside the emulated host
(tests/nested/emulated-host.sh), which has a real one.
"""
import contextlib
import functools
import os
import re
import shutil
import sys
import tempfile
import time

from . import qmp as qmplib
from . import qtest
from . import runner

SOURCE = os.path.realpath(os.path.join(os.path.dirname(__file__), '..', '..'))
SYS_IOCTL = 16         # x86_64
EMULATED_HOST = os.path.join(SOURCE, 'tests', 'nested', 'emulated-host.sh')


def has_kvm():
    try:
        os.close(os.open('/dev/kvm', os.O_RDWR))
        return True
    except OSError:
        return False


def in_emulated_host():
    return 'NEMU_EMULATED_HOST' in os.environ


def run_in_emulated_host(argv, timeout=600, arch='x86_64', build=None, options=()):
    """Replaces this process by the command, run where stock guests run at real KVM's mercy.

    The programs of that architecture are in @build. @options: more of emulated-host.sh's.
    """
    build = os.path.realpath(build or qtest.build_dir())
    package = {'x86_64': 'qemu-system-x86', 'aarch64': 'qemu-system-arm'}[arch]
    runner.require(shutil.which('qemu-system-' + arch, path='/usr/bin:/usr/local/bin'),
                   'no QEMU for the emulated host (Debian package %s)' % package)
    os.environ['L1_ARCH'] = arch
    os.execv(EMULATED_HOST, [EMULATED_HOST, '-t', str(timeout), '-s', SOURCE + ':ro', '-s', build + ':ro',
                             *options, '--', 'env', 'NEMU_EMULATED_HOST=1', 'NEMU_BUILD_DIR=' + build,
                             'NEMU_TESTS_REQUIRE=' + os.environ.get('NEMU_TESTS_REQUIRE', ''),
                             'PYTHONDONTWRITEBYTECODE=1', *argv])


def require_kvm():
    """Before any case: continue only where /dev/kvm can be used."""
    if has_kvm():
        return
    if in_emulated_host():
        raise AssertionError('the emulated host has no /dev/kvm')
    run_in_emulated_host(['/usr/bin/python3', os.path.realpath(sys.argv[0]), *sys.argv[1:]])


class HostStuck(AssertionError):
    """The emulated host does not run the guest any more: see Guest.check_host()."""


class Guest(qtest.Process):
    """An emulator on KVM; its console goes to a file, its monitor is a socket that we connect to."""

    def __init__(self, *args, machine='virt', arch='x86_64', program=None, serial=True, timeout=60, before=''):
        self.options = dict(machine=machine, arch=arch, program=program, serial=serial, timeout=timeout)
        self.args = args
        self.before = before        # what the console showed in earlier processes
        self.dir = tempfile.mkdtemp(prefix='nemu-guest-')
        self.console_size, self.quiet_since = 0, time.monotonic()
        qmp_path = self.path('qmp.sock')
        listener = qmplib.listener(qmp_path)
        argv = [program or qtest.binary(arch), '-machine', machine + ',accel=kvm', '-nodefaults', '-display', 'none',
                '-chardev', 'socket,id=qmp,path=' + qmp_path, '-mon', 'chardev=qmp,mode=control']
        # Why a guest was reset or stopped: part of the output when a case fails.
        for pattern in ('system_*', 'run_state_set', 'acpi_reset', 'acpi_sleep', 'kvm_triple_fault'):
            argv += ['-trace', pattern]
        if serial:
            argv += ['-serial', 'file:' + self.path('console')]
        super().__init__(argv + list(args))
        self.qmp = None
        try:
            self.qmp = qmplib.QmpClient(self.accept(listener), timeout=timeout)
            self.qmp.negotiate()
        except BaseException:
            self.kill()
            self.dump()
            self.cleanup()
            raise
        finally:
            listener.close()

    def path(self, name):
        return os.path.join(self.dir, name)

    def console(self):
        try:
            with open(self.path('console'), encoding='utf-8', errors='replace') as f:
                return self.before + f.read()
        except FileNotFoundError:
            return self.before

    def check_untroubled(self):
        """A guest that was reset or stopped, and nobody asked for it, is a failure at once."""
        with contextlib.suppress(qmplib.QmpClosed):
            self.qmp.events = self.qmp.poll_events()
        for event in self.qmp.events:
            if event['event'] in ('RESET', 'STOP', 'GUEST_PANICKED'):
                raise AssertionError('unexpected event %r' % event)

    def wait_console(self, text, timeout=120, untroubled=True):
        """Until the console has shown @text; a guest that ends first, or has trouble, is a failure."""
        def seen():
            if text in self.console():
                return True
            if untroubled:
                self.check_untroubled()
            self.watch_host()
            if self.proc.poll() is not None and text not in self.console():
                raise AssertionError('the emulator ended before the console showed %r' % text)
            return False
        runner.wait_for(seen, timeout, 'console text %r' % text, interval=0.02)

    def watch_host(self):
        """Inside the emulated host: check_host() whenever the console was quiet for half a minute."""
        size = len(self.console())
        if size != self.console_size or not in_emulated_host():
            self.console_size, self.quiet_since = size, time.monotonic()
        elif time.monotonic() - self.quiet_since > 30:
            self.quiet_since = time.monotonic()
            self.check_host()

    def check_host(self):
        """Fails with HostStuck when the guest's CPUs wait for one another and for nothing of ours.

        All that were started have interrupts disabled, none is halted, all their threads are inside KVM_RUN. A
        lost interrupt, a request that is not finished or a CPU that is not run, which would be faults of ours,
        look different. Three looks, a second apart.
        """
        looks = []
        for _ in range(3):
            if self.proc.poll() is not None or self.qmp.cmd('query-status')['status'] != 'running':
                return
            threads = [c['thread-id'] for c in self.qmp.cmd('query-cpus-fast')]
            looks.append(self.qmp.hmp('info registers -a'))
            time.sleep(1)
            cpus = [(int(flags, 16), halted) for flags, halted, cr0 in
                    re.findall(r'RFL=(\w+) HLT=(\d).*?CR0=(\w+)', looks[-1], re.S) if int(cr0, 16) >> 31]
            if not cpus or any(flags & 0x200 or halted != '0' for flags, halted in cpus):
                return
            for thread in threads:
                with open('/proc/%d/task/%d/syscall' % (self.pid, thread), encoding='utf-8') as f:
                    if f.read().split()[0] not in ('running', str(SYS_IOCTL)):
                        return
        raise HostStuck('the guest\'s CPUs all run with interrupts off:\n' + '\n'.join(looks))

    def diagnose(self):
        """Where the CPUs and threads are, of a guest that does not get on."""
        for name in ('query-status', 'query-cpus-fast'):
            print('# %s: %r' % (name, self.qmp.cmd(name)))
        with contextlib.suppress(qmplib.QmpError):
            for line in self.qmp.hmp('info registers -a').splitlines():
                print('# ' + line.rstrip())
        for task in sorted(os.listdir('/proc/%d/task' % self.pid)):
            words = []
            for name in ('comm', 'wchan', 'syscall'):
                with contextlib.suppress(OSError), open('/proc/%d/task/%s/%s' % (self.pid, task, name),
                                                        encoding='utf-8') as f:
                    words.append(f.read().strip())
            print('# thread %s: %s' % (task, ', '.join(words)))

    def save(self, path):
        """Saves the machine to a file; it stays stopped (postmigrate)."""
        self.qmp.cmd('migrate-set-capabilities', {'capabilities': [{'capability': 'events', 'state': True}]})
        self.qmp.cmd('migrate', {'uri': 'file:' + path})
        for status in 'setup', 'active', 'completed':
            runner.equal(self.qmp.wait_event('MIGRATION', timeout=120)['data']['status'], status, 'migration status')
        runner.equal(self.qmp.cmd('query-status')['status'], 'postmigrate')

    def restore_in_new_process(self, *more):
        """Saves the guest, ends this process, and goes on as a new one with it. Returns itself."""
        path, args = tempfile.mktemp(prefix='nemu-state-'), self.args
        try:
            self.save(path)
            self.qmp.cmd('quit')
            runner.equal(self.wait(), 0, 'exit status after saving')
            self.check_clean()
            text = self.console()
            self.cleanup()
            self.__init__(*args, '-incoming', 'defer', *more, before=text, **self.options)
            self.args = args
            self.qmp.cmd('migrate-set-capabilities', {'capabilities': [{'capability': 'events', 'state': True}]})
            self.qmp.cmd('migrate-incoming', {'uri': 'file:' + path})
            self.qmp.wait_event('MIGRATION', timeout=120, status='completed')
            return self
        finally:
            if os.path.exists(path):
                os.unlink(path)

    def cleanup(self):
        if self.qmp:
            self.qmp.close()
            self.qmp = None
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, exc_type, exc, tb):
        try:
            if exc_type is not None and self.proc.poll() is None:
                with contextlib.suppress(Exception):
                    self.diagnose()
            self.kill()
            if exc_type is not None and not issubclass(exc_type, runner.Skip):
                self.dump()
                for line in self.console().splitlines()[-40:]:
                    print('# console: ' + line)
                sys.stdout.flush()
            elif exc_type is None:
                self.check_clean()
        finally:
            self.cleanup()


def stay(g):
    """Nothing happens on the way."""


def move(g):
    """The guest is saved, and restored in a new process, before the case goes on."""
    g.restore_in_new_process()
    g.qmp.poll_events()


def straight_and_restored(namespace):
    """For runner.main(): each function case_*(then) as a test that stays, and as one that moves, when it calls then(g)."""
    tests = {n: f for n, f in namespace.items() if n.startswith('test_')}
    for name, case in namespace.items():
        if name.startswith('case_'):
            tests[name.replace('case_', 'test_')] = functools.partial(case, stay)
            tests[name.replace('case_', 'test_') + '_restored'] = functools.partial(case, move)
    return tests
