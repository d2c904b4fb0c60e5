#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""LUKS images: ours and Debian's tools on each other's, cryptsetup on both, key slots."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import qtest, runner

MIB = 1 << 20
SECRETS = ['--object', 'secret,id=a,data=password a', '--object', 'secret,id=b,data=password b']
OURS = os.path.join(qtest.build_dir(), 'qemu-img')
DEBIAN = '/usr/bin/qemu-img'
ALGORITHMS = (
    '', 'cipher-alg=aes-128', 'cipher-alg=aes-128,cipher-mode=cbc,ivgen-alg=essiv',
    'cipher-alg=aes-256,cipher-mode=cbc,ivgen-alg=plain,hash-alg=sha1', 'cipher-alg=serpent-256,hash-alg=sha512',
    'cipher-alg=twofish-256,ivgen-alg=plain', 'cipher-alg=cast5-128,cipher-mode=cbc,hash-alg=ripemd160',
    'cipher-alg=aes-128,cipher-mode=ecb', 'cipher-mode=ctr')


def run(*argv, status=0, stdin=None):
    runner.require(shutil.which(argv[0]), argv[0] + ' is missing')
    p = subprocess.run(argv, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, check=False,
                       universal_newlines=True)
    if status is not None:
        runner.equal(p.returncode, status, ' '.join(argv) + ': ' + p.stdout + p.stderr)
    return p.stdout + p.stderr


def retried(*argv):
    """Debian's tool measures CPU time, which on a busy host it sometimes finds to be none."""
    for _ in range(20):
        text = run(*argv, status=None)
        if 'accurate CPU usage' not in text:
            break
    return text


def create(tool, path, options='', secret='a', size='4M'):
    args = [tool, 'create', '-q', '-f', 'luks', *SECRETS, '-o', 'key-secret=%s,iter-time=10%s' % (
        secret, ',' + options if options else ''), path, size]
    runner.equal(retried(*args), '', ' '.join(args))


def opts(path, secret='a'):
    return 'driver=luks,key-secret=%s,file.filename=%s' % (secret, path)


def info(tool, path):
    return json.loads(run(tool, 'info', '--output=json', path))


def same_content(raw, path, tool, secret='a'):
    run(tool, 'compare', *SECRETS, '--image-opts', 'driver=raw,file.filename=' + raw, opts(path, secret))


def make_raw(d):
    raw = os.path.join(d, 'raw')
    with open(raw, 'wb') as f:
        f.write(bytes(i * 13 % 241 for i in range(65536)) * 48)
        f.truncate(4 * MIB)
    return raw


def test_ours():
    with tempfile.TemporaryDirectory() as d:
        raw = make_raw(d)
        for options in ALGORITHMS:
            ours = os.path.join(d, 'ours')
            create(OURS, ours, options)
            # What is written through one is read by the other.
            with qtest.Emulator('-machine', 'none', '-nodefaults', '-S', '-object', 'secret,id=a,data=password a') as vm:
                sock = os.path.join(d, 'sock')
                vm.qmp.cmd('blockdev-add', driver='luks', node_name='n', key_secret='a',
                           file={'driver': 'file', 'filename': ours})
                vm.qmp.cmd('nbd-server-start', addr={'type': 'unix', 'data': {'path': sock}})
                vm.qmp.cmd('block-export-add', type='nbd', id='e', node_name='n', writable=True)
                run('nbdcopy', '--flush', '--request-size=65536', raw, 'nbd+unix:///n?socket=' + sock)
            same_content(raw, ours, DEBIAN)
            os.unlink(ours)


def test_theirs():
    with tempfile.TemporaryDirectory() as d:
        raw, theirs, ours = make_raw(d), os.path.join(d, 'theirs'), os.path.join(d, 'ours')
        for options in ALGORITHMS[::3]:         # each takes Debian's tool seconds of measuring
            create(DEBIAN, theirs, options)
            create(OURS, ours, options)
            a, b = info(DEBIAN, theirs), info(OURS, ours)
            for i in (a, b):
                del i['filename'], i['actual-size'], i['format-specific']['data']['uuid']
                del i['format-specific']['data']['master-key-iters'], i['format-specific']['data']['slots'][0]['iters']
            runner.equal(b, a, options)
            runner.equal(os.path.getsize(ours), os.path.getsize(theirs), 'file size')
            run(DEBIAN, 'convert', '-n', *SECRETS, '-f', 'raw', '--target-image-opts', raw, opts(theirs))
            same_content(raw, theirs, OURS)
            os.unlink(theirs)
            os.unlink(ours)


def test_convert():
    with tempfile.TemporaryDirectory() as d:
        raw, path = make_raw(d), os.path.join(d, 'image')
        run(OURS, 'convert', *SECRETS, '-f', 'raw', '-O', 'luks', '-o', 'key-secret=a,iter-time=10', raw, path)
        same_content(raw, path, OURS)
        same_content(raw, path, DEBIAN)


def test_human_info():
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, 'image')
        create(OURS, path, 'cipher-alg=aes-128,cipher-mode=cbc,ivgen-alg=essiv')
        runner.equal(run(OURS, 'info', path), run(DEBIAN, 'info', path), 'info')
        runner.equal(run(OURS, 'create', '-f', 'luks', '-o', 'help'), run(DEBIAN, 'create', '-f', 'luks', '-o', 'help'),
                     'create options')
        runner.equal(run(OURS, 'amend', '-f', 'luks', '-o', 'help'), run(DEBIAN, 'amend', '-f', 'luks', '-o', 'help'),
                     'amend options')
        for options in ([], ['-o', 'cipher-alg=aes-128,cipher-mode=cbc']):
            args = ['measure', '-O', 'luks', *SECRETS, '-o', 'key-secret=a', *options, '--size', '10M']
            runner.equal(run(OURS, *args), retried(DEBIAN, *args), 'measure')


def test_errors():
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, 'image')
        create(OURS, path)
        for tail in (['-o', 'key-secret=a'], ['-o', 'key-secret=none', *SECRETS], [*SECRETS]):
            ours, theirs = (run(tool, 'create', '-q', '-f', 'luks', *tail, os.path.join(d, 'new'), '1M', status=1)
                            for tool in (OURS, DEBIAN))
            runner.equal(ours, theirs, 'create ' + ' '.join(tail))
        for image in (opts(path, 'b'), opts(path, 'none'), 'driver=luks,file.filename=' + path):
            ours, theirs = (run(tool, 'compare', *SECRETS, '--image-opts', image, image, status=2)
                            for tool in (OURS, DEBIAN))
            runner.equal(ours, theirs, image)


def amend(tool, path, options, secret='a'):
    return retried(tool, 'amend', *SECRETS, '-o', options, '--image-opts', opts(path, secret))


def active(path):
    return [s['active'] for s in info(OURS, path)['format-specific']['data']['slots']]


def test_amend():
    steps = (('state=active', 'a'), ('state=active,new-secret=b,iter-time=10', 'a'), ('state=active,new-secret=b,keyslot=1', 'a'),
             ('state=active,new-secret=b,keyslot=8', 'a'), ('state=active,new-secret=b,old-secret=a', 'a'),
             ('state=inactive', 'a'), ('state=inactive,keyslot=5', 'a'), ('state=inactive,old-secret=a,new-secret=b', 'a'),
             ('state=inactive,old-secret=a,keyslot=1', 'a'), ('state=inactive,old-secret=a,keyslot=0', 'a'),
             ('state=inactive,old-secret=b', 'b'), ('state=inactive,keyslot=1', 'b'), ('new-secret=a', 'b'),
             ('state=foo', 'b'), ('state=active,new-secret=a,iter-time=10,keyslot=7', 'b'),
             ('state=inactive,keyslot=1', 'a'), ('state=active,new-secret=b', 'b'))
    with tempfile.TemporaryDirectory() as d:
        raw = make_raw(d)
        ours, theirs = os.path.join(d, 'image'), os.path.join(d, 'other', 'image')
        os.mkdir(os.path.dirname(theirs))
        create(OURS, ours)
        run(DEBIAN, 'convert', '-n', *SECRETS, '-f', 'raw', '--target-image-opts', raw, opts(ours))
        shutil.copy(ours, theirs)
        for options, secret in steps:
            got, want = amend(OURS, ours, options, secret), amend(DEBIAN, theirs, options, secret)
            runner.equal(got, want.replace(theirs, ours), options)
            runner.equal(active(ours), active(theirs), options)
        runner.equal([i for i, on in enumerate(active(ours)) if on], [7], 'slots')
        same_content(raw, ours, DEBIAN)
        same_content(raw, ours, OURS)


def test_cryptsetup():
    runner.require(shutil.which('cryptsetup'), 'cryptsetup is missing')
    with tempfile.TemporaryDirectory() as d:
        key = os.path.join(d, 'key')
        wrong = os.path.join(d, 'wrong')
        for path, password in ((key, 'password a'), (wrong, 'password b')):
            with open(path, 'w', encoding='ascii') as f:
                f.write(password)
        for options in ALGORITHMS[:7]:
            path = os.path.join(d, 'image')
            create(OURS, path, options)
            dump = run('cryptsetup', 'luksDump', path)
            assert 'Key Slot 0: ENABLED' in dump and 'Key Slot 1: DISABLED' in dump, dump
            # A password shows the master key, if the kernel has the cipher.
            show = ['cryptsetup', 'luksDump', '--batch-mode', '--dump-volume-key', '--key-file']
            text = run(*show, key, path, status=None)
            if 'Cannot initialize device-mapper' in text and 'aes' not in dump:
                os.unlink(path)
                continue
            assert 'MK dump:' in text, (options, text)
            assert 'No key available' in run(*show, wrong, path, status=2)
            os.unlink(path)
        # The other way round, with a payload where cryptsetup wants it.
        path = os.path.join(d, 'image')
        with open(path, 'wb') as f:
            f.truncate(16 * MIB)
        run('cryptsetup', 'luksFormat', '--batch-mode', '--type', 'luks1', '--iter-time', '10', '--key-file', key, path)
        data = info(OURS, path)['format-specific']['data']
        runner.equal((data['cipher-alg'], data['cipher-mode'], data['slots'][0]['active']), ('aes-256', 'xts', True), 'info')
        same = run(OURS, 'compare', *SECRETS, '--image-opts', opts(path), opts(path))
        runner.equal(same, 'Images are identical.\n', 'readable')
        # LUKS2 is told, not misread.
        run('cryptsetup', 'luksFormat', '--batch-mode', '--type', 'luks2', '--pbkdf', 'pbkdf2', '--iter-time', '10', '--key-file',
            key, path)
        assert 'LUKS version 2 is not supported' in run(OURS, 'info', '--image-opts', opts(path), *SECRETS, status=1)


def test_detached_header():
    runner.require(shutil.which('cryptsetup'), 'cryptsetup is missing')
    with tempfile.TemporaryDirectory() as d:
        raw, key = make_raw(d), os.path.join(d, 'key')
        header, data = os.path.join(d, 'header'), os.path.join(d, 'data')
        with open(key, 'w', encoding='ascii') as f:
            f.write('password a')
        shutil.copy(raw, data)
        run('cryptsetup', 'luksFormat', '--batch-mode', '--type', 'luks1', '--iter-time', '10', '--key-file', key, '--header',
            header, data)
        with qtest.Emulator('-machine', 'none', '-nodefaults', '-S', '-object', 'secret,id=a,data=password a') as vm:
            sock = os.path.join(d, 'sock')
            vm.qmp.cmd('blockdev-add', driver='luks', node_name='n', key_secret='a',
                       file={'driver': 'file', 'filename': data}, header={'driver': 'file', 'filename': header})
            vm.qmp.cmd('nbd-server-start', addr={'type': 'unix', 'data': {'path': sock}})
            vm.qmp.cmd('block-export-add', type='nbd', id='e', node_name='n', writable=True)
            uri = 'nbd+unix:///n?socket=' + sock
            runner.equal(json.loads(run('nbdinfo', '--json', uri))['exports'][0]['export-size'], 4 * MIB, 'size')
            run('nbdcopy', '--flush', raw, uri)
            run('nbdcopy', uri, os.path.join(d, 'out'))
        run('cmp', raw, os.path.join(d, 'out'))
        assert run('cmp', '-s', raw, data, status=1) == ''


if __name__ == '__main__':
    runner.main(globals())
