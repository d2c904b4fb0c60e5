#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The blkdebug filter: rules, states, break points and limits, as with Debian's tools."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import disktools, runner

disktools.require_oracle()

NODE = 'driver=blkdebug,image.driver=file,image.filename=x.raw'


def images(p):
    p.img('create', '-q', '-f', 'raw', 'x.raw', '4M')
    p.img('create', '-q', '-f', 'qcow2', 'x.qcow2', '4M')


def commands(*lines):
    return [word for line in lines for word in ('-c', line)]


def test_options():
    with disktools.Pair() as p:
        images(p)
        for o in ('align=3', 'align=0', 'align=1024,max-transfer=512', 'align=1024,max-transfer=1000',
                  'opt-write-zero=100', 'opt-write-zero=1024,max-write-zero=1000', 'max-write-zero=100', 'max-transfer=4G',
                  'opt-discard=1000', 'max-discard=1023', 'opt-discard=4096,max-discard=1024', 'align=4096,opt-discard=512',
                  'inject-error.0.event=foo', 'inject-error.0.errno=5', 'inject-error.0.event=none,inject-error.0.state=-1',
                  'inject-error.0.event=none,inject-error.0.errno=abc', 'inject-error.0.event=none,inject-error.0.foo=3',
                  'inject-error.0.event=none,inject-error.0.iotype=xx', 'set-state.0.event=none',
                  'set-state.0.event=read_aio,set-state.0.new_state=-3', 'config=none', 'take-child-perms.0=write',
                  'unshare-child-perms.0=write'):
            p.io('--image-opts', '-c', 'read 0 512', NODE + ',' + o)
        p.io('--image-opts', '-c', 'read 0 512', NODE + ',bar=1', ignore_err=True, status=1)
        p.io('--image-opts', '-c', 'read 0 512', 'driver=blkdebug')
        for name in ('blkdebug::x.raw', 'blkdebug:x.raw', 'blkdebug:', 'blkdebug:none:x.raw'):
            p.io('-f', 'raw', '-c', 'read 0 512', name)
        p.img('info', 'blkdebug::x.qcow2', more=[(disktools.re.compile('disk size: .*'), '')])


def test_rules():
    every = commands('read 0 4k', 'write 0 4k', 'write -z 0 4k', 'discard 0 4k', 'flush', 'map', 'read 4k 4k', 'read 3k 2k',
                     'read 0 512', 'truncate 3M', 'length', 'truncate 4M')
    with disktools.Pair() as p:
        images(p)
        for rule in ('', 'sector=8', 'errno=28', 'once=on', 'immediately=on', 'iotype=read', 'iotype=write',
                     'iotype=write-zeroes', 'iotype=discard', 'iotype=block-status', 'state=2',
                     'iotype=read,sector=8,once=on,errno=28'):
            text = ''.join(',inject-error.0.' + item for item in ['event=none', *rule.split(',')] if item)
            p.io('--image-opts', '-d', 'unmap', *every, NODE + text)
        p.io('--image-opts', *commands('read 0 4k', 'write 0 4k', 'flush', 'read 0 4k'),
             NODE + ',inject-error.0.event=none,inject-error.0.iotype=flush')
        p.same_bytes('x.raw')


def test_config():
    good = ('[inject-error]\nevent = "read_aio"\nerrno = "28"\nstate = "2"\nimmediately = "off"\nonce = "on"\n\n# comment\n'
            '[set-state "foo"]\nevent = "read_aio"\nnew_state = "2"\nstate = "1"\n')
    with disktools.Pair() as p:
        images(p)
        p.write('rules', good.encode())
        p.io('-f', 'qcow2', *commands('write 0 4k', *['read 0 4k'] * 5), 'blkdebug:rules:x.qcow2')
        for text in ('[inject]', '[inject-error]\nfoo = "1"', '[inject-error]\nevent = "x"', '[inject-error]\nstate = "1"',
                     '[inject-error]\nevent = "read_aio"\nerrno = "x"', '[set-state]\nevent = "read_aio"',
                     '[set-state]\nevent = "read_aio"\nonce = "on"', '[inject-error]\nevent = "read_aio"\nonce = "maybe"',
                     'foo = "1"'):
            p.write('rules', text.encode() + b'\n')
            p.io('-f', 'raw', '-c', 'read 0 4k', 'blkdebug:rules:x.raw')


def test_break_points():
    with disktools.Pair() as p:
        images(p)
        for lines in (['break write_aio A', 'aio_write 0 512', 'wait_break A', 'resume A', 'aio_flush', 'resume A',
                       'remove_break A', 'break foo B', 'wait_break'],
                      ['break write_aio A', 'aio_write 0 512', 'wait_break A', 'remove_break A', 'aio_flush'],
                      ['break write_aio A', 'remove_break A', 'write 0 512', 'break write_aio A', 'read 0 512']):
            p.io('-f', 'qcow2', *commands(*lines), 'blkdebug::x.qcow2')
        p.io('-f', 'qcow2', *commands('break write_aio A', 'resume A', 'remove_break A'), 'x.qcow2')
        # A read-modify-write holds back what overlaps with it.
        p.io('--image-opts', *commands('break pwritev_rmw_after_head A', 'aio_write -P 1 10 20', 'wait_break A',
                                       'aio_write -P 2 0 512', 'resume A', 'aio_flush', 'read -v 0 64'), NODE + ',align=512')
        p.same_content('x.qcow2', 'qcow2')
        p.same_bytes('x.raw')


def test_limits():
    """Odd limits do not change what ends up in the image."""
    with disktools.Pair() as p:
        images(p)
        for limits in ('align=512,max-transfer=1024', 'align=4096', 'align=512,opt-write-zero=65536,max-write-zero=131072',
                       'align=512,opt-discard=65536,max-discard=131072', 'opt-write-zero=1000', 'max-transfer=333'):
            p.io('--image-opts', '-d', 'unmap',
                 *commands('write -P 1 0 1M', 'write -P 2 777 70000', 'write -z 1000 300000', 'write -z -u 200k 700k',
                           'discard 64k 896k', 'read -P 1 1000000 10000'), NODE + ',' + limits)
            p.same_content('x.raw')


def test_steps():
    """A format meets an error at each step that it takes, and its image stays sound."""
    events = ('l1_update', 'l2_load', 'l2_update', 'l2_alloc_write', 'read_aio', 'write_aio', 'cow_read', 'cow_write',
              'refblock_load', 'refblock_alloc', 'refblock_alloc_write', 'refblock_alloc_hookup', 'refblock_update_part',
              'cluster_alloc', 'cluster_alloc_bytes', 'cluster_free', 'pwritev', 'pwritev_done')
    with disktools.Pair() as p:
        for event in events:
            p.img('create', '-q', '-f', 'qcow2', '-o', 'cluster_size=4k,refcount_bits=64', 'x.qcow2', '16M')
            p.io('-f', 'qcow2', '-c', 'write -P 1 0 64k', 'x.qcow2', status=0)
            options = 'driver=qcow2,file.driver=blkdebug,file.image.filename=x.qcow2,' + ','.join(
                'file.inject-error.0.%s' % o for o in ('event=' + event, 'errno=28', 'once=on'))
            for path in p.paths('x.qcow2'):
                side = os.path.dirname(path)
                disktools.run(disktools.ours('qemu-io') if side == p.ours else '/usr/bin/qemu-io', '--image-opts',
                              *commands('write -P 2 8k 16k', 'write -P 3 1000 3M', 'write -z 4k 32k', 'flush', 'write -P 4 9M 2M',
                                        'write -P 5 12M 100'), options, cwd=side)
                r = disktools.run('/usr/bin/qemu-img', 'check', '-q', '-f', 'qcow2', path)
                runner.equal(r.status in (0, 3), True, '%s after %s: %s' % (path, event, r.err))
            # What succeeded afterwards is there.
            r = disktools.run('/usr/bin/qemu-io', '-f', 'qcow2', '-c', 'read -P 5 12M 100', p.paths('x.qcow2')[1])
            runner.equal(r.status, 0, event + r.out)


if __name__ == '__main__':
    runner.main(globals())
