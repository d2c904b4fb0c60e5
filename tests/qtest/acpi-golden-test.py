#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The ACPI tables of both machines, disassembled, against the text that is kept in acpi-golden/.

A versioned machine must not change its tables. When a difference is meant,

    tests/qtest/acpi-golden-test.py --update

writes the texts anew; the change is then read in the diff. ARCH/MACHINE/tables lists each configuration's tables.
The text of a table is in ARCH/MACHINE/CONFIG/TABLE.dsl; a configuration or machine that has no such file has what the
first machine or configuration of the list below has, in the order of places().
"""
import difflib
import os
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import acpi, arm, fwcfg, qtest, runner

GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'acpi-golden')
ROOT_PORTS = ['-device', 'pcie-root-port,id=rp0,chassis=1,slot=1', '-device', 'virtio-rng-pci,bus=rp0']

NODES = [word for i in range(2) for word in ('-object', 'memory-backend-ram,id=m%d,size=32M' % i,
                                             '-numa', 'node,memdev=m%d,cpus=%d' % (i, i))]
NODES += ['-numa', 'dist,src=0,dst=1,val=20']
HMAT = [word for option in ('hmat-lb,initiator=0,target=0,hierarchy=memory,data-type=access-latency,latency=5',
                            'hmat-lb,initiator=0,target=1,hierarchy=memory,data-type=access-latency,latency=70',
                            'hmat-lb,initiator=0,target=0,hierarchy=memory,data-type=access-bandwidth,bandwidth=1G',
                            'hmat-cache,node-id=0,size=1M,level=1,associativity=direct,policy=write-back,line=64')
        for word in ('-numa', option)]

# Machine options, then the others. The first machine and the first configuration are what others are compared with.
MACHINES = {
    'x86_64': (['virt-1.0', 'pc-q35-7.2'], {
        'minimal': ('', ['-m', '64']),
        'devices': ('', ['-m', '64', '-smp', '4', '-serial', 'null', '-serial', 'null', '-device', 'pvpanic',
                         *ROOT_PORTS]),
        'possible-cpus': ('', ['-m', '64', '-smp', '1,maxcpus=4,sockets=2,cores=2']),
        'nvdimm': (',nvdimm=on,nvdimm-persistence=cpu',
                   ['-m', '64,slots=2,maxmem=2G', '-object', 'memory-backend-ram,id=n,size=8M',
                    '-device', 'nvdimm,memdev=n,label-size=128K']),
        'memory': ('', ['-m', '3G,slots=2,maxmem=8G']),
        'numa': (',hmat=on', ['-m', '64', '-smp', '2,sockets=2', *NODES, *HMAT]),
        'firmware': ('', ['-m', '64', '-cpu', 'qemu64', '-bios', 'CODE', '-device', 'vmgenid']),
    }),
    'aarch64': (['virt-7.2', 'virt-7.1', 'virt-7.0', 'virt-6.2', 'virt-1.0'], {
        'minimal': (',gic-version=3', ['-m', '64']),
        'gicv2': (',gic-version=2', ['-m', '64', '-smp', '2']),
        'devices': (',gic-version=3', ['-m', '64', '-smp', '4', *ROOT_PORTS]),
        'topology': (',gic-version=3,its=off', ['-m', '64', '-smp', '8,sockets=2,clusters=2,cores=1,threads=2']),
        'vmgenid': (',gic-version=3', ['-m', '64', '-device', 'vmgenid']),
        'slots': (',gic-version=3,nvdimm=on', ['-m', '64,slots=2,maxmem=2G', '-object', 'memory-backend-ram,id=n,size=8M',
                                               '-device', 'nvdimm,memdev=n,label-size=128K']),
        'lowmem': (',gic-version=3,highmem=off', ['-m', '64']),
        'numa': (',gic-version=3,hmat=on', ['-m', '64', '-smp', '2,sockets=2', *NODES, *HMAT]),
    }),
}


def machine_tables(arch, machine, config):
    options, args = MACHINES[arch][1][config]
    with tempfile.NamedTemporaryFile() as code:
        code.truncate(65536)
        args = [code.name if a == 'CODE' else a for a in args]
        if arch == 'aarch64':   # only firmware gets tables
            args = ['-bios', code.name, *args]
        with qtest.Emulator('-machine', machine + options, '-nodefaults', *args, arch=arch) as vm:
            return acpi.Loaded(arm.FwCfg(vm) if arch == 'aarch64' else fwcfg.FwCfg(vm)).tables()


def places(arch, machine, config, table):
    machines, configs = MACHINES[arch]
    for m, c in ((machine, config), (machines[0], config), (machine, next(iter(configs))),
                 (machines[0], next(iter(configs)))):
        yield os.path.join(GOLDEN, arch, m, c, table + '.dsl')


def golden(arch, machine, config, table):
    for path in places(arch, machine, config, table):
        if os.path.exists(path):
            with open(path, encoding='utf-8') as f:
                return f.read()
    return ''


def append(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'a', encoding='utf-8') as f:
        f.write(text)


def lists(arch):
    """What MACHINE/tables says: for each configuration the names of its tables."""
    found = {}
    for machine in MACHINES[arch][0]:
        with open(os.path.join(GOLDEN, arch, machine, 'tables'), encoding='utf-8') as f:
            for line in f:
                config, names = line.split(':')
                found[machine, config] = names.split()
    return found


def each(arch):
    """Machine, configuration, its tables, and their texts (of the first machine only when others have the same)."""
    first = {}
    for machine in MACHINES[arch][0]:
        for config in MACHINES[arch][1]:
            found = machine_tables(arch, machine, config)
            if first.get(config) != found:
                first.setdefault(config, found)
                with tempfile.TemporaryDirectory(prefix='nemu-acpi-') as folder:
                    texts = acpi.disassemble(folder, found)
                    for name in texts:
                        acpi.recompile(folder, name)
                yield machine, config, texts
            else:
                yield machine, config, None


def update(arch):
    shutil.rmtree(os.path.join(GOLDEN, arch), ignore_errors=True)
    same = {}
    for machine, config, texts in each(arch):
        texts = texts or same[config]
        same.setdefault(config, texts)
        for name, text in texts.items():
            if golden(arch, machine, config, name) != text:
                append(next(places(arch, machine, config, name)), text)
        append(os.path.join(GOLDEN, arch, machine, 'tables'), '%s: %s\n' % (config, ' '.join(sorted(texts))))


def check(arch):
    runner.require(shutil.which('iasl'), 'no iasl (Debian package acpica-tools)')
    same, known = {}, lists(arch)
    for machine, config, texts in each(arch):
        texts = texts or same[config]
        same.setdefault(config, texts)
        runner.equal(sorted(texts), known.pop((machine, config)), '%s %s: tables' % (machine, config))
        for name, text in texts.items():
            kept = golden(arch, machine, config, name)
            if kept != text:
                diff = difflib.unified_diff(kept.splitlines(), text.splitlines(), 'kept', 'now', lineterm='')
                raise AssertionError('%s %s %s changed (--update keeps it):\n%s' % (machine, config, name,
                                                                                     '\n'.join(list(diff)[:60])))
    runner.equal(list(known), [], 'configurations that are no longer there')


def test_x86_64():
    check('x86_64')


def test_aarch64():
    check('aarch64')


if __name__ == '__main__':
    if '--update' in sys.argv:
        for a in MACHINES:
            update(a)
        sys.exit(0)
    runner.main(globals())
