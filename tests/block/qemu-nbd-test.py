#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""qemu-nbd: options, messages and exit codes beside Debian's, serving, listing, background, TLS."""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import nbd, qtest, runner, tls

MIB = 1 << 20
KEY = '0123456789abcdef0123456789abcdef'
OURS = os.path.join(qtest.build_dir(), 'qemu-nbd')
DEBIAN = '/usr/bin/qemu-nbd'


def run(*argv, status=0, timeout=60, env=None):
    runner.require(shutil.which(argv[0]), argv[0] + ' is missing')
    p = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout, check=False,
                       universal_newlines=True, env=env)
    if status is not None:
        runner.equal(p.returncode, status, ' '.join(argv) + ': ' + p.stdout + p.stderr)
    return p.stdout + p.stderr


class Server:
    """A qemu-nbd on a unix socket, in a folder with an 8 MiB raw image."""

    def __init__(self, *args, program=OURS, image=None, wait=True):
        self.dir = tempfile.mkdtemp(prefix='nemu-nbd-')
        self.sock = os.path.join(self.dir, 'sock')
        self.image = os.path.join(self.dir, 'image')
        with open(self.image, 'wb') as f:
            f.write(bytes(i * 5 % 239 for i in range(65536)) * 128)
        if image:
            image(self.image)
        args = [a.replace('DIR', self.dir) for a in args]
        if '--image-opts' not in args:
            args.append(self.image)
        self.proc = subprocess.Popen([program, '-k', self.sock, *args], stderr=subprocess.PIPE, universal_newlines=True)
        if wait:
            runner.wait_for(lambda: self.accepts() or self.proc.poll() is not None, what='the socket')

    def accepts(self):
        with nbd.socket.socket(nbd.socket.AF_UNIX) as s:
            return s.connect_ex(self.sock) == 0

    def uri(self, name='', scheme='nbd', more=''):
        return '%s+unix:///%s?socket=%s%s' % (scheme, name, self.sock, more)

    def ended(self):
        """The exit status and what was said."""
        _, err = self.proc.communicate(timeout=20)
        return self.proc.returncode, err

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.proc.poll() is None:
            self.proc.kill()
        self.proc.communicate()
        shutil.rmtree(self.dir)


def both(*args):
    """What Debian's and ours say to a wrong command line, and their exit codes."""
    got = []
    for program in (DEBIAN, OURS):
        runner.require(os.path.exists(program), program + ' is missing')
        p = subprocess.run(['qemu-nbd', *args], executable=program, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           universal_newlines=True, timeout=20, check=False)
        got.append((p.returncode, p.stdout))
    return got


def test_messages():
    with tempfile.TemporaryDirectory() as d:
        image = os.path.join(d, 'image')
        with open(image, 'wb') as f:
            f.truncate(MIB)
        sock = os.path.join(d, 'sock')
        faults = []
        for args in ([], ['a', 'b'], ['-f', 'raw', os.path.join(d, 'none')], ['-f', 'nope', image], ['-k', 'rel', image],
                     ['-e', '-1', image], ['-e', 'x', image], ['-o', 'x', image], ['-o', '20M', image], ['--cache=x', image],
                     ['--aio=x', image], ['--discard=x', image], ['--detect-zeroes=x', image],
                     ['-f', 'raw', '--detect-zeroes=unmap', '-k', sock, image], ['--tls-creds=x', image],
                     ['--tls-authz=x', image], ['-L', 'x'], ['-L', '-k', os.path.join(d, 'none')], ['-L', '-p', '1'],
                     ['--cache=none', '--cache=unsafe', image], ['-n', '--cache=none', image],
                     ['--aio=native', '--aio=native', image], ['--zz'], ['-c', '/dev/nonexistent', image],
                     ['-d', '/dev/nonexistent'], ['-d'], ['-c'], ['-k', d + '/none/sock', '-f', 'raw', image],
                     ['--object', 'nope,id=x', image], ['-x', 'x' * 5000, image], ['-D', 'x' * 5000, image],
                     ['-f', 'raw', '-B', 'none', '-k', sock, image], ['-d', '/dev/nbd0', image], ['-L', '-x', 'x'],
                     ['-L', '-f', 'raw'], ['-L', '--tls-creds=x'], ['-l', 'snapshot.x=1', '-f', 'raw', image]):
            want, got = both(*args)
            if got != want:
                faults.append((' '.join(args)[:100], got, want))
            assert not os.path.exists(sock), args
        runner.equal(faults, [], 'differences')


def test_serve_and_leave():
    with Server('-f', 'raw') as s:
        out = os.path.join(s.dir, 'out')
        run('nbdcopy', s.uri(), out)
        run('cmp', out, s.image)
        runner.equal(s.ended()[0], 0, 'after the last client')
        assert not os.path.exists(s.sock)
    # Looking at the list is no use of the export.
    with Server('-f', 'raw') as s:
        run('nbdinfo', '--list', s.uri())
        with nbd.Client(s.sock) as c:
            c.option(nbd.OPT_ABORT)
        runner.equal(s.proc.poll(), None, 'still there')
        s.proc.send_signal(signal.SIGTERM)
        runner.equal(s.ended()[0], 0, 'SIGTERM')
        assert not os.path.exists(s.sock)


def test_persistent_and_shared():
    with Server('-f', 'raw', '-t', '-e', '2', '-x', 'name', '-D', 'about it') as s:
        for _ in range(3):
            text = run('nbdinfo', s.uri('name'))
        assert 'about it' in text and 'can_multi_conn: true' in text, text
        clients = [nbd.Client(s.sock) for _ in range(2)]
        third = nbd.Stream(nbd.socket.socket(nbd.socket.AF_UNIX))
        third.sock.connect(s.sock)
        third.sock.settimeout(0.3)
        try:
            third.sock.recv(1)
            raise AssertionError('a third client was served')
        except TimeoutError:
            pass
        clients[0].close()
        third.sock.settimeout(20)
        third.read(8)
        clients[1].close()
        third.close()


def test_writing():
    for args, readonly in ((['-r'], True), ([], False), (['--cache=writethrough'], False), (['-n'], False),
                           (['--aio=threads'], False), (['--discard=unmap', '--detect-zeroes=unmap'], False)):
        with Server('-f', 'raw', '-t', *args) as s:
            text = run('/usr/bin/qemu-io', '-f', 'raw', *(['-r'] if readonly else []), '-c',
                       'read 0 4k' if readonly else 'write -P 9 4k 8k', s.uri())
            assert 'failed' not in text, text
            with open(s.image, 'rb') as f:
                f.seek(4096)
                data = f.read(8192)
            runner.equal(data == b'\t' * 8192, not readonly, 'written')
            if readonly:
                run('/usr/bin/qemu-io', '-f', 'raw', '-c', 'write 0 4k', s.uri(), status=1)


def test_offset():
    with Server('-f', 'raw', '-t', '-o', '65536') as s:
        out = os.path.join(s.dir, 'out')
        run('nbdcopy', s.uri(), out)
        with open(s.image, 'rb') as f, open(out, 'rb') as g:
            runner.equal(g.read() == f.read()[65536:], True, 'content')


def test_image_opts():
    with Server('-t', '--image-opts', 'driver=raw,size=65536,file.driver=file,file.filename=DIR/image') as s:
        assert '65536' in run('nbdinfo', '--size', s.uri())


def test_list_like_debian():
    with Server('-f', 'raw', '-t', '-e', '0', '-x', 'x', '-D', 'about') as s:
        want, got = run(DEBIAN, '-L', '-k', s.sock), run(OURS, '-L', '-k', s.sock)
        runner.equal(got, want, 'our server')
    with Server('-f', 'raw', '-t', '-r', '-A', '-x', 'y z', program=DEBIAN) as s:
        want, got = run(DEBIAN, '-L', '-k', s.sock), run(OURS, '-L', '-k', s.sock)
        runner.equal(got, want, "Debian's server")


def test_same_export_as_debian():
    def facts(text):
        return re.sub('socket=[^\n]*', '', text)
    for args in ([], ['-r'], ['-e', '4'], ['-A']):
        seen = []
        for program in (DEBIAN, OURS):
            with Server('-f', 'raw', '-t', *args, program=program) as s:
                seen.append(facts(run('nbdinfo', s.uri())))
        runner.equal(seen[1], seen[0], ' '.join(args))


def test_fork_and_pid_file():
    with tempfile.TemporaryDirectory() as d:
        image, sock, pid = (os.path.join(d, n) for n in ('image', 'sock', 'pid'))
        with open(image, 'wb') as f:
            f.truncate(MIB)
        args = [OURS, '-f', 'raw', '-t', '-k', sock, '--pid-file=' + pid, '--fork', image]
        run(*args, timeout=20)
        # It accepts clients as soon as the command has ended.
        run('nbdinfo', 'nbd+unix:///?socket=' + sock)
        with open(pid, encoding='ascii') as f:
            number = int(f.read())
        os.kill(number, signal.SIGTERM)
        runner.wait_for(lambda: not os.path.exists(sock), what='its end')
        text = run(*args[:-1], os.path.join(d, 'none'), status=1, timeout=20)
        assert 'No such file or directory' in text, text
        text = run(OURS, '-f', 'raw', '-k', sock, '--pid-file=/nonexistent/x', image, status=1)
        runner.equal(text, "qemu-nbd: Could not create '/nonexistent/x': No such file or directory\n", 'pid file')


def test_socket_activation():
    with tempfile.TemporaryDirectory() as d:
        image, sock = os.path.join(d, 'image'), os.path.join(d, 'sock')
        with open(image, 'wb') as f:
            f.truncate(MIB)
        listener = nbd.socket.socket(nbd.socket.AF_UNIX)
        listener.bind(sock)
        listener.listen(1)

        def prepare():
            os.dup2(listener.fileno(), 3)
            os.set_inheritable(3, True)
        script = 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"'
        p = subprocess.Popen(['sh', '-c', script, 'sh', OURS, '-f', 'raw', image], preexec_fn=prepare, close_fds=False)
        assert '1048576' in run('nbdinfo', '--size', 'nbd+unix:///?socket=' + sock)
        runner.equal(p.wait(20), 0, 'exit status')
        listener.close()


def test_tls():
    with tempfile.TemporaryDirectory() as d:
        ca = tls.Authority(os.path.join(d, 'ca'))
        server, client = ca.issue('server', True, 'localhost', ['localhost']), ca.issue('client', False, 'alice')
        creds = 'tls-creds-x509,id=t,endpoint=%s,dir=%s'
        with Server('-f', 'raw', '-t', '--object', creds % ('server', server), '--object',
                    'authz-simple,id=a,identity=CN=alice,,O=nemu', '--tls-creds=t') as s:
            assert 'with TLS' in run('nbdinfo', s.uri(scheme='nbds', more='&tls-certificates=' + client))
            for program in (OURS, DEBIAN):
                text = run(program, '-L', '-k', s.sock, '--object', creds % ('client', client), '--tls-creds=t',
                           '--tls-hostname=localhost')
                assert 'exports available: 1' in text, text
                run(program, '-L', '-k', s.sock, '--object', creds % ('client', client), '--tls-creds=t',
                    '--tls-hostname=other.example', status=1)
            text = run(OURS, '-L', '-k', s.sock, status=1)
            assert 'requires TLS' in text, text
        psk = tls.psk_folder(os.path.join(d, 'psk'), qemu=KEY)
        with Server('-f', 'raw', '-t', '--object', 'tls-creds-psk,id=t,endpoint=server,dir=' + psk, '--tls-creds=t') as s:
            for program in (OURS, DEBIAN):
                text = run(program, '-L', '-k', s.sock, '--object', 'tls-creds-psk,id=t,endpoint=client,dir=' + psk,
                           '--tls-creds=t')
                assert 'exports available: 1' in text, text


def test_killed_client():
    with Server('-f', 'raw') as s:
        with nbd.Client(s.sock) as c:
            c.go()
            c.request(nbd.CMD_WRITE, 0, 1 << 20, payload=b'part of it')
            time.sleep(0.05)
        runner.equal(s.ended()[0], 0, 'exit status')


if __name__ == '__main__':
    runner.main(globals())
