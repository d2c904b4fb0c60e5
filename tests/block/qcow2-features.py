#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""qcow2 on places of fixed length, encrypted, with small caches, after a crash: beside Debian's tools."""
import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
# pylint: disable=wrong-import-position
from lib import disktools, qmppair, runner

disktools.require_oracle('qemu-img', 'qemu-io', 'qemu-nbd')
SECRET = ['--object', 'secret,id=s,data=abc']


class Servers:
    """Debian's NBD server on nbd.raw of both sides."""

    def __init__(self, p):
        self.procs = []
        p.img('create', '-f', 'raw', 'nbd.raw', '8M')
        for folder in (p.theirs, p.ours):
            self.procs.append(subprocess.Popen(['/usr/bin/qemu-nbd', '-t', '-f', 'raw', '-k', folder + '/nbd.sock',
                                                'nbd.raw'], cwd=folder))
            runner.wait_for(lambda f=folder: os.path.exists(f + '/nbd.sock'), what='socket of qemu-nbd')

    def __enter__(self):
        return self

    def __exit__(self, *args):
        for proc in self.procs:
            proc.terminate()
            proc.wait()


def test_create_on_nbd():
    name = 'nbd+unix:///?socket=nbd.sock'
    for fmt, options in (('qcow2', []), ('qcow2', ['-o', 'cluster_size=4k']),
                         ('qcow2', ['-o', 'preallocation=metadata']),
                         ('luks', [*SECRET, '-o', 'key-secret=s,iter-time=10'])):
        with disktools.Pair() as p, Servers(p):
            if fmt == 'luks':
                create_encrypted(p, 'luks', name, *options[2:], name, '4M')
            else:
                p.img('create', '-f', fmt, *options, name, '4M')
            if fmt == 'qcow2':
                p.img('info', name, more=[(r'disk size: .*', '')])
                p.io('-f', 'qcow2', '-c', 'write -P 5 1M 128k', '-c', 'read -P 5 1M 128k', name)
                p.img('check', name, status=0)
                p.img('create', '-f', 'qcow2', name, '16M')
                p.io('-f', 'qcow2', '-c', 'write -P 5 0 10M', name)
            else:
                p.io(*SECRET, '-c', 'write -P 5 1M 64k', '-c', 'read -P 5 1M 64k', '--image-opts',
                     'driver=luks,key-secret=s,file.driver=nbd,file.path=nbd.sock')


def create_encrypted(p, fmt, name, *words):
    """Debian's tool gives up now and then: it cannot time so short a key derivation."""
    for folder, tool in ((p.theirs, '/usr/bin/qemu-img'), (p.ours, disktools.ours('qemu-img'))):
        def done(folder=folder, tool=tool):
            r = disktools.run(tool, 'create', *SECRET, '-f', fmt, *words, cwd=folder)
            assert r.status == 0 or 'accurate CPU usage' in r.err, r.err
            return r.status == 0
        runner.wait_for(done, timeout=60, what='creation of ' + name)


def opts(name, fmt, key=True):
    return ['--image-opts', 'driver=qcow2,file.filename=%s' % name +
            (',encrypt.format=%s,encrypt.key-secret=s' % fmt if key else '')]


def test_encrypted():
    for fmt, options in (('luks', 'encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10'),
                         ('luks', 'encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10,cluster_size=512'),
                         ('aes', 'encrypt.format=aes,encrypt.key-secret=s')):
        with disktools.Pair() as p:
            create_encrypted(p, 'qcow2', 'x.qcow2', '-o', options, 'x.qcow2', '4M')
            for _ in range(2):
                p.io(*SECRET, '-c', 'write -P 1 0 100k', '-c', 'write -P 2 1000k 513', '-c', 'write -z 2M 64k',
                     '-c', 'read -P 2 1000k 513', *opts('x.qcow2', fmt))
                p.swap('x.qcow2')
                p.io(*SECRET, '-c', 'read -P 1 0 100k', '-c', 'read -P 2 1000k 513', '-c', 'read -P 0 2M 64k',
                     '-c', 'write -P 3 50k 10k', '-c', 'read -P 3 50k 10k', '-c', 'read -P 1 60k 40k',
                     *opts('x.qcow2', fmt))
                p.img('check', *SECRET, *opts('x.qcow2', fmt), status=0)
                p.img('info', 'x.qcow2', ignore_out=True)
                p.io('-c', 'read 0 4k', *opts('x.qcow2', fmt, False))
            p.img('snapshot', '-c', 'one', *SECRET, *opts('x.qcow2', fmt))
            p.img('convert', *SECRET, '-O', 'raw', '--image-opts', opts('x.qcow2', fmt)[1], 'out.raw')
            p.same_bytes('out.raw')


def test_small_caches():
    small = 'driver=qcow2,file.filename=x.qcow2,l2-cache-size=%s,refcount-cache-size=%s,l2-cache-entry-size=%s'
    for l2, counts, entry in (('64k', '256k', '4k'), ('1k', '256k', '512'), ('1M', '1M', '64k'), ('0', '0', '4k'),
                              ('64k', '256k', '3k'), ('64k', '256k', '128k')):
        with disktools.Pair() as p:
            p.img('create', '-f', 'qcow2', 'x.qcow2', '20G')
            words = []
            for i in range(40):
                words += ['-c', 'write -P %d %dM 4k' % (i + 1, i * 499)]
            p.io(*words, '--image-opts', small % (l2, counts, entry) + ',cache-clean-interval=1')
            p.same_content('x.qcow2', 'qcow2')
            p.img('check', 'x.qcow2', status=0)
            p.io('-c', 'read 0 4k', '--image-opts',
                 'driver=qcow2,file.filename=x.qcow2,cache-size=64k,l2-cache-size=1M')


def test_lazy_refcounts_after_a_crash():
    """A dirty image is repaired when it is opened for writing, whoever left it."""
    with disktools.Pair() as p:
        p.img('create', '-f', 'qcow2', '-o', 'lazy_refcounts=on', 'x.qcow2', '8M')
        for _ in range(2):
            for tool, folder in (('/usr/bin/qemu-io', p.theirs), (disktools.ours('qemu-io'), p.ours)):
                proc = subprocess.run([tool, '-f', 'qcow2', '-c', 'write -P 1 0 300k', '-c', 'write -P 2 4M 64k',
                                       '-c', 'flush', '-c', 'sigraise %d' % signal.SIGKILL, 'x.qcow2'], cwd=folder,
                                      stdout=subprocess.DEVNULL, check=False)
                runner.equal(proc.returncode, -signal.SIGKILL)
            p.swap('x.qcow2')
            p.img('info', 'x.qcow2', ignore_out=True)
            p.img('check', 'x.qcow2', ignore_out=True, ignore_err=True)
            p.io('-f', 'qcow2', '-c', 'read -P 1 0 300k', '-c', 'read -P 2 4M 64k', '-c', 'write -P 3 6M 64k',
                 'x.qcow2', ignore_err=True)
            p.img('check', 'x.qcow2', status=0)
            p.same_content('x.qcow2', 'qcow2')


def test_external_data_file():
    for options in ('data_file=d.raw', 'data_file=d.raw,data_file_raw=on'):
        with disktools.Pair() as p:
            p.img('create', '-f', 'qcow2', '-o', options, 'x.qcow2', '4M')
            p.io('-f', 'qcow2', '-c', 'write -P 1 0 1M', '-c', 'write -z 64k 128k', '-c', 'discard 512k 64k',
                 '-c', 'write -z -u 768k 64k', 'x.qcow2')
            p.same_bytes('d.raw')
            p.img('map', '--output=json', 'x.qcow2')
            p.img('snapshot', '-c', 's', 'x.qcow2', ignore_err=True, status=1)
            p.img('resize', 'x.qcow2', '6M')
            p.img('resize', '--shrink', 'x.qcow2', '3M')
            p.same_bytes('d.raw')
            p.img('check', 'x.qcow2', status=0)
            p.img('convert', '-c', '-O', 'qcow2', 'x.qcow2', 'y.qcow2')
            p.same_content('y.qcow2', 'qcow2')
            p.img('amend', '-o', 'data_file_raw=off', 'x.qcow2')
            p.img('amend', '-o', 'data_file=e.raw', 'x.qcow2')
            p.img('info', 'x.qcow2', ignore_out=True)


def create_job(s, options):
    """blockdev-create; how the job ended."""
    if 'error' in s.cmd('blockdev-create', {'job-id': 'c', 'options': options}):
        return
    for i in range(2):
        runner.wait_for(lambda i=i: s.one(i, 'query-jobs')['return'][0]['status'] == 'concluded', what='end of the job')
    s.cmd('query-jobs')
    s.cmd('job-dismiss', {'id': 'c'})


def test_blockdev_create():
    """The file by its node's name, or described in place."""
    with disktools.Pair() as p, qmppair.Sides(p) as s:
        def file(name):
            return {'driver': 'file', 'filename': '@' + name}
        p.img('create', '-q', '-f', 'raw', 'd.raw', '0')
        s.cmd('blockdev-add', {**file('d.raw'), 'node-name': 'd'})
        for more in ({}, {'cluster-size': 4096, 'version': 'v2'}, {'cluster-size': 3000}, {'data-file': 'd'},
                     {'data-file': file('d.raw')}, {'extended-l2': True, 'preallocation': 'full'}, {'file': 'nope'},
                     {'file': file('nope')}, {'data-file': 'nope'}, {'size': 1000}, {'refcount-bits': 3},
                     {'lazy-refcounts': True, 'version': 'v2'}, {'backing-file': 'd.raw', 'backing-fmt': 'raw'}):
            p.img('create', '-q', '-f', 'raw', 'x.qcow2', '0')
            create_job(s, {'driver': 'qcow2', 'file': file('x.qcow2'), 'size': 1 << 20, **more})
            if 'data-file' not in more:
                p.same_bytes('x.qcow2')
        s.cmd('query-named-block-nodes', {'flat': True}, ignore=('image', 'file'))


if __name__ == '__main__':
    runner.main(globals())
