#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line: what is refused, in which words, and what options do."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import qtest, runner


def run(*args):
    done = subprocess.run([qtest.binary(), *args], stdin=subprocess.DEVNULL, timeout=30,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


REFUSED = [
    (['-foo'], '-foo: invalid option'),
    (['--foo'], '--foo: invalid option'),
    (['-name'], '-name: requires an argument'),
    (['-M', 'foo'], 'unsupported machine type\nUse -machine help to list supported machines'),
    (['-M', 'none,foo=on'], "Property 'none-machine.foo' not found"),
    (['-M', 'none,usb=foo'], "Parameter 'usb' expects 'on' or 'off'"),
    (['-M', 'none,accel=foo'], 'invalid accelerator foo'),
    (['-M', 'none', '-accel', 'foo'], 'invalid accelerator foo'),
    (['-M', 'none,accel=kvm', '-accel', 'kvm'],
     'The -accel and "-machine accel=" options are incompatible'),
    (['-M', 'none', '-smp', '2'],
     "Invalid SMP CPUs 2. The max CPUs supported by machine 'none' is 1"),
    (['-m', 'foo'], "-m foo: Parameter 'size' expects a non-negative number below 2^64"),
    (['-m', '512,foo=1'], "-m 512,foo=1: Invalid parameter 'foo'"),
    (['-M', 'none', '-m', '512,slots=2'], 'slots specified but no max-size'),
    (['-M', 'none', '-m', '512,slots=2,maxmem=100'],
     'invalid value of maxmem: maximum memory size (0x64) must be at least the initial memory '
     'size (0x20000000)'),
    (['-uuid', 'x'], '-uuid x: failed to parse UUID string: wrong format'),
    (['-M', 'none', '-object', 'foo,id=a'],
     "-object foo,id=a: Parameter 'qom-type' does not accept value 'foo'"),
    (['-M', 'none', '-object', 'iothread'], "-object iothread: Parameter 'id' is missing"),
    (['-M', 'none', '-object', 'memory-backend-ram,id=m,size=4M,foo=3'],
     '-object memory-backend-ram,id=m,size=4M,foo=3: '),
    (['-M', 'none,memory-backend=m'], "Memory backend 'm' not found"),
    (['-M', 'none', '-device', 'foo'], "-device foo: 'foo' is not a valid device model name"),
    (['-M', 'none', '-device', 'virtio-rng-pci,id=8'], "Parameter 'id' expects an identifier"),
    (['-M', 'none', '-device', 'virtio-rng-pci'], "bus found for device 'virtio-rng-pci'"),
    (['-action', 'foo=x'], "-action foo=x: Invalid parameter 'foo'"),
    (['-action', 'reboot=x'], "-action reboot=x: Parameter 'reboot' does not accept value 'x'"),
    (['-msg', 'foo=on'], "-msg foo=on: Invalid parameter 'foo'"),
    (['-M', 'none', '-pidfile', '/nonexistent/x'],
     "cannot create PID file: Could not create '/nonexistent/x': No such file or directory"),
    (['-M', 'none', '-add-fd', 'set=0,fd=77'],
     '-add-fd set=0,fd=77: fd is not valid or already in use'),
    (['-M', 'none', '-add-fd', 'set=0,fd=0'],
     '-add-fd set=0,fd=0: fd cannot be a standard I/O stream'),
    (['-set', 'a'], '-set a: can\'t parse: "a"'),
    (['-set', 'a.b.c=d'], "-set a.b.c=d: There is no option group 'a'"),
    (['-M', 'none', '-chardev', 'foo,id=x'], "-chardev foo,id=x: 'foo' is not a valid char driver"),
    (['-M', 'none', '-mon', 'chardev=foo'], '-mon chardev=foo: '),
    (['-display', 'foo'], "-display foo: Parameter 'type' does not accept value 'foo'"),
    (['-rtc', 'base=x'], 'invalid datetime format'),
]


def test_refused():
    for args, text in REFUSED:
        code, _, err = run('-display', 'none', *args)
        runner.equal(code, 1, ' '.join(args) + ': exit status')
        assert text in err, (args, err)
        assert err.startswith(os.path.basename(qtest.binary()) + ': '), err


def test_version_and_help():
    code, out, err = run('-version')
    runner.equal((code, err), (0, ''), '-version')
    assert out.startswith('QEMU emulator version 7.2'), out
    code, out, _ = run('--help')
    runner.equal(code, 0, '--help')
    for name in ('-machine', '-device', '-netdev', '-qmp'):
        assert '\n' + name + ' ' in out, name
    for args, text in ((['-machine', 'help'], 'none '), (['-device', 'help'], 'virtio-rng-pci'),
                       (['-device', 'virtio-rng-pci,help'], 'max-bytes=<'),
                       (['-object', 'help'], 'iothread'), (['-accel', 'help'], 'qtest'),
                       (['-cpu', 'help'], 'Available CPUs')):
        code, out, err = run(*args)
        runner.equal((code, err), (0, ''), ' '.join(args))
        assert text in out, (args, out)


def test_accepted():
    """What scripts pass without a thought."""
    args = ['-no-user-config', '-nodefaults', '-no-hpet', '-rtc', 'base=utc,driftfix=slew',
            '-boot', 'strict=on', '-overcommit', 'mem-lock=off', '-msg', 'timestamp=on',
            '-name', 'guest=me,debug-threads=on', '-uuid', '6BA7B810-9dad-11d1-80b4-00c04fd430c8',
            '-sandbox', 'off', '-vga', 'none', '-net', 'none', '-monitor', 'none',
            '-global', 'virtio-rng-pci.max-bytes=10', '-watchdog-action', 'pause', '-S',
            '-audiodev', '{"id":"audio1","driver":"none"}', '-serial', 'none']
    with qtest.Emulator('-machine', 'none,usb=off,dump-guest-core=off,mem-merge=off', *args) as vm:
        runner.equal(vm.qmp.cmd('query-name'), {'name': 'me'}, 'name')
        runner.equal(vm.qmp.cmd('query-uuid'), {'UUID': '6ba7b810-9dad-11d1-80b4-00c04fd430c8'},
                     'uuid')
        runner.equal(vm.qmp.cmd('qom-get', path='/machine', property='dump-guest-core'), False,
                     'machine property')


def test_fallback():
    with qtest.Emulator('-machine', 'none', '-accel', 'foo', accel='qtest') as vm:
        runner.equal(vm.qmp.cmd('query-kvm')['enabled'], False, 'KVM')


def test_add_fd():
    with open('/dev/zero', 'rb') as f:
        args = ['-add-fd', 'set=2,fd=%d,opaque=a note' % f.fileno(), '-object',
                'rng-random,id=r,filename=/dev/fdset/2']
        with qtest.Emulator('-machine', 'none', *args, pass_fds=[f.fileno()]) as vm:
            sets = vm.qmp.cmd('query-fdsets')
            runner.equal((sets[0]['fdset-id'], sets[0]['fds'][0]['opaque']), (2, 'a note'), 'set')


if __name__ == '__main__':
    runner.main(globals())
