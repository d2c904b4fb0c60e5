#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Wrong inputs beside Debian's QEMU: the same exit status for each command
line, the same error class for each QMP command, and where scripts are known to
look at them the same words."""
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
import reference            # noqa: E402
from lib import runner      # noqa: E402

# A machine with PCI: each program's own.
PCI = {reference.OURS: ['-machine', 'virt', '-accel', 'qtest'],
       reference.THEIRS: ['-machine', 'q35', '-accel', 'tcg', '-S']}

# Command lines that both refuse. '=': in the same words (of the first line, behind program name and option).
REFUSED = [line.strip() for line in '''
    = -no-such
    = -name
    = -machine foo
    = -machine none,foo=on
    = -machine none,usb=x
    = -machine none,accel=foo
    = -machine none -accel foo
    = -machine none -smp 2
    = -smp foo
    = PCI -smp 2,maxcpus=1
    PCI -smp 3,sockets=2
    = -m 0x
    = -m -1
    = -m 512,foo=1
    = -machine none -m 512,slots=2
    = -uuid x
    = -name foo=x
    = -name guest=a,debug-threads=x
    = -global foo=bar
    = -machine none -set device.x.y=z
    = -set device.x
    = -boot foo
    = -boot order=z
    = -boot splash-time=x
    = -boot reboot-timeout=99999
    = -smbios type=99
    -smbios foo=on
    = -smbios type=1,foo=1
    = -smbios type=1,uuid=x
    = -rtc clock=x
    = -rtc driftfix=x
    = -rtc foo=x
    = -rtc base=x
    = -overcommit foo=on
    = -overcommit mem-lock=x
    = -msg timestamp=x
    = -action panic=x
    = -action foo=x
    = -watchdog-action foo
    = -add-fd set=1
    = -add-fd fd=99,set=1
    = -runas nosuch
    -machine none -chroot /nonexistent
    = -sandbox foo
    = -sandbox on,obsolete=x
    = -sandbox on,elevateprivileges=x
    = -sandbox on,spawn=x
    = -sandbox on,resourcecontrol=x
    = -sandbox on,foo=x
    = -readconfig /nonexistent
    -d foo
    -trace events=/nonexistent
    = -machine none -pidfile /nonexistent/x
    = -machine none -mon chardev=foo
    = -mon chardev=a,mode=x
    -machine none -serial foo
    -machine none -monitor foo
    -machine none -qmp foo
    = -chardev foo,id=a
    = -chardev null
    = -chardev null,id=8
    = -chardev null,id=a -chardev null,id=a
    = -chardev null,id=a,foo=x
    = -chardev file,id=a
    = -chardev socket,id=a,host=x,path=y
    = -chardev socket,id=a,path=/nonexistent/x
    = -chardev socket,id=a,path=x,server=x
    = -chardev pipe,id=a,path=/nonexistent/x
    = -chardev ringbuf,id=a,size=3
    = -chardev ringbuf,id=a,size=x
    = -netdev foo,id=a
    = -netdev user
    = -netdev user,id=8
    = -netdev user,id=a -netdev user,id=a
    -netdev user,id=a,foo=x
    -netdev user,id=a,net=x
    -netdev user,id=a,hostfwd=x
    -netdev tap,id=a,fd=77
    = -netdev tap,id=a,fd=x
    -netdev socket,id=a
    = -nic foo
    = -object foo
    = -object iothread
    = -object iothread,id=8
    -object iothread,id=a,foo=x
    -object iothread,id=a,poll-max-ns=x
    = -object iothread,id=a,poll-max-ns=-1
    = -object iothread,id=a -object iothread,id=a
    = -object memory-backend-ram,id=a
    = -machine none -object memory-backend-ram,id=a,size=0
    = -machine none -object memory-backend-ram,id=a,size=4M,policy=bind
    = -machine none -object memory-backend-ram,id=a,size=4M,host-nodes=0
    = -machine none -object memory-backend-file,id=a,size=4M
    = -machine none -object memory-backend-file,id=a,size=4M,mem-path=/nonexistent/x
    = -machine none -object rng-random,id=a,filename=/nonexistent
    = -device foo
    = -machine none -device virtio-rng-pci
    PCI -device virtio-blk-pci
    PCI -device virtio-blk-pci,drive=x
    PCI -device virtio-net-pci,netdev=x
    = PCI -device virtio-rng-pci,rng=x
    = PCI -device virtio-rng-pci,bus=x
    = PCI -device virtio-rng-pci,addr=99
    = PCI -device virtio-rng-pci,foo=1
    = PCI -device virtio-rng-pci,id=8
    PCI -device virtio-rng-pci,max-bytes=-1
    PCI -device virtio-rng-pci,id=a -device virtio-rng-pci,id=a
    PCI -device virtio-rng-pci,addr=3 -device virtio-rng-pci,addr=3
    = -machine none -device {"driver":"virtio-rng-pci"
    = PCI -initrd /x
    = PCI -append x
    PCI -kernel /nonexistent
    PCI -bios /nonexistent
    PCI -cpu foo
    = -blockdev foo
    = -blockdev file,node-name=a
    = -blockdev file,node-name=a,filename=/nonexistent
    = -blockdev null-co,node-name=8
    -drive if=foo
    -drive file=/nonexistent,format=raw
    = -drive cache=foo
    -drive foo=1
    -fw_cfg x
    -display foo
    -vnc foo
    -spice foo
    = -compat foo=1
    = -compat deprecated-input=x
    = -compat help
    -seed x
    -dfilter x
    -acpitable /nonexistent
    -tpmdev foo
    -fsdev foo
    -virtfs foo
    -icount foo
    -gdb foo
    '''.splitlines() if line.strip()]

# QMP commands that both refuse: with the same class; '=': and the same words.
QMP_REFUSED = [
    ('=', 'nope', {}),
    ('=', 'query-status', {'foo': 1}),
    ('=', 'device_add', {}),
    ('=', 'device_add', {'driver': 'foo'}),
    ('=', 'device_del', {'id': 'foo'}),
    ('=', 'object-add', {'qom-type': 'foo', 'id': 'a'}),
    ('=', 'object-add', {'qom-type': 'iothread'}),
    ('=', 'object-add', {'qom-type': 'iothread', 'id': 'a', 'foo': 1}),
    ('=', 'object-add', {'qom-type': 'iothread', 'id': 'a', 'poll-max-ns': 'x'}),
    ('=', 'object-del', {'id': 'foo'}),
    ('=', 'qom-list', {'path': '/foo'}),
    ('=', 'qom-get', {'path': '/machine', 'property': 'foo'}),
    ('=', 'qom-set', {'path': '/machine', 'property': 'foo', 'value': 1}),
    ('=', 'qom-list-properties', {'typename': 'foo'}),
    ('=', 'device-list-properties', {'typename': 'foo'}),
    ('=', 'chardev-add', {'id': 'a', 'backend': {'type': 'foo', 'data': {}}}),
    ('=', 'chardev-remove', {'id': 'foo'}),
    ('=', 'chardev-send-break', {'id': 'foo'}),
    ('=', 'chardev-change', {'id': 'foo', 'backend': {'type': 'null', 'data': {}}}),
    ('=', 'ringbuf-read', {'device': 'foo', 'size': 1}),
    ('', 'netdev_add', {'type': 'foo', 'id': 'a'}),
    ('=', 'netdev_add', {'type': 'user'}),
    ('=', 'netdev_del', {'id': 'foo'}),
    ('=', 'set_link', {'name': 'foo', 'up': True}),
    ('=', 'query-rx-filter', {'name': 'foo'}),
    ('=', 'getfd', {'fdname': 'foo'}),
    ('=', 'closefd', {'fdname': 'foo'}),
    ('=', 'add-fd', {}),
    ('=', 'remove-fd', {'fdset-id': 77}),
    ('=', 'blockdev-add', {'driver': 'foo'}),
    ('=', 'blockdev-add', {'driver': 'file', 'node-name': 'a'}),
    ('=', 'blockdev-add', {'driver': 'null-co', 'node-name': 'a', 'foo': 1}),
    ('=', 'blockdev-del', {'node-name': 'foo'}),
    ('=', 'block_resize', {'node-name': 'foo', 'size': 1}),
    ('=', 'block-set-write-threshold', {'node-name': 'foo', 'write-threshold': 1}),
    ('=', 'query-command-line-options', {'option': 'foo'}),
    ('=', 'trace-event-get-state', {'name': 'nosuch'}),
    ('=', 'trace-event-set-state', {'name': 'nosuch', 'enable': True}),
    ('=', 'set-action', {'reboot': 'foo'}),
    ('=', 'pmemsave', {'val': 0, 'size': 1, 'filename': '/nonexistent/x'}),
    ('=', 'system_wakeup', {}),
    ('=', 'qmp_capabilities', {}),
]


def words(text):
    """The first line of a message, without program name and option."""
    line = next((line for line in text.splitlines() if ': module ' not in line and 'warning: ' not in line), '')
    line = line.split('qemu-system-x86_64: ', 1)[-1]
    if line.startswith('-') and ': ' in line:
        head, _, rest = line.partition(': ')
        # An option's argument may hold a colon itself.
        while rest and not head.endswith(tuple('abcdefghijklmnopqrstuvwxyz0123456789"}=')) and ': ' in rest:
            head, _, rest = rest.partition(': ')
        line = rest
    return line


def test_command_line():
    faults = []
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for line in REFUSED:
            same, args = line.startswith('= '), line.split()
            args = args[1:] if same else args
            got = []
            for program in (reference.OURS, reference.THEIRS):
                full = []
                for a in args:
                    full += PCI[program] if a == 'PCI' else [a]
                status, _, err = reference.run(os.path.abspath(program), '-display', 'none', '-nodefaults', *full)
                got.append((status, words(err)))
            if got[0][0] != got[1][0] or (same and got[0][1] != got[1][1]):
                faults.append('%s: %r, in the reference %r' % (line, *got))
    runner.equal('\n'.join(faults), '', '%d command lines' % len(REFUSED))


def test_qmp():
    commands = [(name, args) for _, name, args in QMP_REFUSED]
    faults = []
    for (same, name, args), a, b in zip(QMP_REFUSED, reference.talk(reference.OURS, commands),
                                        reference.talk(reference.THEIRS, commands)):
        a, b = a.get('error', {'class': 'none', 'desc': ''}), b.get('error', {'class': 'none', 'desc': ''})
        if a['class'] != b['class'] or (same and a['desc'] != b['desc']):
            faults.append('%s %s: %s, in the reference %s' % (name, args, a, b))
    runner.equal('\n'.join(faults), '', '%d commands' % len(QMP_REFUSED))


if __name__ == '__main__':
    reference.require()
    reference.OURS = os.path.abspath(reference.OURS)
    PCI[reference.OURS] = ['-machine', 'virt', '-accel', 'qtest']
    runner.main(globals())
