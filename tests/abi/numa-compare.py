#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""-numa and -preconfig beside Debian's QEMU: the same exit status and the same words for right and wrong nodes, and the
same answers before and after the machine is made."""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
import reference            # noqa: E402
from lib import runner      # noqa: E402

# '=': in the same words.
LINES = [line.strip() for line in '''
    = -numa node -numa node
    = -numa node,mem=128M -numa node,mem=128
    = -numa node,mem=128M -numa node,mem=64M
    = -numa node,nodeid=0 -numa node,nodeid=0
    = -numa node,nodeid=200
    = -numa node,nodeid=1
    = -numa node,cpus=0-1 -numa node
    = -numa node,cpus=0-5
    = -numa node,cpus=0,cpus=1
    = -numa node,cpus=1-0
    = -numa node,cpus=x
    = -numa node,cpus=0 -numa node,cpus=0
    = -numa node,cpus=0
    = -numa node,memdev=x
    = -numa node,memdev=m0 -object memory-backend-ram,id=m0,size=256M
    = -numa node,memdev=m0 -object memory-backend-ram,id=m0,size=128M
    = -numa node,memdev=m0 -numa node,memdev=m0 -object memory-backend-ram,id=m0,size=128M
    = -numa node,memdev=m0 -numa node,mem=128M -object memory-backend-ram,id=m0,size=128M
    = -numa node,memdev=m0,mem=128M -object memory-backend-ram,id=m0,size=128M
    = -numa node,memdev=m0 -numa node -object memory-backend-ram,id=m0,size=256M
    = -numa node,memdev=m0 -numa node,memdev=m1 -object memory-backend-ram,id=m0,size=128M -object memory-backend-ram,id=m1,size=128M
    = -numa node,memdev=m0 -numa node,memdev=m1 -object memory-backend-ram,id=m0,size=128M -object memory-backend-ram,id=m1,size=64M
    = -machine memory-backend=m0 -numa node,memdev=m0 -object memory-backend-ram,id=m0,size=256M
    = -machine memory-backend=m0 -numa node -object memory-backend-ram,id=m0,size=256M
    = -numa node,initiator=0
    = HMAT -numa node,initiator=0
    = HMAT -numa node,initiator=5
    = HMAT -numa node -numa node
    = HMAT -numa node,initiator=1 -numa node,cpus=0-1,initiator=0
    = HMAT -numa node,cpus=0-1,initiator=1 -numa node,initiator=1
    = -numa dist,src=0,dst=1,val=20
    = -numa node -numa dist,src=0,dst=1,val=20
    = -numa node -numa node -numa dist,src=0,dst=1,val=9
    = -numa node -numa node -numa dist,src=0,dst=1,val=256
    = -numa node -numa node -numa dist,src=0,dst=0,val=20
    = -numa node -numa node -numa dist,src=0,dst=1,val=20
    = -numa node -numa node -numa node -numa dist,src=0,dst=1,val=20
    = -numa node -numa node -numa node -numa dist,src=0,dst=1,val=20 -numa dist,src=1,dst=2,val=20 -numa dist,src=0,dst=2,val=20 -numa dist,src=2,dst=0,val=21
    = -numa node -numa node -numa dist,src=0,dst=200,val=20
    = -numa node -numa node -numa dist,src=200,dst=0,val=20
    = -numa node -numa node -numa dist,src=0,val=20
    = -numa node -numa node -numa dist,src=0,dst=1
    = -numa node -numa cpu,node-id=0,socket-id=0
    = -numa node -numa cpu,node-id=0,socket-id=0 -numa cpu,node-id=0,socket-id=1
    = -numa node -numa cpu,node-id=1,socket-id=0
    = -numa node -numa cpu,socket-id=0
    = -numa node -numa cpu,node-id=0
    = -numa node -numa cpu,node-id=0,socket-id=7
    = -numa node -numa node -numa cpu,node-id=0,socket-id=0 -numa cpu,node-id=1,socket-id=0
    = -numa node -numa cpu,node-id=0,cluster-id=0
    = -numa node -numa cpu,node-id=0,die-id=0
    = -numa node -numa cpu,node-id=0,core-id=0
    = -numa node -numa cpu,node-id=0,thread-id=0
    = -numa node -numa cpu,node-id=0,thread-id=4
    = -numa node -numa cpu,node-id=0,core-id=9
    = -numa node -numa cpu,node-id=0,die-id=9
    = -numa cpu,node-id=0,socket-id=0
    = -numa bad
    -numa node,bad=1
    = -numa help
    = -m 1 -smp 2 -numa node -numa node -numa node
    = -numa node,mem=0 -numa node,mem=256M
    -numa node,mem=x
    = -numa node,cpus=9999
    = -m 256 -smp 2,maxcpus=4 -numa node,cpus=0-1 -numa node,cpus=2-3
    = -m 256 -smp 2,maxcpus=4 -numa node,cpus=0-1 -numa node,cpus=2
    = -m 256 -smp 4,sockets=1,cores=4 -numa node -numa node
    = -m 256 -smp 4,sockets=2,cores=2 -numa node,cpus=0,cpus=2 -numa node,cpus=1,cpus=3
    = -m 256,slots=2,maxmem=1G -smp 2 -numa node,cpus=0
    = -mem-path /tmp -numa node
    = -mem-path /tmp -numa node,mem=256M
    = M01 -numa node,memdev=m0 -numa node,memdev=m1 -numa dist,src=0,dst=1,val=20
    = M01 -numa node,memdev=m0,cpus=0 -numa node,memdev=m1
    = M01 -numa node,memdev=m0,cpus=0-1 -numa node,memdev=m1
    = -m 256 -smp 2,maxcpus=4 M01 -numa node,memdev=m0,cpus=0-1 -numa node,memdev=m1
    = -m 256 -smp 2,maxcpus=4 M01 -numa node,memdev=m0,cpus=0-1 -numa node,memdev=m1,cpus=2
    = -m 256 -smp 4,sockets=2,cores=2 M01 -numa node,memdev=m0,cpus=0,cpus=2 -numa node,memdev=m1,cpus=1,cpus=3
    = M0 -numa node,memdev=m0 -numa node -numa node -numa dist,src=0,dst=1,val=20
    = M0 -numa node,memdev=m0 -numa node -numa node -numa dist,src=0,dst=1,val=20 -numa dist,src=1,dst=2,val=20 -numa dist,src=0,dst=2,val=20 -numa dist,src=2,dst=0,val=21
    = HMAT M0 -numa node,memdev=m0 -numa node
    = HMAT M0 -numa node,memdev=m0 -numa node,initiator=0
    = HMAT M0 -numa node,memdev=m0,initiator=1 -numa node,initiator=0
    = HMAT M0 -numa node,memdev=m0,cpus=0-1 -numa node,initiator=5
    = HMAT M0 -numa node,memdev=m0,cpus=0-1 -numa node
    = HMAT M0 -numa node,memdev=m0,cpus=0-1 -numa node,initiator=2 -numa node,initiator=0
    = HMAT M0 -numa node,memdev=m0,cpus=0-1 -numa node,initiator=0
    = M0 -numa node,memdev=m0,cpus=0-1 -numa hmat-lb,initiator=0,target=0,LBaccess-latency,latency=10
    = M0 -numa node,memdev=m0,cpus=0-1 -numa hmat-cache,node-id=0,size=10K,level=1,associativity=none,policy=none,line=8
    = HMAT M0 -numa node,memdev=m0,cpus=0-1 -numa hmat-cache,node-id=0,size=10K,level=1,associativity=none,policy=none,line=8
    = HMAT M0 -numa node,memdev=m0,cpus=0-1 -numa node,initiator=0 -numa hmat-lb,initiator=0,target=0,LBaccess-latency,latency=10 -numa hmat-cache,node-id=0,size=10K,level=1,associativity=none,policy=none,line=8
    = HMAT M0 -numa node,memdev=m0,cpus=0-1 -numa hmat-lb,initiator=0,target=0,LBaccess-latency,bandwidth=10
    = HMAT M0 -numa node,memdev=m0,cpus=0-1 -numa hmat-lb,initiator=0,target=0,LBaccess-bandwidth,latency=10
    = HMAT M0 -numa node,memdev=m0,cpus=0-1 -numa hmat-lb,initiator=0,target=0,LBaccess-bandwidth,bandwidth=10
    = HMAT M0 -numa node,memdev=m0,cpus=0-1 -numa hmat-lb,initiator=0,target=0,LBaccess-bandwidth,bandwidth=10M
    = HMAT M0 -numa node,memdev=m0,cpus=0-1 -numa hmat-lb,initiator=0,target=0,LBaccess-bandwidth,bandwidth=10M -numa hmat-lb,initiator=0,target=0,LBaccess-bandwidth,bandwidth=10M
    = HMAT M0 -numa node,memdev=m0,cpus=0-1 -numa hmat-lb,initiator=0,target=0,LBaccess-latency,latency=10 -numa hmat-lb,initiator=0,target=0,LBaccess-latency,latency=10
    = HMAT M0 -numa node,memdev=m0,cpus=0-1 -numa node,initiator=0 -numa hmat-lb,initiator=0,target=0,LBaccess-latency,latency=1 -numa hmat-lb,initiator=0,target=1,LBaccess-latency,latency=70000
    = HMAT M0 -numa node,memdev=m0,cpus=0-1 -numa node,initiator=0 -numa hmat-lb,initiator=0,target=0,LBaccess-latency,latency=10 -numa hmat-lb,initiator=0,target=1,LBaccess-latency,latency=700000
    = HMAT M0 -numa node,memdev=m0,cpus=0-1 -numa node,initiator=0 -numa hmat-lb,initiator=0,target=0,LBaccess-bandwidth,bandwidth=1M -numa hmat-lb,initiator=0,target=1,LBaccess-bandwidth,bandwidth=65535M
    = HMAT M0 -numa node,memdev=m0,cpus=0-1 -numa node,initiator=0 -numa hmat-lb,initiator=0,target=0,LBaccess-bandwidth,bandwidth=3M -numa hmat-lb,initiator=0,target=1,LBaccess-bandwidth,bandwidth=4G
    = HMAT M0 -numa node,memdev=m0,cpus=0-1 -numa hmat-lb,initiator=9,target=0,LBaccess-latency,latency=10
    = HMAT M0 -numa node,memdev=m0,cpus=0-1 -numa hmat-lb,initiator=0,target=9,LBaccess-latency,latency=10
    = HMAT M0 -numa node,memdev=m0,cpus=0-1 -numa node,initiator=0 -numa hmat-lb,initiator=1,target=0,LBaccess-latency,latency=10
    = HMAT M0 -numa node,memdev=m0,cpus=0-1 -numa hmat-lb,initiator=0,target=0,hierarchy=bad,data-type=access-latency,latency=10
    = HMAT M0 -numa node,memdev=m0,cpus=0-1 -numa hmat-lb,initiator=0,target=0,LBaccess-latency
    = HMAT M0 -numa node,memdev=m0,cpus=0-1 -numa hmat-lb,initiator=0,target=0,LBaccess-bandwidth
    = HMAT M0 -numa node,memdev=m0,cpus=0-1 -numa hmat-lb,initiator=0,target=0,LBaccess-bandwidth,bandwidth=0
    = HMAT M0 -numa node,memdev=m0,cpus=0-1 -numa hmat-lb,initiator=0,target=0,LBaccess-latency,latency=0
    = HMAT M0 -numa node,memdev=m0,cpus=0-1 -numa hmat-lb,initiator=0,target=0,LBaccess-latency,latency=10 -numa hmat-cache,node-id=9,size=10K,level=1,associativity=none,policy=none,line=8
    = HMAT M0 -numa node,memdev=m0,cpus=0-1 -numa hmat-lb,initiator=0,target=0,LBaccess-latency,latency=10 -numa hmat-lb,initiator=0,target=0,LBaccess-bandwidth,bandwidth=10M -numa hmat-cache,node-id=9,size=10K,level=1,associativity=none,policy=none,line=8
    = HMAT M0 -numa node,memdev=m0,cpus=0-1 -numa hmat-lb,initiator=0,target=0,LBaccess-latency,latency=10 -numa hmat-lb,initiator=0,target=0,LBaccess-bandwidth,bandwidth=10M -numa hmat-cache,node-id=0,size=10K,level=4,associativity=none,policy=none,line=8
    = HMAT M0 -numa node,memdev=m0,cpus=0-1 -numa hmat-lb,initiator=0,target=0,LBaccess-latency,latency=10 -numa hmat-lb,initiator=0,target=0,LBaccess-bandwidth,bandwidth=10M -numa hmat-cache,node-id=0,size=10K,level=0,associativity=none,policy=none,line=8
    = HMAT M0 -numa node,memdev=m0,cpus=0-1 -numa hmat-lb,initiator=0,target=0,LBaccess-latency,latency=10 -numa hmat-lb,initiator=0,target=0,LBaccess-bandwidth,bandwidth=10M -numa hmat-cache,node-id=0,size=10K,level=2,associativity=none,policy=none,line=8
    = HMAT M0 -numa node,memdev=m0,cpus=0-1 -numa hmat-lb,initiator=0,target=0,LBaccess-latency,latency=10 -numa hmat-lb,initiator=0,target=0,LBaccess-bandwidth,bandwidth=10M -numa hmat-cache,node-id=0,size=10K,level=1,associativity=direct,policy=write-back,line=8 -numa hmat-cache,node-id=0,size=10K,level=1,associativity=none,policy=none,line=8
    = HMAT M0 -numa node,memdev=m0,cpus=0-1 -numa hmat-lb,initiator=0,target=0,LBaccess-latency,latency=10 -numa hmat-lb,initiator=0,target=0,LBaccess-bandwidth,bandwidth=10M -numa hmat-cache,node-id=0,size=10K,level=1,associativity=direct,policy=write-back,line=8 -numa hmat-cache,node-id=0,size=5K,level=2,associativity=none,policy=none,line=8
    = HMAT M0 -numa node,memdev=m0,cpus=0-1 -numa hmat-lb,initiator=0,target=0,LBaccess-latency,latency=10 -numa hmat-lb,initiator=0,target=0,LBaccess-bandwidth,bandwidth=10M -numa hmat-cache,node-id=0,size=10K,level=1,associativity=direct,policy=write-back,line=8 -numa hmat-cache,node-id=0,size=50K,level=2,associativity=none,policy=none,line=8
    = HMAT M0 -numa node,memdev=m0,cpus=0-1 -numa hmat-cache,node-id=0,size=10K,level=2,associativity=direct,policy=write-back,line=8 -numa hmat-cache,node-id=0,size=50K,level=1,associativity=none,policy=none,line=8
    = HMAT M0 -numa hmat-cache,node-id=0,size=10K,level=2,associativity=direct,policy=write-back,line=8 -numa node,memdev=m0,cpus=0-1
    = HMAT -numa node
    = -m 256 -numa node,memdev=a -numa node,memdev=b -object memory-backend-ram,id=a,size=128M -object rng-builtin,id=b
    = -m 256 -object memory-backend-ram,id=a,size=256M -numa node,memdev=a,nodeid=1 -numa node,nodeid=0
    = -m 257 -smp 2 M0 -object memory-backend-ram,id=m1,size=1M -numa node,memdev=m0 -numa node,memdev=m1
    = -smp 2 M0 -numa node,memdev=m0
    '''.splitlines() if line.strip()]

SHORT = {
    'M0': '-object memory-backend-ram,id=m0,size=256M',
    'M01': '-object memory-backend-ram,id=m0,size=128M -object memory-backend-ram,id=m1,size=128M',
    'HMAT': '-machine hmat=on',
}
# These know no nodes' mem= any more; those before 5.1 do.
OLD = [
    '-numa node -numa node', '-numa node,mem=128M -numa node,mem=128', '-numa node,mem=128M -numa node,mem=64M',
    '-numa node,mem=128M -numa node', '-numa node,cpus=0 -numa node',
]
BOTH = (reference.OURS, reference.THEIRS)


def base(program, machine):
    return ['-machine', machine, '-accel', 'tcg' if program == reference.THEIRS else 'qtest', '-m', '256', '-nodefaults',
            '-display', 'none', '-S', '-qmp', 'stdio']


def run(program, machine, line):
    args = []
    for word in line.split():
        args += SHORT.get(word, word.replace('LB', 'hierarchy=memory,data-type=')).split()
    if '-smp' not in args:
        args += ['-smp', '2']
    status, _, err = reference.run(program, *base(program, machine), *args,
                                   stdin='{"execute": "qmp_capabilities"}\n{"execute": "quit"}\n')
    return status, err.replace('qemu-system-x86_64: ', '')


def compare(machine, lines):
    faults = []
    for line in lines:
        same = line.startswith('= ')
        ours, theirs = (run(program, machine, line.removeprefix('= ')) for program in BOTH)
        if ours != theirs if same else ours[0] != theirs[0]:
            faults.append('%s: %r, in the reference %r' % (line, ours, theirs))
    runner.equal('\n'.join(faults), '', '%d command lines' % len(lines))


def test_nodes():
    compare('q35', LINES)


def test_old_machine():
    compare('pc-q35-5.0', ['= ' + line for line in OLD])


def test_no_nodes_on_none():
    compare('none', ['= -smp 1 -numa node'])


def exchange(program, commands, *args):
    """The replies to @commands and the exit status."""
    text = ''.join(json.dumps({'execute': name, 'arguments': arguments or {}}) + '\n'
                   for name, arguments in [('qmp_capabilities', None), *commands, ('quit', None)])
    status, out, _ = reference.run(program, *base(program, 'q35'), *args, stdin=text)
    return [m for m in map(json.loads, out.splitlines()) if 'return' in m or 'error' in m][1:], status


# What is asked before there is a machine, then after that.
STAGES = [
    ('query-status', None), ('query-cpus-fast', None), ('device_add', {'driver': 'x'}), ('cont', None),
    ('system_reset', None), ('human-monitor-command', {'command-line': 'info status'}),
    ('set-numa-node', {'type': 'node', 'memdev': 'm0'}), ('set-numa-node', {'type': 'node', 'memdev': 'nope'}),
    ('set-numa-node', {'type': 'node', 'memdev': 'm1', 'nodeid': 1}),
    ('set-numa-node', {'type': 'node', 'nodeid': 1}), ('set-numa-node', {'type': 'node', 'cpus': [0, 'x']}),
    ('set-numa-node', {'type': 'dist', 'src': 0, 'dst': 1, 'val': 300}), ('set-numa-node', {'type': 'bad'}),
    ('set-numa-node', {}), ('set-numa-node', {'type': 'cpu', 'node-id': 0, 'socket-id': 0, 'core-id': 0}),
    ('set-numa-node', {'type': 'cpu', 'node-id': 1, 'socket-id': 0}),
    ('set-numa-node', {'type': 'cpu', 'node-id': 1, 'core-id': 1}),
    ('object-add', {'qom-type': 'memory-backend-ram', 'id': 'm9', 'size': 1 << 20}), ('x-exit-preconfig', None),
    ('query-status', None), ('x-exit-preconfig', None), ('x-query-numa', None), ('set-numa-node', {'type': 'node'}),
]


def test_preconfig():
    args = ['-preconfig', '-smp', '2', *SHORT['M01'].split()]
    ours, theirs = (exchange(program, STAGES, *args) for program in BOTH)
    for command, a, b in zip(STAGES, ours[0], theirs[0]):
        runner.equal(a, b, '%s %s' % command)
    runner.equal(ours[1], theirs[1], 'exit status')


def test_preconfig_fails():
    for commands, args in (([('x-exit-preconfig', None)], ['-numa', 'node']),
                           ([('x-exit-preconfig', None)], ['-device', 'nope']), ([], [])):
        ours, theirs = (exchange(program, commands, '-preconfig', *args)[1] for program in BOTH)
        runner.equal(ours, theirs, 'exit status of %s' % args)


def commands_of(program):
    return {e['name']: e for e in reference.result(program, 'query-qmp-schema') if e['meta-type'] == 'command'}


def test_which_commands():
    """Every command that we have is allowed before there is a machine where it is in the reference."""
    names = sorted(set(commands_of(reference.OURS)) & set(commands_of(reference.THEIRS)) -
                   {'quit', 'x-exit-preconfig', 'qmp_capabilities'})
    refused = []
    for program in BOTH:
        # No command runs: there is no such argument.
        answers, _ = exchange(program, [(name, {'no-such-argument': 1}) for name in names], '-preconfig')
        refused.append({name for name, a in zip(names, answers)
                        if 'permitted only after' in a.get('error', {}).get('desc', '')})
    runner.equal(sorted(refused[0] - refused[1]), [], 'refused by us only')


if __name__ == '__main__':
    reference.require()
    runner.main(globals())
