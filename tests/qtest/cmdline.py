#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line: what is refused, in which words, and what options do."""
import json
import os
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import qtest, runner


def run(*args, stdin=''):
    done = subprocess.run([qtest.binary(), *args], input=stdin.encode(), timeout=30,
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
            '-sandbox', 'off', '-usb', '-vga', 'none', '-net', 'none', '-monitor', 'none',
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


def test_absent_parts():
    for args in (['-vnc', ':0'], ['-hda', 'x'], ['-gdb', 'tcp::1234'], ['-snapshot']):
        code, _, err = run(*args)
        runner.equal(code, 1, args)
        assert '%s: not supported: ' % args[0] in err, err


def test_readconfig():
    with tempfile.NamedTemporaryFile('w', suffix='.cfg') as f:
        f.write('# a comment\n[name]\n  guest = "from, a file"\n\n[object "io7"]\nqom-type = "iothread"\n'
                '[chardev "c7"]\n  backend = "null"\n[memory]\n size = "64"\n')
        f.flush()
        with qtest.Emulator('-machine', 'none', '-readconfig', f.name) as vm:
            runner.equal(vm.qmp.cmd('query-name'), {'name': 'from, a file'}, 'name')
            runner.equal([t['id'] for t in vm.qmp.cmd('query-iothreads')], ['io7'], 'iothreads')
            assert 'c7' in [c['label'] for c in vm.qmp.cmd('query-chardev')]
        for text, error in (('[foo]\n', "There is no option group 'foo'"), ('x = "y"\n', 'no group defined'),
                            ('[name]\nfoo\n', 'parse error'), ('[name\n', 'parse error'),
                            ('[name]\nfoo = "x"\n', "Invalid parameter 'foo'")):
            f.seek(0)
            f.truncate()
            f.write(text)
            f.flush()
            code, _, err = run('-readconfig', f.name)
            runner.equal(code, 1, text)
            assert error in err, (text, err)


def seccomp_mode(vm):
    with open('/proc/%d/status' % vm.pid, encoding='ascii') as f:
        return next(int(line.split()[1]) for line in f if line.startswith('Seccomp:'))


def test_sandbox():
    """The filter is on for all threads."""
    groups = [o['option'] for o in json.loads(run(
        '-machine', 'none', '-qmp', 'stdio', stdin='{"execute":"qmp_capabilities"}'
        '{"execute":"query-command-line-options"}{"execute":"quit"}')[1].splitlines()[2])['return']]
    if 'sandbox' not in groups:
        runner.skip('built without libseccomp')
    deny = 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'
    with qtest.Emulator('-machine', 'virt', '-object', 'iothread,id=io0', '-sandbox', deny) as vm:
        runner.equal(seccomp_mode(vm), 2, 'Seccomp')
        vm.qmp.cmd('object-add', {'qom-type': 'iothread', 'id': 'io1'})     # threads can still start
        runner.equal(len(vm.qmp.cmd('query-iothreads')), 2, 'iothreads')
        vm.qmp.cmd('object-del', id='io1')
        runner.equal(vm.qmp.cmd('query-status')['running'], True, 'status')
    with qtest.Emulator('-machine', 'none', '-sandbox', 'on,spawn=deny', '-sandbox', 'off') as vm:
        runner.equal(seccomp_mode(vm), 0, 'Seccomp')


def talk(commands, *args):
    """(exit status, messages) of a machine-less process."""
    text = ''.join(json.dumps(c) + '\n' for c in ({'execute': 'qmp_capabilities'}, *commands, {'execute': 'quit'}))
    code, out, _ = run('-machine', 'none', '-nodefaults', '-display', 'none', '-qmp', 'stdio', *args, stdin=text)
    return code, [json.loads(line) for line in out.splitlines()]


def test_compat():
    """Interfaces that will go or may change can be refused."""
    stable, unstable = {'execute': 'query-kvm'}, {'execute': 'x-query-numa'}
    old = {'execute': 'nbd-server-add', 'arguments': {'device': 'x'}}
    parameter = {'execute': 'block-commit', 'arguments': {'device': 'x', 'base': 'y'}}
    code, out = talk([unstable, old, parameter, stable], '-compat', 'deprecated-input=reject,unstable-input=reject')
    runner.equal(code, 0)
    runner.equal([m['error'] for m in out if 'error' in m],
                 [{'class': 'CommandNotFound', 'desc': 'Unstable command x-query-numa disabled by policy'},
                  {'class': 'CommandNotFound', 'desc': 'Deprecated command nbd-server-add disabled by policy'},
                  {'class': 'GenericError', 'desc': 'Deprecated parameter base disabled by policy'}])
    code, out = talk([unstable, stable], '-compat', 'deprecated-input=reject,deprecated-output=hide')
    runner.equal((code, [m for m in out if 'error' in m]), (0, []))
    runner.equal(talk([stable], '-compat', '{"deprecated-input": "crash"}')[0], 0)
    runner.equal(talk([old], '-compat', 'deprecated-input=crash')[0], -signal.SIGABRT)


def test_sandbox_kills():
    """A denied call ends the process, and what it denies does not happen."""
    if 'sandbox' not in run('-machine', 'none', '-sandbox', 'help')[1]:
        runner.skip('built without libseccomp')
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, 'made')
        for args, status in (([], 0), (['-sandbox', 'on,spawn=deny'], -signal.SIGSYS)):
            proc = qtest.Emulator('-machine', 'virt', '-nodefaults', '-S', *args)
            try:
                proc.qmp.cmd_send('migrate', {'uri': 'exec:touch %s; cat >/dev/null' % path})
                if status:
                    runner.equal(proc.wait(), status, 'exit status')
                    assert not os.path.exists(path), 'the command did not run'
                else:
                    runner.wait_for(lambda: os.path.exists(path), 60, 'the command')
                    os.unlink(path)
            finally:
                proc.kill()
                proc._cleanup()


def test_identity():
    """-runas and -chroot, alone and under the filter."""
    if os.getuid() != 0:
        runner.skip('needs root')
    for extra in ([], ['-sandbox', 'on,elevateprivileges=deny']):
        with qtest.Emulator('-machine', 'none', '-runas', '65534:65533', '-chroot', '/', *extra) as vm:
            with open('/proc/%d/status' % vm.pid, encoding='ascii') as f:
                ids = {line.split()[0]: set(line.split()[1:]) for line in f}
            runner.equal((ids['Uid:'], ids['Gid:'], ids['Groups:']), ({'65534'}, {'65533'}, {'65533'}), 'ids')
    with tempfile.TemporaryDirectory() as root:
        with qtest.Emulator('-machine', 'none', '-chroot', root) as vm:
            runner.equal(os.readlink('/proc/%d/root' % vm.pid), root, 'root')
    code, _, err = run('-machine', 'none', '-chroot', '/nonexistent/x')
    runner.equal(code, 1, 'chroot')
    assert 'chroot failed' in err, err


def test_mem_path():
    with tempfile.TemporaryDirectory() as folder:
        with qtest.Emulator('-machine', 'virt', '-m', '16', '-mem-path', folder, '-mem-prealloc') as vm:
            backend = vm.qmp.cmd('query-memdev')[0]
            runner.equal((backend['size'], backend['prealloc']), (16 << 20, True), 'back end')
            runner.equal(vm.qmp.cmd('qom-get', path='/objects/virt.ram', property='mem-path'), folder, 'path')
            with open('/proc/%d/maps' % vm.pid, encoding='ascii') as f:
                assert folder in f.read()


def test_host_nodes_text():
    """Lists of numbers as ranges, as users write them."""
    with qtest.Emulator('-machine', 'none', '-object',
                        'memory-backend-ram,id=m,size=4M,policy=preferred,host-nodes=0-0') as vm:
        runner.equal(vm.qmp.cmd('query-memdev')[0]['host-nodes'], [0], 'host-nodes')


if __name__ == '__main__':
    runner.main(globals())
