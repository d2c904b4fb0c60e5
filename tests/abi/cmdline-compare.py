#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Command-line options beside those of Debian's QEMU: names, which of them
take an argument, groups and parameters of query-command-line-options, and the
shape of what the "help" values print."""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
import reference            # noqa: E402
from lib import runner      # noqa: E402

# Known to the reference, but not in the list of its -help.
UNLISTED = {'h', 'M', 'trace', 'qtest', 'qtest-log', 's', 'preconfig', 'net'}
# What management layers and users' scripts give; all of it must be known here.
WANTED = '''machine accel cpu smp m object device drive blockdev netdev nic chardev serial monitor qmp
    qmp-pretty mon kernel initrd append dtb bios global name uuid smbios rtc boot S no-reboot no-shutdown action
    nodefaults no-user-config readconfig daemonize pidfile D d trace msg add-fd set runas chroot sandbox
    overcommit display nographic no-acpi no-hpet watchdog-action incoming help version h M enable-kvm net vga
    parallel audiodev fw_cfg L mem-path mem-prealloc only-migratable compat echr preconfig usb tpmdev
    pflash snapshot hda hdb hdc hdd cdrom gdb s k vnc spice seed no-fd-bootchk debugcon icount option-rom
    acpitable fsdev virtfs iscsi usbdevice full-screen singlestep dfilter'''.split()
WANTED = set(WANTED)
# Parameters whose type is wider in one of the two programs: path -> why.
ALLOWED = {}


def help_names(program):
    return set(re.findall(r'^-{1,2}([A-Za-z][\w-]*)', reference.run(program, '-help')[1], re.M))


def test_option_names():
    """Each of our options is one of theirs; what users may give is known here, if only to say why not."""
    names = help_names(reference.OURS)
    theirs = reference.run(reference.THEIRS, '-help')[1]
    known = set(re.findall(r'^-{1,2}([A-Za-z][\w-]*)', theirs, re.M))
    known |= {n for m in re.findall(r'^(-\S+(?: or |/)-\S+)', theirs, re.M) for n in re.findall(r'-([\w-]+)', m)}
    runner.equal(sorted(names - known - UNLISTED), [], 'options that the reference does not have')
    for name in WANTED - names:
        # A second option that nobody knows ends the run where the first one is accepted.
        status, _, err = reference.run(reference.OURS, '-' + name, 'x', '-no-such-option')
        assert status == 1 and '-%s: not supported: ' % name in err, (name, err)


def needs_argument(program, name):
    """Which of two words that nobody knows is taken for an option?"""
    _, _, err = reference.run(program, '-' + name, '-nosuch1', '-nosuch2')
    if ': not supported: ' in err:
        _, _, err = reference.run(program, '-' + name)
        return 'requires an argument' in err
    assert 'nosuch' in err, (program, name, err)
    return 'nosuch1: invalid option' not in err


def test_arguments():
    for name in sorted((help_names(reference.OURS) | WANTED) - {'qtest', 'qtest-log'}):
        runner.equal(needs_argument(reference.OURS, name), needs_argument(reference.THEIRS, name),
                     '-%s takes an argument' % name)


def options(program):
    return {o['option']: {p['name']: p['type'] for p in o['parameters']}
            for o in reference.result(program, 'query-command-line-options')}


def test_groups():
    ours, theirs = options(reference.OURS), options(reference.THEIRS)
    faults = []
    for group, parameters in ours.items():
        if group not in theirs:
            faults.append('%s: not in the reference' % group)
            continue
        for name, kind in parameters.items():
            path = '%s.%s' % (group, name)
            if path in ALLOWED:
                continue
            if theirs[group] and name not in theirs[group]:
                faults.append('%s: not in the reference' % path)
            elif theirs[group] and theirs[group][name] != kind:
                faults.append('%s: %s, in the reference %s' % (path, kind, theirs[group][name]))
    runner.equal(faults, [], 'differences')
    for group in ('sandbox', 'machine', 'smp-opts', 'memory', 'boot-opts', 'rtc', 'chardev', 'drive', 'mon'):
        assert group in ours, group
    for group in ('chardev', 'smp-opts', 'boot-opts', 'rtc', 'msg', 'action', 'sandbox', 'overcommit', 'global',
                  'add-fd', 'name', 'mon', 'memory', 'fw_cfg'):
        missing = set(theirs[group]) - set(ours[group]) - MISSING.get(group, set())
        runner.equal(sorted(missing), [], 'parameters of %s' % group)


# Of kinds of character devices that are not here.
MISSING = {'chardev': {'cols', 'rows', 'width', 'height', 'debug', 'name', 'clipboard', 'mouse', 'chardev'},
           'fw_cfg': {'gen_id'}}


def heads(text):
    """The lines of a list without what differs between programs: names and texts."""
    return text.splitlines()[0] if text else ''


def test_help_values():
    for args in (['-machine', 'help'], ['-object', 'help'], ['-netdev', 'help'], ['-chardev', 'help'],
                 ['-cpu', 'help'], ['-accel', 'help'], ['-device', 'help'],
                 ['-device', 'virtio-rng-pci,help'], ['-object', 'iothread,help'], ['-smp', 'help'],
                 ['-drive', 'format=help']):
        a, b = reference.run(reference.OURS, *args), reference.run(reference.THEIRS, *args)
        runner.equal(a[0], b[0], '%s: exit status' % args)
        first = [next((line for line in out.splitlines() if line.strip()), '') for out in (a[1], b[1])]
        if args == ['-drive', 'format=help']:
            first = [line.split(':')[0] for line in first]
        runner.equal(first[0], first[1], '%s: first line' % args)
        if args[0] == '-smp':
            runner.equal(a[1], b[1], '%s: text' % args)


def test_device_help():
    """Every device of ours that both have is shown in the same section, with the same bus."""
    def sections(text):
        found, title = {}, None
        for line in text.splitlines():
            if line.endswith(' devices:'):
                title = line
            name = re.match(r'name "([^"]+)"(?:, bus ([^,]+))?', line)
            if name:
                found[name.group(1)] = (title, name.group(2))
        return found
    ours = sections(reference.run(reference.OURS, '-device', 'help')[1])
    theirs = sections(reference.run(reference.THEIRS, '-device', 'help')[1])
    faults = ['%s: %s, in the reference %s' % (n, ours[n], theirs[n])
              # The inner halves of virtio devices are shown, but of no use by themselves.
              for n in ours if n in theirs and ours[n] != theirs[n] and ours[n][1] != 'virtio-bus']
    runner.equal(faults, [], 'differences')
    assert 'virtio-blk-pci' in ours and 'virtio-net-pci' in ours, sorted(ours)


if __name__ == '__main__':
    reference.require()
    runner.main(globals())
