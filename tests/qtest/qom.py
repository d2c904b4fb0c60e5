#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Objects and types over QMP; runs against Debian's QEMU too (QTEST_QEMU_BINARY)."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import qtest, runner


def none(*args):
    return qtest.Emulator('-machine', 'none', '-nodefaults', *args)


def fails(vm, want, command, **args):
    """The class and text of the error that @command must give."""
    reply = vm.qmp.cmd_raw(command, args)
    assert 'error' in reply, reply
    runner.equal((reply['error']['class'], reply['error']['desc']), want, command)


def generic(text):
    return ('GenericError', text)


def test_object_errors():
    with none() as vm:
        fails(vm, generic("Parameter 'qom-type' does not accept value 'foo'"), 'object-add',
              **{'qom-type': 'foo', 'id': 'a'})
        fails(vm, generic("Parameter 'id' is missing"), 'object-add', **{'qom-type': 'iothread'})
        fails(vm, generic("Parameter 'foo' is unexpected"), 'object-add',
              **{'qom-type': 'iothread', 'id': 'a', 'foo': 1})
        fails(vm, generic("Invalid parameter type for 'poll-max-ns', expected: integer"),
              'object-add', **{'qom-type': 'iothread', 'id': 'a', 'poll-max-ns': 'x'})
        fails(vm, generic("Parameter 'id' expects an identifier"), 'object-add',
              **{'qom-type': 'iothread', 'id': '1a'})
        fails(vm, generic("object 'zz' not found"), 'object-del', id='zz')


def uring_allowed():
    try:
        with open('/proc/sys/kernel/io_uring_disabled', encoding='ascii') as f:
            return f.read().strip() == '0'
    except FileNotFoundError:
        return True


def test_iothread():
    with none('-object', 'iothread,id=io0,poll-max-ns=5000') as vm:
        vm.qmp.cmd('object-add', **{'qom-type': 'iothread', 'id': 'io1', 'poll-grow': 3})
        fails(vm, generic("attempt to add duplicate property 'io1' to object (type 'container')"),
              'object-add', **{'qom-type': 'iothread', 'id': 'io1'})
        threads = {t['id']: t for t in vm.qmp.cmd('query-iothreads')}
        runner.equal(set(threads), {'io0', 'io1'}, 'iothreads')
        runner.equal(threads['io0']['poll-max-ns'], 5000, 'poll-max-ns')
        runner.equal(threads['io1']['poll-max-ns'], 32768, 'its default')
        runner.equal(threads['io1']['poll-grow'], 3, 'poll-grow')
        for t in threads.values():
            assert os.path.exists('/proc/%d/task/%d' % (vm.pid, t['thread-id'])), t
        # Each waits with a ring of its own, where the host allows it (kernel.io_uring_disabled since 6.6).
        if uring_allowed():
            fds = '/proc/%d/fd' % vm.pid
            rings = [fd for fd in os.listdir(fds) if 'io_uring' in os.readlink(os.path.join(fds, fd))]
            runner.equal(len(rings), 2, 'io_uring instances')
        vm.qmp.cmd('qom-set', path='/objects/io0', property='poll-max-ns', value=0)
        runner.equal(vm.qmp.cmd('qom-get', path='/objects/io0', property='poll-max-ns'), 0, 'set')
        fails(vm, generic("poll-max-ns value must be in range [0, 9223372036854775807]"),
              'qom-set', path='/objects/io0', property='poll-max-ns', value=-1)
        fails(vm, generic("Property 'iothread.foo' not found"), 'qom-set', path='/objects/io0',
              property='foo', value=1)
        fails(vm, generic("Property 'iothread.type' is not writable"), 'qom-set',
              path='/objects/io0', property='type', value='x')
        fails(vm, generic("Property 'iothread.foo' not found"), 'qom-get', path='/objects/io0',
              property='foo')
        vm.qmp.cmd('object-del', id='io0')
        vm.qmp.cmd('object-del', id='io1')
        runner.equal(vm.qmp.cmd('query-iothreads'), [], 'after object-del')


def test_paths():
    with none('-object', 'iothread,id=io0') as vm:
        fails(vm, ('DeviceNotFound', "Device '/objects/b' not found"), 'qom-list',
              path='/objects/b')
        runner.equal({(p['name'], p['type']) for p in vm.qmp.cmd('qom-list', path='/objects')},
                     {('type', 'string'), ('io0', 'child<iothread>')}, '/objects')
        root = {p['name']: p['type'] for p in vm.qmp.cmd('qom-list', path='/')}
        runner.equal(root['machine'], 'child<none-machine>', '/machine')
        machine = {p['name']: p['type'] for p in vm.qmp.cmd('qom-list', path='/machine')}
        for name in ('peripheral', 'peripheral-anon', 'unattached'):
            runner.equal(machine[name], 'child<container>', name)
        runner.equal(vm.qmp.cmd('qom-get', path='/machine', property='peripheral'),
                     '/machine/peripheral', 'a child reads as its path')
        runner.equal(vm.qmp.cmd('qom-get', path='io0', property='type'), 'iothread',
                     'partial path')


def test_types():
    with none() as vm:
        fails(vm, ('DeviceNotFound', "Class 'foo' not found"), 'qom-list-properties',
              typename='foo')
        fails(vm, ('DeviceNotFound', "Device 'foo' not found"), 'device-list-properties',
              typename='foo')
        for name in ('iothread', 'device'):
            fails(vm, generic("Parameter 'typename' expects a non-abstract device type"),
                  'device-list-properties', typename=name)
        runner.equal(vm.qmp.cmd('qom-list-types', implements='nope'), [], 'unknown interface')
        objects = {t['name']: t for t in vm.qmp.cmd('qom-list-types', implements='user-creatable')}
        runner.equal(objects['memory-backend-ram']['parent'], 'memory-backend', 'parent')
        assert 'memory-backend' not in objects
        every = {t['name']: t for t in vm.qmp.cmd('qom-list-types', abstract=True)}
        runner.equal(every['memory-backend'].get('abstract'), True, 'abstract')
        props = {p['name']: p for p in vm.qmp.cmd('qom-list-properties', typename='none-machine')}
        runner.equal(props['dump-guest-core']['type'], 'bool', 'type')


def test_memory_backends():
    with none('-object', 'memory-backend-ram,id=m0,size=1M',
              '-object', '{"qom-type":"memory-backend-memfd","id":"m1","size":2097152}') as vm:
        path = vm.path('ram')
        vm.qmp.cmd('object-add', **{'qom-type': 'memory-backend-file', 'id': 'm2', 'size': 65536,
                                    'mem-path': path, 'share': True, 'prealloc': True})
        runner.equal(os.path.getsize(path), 65536, 'size of the file')
        devs = {m['id']: m for m in vm.qmp.cmd('query-memdev')}
        runner.equal({i: (m['size'], m['share'], m['prealloc']) for i, m in devs.items()},
                     {'m0': (1 << 20, False, False), 'm1': (2 << 20, True, False),
                      'm2': (65536, True, True)}, 'query-memdev')
        runner.equal(devs['m0']['policy'], 'default', 'policy')
        fails(vm, generic("property 'size' of memory-backend-ram doesn't take value '0'"),
              'object-add', **{'qom-type': 'memory-backend-ram', 'id': 'm3', 'size': 0})
        fails(vm, generic("Parameter 'size' is missing"), 'object-add',
              **{'qom-type': 'memory-backend-ram', 'id': 'm3'})
        fails(vm, generic("can't open backing store /nonexistent/x for guest RAM: "
                          "No such file or directory"), 'object-add',
              **{'qom-type': 'memory-backend-file', 'id': 'm3', 'size': 4096,
                 'mem-path': '/nonexistent/x'})
        with open(vm.path('short'), 'wb') as f:
            f.truncate(4096)
        reply = vm.qmp.cmd_raw('object-add', {'qom-type': 'memory-backend-file', 'id': 'm3',
                                            'size': 8192, 'mem-path': vm.path('short')})
        assert 'backing store size 0x1000 does not match' in reply['error']['desc'], reply
        for name in devs:
            vm.qmp.cmd('object-del', id=name)
        runner.equal(vm.qmp.cmd('query-memdev'), [], 'after object-del')
        # A name can be used again at once.
        vm.qmp.cmd('object-add', **{'qom-type': 'memory-backend-ram', 'id': 'm0', 'size': 4096})


def test_rng():
    with none('-object', 'rng-builtin,id=r0', '-object', 'rng-random,id=r1') as vm:
        runner.equal(vm.qmp.cmd('qom-get', path='/objects/r1', property='filename'),
                     '/dev/urandom', 'default file')
        fails(vm, generic("Could not open '/nonexistent': No such file or directory"),
              'object-add', **{'qom-type': 'rng-random', 'id': 'r2', 'filename': '/nonexistent'})
        vm.qmp.cmd('object-del', id='r0')
        vm.qmp.cmd('object-del', id='r1')


if __name__ == '__main__':
    runner.main(globals())
