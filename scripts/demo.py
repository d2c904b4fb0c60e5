#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Boots a guest and shows it running: its console, and a QMP exchange beside it.

A stock Debian kernel where /dev/kvm can run one; the bare-metal payload where
/dev/kvm is a software implementation; a stock kernel inside the emulated host
where there is no KVM.
"""
import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time

SOURCE = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
sys.path.insert(0, os.path.join(SOURCE, 'tests'))
EMULATED_HOST = os.path.join(SOURCE, 'tests', 'nested', 'emulated-host.sh')


def say(text):
    print('\033[1m%s\033[0m' % text if sys.stdout.isatty() else text, flush=True)


def exchange(qmp, command, **arguments):
    """One command and its answer, shown as on the wire."""
    say('-> {"execute": "%s"}' % command)
    answer = str(qmp.cmd(command, arguments or None))
    print('<- ' + (answer if len(answer) < 300 else answer[:300] + ' ...'), flush=True)


def follow(path, stop):
    """Print what is appended to @path until @stop is set and all is shown."""
    with open(path, 'rb') as f:
        while True:
            data = f.read()
            if data:
                sys.stdout.write(data.decode(errors='replace'))
                sys.stdout.flush()
            elif stop.is_set():
                return
            else:
                time.sleep(0.05)


def run(title, guest_args, ready, timeout):
    """Start, show console and QMP, wait for the guest to power off."""
    from lib import guest
    say(title)
    started = time.monotonic()
    with guest.Guest(*guest_args) as g:
        stop = threading.Event()
        while not os.path.exists(g.path('console')):
            time.sleep(0.01)
        console = threading.Thread(target=follow, args=(g.path('console'), stop))
        console.start()
        try:
            exchange(g.qmp, 'query-version')
            exchange(g.qmp, 'query-status')
            exchange(g.qmp, 'query-cpus-fast')
            g.wait_console(ready, timeout)
            g.qmp.cmd('stop')
            exchange(g.qmp, 'query-status')
            g.qmp.cmd('cont')
            event = g.qmp.wait_event('SHUTDOWN', timeout=timeout)
            status = g.wait()
        finally:
            stop.set()
            console.join()
        say('<- %s' % event)
    say('The guest ran for %.1f seconds and powered off; the emulator ended with status %d.'
        % (time.monotonic() - started, status))
    return status


def linux(kernel, initrd):
    return run('A stock Debian kernel on nemu:',
               ['-m', '256', '-smp', '2', '-cpu', 'host', '-kernel', kernel, '-initrd', initrd,
                '-append', 'console=ttyS0 quiet steps=messages,dhcp,rng,poweroff',
                '-netdev', 'user,id=n', '-device', 'virtio-net-pci,netdev=n', '-device', 'virtio-rng-pci'],
               'USERSPACE', 240)


def payload(build):
    with tempfile.NamedTemporaryFile(prefix='nemu-demo-') as disk:
        disk.truncate(2 << 20)
        return run('The bare-metal payload on nemu:',
                   ['-m', '128', '-smp', '2', '-kernel', os.path.join(build, 'tests', 'guest', 'payload.elf'),
                    '-netdev', 'user,id=n', '-device', 'virtio-net-pci,netdev=n', '-device', 'virtio-rng-pci',
                    '-blockdev', 'driver=file,node-name=f,filename=' + disk.name,
                    '-device', 'virtio-blk-pci,drive=f'],
                   'ok 2', 60)


def in_emulated_host(build, *arguments):
    return subprocess.run([EMULATED_HOST, '-t', '600', '-s', SOURCE + ':ro', '-s', build + ':ro', '--', 'env',
                           'NEMU_EMULATED_HOST=1', 'NEMU_BUILD_DIR=' + build, 'PYTHONDONTWRITEBYTECODE=1',
                           '/usr/bin/python3', os.path.abspath(__file__), '--build', build, *arguments],
                          check=False).returncode


def kvm_is_software():
    """Hardware KVM can run a stock kernel; an implementation without nested state is one in software."""
    import fcntl
    check_extension, nested_state = 0xae03, 157
    try:
        with open('/dev/kvm', 'rb+', buffering=0) as kvm:
            return fcntl.ioctl(kvm, check_extension, nested_state) == 0
    except OSError:
        return True


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    parser.add_argument('--build', default='build')
    parser.add_argument('--stock', action='store_true', help='a stock kernel, in the emulated host if need be')
    args = parser.parse_args()
    build = os.path.realpath(args.build)
    os.environ['NEMU_BUILD_DIR'] = build
    from lib import guest

    if guest.in_emulated_host():
        status = linux('/l2/vmlinuz', '/l2/initrd.cpio')
    elif guest.has_kvm() and kvm_is_software() and not args.stock:
        status = payload(build)
        say('This /dev/kvm is a software implementation: "scripts/demo.py --stock" boots a stock kernel '
            'inside an emulated host instead.')
    elif guest.has_kvm() and not kvm_is_software():
        # The kernel and initrd of the nested tests serve here as well.
        made = subprocess.run([EMULATED_HOST, '-L'], check=True, stdout=subprocess.PIPE, text=True)
        folder = os.path.join(made.stdout.strip(), 'l2')
        status = linux(os.path.join(folder, 'vmlinuz'), os.path.join(folder, 'initrd.cpio'))
    else:
        status = in_emulated_host(build, '--stock')
    sys.exit(status)


if __name__ == '__main__':
    main()
