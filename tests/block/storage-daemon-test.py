#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""qemu-storage-daemon: its command line beside Debian's, QMP, exports, jobs, and how it ends."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import runner
from lib.daemon import OURS, Daemon

THEIRS = '/usr/bin/qemu-storage-daemon'
MIB = 1 << 20
NODE = ('--blockdev', 'null-co,node-name=x')

# Each ends by itself, with the same text and status.
SAME = [
    ('foo',), ('--foo',), ('-x',), ('--blockdev',), ('--blockdev', 'foo'), ('--blockdev', 'driver=foo,node-name=a'),
    ('--blockdev', 'file,filename=/nonexistent,node-name=a'), ('--blockdev', 'help'), ('--blockdev', 'null-co'),
    (*NODE, *NODE), ('--blockdev', 'null-co,node-name=x,foo=bar'), ('--block',),
    ('--blockdev', 'raw,node-name=x,file.driver=null-co,read-only=maybe'), ('--blockdev', '{"driver":"null-co"'),
    ('--export', 'nbd,id=a,node-name=b'), ('--export', 'foo,id=a'), ('--export', 'nbd'), ('--export', 'help'),
    ('--export', '{"type":"nbd","id":"a"}'), ('--export', 'nbd,id=_,node-name=x'),
    (*NODE, '--export', 'nbd,id=a,node-name=x'), (*NODE, '--export', 'nbd,id=a,node-name=x,iothread=foo'),
    (*NODE, '--export', 'nbd,id=a,node-name=x,fixed-iothread=on'), (*NODE, '--export', 'nbd,id=a,node-name=x,bitmap=b'),
    ('--monitor', 'x'), ('--monitor', 'foo=x'), ('--monitor', 'help'), ('--monitor=',), ('--monitor', '{"chardev":"a"}'),
    ('--monitor', 'a', '--chardev', 'null,id=a'), ('--chardev', 'null,id=a', '--monitor', 'a', '--monitor', 'a'),
    ('--chardev', 'stdio,id=a,mux=on', '--monitor', 'a,mode=readline'),
    ('--chardev', 'null,id=a', '--monitor', 'a,pretty=maybe'), ('--chardev', 'null,id=a', '--monitor', 'a,mode=foo'),
    ('--chardev', 'foo'), ('--chardev', 'stdio'), ('--chardev', 'foo,id=x'), ('--chardev', 'id=x'),
    ('--object', 'foo'), ('--object', 'secret,id=x'), ('--object', 'secret'), ('--object',), ('--object', 'id=x'),
    ('--object', 'secret,id=x,data=a', '--object', 'secret,id=x,data=a'),
    ('--nbd-server', 'help'), ('--nbd-server', 'addr.type=inet'), ('--nbd-server', 'addr.type=foo'), ('--nbd-server',),
    ('--nbd-server', 'addr.type=unix,addr.path=/nonexistent/x,foo=bar'),
    ('--nbd-server', 'addr.type=unix,addr.path=/nonexistent/x,tls-creds=foo'),
    ('--nbd-server', 'addr.type=unix,addr.path=DIR/a', '--nbd-server', 'addr.type=unix,addr.path=DIR/b'),
    ('--pidfile',), ('--pidfile', '/nonexistent/a'), ('--daemonize', '--foo'), ('--trace',),
    ('--daemonize', '--chardev', 'stdio,id=a', '--pidfile', 'DIR/pid'),
]


def run(program, args):
    p = subprocess.run([program, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                       check=False)
    return p.returncode, p.stdout, p.stderr.replace(program, 'PROGRAM')


def test_same_errors():
    runner.require(shutil.which(THEIRS), 'Debian package qemu-system-common')
    with tempfile.TemporaryDirectory(prefix='nemu-qsd-') as folder:
        for args in SAME:
            args = [a.replace('DIR', folder) for a in args]
            runner.equal(run(OURS, args), run(THEIRS, args), ' '.join(args))


def test_help():
    status, out, err = run(OURS, ['--help'])
    runner.equal((status, err), (0, ''), 'help')
    for option in ('blockdev', 'chardev', 'daemonize', 'export', 'monitor', 'nbd-server', 'object', 'pidfile', 'trace',
                   'version'):
        assert '--' + option in out, option
    # The first that ends the program does, whatever stands after it, and before anything is made.
    status, out, _ = run(OURS, ['--blockdev', 'foo', '--version', '--foo'])
    assert status == 0 and out.startswith('qemu-storage-daemon version 7.2'), out
    assert run(OURS, ['--object', 'help'])[1].startswith('List of user creatable objects:\n'), 'object help'
    assert run(OURS, ['--object', 'secret,help'])[1].startswith('secret options:\n'), 'properties'
    assert run(OURS, ['--chardev', 'help'])[1].startswith('Available chardev backend types: \n'), 'chardev help'


def nbdinfo(uri):
    runner.require(shutil.which('nbdinfo'), 'Debian package libnbd-bin')
    return json.loads(subprocess.run(['nbdinfo', '--json', uri], stdout=subprocess.PIPE, check=True, timeout=60).stdout)


def test_export_from_options():
    with tempfile.TemporaryDirectory(prefix='nemu-qsd-') as folder:
        image, sock = folder + '/image', folder + '/sock'
        with open(image, 'wb') as f:
            f.truncate(8 * MIB)
        with Daemon('--object', 'iothread,id=t', '--blockdev', 'file,node-name=f,filename=' + image,
                    '--blockdev', '{"driver": "raw", "node-name": "d", "file": "f"}',
                    '--nbd-server', 'addr.type=unix,addr.path=%s,max-connections=0' % sock,
                    '--export', 'nbd,id=e,node-name=d,name=disk,writable=on,iothread=t') as d:
            runner.equal(d.cmd('query-block-exports'),
                         [{'id': 'e', 'type': 'nbd', 'node-name': 'd', 'shutting-down': False}], 'exports')
            uri = 'nbd+unix:///disk?socket=' + sock
            runner.equal(nbdinfo(uri)['exports'][0]['export-size'], 8 * MIB, 'size')
            with open(folder + '/in', 'wb') as f:
                f.write(bytes(range(256)) * (8 * MIB // 256))
            subprocess.run(['nbdcopy', '--flush', folder + '/in', uri], check=True, timeout=60)
            subprocess.run(['cmp', folder + '/in', image], check=True)
            d.cmd('block-export-del', id='e')
            d.event('BLOCK_EXPORT_DELETED')
            runner.equal(d.cmd('query-block-exports'), [], 'none')
            d.cmd('quit')
            runner.equal(d.wait(), 0, 'exit status')


def test_jobs():
    """Backup, mirror, commit and create, as in the emulators."""
    with tempfile.TemporaryDirectory(prefix='nemu-qsd-') as folder, Daemon() as d:
        path = folder + '/%s'
        for name in ('base', 'copy'):
            with open(path % name, 'wb') as f:
                f.write(os.urandom(65536) if name == 'base' else b'')
                f.truncate(4 * MIB)
        d.cmd('blockdev-add', driver='raw', node_name='base', file={'driver': 'file', 'filename': path % 'base'})
        d.cmd('blockdev-add', driver='raw', node_name='copy', file={'driver': 'file', 'filename': path % 'copy'})
        d.cmd('blockdev-backup', job_id='b', device='base', target='copy', sync='full')
        d.job_end('b')
        subprocess.run(['cmp', path % 'base', path % 'copy'], check=True)
        with open(path % 'top', 'wb'):
            pass
        d.cmd('blockdev-add', driver='file', node_name='top-file', filename=path % 'top')
        d.cmd('blockdev-create', job_id='c', options={'driver': 'qcow2', 'file': 'top-file', 'size': 4 * MIB})
        d.job_end('c')
        d.cmd('job-dismiss', id='c')
        d.cmd('blockdev-add', driver='qcow2', node_name='top', file='top-file', backing='base')
        d.cmd('nbd-server-start', addr={'type': 'unix', 'data': {'path': path % 'sock'}})
        d.cmd('block-export-add', type='nbd', id='e', node_name='top', writable=True)
        subprocess.run([os.path.join(os.path.dirname(OURS), 'qemu-io'), '-f', 'raw', '-c', 'write -P 7 1M 64k',
                        'nbd+unix:///top?socket=' + path % 'sock'], check=True, stdout=subprocess.DEVNULL, timeout=60)
        d.cmd('block-commit', job_id='m', device='top')
        d.event('BLOCK_JOB_READY')
        d.cmd('block-job-complete', device='m')
        d.job_end('m')
        with open(path % 'base', 'rb') as f:
            f.seek(MIB)
            assert f.read(65536) == b'\x07' * 65536, 'commit'


def test_termination():
    """A signal lets clients go, flushes what is cached, and ends with status 0."""
    with tempfile.TemporaryDirectory(prefix='nemu-qsd-') as folder:
        image, sock, pidfile = folder + '/image', folder + '/sock', folder + '/pid'
        img = os.path.join(os.path.dirname(OURS), 'qemu-img')
        for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            subprocess.run([img, 'create', '-q', '-f', 'qcow2', image, '8M'], check=True)
            with Daemon('--blockdev', 'file,node-name=f,filename=' + image, '--blockdev', 'qcow2,node-name=d,file=f',
                        '--nbd-server', 'addr.type=unix,addr.path=' + sock, '--pidfile', pidfile,
                        '--export', 'nbd,id=e,node-name=d,writable=on') as d:
                with open(pidfile, encoding='ascii') as f:
                    runner.equal(int(f.read()), d.proc.pid, 'pidfile')
                # Stays connected, and does not flush.
                client = subprocess.Popen([img.replace('qemu-img', 'qemu-io'), '-f', 'raw', '-t', 'writeback',
                                           'nbd+unix:///d?socket=' + sock], stdin=subprocess.PIPE,
                                          stdout=subprocess.PIPE, text=True)
                client.stdin.write('write -P 9 1M 64k\n')
                client.stdin.flush()
                assert 'wrote 65536' in client.stdout.readline()
                d.proc.send_signal(sig)
                runner.equal(d.wait(), 0, 'exit status')
                client.stdin.close()
                client.stdout.read()
                client.wait(timeout=60)
                client.stdout.close()
            assert not os.path.exists(pidfile), 'pidfile is left'
            subprocess.run([img, 'check', '-q', image], check=True)
            out = subprocess.run([img.replace('qemu-img', 'qemu-io'), '-c', 'read -P 9 1M 64k', image], check=True,
                                 stdout=subprocess.PIPE, text=True).stdout
            assert 'read 65536' in out and 'failed' not in out, out


def test_daemonize():
    with tempfile.TemporaryDirectory(prefix='nemu-qsd-') as folder:
        pidfile, sock = folder + '/pid', folder + '/sock'
        runner.equal(run(OURS, ['--daemonize', '--pidfile', pidfile, *NODE, '--nbd-server',
                                'addr.type=unix,addr.path=' + sock, '--export', 'nbd,id=e,node-name=x']),
                     (0, '', ''), 'daemonize')
        with open(pidfile, encoding='ascii') as f:
            pid = int(f.read())
        try:
            runner.equal(nbdinfo('nbd+unix:///x?socket=' + sock)['exports'][0]['export-size'], 1 << 30, 'size')
            # A second one with the same file.
            status, _, err = run(OURS, ['--pidfile', pidfile])
            assert status == 1 and 'cannot create PID file: ' in err, err
        finally:
            os.kill(pid, signal.SIGTERM)
        runner.wait_for(lambda: not os.path.exists(pidfile), 60, 'the end of the daemon')


if __name__ == '__main__':
    runner.main(globals())
