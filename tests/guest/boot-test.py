#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A tiny guest under KVM: both 32-bit entries, power-off, reset, triple fault, panic, exit device, power button."""
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import qmp as qmplib
from lib import qtest, runner

HERE = os.path.dirname(os.path.abspath(__file__))
work = tempfile.TemporaryDirectory(prefix='nemu-boot-')


def image(name, *flags):
    """The guest, built by the host's compiler."""
    path = os.path.join(work.name, name)
    if not os.path.exists(path):
        cc = os.environ.get('NEMU_GUEST_CC', 'gcc')
        try:
            subprocess.run([cc, '-m32', '-nostdlib', '-static', '-no-pie', *flags, '-Wl,--build-id=none', '-Wl,--no-warn-rwx-segments',
                            '-T', os.path.join(HERE, 'boot', 'boot.ld'),
                            os.path.join(HERE, 'boot', 'boot.S'), '-o', path],
                           check=True, stderr=subprocess.PIPE)
        except (OSError, subprocess.CalledProcessError) as e:
            runner.skip('%s cannot build a 32-bit image: %s' % (cc, getattr(e, 'stderr', e)))
    return path


class Guest(qtest.Process):
    """An emulator under KVM with a QMP monitor; the UART writes to a file."""

    def __init__(self, kernel, command, *args):
        runner.require(os.access('/dev/kvm', os.R_OK | os.W_OK), 'there is no usable /dev/kvm')
        self.dir = tempfile.TemporaryDirectory(prefix='nemu-guest-')
        self.console = os.path.join(self.dir.name, 'console')
        path = os.path.join(self.dir.name, 'qmp')
        listener = qmplib.listener(path)
        super().__init__([qtest.binary(), '-machine', 'virt,accel=kvm', '-m', '32', '-nodefaults',
                          '-display', 'none', '-kernel', kernel, '-append', command,
                          '-chardev', 'file,id=con,path=' + self.console, '-device', 'isa-serial,chardev=con',
                          '-chardev', 'socket,id=mon,path=' + path, '-mon', 'chardev=mon,mode=control',
                          *args])
        try:
            self.qmp = qmplib.QmpClient(self.accept(listener))
            self.qmp.negotiate()
        except BaseException:
            self.kill()
            self.dump()
            raise
        finally:
            listener.close()

    def __enter__(self):
        return self

    def __exit__(self, exc_type, *exc):
        self.kill()
        if exc_type is not None:
            self.dump()
            print('# console: %r' % self.text())
        self.qmp.close()
        self.dir.cleanup()

    def text(self):
        with open(self.console, encoding='latin-1') as f:
            return f.read()

    def finish(self, status=0):
        runner.equal(self.wait(), status, 'exit status')
        self.check_clean()

    def events(self):
        """Names (and reasons) of all events until the connection closes."""
        seen = []
        try:
            while True:
                message = self.qmp.recv()
                if 'event' in message:
                    self.qmp.events.append(message)
        except qmplib.QmpClosed:
            pass
        for e in self.qmp.events:
            seen.append((e['event'], e.get('data', {}).get('reason')))
        return seen


def test_pvh_poweroff():
    with Guest(image('pvh'), 'hello o', '-S') as g:
        runner.equal(g.qmp.cmd('query-status')['status'], 'prelaunch')
        g.qmp.cmd('cont')
        runner.equal(g.events(), [('RESUME', None), ('SHUTDOWN', 'guest-shutdown')])
        g.finish()
        runner.equal(g.text(), 'entered by PVH: hello o\noff\n')


def test_multiboot():
    with Guest(image('multiboot', '-DMULTIBOOT'), 'o', '-S') as g:
        g.qmp.cmd('cont')
        g.finish()
        runner.equal(g.text(), 'entered by Multiboot: %s o\noff\n' % image('multiboot'))


def test_reset():
    with Guest(image('pvh'), 'r', '-S') as g:
        g.qmp.cmd('cont')
        runner.equal(g.events(), [('RESUME', None), ('RESET', 'guest-reset'), ('SHUTDOWN', 'guest-shutdown')])
        g.finish()
        runner.equal(g.text(), 'entered by PVH: r\n' * 2 + 'off\n')


def test_triple_fault():
    with Guest(image('pvh'), 't', '-S', '-trace', 'kvm_triple_fault') as g:
        g.qmp.cmd('cont')
        runner.equal(g.events(), [('RESUME', None), ('RESET', 'guest-reset'), ('SHUTDOWN', 'guest-shutdown')])
        g.finish()
        runner.equal(g.output().count('kvm_triple_fault cpu 0'), 1, 'trace of the cause')
        runner.equal(g.text(), 'entered by PVH: t\n' * 2 + 'off\n')


def test_system_reset():
    with Guest(image('pvh'), 'h') as g:
        runner.wait_for(lambda: g.text().count('waiting') == 1, what='the guest to wait')
        g.qmp.cmd('system_reset')
        g.qmp.wait_event('RESET', guest=False, reason='host-qmp-system-reset')
        runner.wait_for(lambda: g.text().count('waiting') == 2, what='the guest to wait again')
        g.qmp.cmd('quit')
        g.finish()


def test_power_button():
    with Guest(image('pvh'), 'h') as g:
        runner.wait_for(lambda: 'waiting' in g.text(), what='the guest to wait')
        g.qmp.cmd('system_powerdown')
        events = [e for e in g.events() if e[0] != 'RESUME']
        runner.equal(events, [('POWERDOWN', None), ('SHUTDOWN', 'guest-shutdown')])
        g.finish()


def test_panic():
    with Guest(image('pvh'), 'p', '-S', '-device', 'pvpanic', '-action', 'panic=none') as g:
        g.qmp.cmd('cont')
        runner.equal(g.events(), [('RESUME', None), ('GUEST_PANICKED', None), ('SHUTDOWN', 'guest-shutdown')])
        g.finish()


def test_exit_device():
    with Guest(image('pvh'), 'x', '-S', '-device', 'isa-debug-exit') as g:
        g.qmp.cmd('cont')
        g.finish(11)


def test_boot_timer():
    with Guest(image('pvh'), 'h', '-device', 'boot-timer,id=t') as g:
        runner.wait_for(lambda: 'waiting' in g.text(), what='the guest to wait')
        stamps = g.qmp.cmd('qom-get', path='t', property='stamps')
        runner.equal([s['value'] for s in stamps], [1])
        g.qmp.cmd('quit')
        g.finish()


if __name__ == '__main__':
    runner.main(globals())
