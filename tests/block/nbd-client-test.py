#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The NBD client driver: nbdkit and Debian's qemu-nbd as servers, TLS, servers that die or lie.

The node is reached through an export of our own server, with Debian's qemu-io and libnbd's tools."""
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
KEY = '0123456789abcdef0123456789abcdef'


def run(*argv, status=0):
    runner.require(shutil.which(argv[0]), argv[0] + ' is missing')
    p = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False,
                       universal_newlines=True)
    if status is not None:
        runner.equal(p.returncode, status, ' '.join(argv) + ': ' + p.stdout + p.stderr)
    return p.stdout + p.stderr


class Bed:
    """A folder, a server in it, an emulator; the node "n" is exported as "n"."""

    def __init__(self, *args):
        self.dir = tempfile.mkdtemp(prefix='nemu-nbd-')
        self.sock = os.path.join(self.dir, 'server')
        self.ours = os.path.join(self.dir, 'ours')
        self.args = [a.replace('DIR', self.dir) for a in args]
        self.servers = []
        self.vm = None

    def path(self, name):
        return os.path.join(self.dir, name)

    def image(self, size=8 * MIB):
        path = self.path('image')
        with open(path, 'wb') as f:
            f.write(bytes(i * 11 % 253 for i in range(65536)) * (size // 65536))
        return path

    def server(self, *argv):
        """Starts a server that makes self.sock."""
        runner.require(shutil.which(argv[0]), argv[0] + ' is missing')
        p = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
        self.servers.append(p)
        runner.wait_for(lambda: os.path.exists(self.sock), what='socket of ' + argv[0])
        return p

    def nbdkit(self, *args):
        return self.server('nbdkit', '-f', '-U', self.sock, *args)

    def qemu_nbd(self, *args):
        return self.server('/usr/bin/qemu-nbd', '-t', '-e', '8', '-k', self.sock, *args)

    def start(self):
        if not self.vm:
            self.vm = qtest.Emulator('-machine', 'none', '-nodefaults', '-S', *self.args)
            self.vm.qmp.cmd('nbd-server-start', addr={'type': 'unix', 'data': {'path': self.ours}})
        return self.vm

    def node(self, writable=True, **options):
        self.start()
        options.setdefault('server', {'type': 'unix', 'path': self.sock})
        options.setdefault('node-name', 'n')
        self.vm.qmp.cmd('blockdev-add', dict(options, driver='nbd', **{'read-only': not writable}))
        self.vm.qmp.cmd('block-export-add', {'type': 'nbd', 'id': 'n', 'node-name': 'n', 'writable': writable})

    def refused(self, **options):
        self.start()
        options.setdefault('server', {'type': 'unix', 'path': self.sock})
        return self.vm.qmp.cmd_error('blockdev-add', dict(options, driver='nbd', **{'node-name': 'x'}))

    @property
    def uri(self):
        return 'nbd+unix:///n?socket=' + self.ours

    def io(self, *commands, status=0):
        text = run('/usr/bin/qemu-io', '-f', 'raw', *[a for c in commands for a in ('-c', c)], self.uri, status=status)
        return text

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        try:
            if self.vm:
                self.vm.__exit__(*exc)
        finally:
            for p in self.servers:
                p.kill()
                p.wait()
            shutil.rmtree(self.dir)


def check_io(bed, image):
    out = bed.path('out')
    run('nbdcopy', bed.uri, out)
    run('cmp', out, image)
    text = bed.io('write -P 3 1M 64k', 'read -P 3 1M 64k', 'write -z -u 2M 1M', 'read -P 0 2M 1M', 'discard 4M 1M', 'flush',
                  'write -f -P 5 100 1000', 'read -P 5 100 1000', 'read -P 3 1100000 100')
    assert 'failed' not in text, text
    with open(out, 'r+b') as f:
        f.seek(5 * MIB)
        f.write(b'changed!' * 9999)
    run('nbdcopy', '--request-size=4096', '--requests=64', '--connections=4', '--flush', out, bed.uri)
    run('cmp', out, image)


def test_nbdkit():
    with Bed() as b:
        image = b.image()
        b.nbdkit('file', image)
        b.node()
        check_io(b, image)


def test_nbdkit_tcp():
    with Bed() as b:
        image = b.image()
        runner.require(shutil.which('nbdkit'), 'nbdkit is missing')
        probe = nbd.socket.socket()
        probe.bind(('127.0.0.1', 0))
        port = str(probe.getsockname()[1])
        probe.close()
        pid = b.path('pid')
        b.servers.append(subprocess.Popen(['nbdkit', '-f', '-P', pid, '-i', '127.0.0.1', '-p', port, '-e', 'a/b c', 'file', image]))
        runner.wait_for(lambda: os.path.exists(pid) and os.path.getsize(pid), what='nbdkit')
        b.node(server={'type': 'inet', 'host': '127.0.0.1', 'port': port}, export='a/b c')
        check_io(b, image)


def test_nbdkit_oldstyle_and_sizes():
    with Bed() as b:
        image = b.image(MIB)
        b.nbdkit('-o', 'file', image)
        b.node()
        run('nbdcopy', b.uri, b.path('out'))
        run('cmp', b.path('out'), image)
    with Bed() as b:
        # The server refuses what is not aligned to 4 KiB or longer than 64 KiB.
        image = b.image(MIB)
        b.nbdkit('--filter=blocksize-policy', 'file', image, 'blocksize-minimum=4096', 'blocksize-preferred=4096',
                 'blocksize-maximum=65536', 'blocksize-error-policy=error')
        b.node()
        text = b.io('write -P 9 1000 3000', 'read -P 9 1000 3000', 'write -P 7 100k 500k', 'read -P 7 100k 500k')
        assert 'failed' not in text, text


def test_server_errors():
    with Bed() as b:
        b.nbdkit('--filter=error', 'memory', '1M', 'error-pread=ENOSPC', 'error-pread-rate=100%')
        b.node()
        text = b.io('write 0 512', 'read 0 512', status=1)
        assert 'read failed: No space left on device' in text and 'wrote 512/512' in text, text


def test_debian_qemu_nbd():
    with Bed() as b:
        image = b.image()
        b.qemu_nbd('-f', 'raw', '--discard=unmap', '-x', 'ex', image)
        b.node(export='ex')
        check_io(b, image)


def test_block_status():
    with Bed() as b:
        image = b.path('image')
        run('/usr/bin/qemu-img', 'create', '-q', '-f', 'qcow2', image, '4M')
        run('/usr/bin/qemu-io', '-c', 'write 1M 1M', image)
        run('/usr/bin/qemu-img', 'bitmap', '--add', image, 'b0')
        run('/usr/bin/qemu-io', '-c', 'write 3M 64k', image)
        b.qemu_nbd('-r', '-B', 'b0', '-A', '-f', 'qcow2', image)
        b.node(writable=False)

        def extents():
            return [(e['offset'], e['length'], e['type']) for e in
                    json.loads(run('nbdinfo', '--json', '--map', b.uri))]
        runner.equal(extents(), [(0, MIB, 3), (MIB, MIB, 0), (2 * MIB, MIB, 3), (3 * MIB, 65536, 0),
                                 (3 * MIB + 65536, MIB - 65536, 3)], 'allocation')
        for context, want in (('qemu:dirty-bitmap:b0', [(0, 3 * MIB, 0), (3 * MIB, 65536, 1),
                                                        (3 * MIB + 65536, MIB - 65536, 0)]),):
            b.vm.qmp.cmd('block-export-del', id='n', mode='hard')
            b.vm.qmp.cmd('blockdev-del', node_name='n')
            b.node(writable=False, **{'x-dirty-bitmap': context})
            runner.equal(extents(), want, context)
        assert 'not found' in b.refused(**{'x-dirty-bitmap': 'qemu:dirty-bitmap:none', 'read-only': True})


def test_read_only_export():
    with Bed() as b:
        image = b.image()
        b.qemu_nbd('-r', '-f', 'raw', image)
        assert 'Permission denied' in b.refused()
        b.start().qmp.cmd('blockdev-add', {'driver': 'nbd', 'node-name': 'auto', 'auto-read-only': True,
                                           'server': {'type': 'unix', 'path': b.sock}})
        b.node(writable=False)
        run('nbdcopy', b.uri, b.path('out'))


def test_names():
    with Bed() as b:
        image = b.image()
        b.qemu_nbd('-f', 'raw', '-x', 'e x', image)
        want = 'nbd+unix:///e%20x?socket=' + b.sock
        for name in ('nbd+unix:///e%20x?socket=' + b.sock, 'nbd:unix:' + b.sock + ':exportname=e x'):
            with qtest.Emulator('-machine', 'none', '-nodefaults', '-S', '-drive',
                                'if=none,id=d,format=raw,file=' + name) as vm:
                info = vm.qmp.cmd('query-block')[0]['inserted']
                runner.equal(info['file'], want, name)
                runner.equal(info['image']['virtual-size'], 8 * MIB, 'size')
        for options, text in (
                ({'server': {'type': 'unix', 'path': b.path('none')}}, 'No such file'),
                ({'export': 'no'}, "Requested export not available"),
                ({'tls-creds': 'none'}, "No TLS credentials with id 'none'"),
                ({'export': 'x' * 5000}, 'too long')):
            assert text in b.refused(**options), b.refused(**options)


# ---- TLS ----

def test_tls_psk():
    with Bed('-object', 'tls-creds-psk,id=good,dir=DIR/psk,username=alice', '-object',
             'tls-creds-psk,id=bad,dir=DIR/wrong,username=alice') as b:
        tls.psk_folder(b.path('psk'), alice=KEY)
        tls.psk_folder(b.path('wrong'), alice=KEY[::-1])
        image = b.image()
        b.nbdkit('--tls=require', '--tls-psk=' + b.path('psk/keys.psk'), 'file', image)
        b.node(**{'tls-creds': 'good'})
        check_io(b, image)
        assert 'TLS handshake failed' in b.refused(**{'tls-creds': 'bad'})
        assert 'TLS' in b.refused()


def test_tls_x509():
    with Bed('-object', 'tls-creds-x509,id=good,dir=DIR/ca/client', '-object',
             'tls-creds-x509,id=stranger,dir=DIR/other/client', '-object',
             'tls-creds-x509,id=careless,dir=DIR/other/client,verify-peer=off') as b:
        ca = tls.Authority(b.path('ca'))
        server = ca.issue('server', True, 'localhost', ['localhost', 'disk.example'])
        ca.issue('client', False, 'alice')
        tls.Authority(b.path('other'), 'another CA').issue('client', False, 'mallory')
        image = b.image()
        b.qemu_nbd('-f', 'raw', '--object', 'tls-creds-x509,id=t,endpoint=server,verify-peer=on,dir=' + server,
                   '--tls-creds=t', image)
        b.node(**{'tls-creds': 'good', 'tls-hostname': 'disk.example'})
        check_io(b, image)
        assert 'does not match the hostname evil.example' in b.refused(
            **{'tls-creds': 'good', 'tls-hostname': 'evil.example'})
        # Neither end wants the other; who says so first is a matter of time.
        assert 'TLS handshake failed' in b.refused(**{'tls-creds': 'stranger', 'tls-hostname': 'localhost'})
        assert 'No hostname for certificate validation' in b.refused(**{'tls-creds': 'good'})
        # The server does not want us: told at the handshake, or with the first bytes after it.
        b.refused(**{'tls-creds': 'careless', 'tls-hostname': 'localhost'})


# ---- servers that die ----

def test_reconnect():
    with Bed() as b:
        def die_at_third(stream, number, request):
            return False if number == 3 else None
        first = nbd.FakeServer(b.sock, behave=die_at_third)
        b.node(**{'reconnect-delay': 20})
        # The third request meets a dead connection, the fourth comes on a new one.
        text = b.io('write -P 1 0 4k', 'write -P 2 4k 4k', 'write -P 3 8k 4k', 'read -P 1 0 4k', 'read -P 2 4k 4k',
                    'read -P 3 8k 4k')
        assert 'failed' not in text, text
        assert first.connections == 2, first.connections
        data = bytes(first.data)
        first.close()
        # Nobody is there for a while; the requests wait.
        waiting = subprocess.Popen(['/usr/bin/qemu-io', '-f', 'raw', '-c', 'read -P 3 8k 4k', '-c', 'write -P 4 12k 4k',
                                    b.uri], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
        try:
            waiting.wait(0.7)
            raise AssertionError('did not wait: ' + waiting.stdout.read())
        except subprocess.TimeoutExpired:
            pass
        second = nbd.FakeServer(b.sock, data=data)
        out, _ = waiting.communicate(timeout=20)
        runner.equal(waiting.returncode, 0, out)
        runner.equal(bytes(second.data[12288:16384]), b'\4' * 4096, 'written')
        second.close()
        # What comes back smaller is another disk.
        nbd.FakeServer(b.sock, size=65536)


def test_no_reconnect_delay():
    with Bed() as b:
        server = nbd.FakeServer(b.sock)
        b.node()
        assert 'failed' not in b.io('read 0 4k')
        server.close()
        assert 'read failed: Input/output error' in b.io('read 0 4k', status=1)
        assert 'write failed: Input/output error' in b.io('write 0 4k', status=1)
        nbd.FakeServer(b.sock)
        runner.wait_for(lambda: 'failed' not in b.io('read 0 4k', status=None), what='a new connection', interval=0.2)


def test_open_timeout():
    with Bed() as b:
        b.start()
        assert 'No such file' in b.refused(**{'open-timeout': 1})
        silent = nbd.socket.socket(nbd.socket.AF_UNIX)
        silent.bind(b.sock)
        silent.listen(1)        # takes connections and says nothing
        assert b.refused(**{'open-timeout': 1})
        silent.close()
        os.unlink(b.sock)
        late = nbd.threading.Timer(0.5, lambda: nbd.FakeServer(b.sock))
        late.start()
        b.node(**{'open-timeout': 20})
        assert 'failed' not in b.io('read 0 4k')


# ---- servers that lie ----

LIES = {
    'magic': lambda c, o, n: b'\0' * 16,
    'cookie': lambda c, o, n: nbd.chunk(c + 16, 1, struct.pack('>Q', o) + bytes(n)),
    'cookie far': lambda c, o, n: nbd.chunk(1 << 63, 1, struct.pack('>Q', o) + bytes(n)),
    'too much': lambda c, o, n: nbd.chunk(c, 1, struct.pack('>Q', o) + bytes(n + 1)),
    'before': lambda c, o, n: nbd.chunk(c, 1, struct.pack('>Q', o - 1) + bytes(n)),
    'wrap': lambda c, o, n: nbd.chunk(c, 1, struct.pack('>Q', (1 << 64) - 1) + bytes(n)),
    'empty data': lambda c, o, n: nbd.chunk(c, 1, struct.pack('>Q', o)),
    'twice': lambda c, o, n: nbd.chunk(c, 1, struct.pack('>Q', o) + bytes(n), 0) + nbd.chunk(
        c, 1, struct.pack('>Q', o) + bytes(n)),
    'half': lambda c, o, n: nbd.chunk(c, 1, struct.pack('>Q', o) + bytes(n // 2)),
    'nothing': lambda c, o, n: nbd.chunk(c, 0),
    'none, more': lambda c, o, n: nbd.chunk(c, 0, b'', 0),
    'hole': lambda c, o, n: nbd.chunk(c, 2, struct.pack('>QI', o, n + 1)),
    'hole wrap': lambda c, o, n: nbd.chunk(c, 2, struct.pack('>QI', o + n - 1, 0xffffffff)),
    'long hole': lambda c, o, n: nbd.chunk(c, 2, struct.pack('>QII', o, n, 0)),
    'status': lambda c, o, n: nbd.chunk(c, 5, struct.pack('>III', 5, n, 0)),
    'unknown': lambda c, o, n: nbd.chunk(c, 77, b'abc'),
    'huge': lambda c, o, n: struct.pack('>IHHQI', 0x668e33ef, 1, 1, c, 0xffffffff),
    'error 0': lambda c, o, n: nbd.chunk(c, 0x8001, struct.pack('>IH', 0, 0)),
    'error text': lambda c, o, n: nbd.chunk(c, 0x8001, struct.pack('>IH', 5, 100)),
    'error short': lambda c, o, n: nbd.chunk(c, 0x8001, b'abc'),
    'simple': lambda c, o, n: struct.pack('>IIQ', 0x67446698, 0, c) + bytes(n),
    'cut off': lambda c, o, n: False,
}


def test_create_image():
    """An image on an export, which cannot be created: made, or refused in words; qemu-img never dies of it."""
    with Bed() as b:
        b.qemu_nbd('-f', 'raw', b.image())
        done = subprocess.run([os.path.join(qtest.build_dir(), 'qemu-img'), 'create', '-f', 'qcow2',
                               'nbd+unix:///?socket=' + b.sock, '1M'], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0 or (done.returncode == 1 and 'NBD' in done.stderr), (done.returncode, done.stderr)


def test_lies():
    with Bed() as b:
        lie = ['']

        def behave(stream, number, request):
            _, command, cookie, offset, length = request
            if command == nbd.CMD_READ and lie[0]:
                return LIES[lie[0]](cookie, offset, length)
            return None
        nbd.FakeServer(b.sock, behave=behave)
        b.node()
        for name in LIES:
            lie[0] = name
            text = b.io('read 64k 4k', status=1)
            assert 'read failed: Input/output error' in text, (name, text)
            lie[0] = ''
            runner.wait_for(lambda: 'failed' not in b.io('read 64k 4k', status=None), what='recovery', interval=0.3)


def test_honest_variants():
    with Bed() as b:
        def behave(stream, number, request):
            _, command, c, o, n = request
            if command != nbd.CMD_READ:
                return None
            half = n // 2
            return (nbd.chunk(c, 2, struct.pack('>QI', o + half, n - half), 0) +
                    nbd.chunk(c, 1, struct.pack('>Q', o) + b'\7' * half, 0) + nbd.chunk(c, 0))
        nbd.FakeServer(b.sock, behave=behave)
        b.node()
        text = b.io('read -P 7 64k 2k', 'read -P 7 -l 2k 64k 4k', 'read -P 0 -s 2k -l 2k 64k 4k', status=None)
        assert 'read 4096/4096' in text, text


def test_lies_in_handshake():
    cases = (
        b'', b'\0' * 100, struct.pack('>8s8sH', b'NBDMAGIC', b'IHAVEOPT', 0),
        struct.pack('>8s8sH', b'NBDMAGIC', b'IHAVEOPT', 1) + struct.pack('>QIII', 0x3e889045565a9, 8, 1, 1 << 31),
        struct.pack('>8s8sH', b'NBDMAGIC', b'IHAVEOPT', 1) + struct.pack('>QIII', 0x3e889045565a9, 7, 1, 0),
        struct.pack('>8s8sH', b'NBDMAGIC', b'IHAVEOPT', 1) + struct.pack('>QIII', 0x3e889045565a9, 8, 3, 0),
    )
    with Bed() as b:
        for case in cases:
            listener = nbd.socket.socket(nbd.socket.AF_UNIX)
            listener.bind(b.sock)
            listener.listen(1)

            def serve(listener=listener, case=case):
                sock, _ = listener.accept()
                sock.sendall(case)
                sock.shutdown(nbd.socket.SHUT_WR)
                try:
                    while sock.recv(4096):
                        pass
                except ConnectionResetError:
                    pass
                sock.close()
            thread = nbd.threading.Thread(target=serve, daemon=True)
            thread.start()
            assert b.refused()
            thread.join(10)
            listener.close()
            os.unlink(b.sock)
        for info in (struct.pack('>HIII', 3, 3, 4096, 65536), struct.pack('>HIII', 3, 512, 256, 65536),
                     struct.pack('>HIII', 3, 512, 4096, 0), b'\0', struct.pack('>H', 0), struct.pack('>H', 2) + b'x' * 5000):
            server = nbd.FakeServer(b.sock, info=[info])
            if info[:2] != b'\0\2' or len(info) < 4096:
                assert 'erver sent' in b.refused(), info
            server.close()


if __name__ == '__main__':
    runner.main(globals())
