#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Compares the state tables of the program with the golden list: what was saved before must still load.

    state-tables.py            compare
    state-tables.py --update   write the list anew, after a compatible change

Allowed: new tables; new fields at the end of, or anywhere in, a table when they
are of a newer version than the golden one or conditional; new subsections; a
higher version. Everything else changes the meaning of saved bytes.
"""
import json
import os
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..'))
sys.path.insert(0, os.path.join(HERE, '..', '..', 'scripts'))
from lib import guest, qtest, runner  # noqa: E402
import importlib.util  # noqa: E402

spec = importlib.util.spec_from_file_location(
    'analyze', os.path.join(qtest.SOURCE_DIR, 'scripts', 'analyze-stream.py'))
analyze = importlib.util.module_from_spec(spec)
spec.loader.exec_module(analyze)

GOLDEN = os.path.join(HERE, 'state-tables.json')
# One of everything that has state.
DEVICES = ['virtio-rng-pci', 'virtio-net-pci', 'virtio-serial-pci', 'virtio-balloon-pci', 'pcie-root-port,chassis=1', 'pcie-pci-bridge',
           'vmgenid', 'vmcoreinfo', 'pvpanic-pci', 'virtio-blk-pci,drive=d', 'virtio-mem-pci,memdev=m', 'virtio-pmem-pci,memdev=p']


def tables():
    """name -> description, of every table of a machine with all devices."""
    found = {}
    args = ['-blockdev', 'driver=null-co,node-name=d,size=1048576', '-chardev', 'null,id=c',
            '-blockdev', 'driver=null-co,node-name=flash,size=65536,read-zeroes=on',
            '-object', 'memory-backend-ram,id=m,size=16M', '-object', 'memory-backend-ram,id=p,size=2M',
            '-device', 'isa-serial,chardev=c']
    for d in DEVICES:
        args += ['-device', d]
    # With KVM there are those of the CPU and its controllers too.
    accel = 'kvm' if guest.has_kvm() else 'qtest'
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, 's')
        with qtest.Emulator('-machine', 'virt,pflash0=flash', '-nodefaults', '-m', '16,maxmem=1G', '-S', *args, accel=accel) as vm:
            vm.qmp.cmd('migrate', uri='file:' + path)
            runner.wait_for(lambda: vm.qmp.cmd('query-migrate')['status'] == 'completed', what='the stream')
        with open(path, 'rb') as f:
            data = f.read()
    for rec in analyze.records(data, 0):
        if rec.kind == analyze.DESCRIPTION:
            for section in json.loads(rec.content):
                found[section['table']['name'], section['id'].rsplit('/', 1)[-1]] = section['table']
    return {'/'.join(sorted(set(k))): v for k, v in found.items()}


def same_field(old, new, where):
    for key in set(old) | set(new):
        if key == 'table':
            compare(old['table'], new['table'], where)
        elif key == 'max':
            assert new.get('max', 0) >= old.get('max', 0), '%s: the limit became smaller' % where
        else:
            runner.equal(new.get(key), old.get(key), '%s: %s' % (where, key))


def compare(old, new, where):
    where = '%s/%s' % (where, old['name'])
    runner.equal(new['name'], old['name'], where)
    assert new['version'] >= old['version'], '%s: version went from %d to %d' % (where, old['version'], new['version'])
    assert new['minimum-version'] <= old['version'], '%s: version %d is no longer taken' % (where, old['version'])
    kept = [f for f in new['fields'] if f.get('since', 0) <= old['version']]
    runner.equal([f['name'] for f in kept], [f['name'] for f in old['fields']], where + ': fields')
    for a, b in zip(old['fields'], kept):
        same_field(a, b, '%s.%s' % (where, a['name']))
    subs = {s['name']: s for s in new.get('subsections', [])}
    for s in old.get('subsections', []):
        assert s['name'] in subs, '%s: subsection %s is gone' % (where, s['name'])
        compare(s, subs[s['name']], where)


def test_tables():
    with open(GOLDEN) as f:
        golden = json.load(f)
    now = tables()
    for name, old in golden.items():
        if name not in now and not guest.has_kvm():
            continue
        assert name in now, 'the table %s is gone' % name
        compare(old, now[name], '')
    new = sorted(set(now) - set(golden))
    assert not new, 'not in the golden list (run with --update): ' + ', '.join(new)


if __name__ == '__main__':
    if '--update' in sys.argv:
        with open(GOLDEN, 'w') as f:
            json.dump(tables(), f, indent=1, sort_keys=True)
            f.write('\n')
        sys.exit(0)
    runner.main(globals())
