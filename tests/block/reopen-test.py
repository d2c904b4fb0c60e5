#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""blockdev-reopen: replies as Debian's, all or nothing, and the content that shows afterwards."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import disktools, qmppair, runner

qmppair.require()


def file(node, name, **more):
    return {'driver': 'file', 'node-name': node, 'filename': '@' + name, **more}


def qcow2(node, below, **more):
    return {'driver': 'qcow2', 'node-name': node, 'file': below, **more}


def raw(below='fr', **more):
    return {'driver': 'raw', 'node-name': 'raw', 'file': below, **more}


def reopen(s, *options):
    return s.cmd('blockdev-reopen', {'options': list(options)})


def nodes(pair):
    """Both sides with qcow2 nodes qa (backing qb), qc, a raw window, and their files."""
    for name in 'abc':
        pair.img('create', '-q', '-f', 'qcow2', name + '.qcow2', '4M')
    pair.img('create', '-q', '-f', 'raw', 'r.raw', '4M')
    pair.img('create', '-q', '-f', 'raw', 'r2.raw', '8M')
    pair.io('-f', 'qcow2', '-c', 'write -P 7 0 64k', 'c.qcow2')
    s = qmppair.Sides(pair)
    for o in (file('fa', 'a.qcow2'), file('fb', 'b.qcow2'), file('fc', 'c.qcow2'), file('fr', 'r.raw'),
              file('fr2', 'r2.raw'), qcow2('qb', 'fb'), qcow2('qa', 'fa', backing='qb'),
              qcow2('qc', 'fc', **{'lazy-refcounts': True}), raw(offset=512)):
        s.cmd('blockdev-add', o)
    return s


def state(s):
    """What can be seen of all nodes."""
    s.cmd('query-named-block-nodes', {'flat': True}, ignore=('format-specific',))


def test_errors():
    with disktools.Pair() as p, nodes(p) as s:
        for o in (raw('fr', **{'node-name': 'nope'}), raw('fr', **{'node-name': 'qc'}), file('fa', 'z.qcow2'),
                  file('fa', 'a.qcow2', **{'read-only': True}), qcow2('qa', 'fa'), qcow2('qa', 'fa', backing='nope'),
                  qcow2('qa', 'nope', backing='qc'), qcow2('qb', 'fb', backing='qa'),
                  qcow2('qa', 'fa', backing={'driver': 'null-co'}), qcow2('qa', 'fr', backing='qb'),
                  qcow2('qa', {'driver': 'file', 'filename': '@a.qcow2'}, backing='qb'),
                  qcow2('qc', 'fc', cluster=1), qcow2('qc', 'fc', **{'detect-zeroes': 'unmap'}),
                  file('fr2', 'r2.raw', aio='threads'), file('fr2', 'r2.raw', locking='off'),
                  file('fr2', 'r2.raw', aio='native'), {'driver': 'null-co'}):
            reopen(s, o)
            state(s)


def test_changes():
    with disktools.Pair() as p, nodes(p) as s:
        for o in (raw(), raw(offset=1024), raw(offset=512, size=512), raw(size=512), raw('fr2'), raw('fr2', offset=1 << 30),
                  qcow2('qa', 'fa', backing=None), qcow2('qa', 'fa'), qcow2('qa', 'fa', backing='qc'),
                  qcow2('qc', 'fc', **{'detect-zeroes': 'unmap', 'discard': 'unmap'}), qcow2('qc', 'fc'),
                  qcow2('qc', 'fc', **{'cache': {'direct': True}, 'overlap-check': 'all'}),
                  qcow2('qc', 'fc', **{'read-only': True})):
            runner.equal('error' in reopen(s, o), o.get('offset') == 1 << 30)
            state(s)


def test_lists():
    with disktools.Pair() as p, nodes(p) as s:
        read_only = {'read-only': True}
        for which in ((qcow2('qc', 'fc', **read_only), file('fc', 'c.qcow2', **read_only)), (qcow2('qc', 'fc'),),
                      (qcow2('qc', 'fc'), file('fc', 'c.qcow2')),
                      (file('fc', 'c.qcow2', **read_only), qcow2('qc', 'fc', **read_only)),
                      (file('fc', 'c.qcow2'), qcow2('qc', 'fc')),
                      # The second is wrong, so the first must not change either.
                      (qcow2('qc', 'fc', **{'detect-zeroes': 'on'}), qcow2('qa', 'fa')),
                      (raw('fr2'), qcow2('qa', 'fa', backing='nope')), (qcow2('qa', 'fa', backing='qc'), raw('fa'))):
            reopen(s, *which)
            state(s)


def test_bitmap_after_failure():
    """A bitmap that was written out for a change that did not come is in use as before."""
    with disktools.Pair() as p, nodes(p) as s:
        s.cmd('block-dirty-bitmap-add', {'node': 'qc', 'name': 'b', 'persistent': True})
        runner.equal('error' in reopen(s, qcow2('qc', 'fc', **{'read-only': True}), qcow2('qa', 'fa')), True)
        r = s.cmd('block-dirty-bitmap-clear', {'node': 'qc', 'name': 'b'})
        runner.equal('error' in r, False, str(r))
        p.faults.clear()        # Debian's leaves it read-only


def test_content():
    """What is read follows a new backing file, and a filter can be put in between and taken out."""
    with disktools.Pair() as p, nodes(p) as s:
        s.cmd('nbd-server-start', {'addr': {'type': 'unix', 'data': {'path': '@nbd'}}})
        s.cmd('block-export-add', {'type': 'nbd', 'id': 'e', 'node-name': 'qa', 'writable': True})

        def read(value):
            p.io('-f', 'raw', '-c', 'read -P %d 0 64k' % value, 'nbd+unix:///qa?socket=nbd', status=0)
        read(0)
        reopen(s, qcow2('qa', 'fa', backing='qc'))
        read(7)
        s.cmd('blockdev-add', {'driver': 'copy-on-read', 'node-name': 'cor', 'file': 'qc'})
        reopen(s, qcow2('qa', 'fa', backing='cor'))
        state(s)
        read(7)
        reopen(s, qcow2('qa', 'fa', backing=None))
        read(0)
        p.io('-f', 'raw', '-c', 'write -P 9 0 4k', 'nbd+unix:///qa?socket=nbd', status=0)
        reopen(s, qcow2('qa', 'fa', backing='qc'))
        p.io('-f', 'raw', '-c', 'read -P 9 0 4k', 'nbd+unix:///qa?socket=nbd', status=0)


if __name__ == '__main__':
    runner.main(globals())
