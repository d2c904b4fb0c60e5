#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""NUMA nodes: -numa, set-numa-node and -preconfig; where the nodes' memory lies; what the guest is told."""
import os
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import acpi, arm, fwcfg, qtest, runner

MIB = 1 << 20
HEADER = 36
ENABLED, HOTPLUGGABLE = 1, 2


def backends(*sizes):
    args = []
    for i, size in enumerate(sizes):
        args += ['-object', 'memory-backend-ram,id=m%d,size=%d' % (i, size)]
    return args


def numa(*options):
    return [word for option in options for word in ('-numa', option)]


def machine(*args, name='virt', memory='256'):
    return ['-machine', name, '-m', memory, '-nodefaults', *args]


def tables(*args):
    with qtest.Emulator(*machine(*args)) as vm:
        return acpi.Loaded(fwcfg.FwCfg(vm)).tables()


def srat(table):
    """CPUs: {id: node}; memory: [(node, base, size, flags)]."""
    cpus, memory, at = {}, [], HEADER + 12
    while at < len(table):
        kind, size = table[at], table[at + 1]
        if kind == 0:
            assert struct.unpack_from('<I', table, at + 4)[0] == ENABLED, 'CPU is enabled'
            cpus[table[at + 3]] = table[at + 2] | table[at + 9] << 8
        elif kind == 2:
            cpus[struct.unpack_from('<I', table, at + 8)[0]] = struct.unpack_from('<I', table, at + 4)[0]
        elif kind == 3:
            node, uid, flags = struct.unpack_from('<III', table, at + 2)
            assert flags == ENABLED, 'CPU is enabled'
            cpus[uid] = node
        else:
            assert (kind, size) == (1, 40), (kind, size)
            node, _, base, length, _, flags = struct.unpack_from('<IHQQII', table, at + 2)
            memory.append((node, base, length, flags))
        at += size
    assert at == len(table), 'the entries fill the table'
    return cpus, memory


def node_ids(vm):
    return [c['props'].get('node-id') for c in vm.qmp.cmd('query-cpus-fast')]


def test_no_nodes():
    with qtest.Emulator(*machine('-smp', '2')) as vm:
        runner.equal(node_ids(vm), [None, None])
        runner.equal(vm.qmp.cmd('x-query-numa')['human-readable-text'], '0 nodes\n')
        assert 'SRAT' not in acpi.Loaded(fwcfg.FwCfg(vm)).tables(), 'no SRAT without nodes'


def test_nodes():
    args = ['-smp', '4,sockets=2,cores=2', *backends(64 * MIB, 192 * MIB), *numa('node,memdev=m0', 'node,memdev=m1')]
    with qtest.Emulator(*machine(*args)) as vm:
        runner.equal(node_ids(vm), [0, 0, 1, 1], 'sockets take turns')
        text = ('2 nodes\nnode 0 cpus: 0 1\nnode 0 size: 64 MB\nnode 0 plugged: 0 MB\n'
                'node 1 cpus: 2 3\nnode 1 size: 192 MB\nnode 1 plugged: 0 MB\n')
        runner.equal(vm.qmp.cmd('x-query-numa')['human-readable-text'], text)
        runner.equal(vm.qmp.hmp('info numa').replace('\r', ''), text)
        found = acpi.Loaded(fwcfg.FwCfg(vm)).tables()
    cpus, memory = srat(found['SRAT'])
    runner.equal(cpus, {0: 0, 1: 0, 2: 1, 3: 1})
    runner.equal(memory, [(0, 0, 64 * MIB, ENABLED), (1, 64 * MIB, 192 * MIB, ENABLED)])
    assert 'SLIT' not in found and 'HMAT' not in found, 'only what was given is told'


def test_cpus_of_nodes():
    """Ranges, repeated keys, JSON, and -numa cpu."""
    args = ['-smp', '6,sockets=1,cores=6', *backends(128 * MIB, 128 * MIB),
            *numa('node,memdev=m0,cpus=0-1,cpus=4', '{"type": "node", "memdev": "m1", "cpus": [2, 3]}',
                  'cpu,node-id=1,core-id=5')]
    with qtest.Emulator(*machine(*args)) as vm:
        runner.equal(node_ids(vm), [0, 0, 1, 1, 0, 1])


def test_hole():
    """A node's memory around the hole below 4 GiB, and the place for more memory."""
    found = tables('-m', '3G,slots=2,maxmem=5G', *backends(1024 * MIB, 2048 * MIB),
                   *numa('node,memdev=m0', 'node,memdev=m1'))
    memory = srat(found['SRAT'])[1]
    runner.equal(memory[:3], [(0, 0, 1024 * MIB, ENABLED), (1, 1024 * MIB, 1024 * MIB, ENABLED),
                              (1, 4096 * MIB, 1024 * MIB, ENABLED)])
    node, base, size, flags = memory[3]
    assert (node, flags) == (1, ENABLED | HOTPLUGGABLE) and base >= 5120 * MIB and size >= 2048 * MIB, memory


def test_node_for_plugging():
    cpus, memory = srat(tables('-m', '64,slots=2,maxmem=1G')['SRAT'])
    runner.equal((cpus, memory[0]), ({0: 0}, (0, 0, 64 * MIB, ENABLED)))
    runner.equal(memory[1][3], ENABLED | HOTPLUGGABLE)


def test_layout():
    """Each node's bytes are those of its own back end."""
    with tempfile.TemporaryDirectory() as d:
        args = []
        for i in range(2):
            args += ['-object', 'memory-backend-file,id=m%d,size=32M,share=on,mem-path=%s/m%d' % (i, d, i),
                     '-numa', 'node,memdev=m%d' % i]
        with qtest.Emulator(*machine(*args, memory='64')) as vm:
            vm.write(32 * MIB - 4, b'endBEGIN')
            for i, at, want in ((0, 32 * MIB - 4, b'endB'), (1, 0, b'EGIN')):
                with open('%s/m%d' % (d, i), 'rb') as f:
                    f.seek(at)
                    runner.equal(f.read(4), want, 'node %d' % i)
            with_error = vm.qmp.cmd_error('object-del', {'id': 'm0'})
            assert "object 'm0' is in use" in with_error, with_error


def test_distances():
    args = [*backends(64 * MIB, 64 * MIB, 128 * MIB), *numa('node,memdev=m0', 'node,memdev=m1', 'node,memdev=m2')]
    slit = tables(*args, *numa('dist,src=0,dst=1,val=21', 'dist,src=1,dst=2,val=31', 'dist,src=0,dst=2,val=255'))['SLIT']
    runner.equal(struct.unpack_from('<Q', slit, HEADER)[0], 3)
    runner.equal(list(slit[HEADER + 8:]), [10, 21, 255, 21, 10, 31, 255, 31, 10])


def hmat(table):
    """The entries' bytes by type."""
    entries, at = [], HEADER + 4
    while at < len(table):
        kind, _, size = struct.unpack_from('<HHI', table, at)
        entries.append((kind, table[at:at + size]))
        at += size
    assert at == len(table), 'the entries fill the table'
    return entries


def test_hmat():
    lb = 'hmat-lb,initiator=0,hierarchy=memory,'
    found = tables('-machine', 'hmat=on', '-smp', '2', *backends(128 * MIB, 128 * MIB), *numa(
        'node,memdev=m0,cpus=0-1', 'node,memdev=m1,initiator=0',
        lb + 'target=0,data-type=access-latency,latency=50', lb + 'target=1,data-type=access-latency,latency=1000',
        lb + 'target=0,data-type=access-bandwidth,bandwidth=200M',
        lb + 'target=1,data-type=access-bandwidth,bandwidth=1G',
        'hmat-cache,node-id=1,size=8M,level=1,associativity=direct,policy=write-back,line=64'))
    entries = hmat(found['HMAT'])
    runner.equal([kind for kind, _ in entries], [0, 0, 1, 1, 2])
    runner.equal(struct.unpack_from('<HHII', entries[0][1], 8), (1, 0, 0, 0), 'initiator of node 0')
    runner.equal(struct.unpack_from('<HHII', entries[1][1], 8), (1, 0, 0, 1), 'initiator of node 1')
    # hierarchy, type, counts, unit (ps), initiators, targets, values
    runner.equal(struct.unpack_from('<BBHIIIQIIIHH', entries[2][1], 8), (0, 0, 0, 1, 2, 0, 10000, 0, 0, 1, 5, 100))
    runner.equal(struct.unpack_from('<BBHIIIQIIIHH', entries[3][1], 8), (0, 3, 0, 1, 2, 0, 8, 0, 0, 1, 25, 128))
    runner.equal(struct.unpack_from('<IIQIHH', entries[4][1], 8),
                 (1, 0, 8 * MIB, 1 | 1 << 4 | 1 << 8 | 1 << 12 | 64 << 16, 0, 0))


def test_arm():
    """SRAT with firmware; the device tree's ids and distances."""
    args = [*backends(64 * MIB, 64 * MIB), '-smp', '2,sockets=2',
            *numa('node,memdev=m0', 'node,memdev=m1', 'dist,src=0,dst=1,val=20')]
    with tempfile.NamedTemporaryFile() as code, \
            qtest.Emulator('-machine', 'virt,gic-version=3', '-m', '128', '-nodefaults', '-bios', code.name, *args,
                           arch='aarch64') as vm:
        runner.equal(node_ids(vm), [0, 1])
        found = acpi.Loaded(arm.FwCfg(vm)).tables()
    base = 1 << 30
    runner.equal(srat(found['SRAT']), ({0: 0, 1: 1}, [(0, base, 64 * MIB, ENABLED),
                                                       (1, base + 64 * MIB, 64 * MIB, ENABLED)]))
    runner.equal(list(found['SLIT'][HEADER + 8:]), [10, 20, 20, 10])


def fdtget(path, node, name):
    done = subprocess.run(['fdtget', path, node, name], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_device_tree():
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, 'dtb')
        status, text = qtest.run('-machine', 'virt,gic-version=3,dumpdtb=' + path, '-m', '128', '-nodefaults',
                                 *backends(64 * MIB, 64 * MIB), '-smp', '2,sockets=2', '-display', 'none',
                                 *numa('node,memdev=m0', 'node,memdev=m1', 'dist,src=0,dst=1,val=20'),
                                 '-accel', 'qtest', arch='aarch64')
        runner.equal(status, 0, text)
        for i in range(2):
            runner.equal(fdtget(path, '/cpus/cpu@%d' % i, 'numa-node-id'), [str(i)])
            node = '/memory@%x' % ((1 << 30) + i * 64 * MIB)
            runner.equal(fdtget(path, node, 'numa-node-id'), [str(i)])
            runner.equal(fdtget(path, node, 'reg')[3], str(64 * MIB))
        runner.equal(fdtget(path, '/distance-map', 'distance-matrix'),
                     '0 0 10 0 1 20 1 0 20 1 1 10'.split())


def test_old_machines():
    """mem= is for machines that always took it."""
    args = ['-nodefaults', *numa('node,mem=128', 'node,mem=128M')]
    with qtest.Emulator('-machine', 'pc-q35-5.0', '-m', '256', *args) as vm:
        assert 'node 1 size: 128 MB' in vm.qmp.cmd('x-query-numa')['human-readable-text']
    assert 'Parameter -numa node,mem is not supported by this machine type' in \
        qtest.start_error('-machine', 'virt', '-m', '256', *args)


def test_preconfig():
    with qtest.Emulator('-preconfig', *machine('-smp', '2', *backends(128 * MIB, 128 * MIB))) as vm:
        qmp = vm.qmp
        runner.equal(qmp.cmd('query-status')['status'], 'prelaunch')
        runner.equal(qmp.cmd_error('query-cpus-fast'), "The command 'query-cpus-fast' is permitted only after "
                     'machine initialization has completed')
        places = qmp.cmd('query-hotpluggable-cpus')
        runner.equal([p['props'].get('node-id') for p in places], [None, None])
        qmp.cmd('set-numa-node', {'type': 'node', 'memdev': 'm0'})
        # What fails leaves nothing behind.
        runner.equal(qmp.cmd_error('set-numa-node', {'type': 'node', 'memdev': 'nope', 'cpus': [1]}),
                     'memdev=nope is ambiguous')
        qmp.cmd('set-numa-node', {'type': 'node', 'memdev': 'm1', 'cpus': [1]})
        for place in places:
            if place['props']['core-id'] == 0:
                qmp.cmd('set-numa-node', dict(place['props'], **{'type': 'cpu', 'node-id': 0}))
        ids = {p['props']['core-id']: p['props']['node-id'] for p in qmp.cmd('query-hotpluggable-cpus')}
        runner.equal(ids, {0: 0, 1: 1})
        qmp.cmd('x-exit-preconfig')
        runner.equal(node_ids(vm), [0, 1])
        runner.equal(qmp.cmd_error('x-exit-preconfig'), 'The command is permitted only before machine initialization')
        runner.equal(qmp.cmd_error('set-numa-node', {'type': 'node'}),
                     'The command is permitted only before the machine has been created')
        runner.equal(qmp.cmd('query-status')['status'], 'running')


def test_preconfig_ends():
    """Wrong configuration ends the program; so does quit."""
    for last, status in (('x-exit-preconfig', 1), ('quit', 0)):
        talk = '{"execute": "qmp_capabilities"}\n{"execute": "%s"}\n' % last
        done = subprocess.run([qtest.binary(), '-preconfig', *machine(*numa('node')), '-display', 'none', '-accel',
                               'qtest', '-qmp', 'stdio'], input=talk, capture_output=True, text=True, timeout=60,
                              check=False)
        runner.equal(done.returncode, status, done.stderr)
        wrong = 'total memory for NUMA nodes (0x0) should equal RAM size (0x10000000)'
        runner.equal(wrong in done.stderr, status == 1, done.stderr)


def test_plugged():
    """A DIMM is in the node that it names."""
    with qtest.Emulator(*machine('-m', '256,slots=2,maxmem=1G', *backends(128 * MIB, 128 * MIB),
                                 *numa('node,memdev=m0', 'node,memdev=m1'),
                                 '-object', 'memory-backend-ram,id=d0,size=128M')) as vm:
        dimm = {'driver': 'pc-dimm', 'id': 'dimm0', 'memdev': 'd0'}
        runner.equal(vm.qmp.cmd_error('device_add', dict(dimm, node=2)),
                     "'DIMM property node has value 2' which exceeds the number of numa nodes: 2")
        vm.qmp.cmd('device_add', dict(dimm, node=1))
        text = vm.qmp.cmd('x-query-numa')['human-readable-text']
        assert 'node 0 size: 128 MB\nnode 0 plugged: 0 MB' in text, text
        assert 'node 1 size: 256 MB\nnode 1 plugged: 128 MB' in text, text


def test_preconfig_for_people():
    """The human monitor has no more than what needs no machine, either."""
    done = subprocess.run([qtest.binary(), '-preconfig', *machine(), '-display', 'none', '-accel', 'qtest', '-S',
                           '-monitor', 'stdio'], capture_output=True, text=True, timeout=60, check=False,
                          input='info cpus\ndevice_add x\nsystem_reset\ninfo status\nexit_preconfig\ninfo numa\nquit\n')
    runner.equal(done.returncode, 0, done.stderr)
    for name in 'info cpus', 'device_add', 'system_reset':
        assert "Command '%s' not available until machine initialization has completed." % name in done.stdout, name
    assert '0 nodes' in done.stdout and "'info numa' not" not in done.stdout, done.stdout


if __name__ == '__main__':
    runner.main(globals())
