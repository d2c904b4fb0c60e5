#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The NBD server of the emulator: libnbd's and Debian's clients, TLS, hostile clients, QMP."""
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import nbd, qtest, runner, tls

MIB = 1 << 20
SIZE = 8 * MIB
KEY = '0123456789abcdef0123456789abcdef'


class Server:
    """An emulator that exports an 8 MiB raw image: data, 2 MiB of hole from 4 MiB on, data."""

    def __init__(self, *args, start=True, writable=True, export=True, **server):
        self.dir = tempfile.mkdtemp(prefix='nemu-nbd-')
        self.image = os.path.join(self.dir, 'image')
        self.sock = os.path.join(self.dir, 'sock')
        data = bytes(i * 7 % 251 for i in range(65536))
        with open(self.image, 'wb') as f:
            f.write(data * 64)
            f.seek(6 * MIB)
            f.write(data * 32)
        self.vm = qtest.Emulator('-machine', 'none', '-nodefaults', '-S', *[a.replace('DIR', self.dir) for a in args])
        self.cmd = self.vm.qmp.cmd
        self.cmd('blockdev-add', driver='raw', node_name='disk', file={'driver': 'file', 'filename': self.image},
                 discard='unmap')
        if start:
            self.cmd('nbd-server-start', addr={'type': 'unix', 'data': {'path': self.sock}}, **server)
        if export:
            self.cmd('block-export-add', {'name': 'x'}, type='nbd', id='e', node_name='disk', writable=writable)

    def uri(self, name='x', scheme='nbd', more=''):
        return '%s+unix:///%s?socket=%s%s' % (scheme, name, self.sock, more)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.vm.__exit__(*exc)
        shutil.rmtree(self.dir)


def run(*argv, status=0):
    runner.require(shutil.which(argv[0]), argv[0] + ' is missing')
    p = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False,
                       universal_newlines=True)
    if status is not None:
        runner.equal(p.returncode, status, ' '.join(argv) + ': ' + p.stdout + p.stderr)
    return p.stdout + p.stderr


def info(server, *args, **kwargs):
    return json.loads(run('nbdinfo', '--json', *args, server.uri(**kwargs)))


def test_nbdinfo():
    with Server() as s:
        e = info(s)['exports'][0]
        runner.equal({k: v for k, v in e.items() if k in
                      ('export-name', 'export-size', 'is_read_only', 'can_cache', 'can_df', 'can_fast_zero', 'can_flush',
                       'can_fua', 'can_multi_conn', 'can_trim', 'can_zero', 'is_rotational', 'contexts')},
                     {'export-name': 'x', 'export-size': SIZE, 'is_read_only': False, 'can_cache': True, 'can_df': True,
                      'can_fast_zero': True, 'can_flush': True, 'can_fua': True, 'can_multi_conn': True,
                      'can_trim': True, 'can_zero': True, 'is_rotational': False, 'contexts': ['base:allocation']}, 'info')
    with Server(writable=False) as s:
        e = info(s)['exports'][0]
        runner.equal([e['is_read_only'], e['can_trim'], e['can_zero'], e['can_fast_zero']],
                     [True, False, False, False], 'read-only')
    with Server(max_connections=1) as s:
        runner.equal(info(s)['exports'][0]['can_multi_conn'], False, 'one connection')


def test_list():
    with Server() as s:
        s.cmd('block-export-add', type='nbd', id='e2', node_name='disk', allocation_depth=True,
              description='two words')
        exports = json.loads(run('nbdinfo', '--json', '--list', s.uri(name='')))['exports']
        runner.equal([(e['export-name'], e.get('description'), e['contexts']) for e in exports],
                     [('x', None, ['base:allocation']),
                      ('disk', 'two words', ['base:allocation', 'qemu:allocation-depth'])], 'list')
        text = run('nbdinfo', s.uri(name='none'), status=1)
        assert 'No such file' in text, text
        if shutil.which('qemu-nbd'):
            text = run('qemu-nbd', '-L', '-k', s.sock)
            assert "exports available: 2\n export: 'x'\n  size:  8388608\n  flags: 0xded (" in text, text


def test_map():
    with Server() as s:
        extents = json.loads(run('nbdinfo', '--json', '--map', s.uri()))
        runner.equal([(e['offset'], e['length'], e['type']) for e in extents],
                     [(0, 4 * MIB, 0), (4 * MIB, 2 * MIB, 3), (6 * MIB, 2 * MIB, 0)], 'map')


def test_copy():
    with Server() as s:
        out = os.path.join(s.dir, 'out')
        run('nbdcopy', s.uri(), out)
        run('cmp', out, s.image)
        with open(out, 'r+b') as f:
            f.seek(MIB)
            f.write(b'new' * 1000)
        run('nbdcopy', '--flush', out, s.uri())
        run('cmp', out, s.image)
        # Small requests, many at a time, on several connections.
        run('nbdcopy', '--request-size=4096', '--requests=64', '--connections=4', '--allocated', out, s.uri())
        run('cmp', out, s.image)


def test_debian_clients():
    with Server() as s:
        runner.require(shutil.which('qemu-io'), 'qemu-io is missing')
        text = run('/usr/bin/qemu-io', '-f', 'raw', '-c', 'write -P 3 1M 64k', '-c', 'read -P 3 1M 64k', '-c',
                   'write -z -u 2M 1M', '-c', 'read -P 0 2M 1M', '-c', 'discard 4M 1M', '-c', 'flush', '-c',
                   'write -f -P 5 100 1000', '-c', 'read -P 5 100 1000', s.uri())
        assert 'failed' not in text, text
        run('/usr/bin/qemu-img', 'compare', '-U', '-f', 'raw', '-F', 'raw', s.uri(), s.image)
        assert os.stat(s.image).st_blocks * 512 <= 5 * MIB + 65536, 'write zeroes with unmap kept its blocks'


def test_read_only_and_range():
    with Server(writable=False) as s, nbd.Client(s.sock) as c:
        runner.equal(c.go(b'x')[-1][0], nbd.REP_ACK, 'go')
        c.request(nbd.CMD_WRITE, 0, 512, payload=bytes(512))
        runner.equal(c.simple(), (1, 7), 'EPERM')
        c.request(nbd.CMD_WRITE_ZEROES, 0, 512)
        runner.equal(c.simple()[0], 1, 'EPERM')
        c.request(nbd.CMD_READ, SIZE - 1, 2)
        runner.equal(c.simple()[0], 22, 'EINVAL')
        c.request(nbd.CMD_READ, 1 << 63, 1)
        runner.equal(c.simple()[0], 22, 'EINVAL')
        c.request(nbd.CMD_READ, SIZE - 3, 3)
        runner.equal(c.simple()[0], 0, 'last bytes')
        c.read(3)
        c.request(nbd.CMD_READ, 0, 512, flags=4)
        runner.equal(c.simple()[0], 22, 'DF without structured replies')
        c.request(nbd.CMD_BLOCK_STATUS, 0, 512)
        runner.equal(c.simple()[0], 22, 'status without contexts')
        c.request(99, 0, 512)
        runner.equal(c.simple()[0], 22, 'unknown command')
        c.request(nbd.CMD_DISC)
        assert c.ended()
    with Server() as s, nbd.Client(s.sock) as c:
        c.go(b'x')
        c.request(nbd.CMD_WRITE, SIZE - 1, 2, payload=b'ab')
        runner.equal(c.simple()[0], 28, 'ENOSPC')
        c.request(nbd.CMD_TRIM, SIZE, 1)
        runner.equal(c.simple()[0], 22, 'EINVAL')


def test_structured():
    with Server() as s, nbd.Client(s.sock) as c:
        runner.equal(c.option(nbd.OPT_STRUCTURED_REPLY)[-1][0], nbd.REP_ACK, 'structured')
        runner.equal(c.option(nbd.OPT_STRUCTURED_REPLY)[-1][0], nbd.ERR_INVALID, 'twice')
        query = b'base:allocation'
        data = struct.pack('>I', 1) + b'x' + struct.pack('>II', 2, len(query)) + query + struct.pack('>I', 3) + b'x:y'
        replies = c.option(nbd.OPT_SET_META_CONTEXT, data)
        runner.equal(replies, [(nbd.REP_META_CONTEXT, struct.pack('>I', 0) + query), (nbd.REP_ACK, b'')], 'contexts')
        c.go(b'x')
        # Data and hole in one request.
        c.request(nbd.CMD_READ, 4 * MIB - 512, 1024)
        flags, kind, _, payload = c.chunk()
        runner.equal((flags, kind, len(payload), payload[:8]), (0, 1, 520, struct.pack('>Q', 4 * MIB - 512)), 'data')
        runner.equal(c.chunk(), (1, 2, 7, struct.pack('>QI', 4 * MIB, 512)), 'hole')
        c.request(nbd.CMD_READ, 4 * MIB - 512, 1024, flags=4)
        flags, kind, _, payload = c.chunk()
        runner.equal((flags, kind, len(payload)), (1, 1, 1032), "don't fragment")
        c.request(nbd.CMD_BLOCK_STATUS, 4 * MIB - 4096, 8192)
        runner.equal(c.chunk(), (1, 5, 7, struct.pack('>IIIII', 0, 4096, 0, 4096, 3)), 'status')
        c.request(nbd.CMD_BLOCK_STATUS, 4 * MIB - 4096, 8192, flags=8)
        runner.equal(c.chunk(), (1, 5, 7, struct.pack('>III', 0, 4096, 0)), 'one extent')
        c.request(nbd.CMD_READ, SIZE, 1)
        flags, kind, _, payload = c.chunk()
        runner.equal((flags, kind, payload[:4]), (1, 0x8001, struct.pack('>I', 22)), 'error chunk')


def test_hostile_options():
    with Server() as s:
        with nbd.Client(s.sock) as c:
            name = struct.pack('>I', 1) + b'x'
            for number, data, want in (
                    (99, b'abc', nbd.ERR_UNSUP), (nbd.OPT_LIST, b'x', nbd.ERR_INVALID),
                    (nbd.OPT_INFO, b'', nbd.ERR_INVALID), (nbd.OPT_INFO, b'\xff' * 6, nbd.ERR_INVALID),
                    (nbd.OPT_INFO, name + b'\0\5', nbd.ERR_INVALID),
                    (nbd.OPT_INFO, name + b'\0\1\0\0\0\0', nbd.ERR_INVALID),
                    (nbd.OPT_GO, struct.pack('>I', 1) + b'y\0\0', nbd.ERR_UNKNOWN),
                    (nbd.OPT_LIST_META_CONTEXT, name + struct.pack('>I', 0), nbd.ERR_INVALID),
                    (nbd.OPT_STARTTLS, b'', nbd.ERR_POLICY), (nbd.OPT_LIST, b'x' * 100000, nbd.ERR_TOO_BIG),
                    (nbd.OPT_STRUCTURED_REPLY, b'x', nbd.ERR_INVALID),
                    (nbd.OPT_STRUCTURED_REPLY, b'', nbd.REP_ACK),
                    (nbd.OPT_SET_META_CONTEXT, name + struct.pack('>II', 9, 0xffffffff), nbd.ERR_INVALID),
                    (nbd.OPT_SET_META_CONTEXT, name + struct.pack('>II', 0xffffffff, 0), nbd.ERR_INVALID)):
                runner.equal(c.option(number, data)[-1][0], want, 'option %d' % number)
            runner.equal(c.option(nbd.OPT_ABORT)[-1][0], nbd.REP_ACK, 'abort')
            assert c.ended()
        for raw in (b'\0' * 16, struct.pack('>8sII', b'IHAVEOPT', 3, 0xffffffff),
                    struct.pack('>8sII', b'IHAVEOPT', 1, 4) + b'none'):
            with nbd.Client(s.sock) as c:
                c.send(raw)
                assert c.ended(), raw
        with nbd.Client(s.sock, flags=0x80) as c:
            assert c.ended()
        with nbd.Client(s.sock) as c:
            try:
                for _ in range(1000):
                    c.option(99)
                raise AssertionError('options without end')
            except nbd.Closed:
                pass
        runner.equal(info(s)['exports'][0]['export-size'], SIZE, 'still there')


def test_hostile_requests():
    with Server() as s:
        for raw in (b'\0' * 28, struct.pack('>IHHQQI', 0x25609513, 0, nbd.CMD_WRITE, 1, 0, 0xffffffff)):
            with nbd.Client(s.sock) as c:
                c.go(b'x')
                c.send(raw)
                if raw[0]:
                    runner.equal(c.simple()[0], 22, 'too long')
                assert c.ended()
        # Gone in the middle of a write, and with answers on the way.
        with nbd.Client(s.sock) as c:
            c.go(b'x')
            c.request(nbd.CMD_WRITE, 0, 65536, payload=b'half')
        with nbd.Client(s.sock) as c:
            c.go(b'x')
            for _ in range(64):
                c.request(nbd.CMD_READ, 0, 4 * MIB)
        runner.equal(info(s)['exports'][0]['export-size'], SIZE, 'still there')
        run('nbdcopy', s.uri(), os.path.join(s.dir, 'out'))


def test_export_lifecycle():
    with Server(start=False, export=False) as s:
        error = s.vm.qmp.cmd_error
        add = {'type': 'nbd', 'id': 'e', 'node-name': 'disk'}
        runner.equal(error('block-export-add', add), 'NBD server not running', 'no server')
        runner.equal(error('nbd-server-stop'), 'NBD server not running', 'stop')
        addr = {'type': 'unix', 'data': {'path': s.sock}}
        runner.equal(error('nbd-server-start', addr=addr, tls_creds='none'),
                     "No TLS credentials with id 'none'", 'creds')
        s.cmd('nbd-server-start', addr=addr)
        runner.equal(error('nbd-server-start', addr=addr), 'NBD server already running', 'twice')
        s.cmd('block-export-add', add)
        runner.equal(error('block-export-add', add), "Block export id 'e' is already in use", 'id')
        runner.equal(error('block-export-add', dict(add, id='f')), "NBD server already has export named 'disk'",
                     'name')
        runner.equal(error('block-export-add', dict(add, id='b d')), 'Invalid block export id', 'id')
        runner.equal(error('block-export-add', dict(add, id='g', name='g', bitmaps=['b'])),
                     "Bitmap 'b' is not found", 'bitmap')
        runner.equal(s.cmd('query-block-exports'),
                     [{'id': 'e', 'type': 'nbd', 'node-name': 'disk', 'shutting-down': False}], 'query')
        runner.equal(error('blockdev-del', node_name='disk'), 'Node disk is in use', 'blockdev-del')
        with nbd.Client(s.sock) as c:
            c.go(b'disk')
            runner.equal(error('block-export-del', id='e'), "export 'e' still in use", 'safe')
            s.cmd('block-export-del', id='e', mode='hard')
            assert c.ended()
        runner.equal(s.vm.qmp.wait_event('BLOCK_EXPORT_DELETED')['data'], {'id': 'e'}, 'event')
        s.cmd('nbd-server-add', device='disk', writable=True)
        with nbd.Client(s.sock) as c:
            c.go(b'disk')
            s.cmd('nbd-server-stop')
            assert c.ended()
        runner.equal(s.vm.qmp.wait_event('BLOCK_EXPORT_DELETED')['data'], {'id': 'disk'}, 'event')
        runner.equal(os.path.exists(s.sock), False, 'socket file')
        s.cmd('blockdev-del', node_name='disk')


def test_quit_while_connected():
    with Server() as s, nbd.Client(s.sock) as c:
        c.go(b'x')
        s.cmd('quit')
        assert c.ended()
        runner.equal(s.vm.wait(), 0, 'exit status')


def test_max_connections():
    with Server(max_connections=1) as s:
        first = nbd.Client(s.sock)
        second = nbd.Stream(nbd.socket.socket(nbd.socket.AF_UNIX))
        second.sock.connect(s.sock)
        second.sock.settimeout(0.3)
        try:
            second.sock.recv(1)
            raise AssertionError('the second was served')
        except TimeoutError:
            pass
        first.close()
        second.sock.settimeout(20)
        runner.equal(second.read(8), b'NBDMAGIC', 'its turn')
        second.close()


# ---- TLS ----

def test_tls_required():
    with tempfile.TemporaryDirectory() as d:
        psk = tls.psk_folder(os.path.join(d, 'psk'), alice=KEY)
        with Server('-object', 'tls-creds-psk,id=t,endpoint=server,dir=' + psk, tls_creds='t') as s:
            with nbd.Client(s.sock) as c:
                for number in (nbd.OPT_LIST, nbd.OPT_GO, nbd.OPT_INFO, nbd.OPT_STRUCTURED_REPLY, 99):
                    runner.equal(c.option(number)[-1][0], nbd.ERR_TLS_REQD, 'option %d' % number)
            with nbd.Client(s.sock) as c:
                c.send(struct.pack('>8sII', b'IHAVEOPT', nbd.OPT_EXPORT_NAME, 1) + b'x')
                assert c.ended()
            with nbd.Client(s.sock) as c:       # what is no handshake
                runner.equal(c.option(nbd.OPT_STARTTLS)[-1][0], nbd.REP_ACK, 'starttls')
                c.send(b'x' * 100)
                try:
                    c.read(1000)
                except nbd.Closed:
                    pass
            run('nbdinfo', s.uri(), status=1)


def test_tls_psk():
    with tempfile.TemporaryDirectory() as d:
        psk = tls.psk_folder(os.path.join(d, 'psk'), alice=KEY)
        wrong = tls.psk_folder(os.path.join(d, 'wrong'), alice=KEY[::-1])
        with Server('-object', 'tls-creds-psk,id=t,endpoint=server,dir=' + psk, tls_creds='t') as s:
            more = '&tls-psk-file=%s/keys.psk'
            user = s.uri(scheme='nbds', more=more % psk).replace(':///', '://alice@/')
            assert 'with TLS' in run('nbdinfo', user)
            run('nbdcopy', user, os.path.join(s.dir, 'out'))
            run('cmp', s.image, os.path.join(s.dir, 'out'))
            run('nbdinfo', user.replace(psk, wrong), status=1)
            run('nbdinfo', user.replace('alice@', 'bob@'), status=1)


def test_tls_x509():
    with tempfile.TemporaryDirectory() as d:
        ca = tls.Authority(os.path.join(d, 'ca'))
        server = ca.issue('server', True, 'localhost', ['localhost'])
        client = ca.issue('client', False, 'alice')
        stranger = tls.Authority(os.path.join(d, 'other'), 'another CA').issue('client', False, 'alice')
        shutil.copy(os.path.join(client, 'ca-cert.pem'), stranger)      # trusts the server, but not the other way round
        nobody = os.path.join(d, 'nobody')
        os.makedirs(nobody)
        shutil.copy(ca.cert, nobody)
        creds = 'tls-creds-x509,id=t,endpoint=server,verify-peer=on,dir=' + server
        with Server('-object', creds, tls_creds='t') as s:
            uri = s.uri(scheme='nbds', more='&tls-certificates=%s')
            assert 'with TLS' in run('nbdinfo', uri % client)
            run('nbdcopy', uri % client, os.path.join(s.dir, 'out'))
            run('cmp', s.image, os.path.join(s.dir, 'out'))
            run('nbdinfo', uri % stranger, status=1)
            run('nbdinfo', uri % nobody, status=1)
            runner.require(shutil.which('qemu-img'), 'qemu-img is missing')
            opts = 'driver=nbd,server.type=unix,server.path=%s,export=x,tls-creds=c,tls-hostname=%s'
            for name, status in (('localhost', 0), ('other.example', 1)):
                run('/usr/bin/qemu-img', 'info', '--object', 'tls-creds-x509,id=c,endpoint=client,dir=' + client,
                    '--image-opts', opts % (s.sock, name), status=status)
        with Server('-object', creds, '-object', 'authz-simple,id=a,identity=CN=bob,,O=nemu',
                    tls_creds='t', tls_authz='a') as s:
            run('nbdinfo', s.uri(scheme='nbds', more='&tls-certificates=' + client), status=1)
            s.cmd('object-add', {'qom-type': 'authz-list', 'id': 'b',
                                 'rules': [{'match': 'O=nemu,CN=*', 'format': 'glob', 'policy': 'allow'},
                                           {'match': 'CN=*,O=nemu', 'format': 'glob', 'policy': 'allow'}]})
            s.cmd('nbd-server-stop')
            s.cmd('nbd-server-start', addr={'type': 'unix', 'data': {'path': s.sock}}, tls_creds='t', tls_authz='b')
            s.cmd('block-export-add', {'name': 'x'}, type='nbd', id='e', node_name='disk')
            run('nbdinfo', s.uri(scheme='nbds', more='&tls-certificates=' + client))


def test_bad_certificates():
    with tempfile.TemporaryDirectory() as d:
        ca = tls.Authority(os.path.join(d, 'ca'))
        client = ca.issue('client', False, 'alice')
        other = tls.Authority(os.path.join(d, 'other'), 'another CA').issue('server', True, 'localhost')
        shutil.copy(ca.cert, other)
        # The client's certificate in the server's place.
        wrong = os.path.join(d, 'wrong')
        shutil.copytree(client, wrong)
        for what in ('key', 'cert'):
            os.rename(os.path.join(wrong, 'client-%s.pem' % what), os.path.join(wrong, 'server-%s.pem' % what))
        with Server(export=False) as s:
            for folder, text in ((other, "hasn't got a known issuer"), (client, 'server-cert.pem: No such file')):
                error = s.vm.qmp.cmd_error('object-add', qom_type='tls-creds-x509', id='t', dir=folder,
                                           endpoint='server')
                assert text in error, error


if __name__ == '__main__':
    runner.main(globals())
