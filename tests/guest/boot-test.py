#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A tiny guest under KVM: both 32-bit entries, power-off, reset, triple fault, panic, exit device, power button."""
import contextlib
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import guest, runner  # noqa: E402
from lib import qmp as qmplib  # noqa: E402

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


def boot(kernel, command, *args):
    return guest.Guest('-m', '32', '-kernel', kernel, '-append', command, *args)


def events(g):
    """Names (and reasons) of all events until the connection closes."""
    with contextlib.suppress(qmplib.QmpClosed):
        while True:
            message = g.qmp.recv()
            if 'event' in message:
                g.qmp.events.append(message)
    return [(e['event'], e.get('data', {}).get('reason')) for e in g.qmp.events]


def finish(g, status=0):
    runner.equal(g.wait(), status, 'exit status')
    g.check_clean()


def case_pvh_poweroff(then):
    with boot(image('pvh'), 'hello o', '-S') as g:
        runner.equal(g.qmp.cmd('query-status')['status'], 'prelaunch')
        then(g)
        g.qmp.cmd('cont')
        runner.equal(events(g), [('RESUME', None), ('SHUTDOWN', 'guest-shutdown')])
        finish(g)
        runner.equal(g.console(), 'entered by PVH: hello o\noff\n')


def case_multiboot(then):
    with boot(image('multiboot', '-DMULTIBOOT'), 'o', '-S') as g:
        then(g)
        g.qmp.cmd('cont')
        finish(g)
        runner.equal(g.console(), 'entered by Multiboot: %s o\noff\n' % image('multiboot'))


def case_reset(then):
    with boot(image('pvh'), 'r', '-S') as g:
        then(g)
        g.qmp.cmd('cont')
        runner.equal(events(g), [('RESUME', None), ('RESET', 'guest-reset'), ('SHUTDOWN', 'guest-shutdown')])
        finish(g)
        runner.equal(g.console(), 'entered by PVH: r\n' * 2 + 'off\n')


def case_triple_fault(then):
    with boot(image('pvh'), 't', '-S') as g:
        then(g)
        g.qmp.cmd('cont')
        runner.equal(events(g), [('RESUME', None), ('RESET', 'guest-reset'), ('SHUTDOWN', 'guest-shutdown')])
        finish(g)
        runner.equal(g.output().count('kvm_triple_fault cpu 0'), 1, 'trace of the cause')
        runner.equal(g.console(), 'entered by PVH: t\n' * 2 + 'off\n')


def case_system_reset(then):
    with boot(image('pvh'), 'h') as g:
        runner.wait_for(lambda: g.console().count('waiting') == 1, what='the guest to wait')
        then(g)
        g.qmp.cmd('system_reset')
        g.qmp.wait_event('RESET', guest=False, reason='host-qmp-system-reset')
        runner.wait_for(lambda: g.console().count('waiting') == 2, what='the guest to wait again')
        then(g)
        g.qmp.cmd('quit')
        finish(g)


def case_power_button(then):
    with boot(image('pvh'), 'h') as g:
        runner.wait_for(lambda: 'waiting' in g.console(), what='the guest to wait')
        then(g)
        g.qmp.cmd('system_powerdown')
        runner.equal([e for e in events(g) if e[0] != 'RESUME'],
                     [('POWERDOWN', None), ('SHUTDOWN', 'guest-shutdown')])
        finish(g)


def case_panic(then):
    with boot(image('pvh'), 'p', '-S', '-device', 'pvpanic', '-action', 'panic=none') as g:
        then(g)
        g.qmp.cmd('cont')
        runner.equal(events(g), [('RESUME', None), ('GUEST_PANICKED', None), ('SHUTDOWN', 'guest-shutdown')])
        finish(g)


def case_exit_device(then):
    with boot(image('pvh'), 'x', '-S', '-device', 'isa-debug-exit') as g:
        then(g)
        g.qmp.cmd('cont')
        finish(g, 11)


def case_boot_timer(then):
    with boot(image('pvh'), 'h', '-device', 'boot-timer,id=t') as g:
        runner.wait_for(lambda: 'waiting' in g.console(), what='the guest to wait')
        then(g)
        stamps = g.qmp.cmd('qom-get', path='t', property='stamps')
        # Times that one process took mean nothing in another.
        runner.equal([s['value'] for s in stamps], [1] if then is guest.stay else [])
        g.qmp.cmd('quit')
        finish(g)


if __name__ == '__main__':
    guest.require_kvm()
    runner.main(guest.straight_and_restored(globals()))
