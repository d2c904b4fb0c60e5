#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The QMP protocol on a real process: half messages, disconnects at any byte,
huge and deep input, several monitors, inherited sockets, out-of-band order."""
import json
import os
import select
import shutil
import socket
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import qmp, qtest, runner      # noqa: E402


class Server:
    """An emulator without a machine that listens on @count monitor sockets."""

    def __init__(self, count=1, extra=()):
        self.dir = tempfile.mkdtemp(prefix='nemu-qmp-')
        self.paths = [os.path.join(self.dir, 'm%d' % i) for i in range(count)]
        args = [qtest.binary(), '-machine', 'none', '-nodefaults', '-display', 'none', '-S']
        for p in self.paths:
            args += ['-qmp', 'unix:%s,server=on,wait=off' % p]
        self.process = qtest.Process(args + list(extra))

    def connect(self, i=0, negotiate=True):
        return qmp.QmpClient.connect(self.paths[i], negotiate=negotiate)

    def __enter__(self):
        return self

    def __exit__(self, kind, *rest):
        try:
            if kind is None:
                self.process.proc.terminate()
                runner.equal(self.process.wait(), 0, 'exit status')
                self.process.check_clean()
            else:
                self.process.kill()
                self.process.dump()
        finally:
            self.process.kill()
            shutil.rmtree(self.dir, ignore_errors=True)


def errors_of(client, data, n):
    """The error texts of the @n answers to @data."""
    client.send_bytes(data)
    return [client.recv().get('error', {}).get('desc') for _ in range(n)]


def test_greeting():
    with Server() as s:
        c = s.connect(negotiate=False)
        greeting = c.recv()
        runner.equal(greeting['QMP']['capabilities'], ['oob'])
        runner.equal(sorted(greeting['QMP']['version']), ['package', 'qemu'])
        runner.equal(errors_of(c, b'{"execute": "query-status"}', 1),
                     ["Expecting capabilities negotiation with 'qmp_capabilities'"])
        c.cmd('qmp_capabilities')
        names = [e['name'] for e in c.cmd('query-commands')]
        runner.equal(names, sorted(names), 'query-commands')
        assert 'qmp_capabilities' in names


def test_every_byte():
    """A client that sends byte by byte, and clients that leave after n bytes."""
    text = b'{"execute": "qmp_capabilities"}{"execute": "query-version", "id": {"a": ["\\u00e9", 1.5]}}'
    with Server() as s:
        for n in range(0, len(text), 2):
            c = s.connect(negotiate=False)
            c.recv()
            c.send_bytes(text[:n])
            c.close()
        c = s.connect(negotiate=False)
        c.recv()
        for i in range(len(text)):
            c.send_bytes(text[i:i + 1])
        runner.equal(c.recv(), {'return': {}})
        runner.equal(c.recv()['id'], {'a': ['\u00e9', 1.5]})


def test_malformed():
    """Each fault gives its error, and then commands work again."""
    cases = [
        (b'foo\n', 1), (b'{"execute" "x"}', 1), (b']', 1), (b'[}', 0), (b'\xff', 1), (b'"\x01', 1),
        (b'\x00' * 100, 100), (b'{"execute": 01}', 2), (b'"\\ud800"', 1), (b'[1,]', 1), (b'{"a": 1, "a": 2}', 1),
    ]
    with Server() as s:
        c = s.connect()
        for data, n in cases:
            if n:
                found = errors_of(c, data, n)
                assert all(e.startswith('JSON parse error') for e in found), found
                c.cmd('query-name')
        runner.equal(errors_of(c, b'[]1"x"null\n', 4), ['QMP input must be a JSON object'] * 4)


def test_deep():
    with Server() as s:
        c = s.connect()
        c.send_bytes(b'{"execute": "query-name", "id": ' + b'[' * 400 + b']' * 400 + b'}')
        assert 'return' in c.recv()
        c.send_bytes(b'[' * 100000 + b'\xff')
        desc = c.recv()['error']['desc']
        runner.equal(desc, 'JSON nesting depth limit exceeded')
        # The rest is nonsense of its own; 0xff ends it.
        while 'stray' not in desc:
            desc = c.recv()['error']['desc']
        c.cmd('query-name')


def test_huge():
    """A string beyond 64 MiB is refused, in bounded memory; one of 8 MiB is echoed."""
    with Server() as s:
        c = s.connect()
        text = 'x' * (8 << 20)
        c.send({'execute': 'query-name', 'id': text})
        runner.equal(c.recv()['id'] == text, True, 'echo')
        block = b'y' * (1 << 20)
        c.send_bytes(b'{"execute": "')
        for _ in range(70):
            c.send_bytes(block)
        runner.equal(c.recv()['error']['desc'], 'JSON token size limit exceeded')
        c.send_bytes(b'\xff')
        while 'stray' not in c.recv()['error']['desc']:
            pass
        c.cmd('query-name')
        with open('/proc/%d/status' % s.process.pid) as f:
            rss = [int(line.split()[1]) for line in f if line.startswith('VmRSS')][0]
        assert qtest_sanitized() or rss < 64 << 10, 'memory was not given back: %d KiB' % rss


def qtest_sanitized():
    with open(qtest.binary(), 'rb') as f:
        return b'__asan_init' in f.read()


def test_pipelined():
    """Many commands in one write are answered in order."""
    with Server() as s:
        c = s.connect()
        n = 3000
        c.send_bytes(b''.join(b'{"execute":"query-name","id":%d}' % i for i in range(n)))
        runner.equal([c.recv()['id'] for _ in range(n)], list(range(n)))


def test_no_reading():
    """A client that never reads does not stop the others, nor make us grow."""
    with Server(2) as s:
        lazy, c = s.connect(0), s.connect(1)
        lazy.sock.setblocking(False)
        sent, idle = 0, 0
        while idle < 20 and sent < 64 << 20:
            try:
                sent += lazy.sock.send(b'{"execute":"query-qmp-schema"}' * 100)
                idle = 0
            except BlockingIOError:
                idle += 1
                c.cmd('query-name')
                time.sleep(0.01)
        assert sent < 64 << 20, 'commands of a client that does not read are read for ever'
        with open('/proc/%d/status' % s.process.pid) as f:
            rss = [int(line.split()[1]) for line in f if line.startswith('VmRSS')][0]
        assert qtest_sanitized() or rss < 64 << 10, 'grew to %d KiB' % rss
        lazy.close()
        s.connect(0).cmd('query-name')


def test_several_monitors():
    """Events go to every client that has negotiated, answers to the asker."""
    with Server(3) as s:
        a, b = s.connect(0), s.connect(1)
        silent = s.connect(2, negotiate=False)
        silent.recv()
        a.cmd('cont')
        a.cmd('stop')
        for c in (a, b):
            c.cmd('query-name')
            runner.equal([e['event'] for e in c.poll_events()], ['RESUME', 'STOP'])
            runner.equal(sorted(c.cmd('query-status'))[:1], ['running'])
        runner.equal(select.select([silent.sock], [], [], 0)[0], [], 'nothing for the silent one')
        # Each negotiates for itself.
        runner.equal(errors_of(silent, b'{"execute":"query-name"}', 1),
                     ["Expecting capabilities negotiation with 'qmp_capabilities'"])


def test_oob():
    with Server() as s:
        for _ in range(3):
            c = s.connect(negotiate=False)
            c.negotiate(oob=True)
            runner.equal(errors_of(c, b'{"exec-oob":"query-name","id":1}', 1),
                         ['The command query-name does not support OOB'])
            runner.equal(errors_of(c, b'{"exec-oob":"nope"}', 1), ['The command nope has not been found'])
            for i in range(200):
                c.send({'execute': 'query-name', 'id': i})
            runner.equal([c.recv()['id'] for _ in range(200)], list(range(200)))
            c.close()
        runner.equal(errors_of(s.connect(), b'{"exec-oob":"query-name"}', 1),
                     ["QMP input member 'exec-oob' is unexpected"])


def test_inherited_socket():
    """As libvirt starts it: a listening socket by number, the monitor by -mon."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    folder = tempfile.mkdtemp(prefix='nemu-qmp-')
    try:
        path = os.path.join(folder, 'monitor.sock')
        listener.bind(path)
        listener.listen(1)
        fd = listener.fileno()
        p = qtest.Process([qtest.binary(), '-S', '-machine', 'none', '-nodefaults', '-display', 'none',
                           '-chardev', 'socket,id=charmonitor,fd=%d,server=on,wait=off' % fd,
                           '-mon', 'chardev=charmonitor,id=monitor,mode=control'], pass_fds=[fd])
        try:
            c = qmp.QmpClient.connect(path)
            chardevs = c.cmd('query-chardev')
            runner.equal(chardevs, [{'label': 'charmonitor', 'frontend-open': True,
                                     'filename': 'unix:%s,server=on' % path}])
            c.cmd('quit')
            runner.equal(p.wait(), 0, 'exit status')
        finally:
            p.kill()
    finally:
        listener.close()
        shutil.rmtree(folder)


def test_quit():
    """The answer to quit arrives, then the end of the stream; exit status 0."""
    with Server() as s:
        c = s.connect()
        c.send({'execute': 'quit', 'id': 'bye'})
        seen = []
        try:
            while True:
                seen.append(c.recv())
        except qmp.QmpClosed:
            pass
        assert {'return': {}, 'id': 'bye'} in seen, seen
        assert [m['data'] for m in seen if m.get('event') == 'SHUTDOWN'] == \
            [{'guest': False, 'reason': 'host-qmp-quit'}], seen
        runner.equal(s.process.wait(), 0, 'exit status')


def test_descriptors():
    with Server() as s:
        c = s.connect()
        r, w = os.pipe()
        runner.equal(c.cmd_error('add-fd'), 'No file descriptor supplied via SCM_RIGHTS')
        info = c.cmd('add-fd', {'opaque': 'note'}, fds=[w])
        runner.equal(c.cmd('query-fdsets'),
                     [{'fdset-id': info['fdset-id'], 'fds': [{'fd': info['fd'], 'opaque': 'note'}]}])
        c.cmd('chardev-add', {'id': 'f', 'backend': {'type': 'file', 'data': {
            'out': '/dev/fdset/%d' % info['fdset-id']}}})
        c.cmd('chardev-remove', {'id': 'f'})
        c.cmd('remove-fd', {'fdset-id': info['fdset-id']})
        runner.equal(c.cmd('query-fdsets'), [])
        runner.equal(c.cmd_error('remove-fd', {'fdset-id': 5}),
                     "File descriptor named 'fdset-id:5' not found")
        c.cmd('getfd', {'fdname': 'x'}, fds=[w])
        c.cmd('closefd', {'fdname': 'x'})
        runner.equal(c.cmd_error('closefd', {'fdname': 'x'}), "File descriptor named 'x' not found")
        os.close(w)
        runner.equal(os.read(r, 1), b'', 'every copy is closed')
        os.close(r)


def test_chardev_commands():
    with Server() as s:
        c = s.connect()
        path = os.path.join(s.dir, 'peer')
        c.cmd('chardev-add', {'id': 's', 'backend': {'type': 'socket', 'data': {
            'addr': {'type': 'unix', 'data': {'path': path}}, 'server': True, 'wait': False}}})
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(path)
            runner.wait_for(lambda: any(i['filename'] == 'unix:%s,server=on' % path for i in c.cmd('query-chardev')))
        runner.equal(c.cmd_error('chardev-add', {'id': 's', 'backend': {'type': 'null', 'data': {}}}),
                     "Chardev with id 's' already exists")
        runner.equal(c.cmd_error('chardev-remove', {'id': 'compat_monitor0'}), "Chardev 'compat_monitor0' is busy")
        c.cmd('chardev-remove', {'id': 's'})
        runner.equal(c.cmd_error('chardev-remove', {'id': 's'}), "Chardev 's' not found")
        pty = c.cmd('chardev-add', {'id': 'p', 'backend': {'type': 'pty', 'data': {}}})['pty']
        assert os.path.exists(pty)
        c.cmd('chardev-add', {'id': 'r', 'backend': {'type': 'ringbuf', 'data': {'size': 64}}})
        c.cmd('ringbuf-write', {'device': 'r', 'data': 'h\u00e9llo'})
        runner.equal(c.cmd('ringbuf-read', {'device': 'r', 'size': 64}), 'h\u00e9llo')


def test_schema_is_whole():
    """Every listed command exists, and the schema describes itself."""
    with Server() as s:
        c = s.connect()
        schema = {e['name']: e for e in c.cmd('query-qmp-schema')}
        listed = {n for n, e in schema.items() if e['meta-type'] == 'command'}
        runner.equal(listed, {e['name'] for e in c.cmd('query-commands')})
        for name in listed:
            c.send({'execute': name, 'arguments': {'no such member': json.loads('1')}, 'id': name})
            desc = c.recv().get('error', {}).get('desc', '')
            assert desc, name + ' takes any argument'


def test_stats():
    """Counters of the kernel; without an accelerator that counts there are none."""
    with Server() as s:
        runner.equal(s.connect().cmd('query-stats', target='vm'), [], 'without')
    if not os.access('/dev/kvm', os.W_OK):
        runner.skip('no /dev/kvm')
    with qtest.Emulator('-machine', 'virt', '-smp', '2', '-nodefaults', '-S', accel='kvm') as vm:
        schemas = {e['target']: [v['name'] for v in e['stats']] for e in vm.qmp.cmd('query-stats-schemas')}
        if not schemas:
            runner.skip('the kernel has no counters to read')
        runner.equal(sorted(schemas), ['vcpu', 'vm'], 'targets')
        got = vm.qmp.cmd('query-stats', target='vcpu')
        paths = [c['qom-path'] for c in vm.qmp.cmd('query-cpus-fast')]
        runner.equal([r['qom-path'] for r in got], paths, 'CPUs')
        runner.equal([v['name'] for v in got[0]['stats']], schemas['vcpu'], 'names')
        name = schemas['vcpu'][0]
        one = vm.qmp.cmd('query-stats', target='vcpu', vcpus=paths[1:], providers=[{'provider': 'kvm', 'names': [name]}])
        runner.equal([(r['qom-path'], [v['name'] for v in r['stats']]) for r in one], [(paths[1], [name])], 'one')
        runner.equal(len(vm.qmp.cmd('query-stats', target='vm')), 1, 'VM')


if __name__ == '__main__':
    runner.main(globals())
