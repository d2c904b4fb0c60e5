#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Run states, events and their order, signals; runs against Debian's QEMU too."""
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import qtest, runner


def none(*args):
    return qtest.Emulator('-machine', 'none', '-nodefaults', *args)


def status(vm):
    reply = vm.qmp.cmd('query-status')
    runner.equal(reply['running'], reply['status'] == 'running', 'running')
    return reply['status']


def events_of(vm, command, **args):
    """The events that come before the reply to @command."""
    vm.qmp.poll_events()
    vm.qmp.cmd(command, **args)
    events, vm.qmp.events = vm.qmp.events, []
    return [(e['event'], e.get('data')) for e in events]


def test_stop_and_cont():
    with none() as vm:
        vm.qmp.cmd('cont')
        runner.equal(status(vm), 'running', 'after start')
        runner.equal(events_of(vm, 'stop'), [('STOP', None)], 'stop')
        runner.equal(status(vm), 'paused', 'after stop')
        runner.equal(events_of(vm, 'stop'), [], 'stop again')
        runner.equal(events_of(vm, 'cont'), [('RESUME', None)], 'cont')
        runner.equal(events_of(vm, 'cont'), [], 'cont again')


def test_prelaunch():
    with none('-S') as vm:
        runner.equal(status(vm), 'prelaunch', '-S')
        runner.equal(events_of(vm, 'stop'), [], 'stop')
        runner.equal(events_of(vm, 'cont'), [('RESUME', None)], 'cont')


def test_reset():
    with none() as vm:
        want = [('RESET', {'guest': False, 'reason': 'host-qmp-system-reset'})]
        vm.qmp.cmd('cont')
        runner.equal(events_of(vm, 'system_reset'), want, 'running')
        runner.equal(status(vm), 'running', 'after reset')
        vm.qmp.cmd('stop')
        runner.equal(events_of(vm, 'system_reset'), want, 'stopped')
        runner.equal(status(vm), 'prelaunch', 'after reset while stopped')


def test_powerdown_and_wakeup():
    with none() as vm:
        runner.equal(events_of(vm, 'system_powerdown'), [('POWERDOWN', None)], 'powerdown')
        reply = vm.qmp.cmd_raw('system_wakeup')
        runner.equal(reply['error']['desc'],
                     'wake-up from suspend is not supported by this guest', 'wakeup')


def test_quit():
    with none('-no-shutdown') as vm:
        runner.equal(events_of(vm, 'quit'),
                     [('SHUTDOWN', {'guest': False, 'reason': 'host-qmp-quit'})], 'quit')
        runner.equal(vm.wait(), 0, 'exit status')


def test_signals():
    for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        with none('-no-shutdown', '-S') as vm:
            vm.proc.send_signal(sig)
            runner.equal(vm.qmp.wait_event('SHUTDOWN')['data'],
                         {'guest': False, 'reason': 'host-signal'}, 'SHUTDOWN')
            runner.equal(vm.wait(), 0, 'exit status')
            want = 'terminating on signal %d from pid %d (' % (sig, os.getpid())
            # Debian's QEMU says it only without -qtest.
            assert want in vm.output() or not qtest.is_nemu(vm.program), (want, vm.output())


def test_no_reboot():
    with none('-no-reboot') as vm:
        runner.equal(events_of(vm, 'system_reset'),
                     [('SHUTDOWN', {'guest': False, 'reason': 'host-qmp-system-reset'})], 'reset')
        runner.equal(vm.wait(), 0, 'exit status')


def test_no_shutdown():
    with none('-no-shutdown', '-action', 'reboot=shutdown') as vm:
        vm.qmp.cmd('cont')
        runner.equal(events_of(vm, 'system_reset'),
                     [('SHUTDOWN', {'guest': False, 'reason': 'host-qmp-system-reset'}),
                      ('STOP', None)], 'reset')
        runner.equal(status(vm), 'shutdown', 'the program stays')
        reply = vm.qmp.cmd_raw('cont')
        runner.equal(reply['error']['desc'], 'Resetting the Virtual Machine is required', 'cont')
        vm.qmp.cmd('set-action', reboot='reset')
        vm.qmp.cmd('system_reset')
        runner.equal(status(vm), 'prelaunch', 'after reset')
        vm.qmp.cmd('cont')
        runner.equal(status(vm), 'running', 'after cont')


def panicking(*args):
    machine = 'virt' if qtest.is_nemu(qtest.binary()) else 'q35'
    return qtest.Emulator('-machine', machine, '-nodefaults', '-device', 'pvpanic', *args)


def seen(vm, count):
    """The next @count events, by name, with their data."""
    events = []
    while len(events) < count:
        message = vm.qmp.recv()
        events.append((message['event'], message.get('data')))
    return events


def test_panic():
    with panicking() as vm:
        vm.qmp.cmd('cont')
        vm.qmp.poll_events()
        vm.outb(0x505, 1)
        events = dict(seen(vm, 3))
        runner.equal(events['GUEST_PANICKED'], {'action': 'poweroff'}, 'GUEST_PANICKED')
        runner.equal(events['SHUTDOWN'], {'guest': True, 'reason': 'guest-panic'}, 'SHUTDOWN')
        runner.equal(vm.wait(), 0, 'exit status')
    with panicking('-action', 'panic=exit-failure') as vm:
        vm.outb(0x505, 1)
        runner.equal(vm.wait(), 1, 'exit status')
        vm.proc.returncode = 0      # as expected here
    with panicking('-action', 'panic=pause') as vm:
        vm.qmp.cmd('cont')
        vm.qmp.poll_events()
        vm.outb(0x505, 1)
        runner.equal(seen(vm, 2), [('GUEST_PANICKED', {'action': 'pause'}), ('STOP', None)],
                     'events')
        runner.equal(status(vm), 'guest-panicked', 'state')
    with panicking('-action', 'panic=none') as vm:
        vm.qmp.cmd('cont')
        vm.qmp.poll_events()
        vm.outb(0x505, 1)
        runner.equal(seen(vm, 1), [('GUEST_PANICKED', {'action': 'run'})], 'event')
        runner.equal(status(vm), 'running', 'state')


# What a panic does: -action or set-action, without and with -no-shutdown; and the state after it, None: the end.
PANICS = [
    ('none', False, 'run', 'running'), ('pause', False, 'pause', 'guest-panicked'), ('shutdown', False, 'poweroff', None),
    ('exit-failure', False, 'poweroff', None), ('none', True, 'run', 'running'),
    ('pause', True, 'pause', 'guest-panicked'), ('shutdown', True, 'pause', 'guest-panicked'),
]


def test_panic_table():
    for panic, stay, told, state in PANICS:
        for at_start in True, False:
            args = ['-no-shutdown'] if stay else []
            with panicking(*args, *(['-action', 'panic=' + panic] if at_start else [])) as vm:
                vm.qmp.cmd('cont')
                if not at_start:
                    vm.qmp.cmd('set-action', panic=panic)
                vm.qmp.poll_events()
                vm.outb(0x505, 1)
                name = '%s, -no-shutdown %s' % (panic, stay)
                runner.equal(vm.qmp.wait_event('GUEST_PANICKED')['data'], {'action': told}, name)
                if state is None:
                    runner.equal(vm.qmp.wait_event('SHUTDOWN')['data'], {'guest': True, 'reason': 'guest-panic'}, name)
                    runner.equal(vm.wait(), int(panic == 'exit-failure'), name)
                    vm.proc.returncode = 0      # as expected here
                    continue
                runner.equal(status(vm), state, name)
                # A reset makes it a machine like any other again.
                vm.qmp.cmd('system_reset')
                if state != 'running':
                    runner.equal(status(vm), 'prelaunch', name)
                    vm.qmp.cmd('cont')
                runner.equal(status(vm), 'running', name)


def test_reset_after_shutdown():
    """-no-shutdown: what is off can be reset and run again, as often as one likes."""
    with none('-no-shutdown', '-action', 'reboot=shutdown') as vm:
        for _ in range(3):
            vm.qmp.cmd('set-action', reboot='shutdown')
            vm.qmp.cmd('cont')
            vm.qmp.cmd('system_reset')
            runner.equal(status(vm), 'shutdown', 'off')
            vm.qmp.cmd('set-action', reboot='reset')
            runner.equal(vm.qmp.cmd_error('cont'), 'Resetting the Virtual Machine is required', 'cont')
            vm.qmp.cmd('system_reset')
            runner.equal(status(vm), 'prelaunch', 'after the reset')
        vm.qmp.cmd('set-action', shutdown='poweroff')
        vm.qmp.cmd('set-action', reboot='shutdown')
        vm.qmp.cmd('system_reset')
        runner.equal(vm.wait(), 0, 'exit status')


if __name__ == '__main__':
    runner.main(globals())
