#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""CPU models over QMP: which there are, what they are made of, and the same side by side with
Debian's QEMU where it is installed."""
import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import probe, qtest, runner

# Machines of 32 bits, and what our machines never give a guest.
NOT_OURS = {'486', 'athlon', 'coreduo', 'kvm32', 'n270', 'pentium', 'pentium2', 'pentium3', 'qemu32'}
ORACLE = shutil.which('qemu-system-x86_64')


def expand(vm, name, how='static', **props):
    model = {'name': name}
    if props:
        model['props'] = {k.replace('_', '-'): v for k, v in props.items()}
    return vm.cmd('query-cpu-model-expansion', type=how, model=model)['model']


def base_name(name):
    return name.rsplit('-v', 1)[0]


def oracle(accel):
    runner.require(ORACLE, "Debian's qemu-system-x86_64 is not installed")
    return probe.Prober(ORACLE, '-machine', 'none,accel=' + accel)


def compare(accel):
    """Every model of theirs of 64 bits: the same static expansion, word for word."""
    with probe.Prober(qtest.binary(), '-machine', 'none,accel=' + accel) as ours, \
            oracle(accel) as theirs:
        want = {d['name']: d for d in theirs.cmd('query-cpu-definitions')}
        got = {d['name']: d for d in ours.cmd('query-cpu-definitions')}
        missing = [n for n in want if n not in got and base_name(n) not in NOT_OURS]
        runner.equal(missing, [], 'models that are missing')
        runner.equal(sorted(set(got) - set(want)), [], 'models of ours alone')
        for name in sorted(got):
            a, b = got[name], want[name]
            runner.equal(a.get('alias-of'), b.get('alias-of'), name + ' alias')
            runner.equal(a['typename'], b['typename'], name + ' typename')
            runner.equal((a['static'], a['migration-safe']), (b['static'], b['migration-safe']), name)
            yield name, a, b, expand(ours, name), expand(theirs, name)


def differences(mine, theirs):
    return {k: (mine.get(k), theirs.get(k)) for k in set(mine) | set(theirs)
            if mine.get(k) != theirs.get(k)}


def test_static_expansion_without_kvm():
    with probe.Prober(qtest.binary(), '-machine', 'none,accel=qtest') as ours, \
            oracle('tcg') as theirs:
        n = 0
        for d in ours.cmd('query-cpu-definitions'):
            if d['name'] in ('host', 'max'):
                continue
            got, want = expand(ours, d['name']), expand(theirs, d['name'])
            runner.equal(got['name'], want['name'], d['name'])
            # The emulated CPU has no virtual-8086 extensions; that is its own default.
            want['props']['vme'] = got['props']['vme']
            runner.equal(differences(got['props'], want['props']), {}, d['name'])
            n += 1
        assert n > 80, n


def test_static_expansion_on_kvm():
    runner.require(os.access('/dev/kvm', os.R_OK | os.W_OK), '/dev/kvm is not usable')
    n = 0
    for name, a, b, got, want in compare('kvm'):
        if name in ('host', 'max'):
            continue
        runner.equal(got['name'], want['name'], name)
        runner.equal(differences(got['props'], want['props']), {}, name)
        runner.equal(sorted(a['unavailable-features']), sorted(set(b['unavailable-features'])), name)
        n += 1
    assert n > 80, n


def test_host_on_kvm():
    runner.require(os.access('/dev/kvm', os.R_OK | os.W_OK), '/dev/kvm is not usable')
    with probe.Prober(qtest.binary(), '-machine', 'none,accel=kvm') as ours, oracle('kvm') as theirs:
        for props in ({}, {'migratable': False}):
            got = expand(ours, 'host', **props)['props']
            want = expand(theirs, 'host', **props)['props']
            # With it an AMD guest sees which CPUs are threads of a core: ours has it when it can.
            del got['topoext'], want['topoext']
            runner.equal(differences(got, want), {}, 'host %s' % props)


def test_full_has_their_properties():
    """All of theirs but what belongs to emulation and to what we do not have."""
    with probe.Prober(qtest.binary(), '-machine', 'none,accel=qtest') as ours, \
            oracle('tcg') as theirs:
        got = expand(ours, 'Skylake-Server', 'full')['props']
        want = expand(theirs, 'Skylake-Server', 'full')['props']
        absent = sorted(k for k in want if k not in got and not k.startswith('x-'))
        runner.equal(absent, sorted(NO_PROPERTY), 'properties that are missing')
        for key in sorted(set(got) & set(want) - {'vme', 'hv-vendor-id'}):
            runner.equal(got[key], want[key], key)


# What their emulated CPU has, what is QOM's own, and parts of machines that we do not have.
NO_PROPERTY = {
    'cpuid-0xb', 'fill-mtrr-mask', 'full-cpuid-auto-level', 'hv-emsr-bitmap', 'hv-evmcs',
    'hv-no-nonarch-coresharing', 'hv-syndbg', 'hv-tlbflush-direct', 'hv-tlbflush-ext', 'kvm-no-smi-migration', 'lbr-fmt',
    'lbr_fmt', 'level-func7', 'memory', 'min-xlevel2', 'realized', 'start-powered-off',
    'tcg-cpuid', 'vmware-cpuid-freq', 'xlevel2',
}


def test_errors():
    with probe.Prober(qtest.binary(), '-machine', 'none,accel=qtest') as vm:
        def refused(model, how='static'):
            return vm.error('query-cpu-model-expansion', type=how, model=model)
        runner.equal(refused({'name': 'Z80'}),
                     ('GenericError', "CPU model 'Z80' not found"))
        runner.equal(refused({'name': 'EPYC', 'props': {'nofeat': True}}),
                     ('GenericError', "Property 'EPYC-x86_64-cpu.nofeat' not found"))
        runner.equal(refused({'name': 'EPYC', 'props': {'migratable': True}}),
                     ('GenericError', "Property 'EPYC-x86_64-cpu.migratable' not found"))
        runner.equal(refused({'name': 'EPYC', 'props': {'lmce': True}})[0], 'GenericError')
        runner.equal(refused({'name': 'Haswell', 'props': {'legacy-cache': False}})[0], 'GenericError')
        runner.equal(refused({'name': 'Haswell', 'props': {'avx': 'maybe'}})[0], 'GenericError')


def test_properties_change_a_model():
    with probe.Prober(qtest.binary(), '-machine', 'none,accel=qtest') as vm:
        p = expand(vm, 'Haswell', avx=False, vmx=True, model_id='x', stepping=9)['props']
        runner.equal((p['avx'], p['vmx'], p['vmx-ept'], p['model-id'], p['stepping']),
                     (False, True, True, 'x', 9))
        # What depends on an absent feature is absent.
        p = expand(vm, 'Haswell', vmx=True, vmx_ept=False)['props']
        runner.equal((p['vmx-ept'], p['vmx-page-walk-4'], p['vmx-unrestricted-guest'], p['vmx-vpid']),
                     (False, False, False, True))
        runner.equal(expand(vm, 'qemu64', intel_pt=True)['props']['min-level'], 0x14)
        runner.equal(expand(vm, 'EPYC', 'full', level=4)['props']['level'], 4)


def test_objects():
    """A CPU of a machine: model, identification and features as properties."""
    cpu = 'EPYC-v2,-avx2,+pcid,phys-bits=41,sse4.1=off,3dnowprefetch=off,erms,avx2=on'
    with qtest.Emulator('-machine', 'virt', '-cpu', cpu, '-smp', '2') as vm:
        cpus = vm.qmp.cmd('query-cpus-fast')
        path = cpus[0]['qom-path']

        def get(name):
            return vm.qmp.cmd('qom-get', path=path, property=name)
        runner.equal(get('type'), 'EPYC-v2-x86_64-cpu')
        runner.equal((get('avx'), get('avx2'), get('pcid'), get('ibpb')), (True, False, True, True))
        runner.equal((get('sse4.1'), get('sse4.2'), get('3dnowprefetch'), get('erms')), (False, True, False, True))
        runner.equal((get('family'), get('model'), get('stepping')), (23, 1, 2))
        runner.equal((get('vendor'), get('model-id')), ('AuthenticAMD', 'AMD EPYC Processor (with IBPB)'))
        runner.equal((get('level'), get('xlevel'), get('phys-bits')), (13, 0x8000001e, 41))
        runner.equal(get('unavailable-features'), [])
        names = {p['name']: p['type'] for p in vm.qmp.cmd('qom-list', path=path)}
        runner.equal(names['unavailable-features'], 'strList')
        # Management asks for every boolean one by one: other spellings are not listed.
        assert 'sse4.1' in names and 'sse4_1' not in names and 'sse4-1' not in names, names
        runner.equal(get('sse4_2'), True)


def test_command_line():
    def refused(*args):
        return qtest.start_error('-machine', 'virt', '-nodefaults', *args)
    assert "unable to find CPU model 'Z80'" in refused('-cpu', 'Z80')
    assert "Property 'Haswell-x86_64-cpu.nofeat' not found" in refused('-cpu', 'Haswell,nofeat=on')
    assert '12 characters' in refused('-cpu', 'Haswell,vendor=short')
    assert 'phys-bits should be between 32 and 52' in refused('-cpu', 'Haswell,phys-bits=99')


def test_help():
    """The list of models and features that scripts read, theirs less what we do not have."""
    status, ours = qtest.run('-cpu', 'help')
    runner.equal(status, 0, 'exit status')
    runner.require(ORACLE, "Debian's qemu-system-x86_64 is not installed")
    _, theirs = qtest.run('-cpu', 'help', program=ORACLE)

    def parse(text):
        models, flags = text.split('Recognized CPUID flags:')
        return [m.strip().split(None, 2) for m in models.splitlines() if m.startswith('x86 ')], flags.split()
    want = [m for m in parse(theirs)[0] if base_name(m[1]) not in NOT_OURS]
    runner.equal(parse(ours)[0], want, 'models')
    runner.equal(parse(ours)[1], sorted(set(parse(theirs)[1])), 'flags')


def test_enforce_and_check():
    runner.require(os.access('/dev/kvm', os.R_OK | os.W_OK), '/dev/kvm is not usable')
    with probe.Prober(qtest.binary(), '-machine', 'none,accel=kvm') as vm:
        models = {d['name']: d['unavailable-features'] for d in vm.cmd('query-cpu-definitions')}
    lacking = [m for m, missing in models.items() if missing]
    runner.require(lacking, 'this host lacks nothing of any model')
    text = qtest.start_error('-machine', 'virt', '-nodefaults', '-S', '-cpu',
                             lacking[0] + ',enforce', accel='kvm')
    assert "Host doesn't support requested features" in text, text
    assert "host doesn't support requested feature: " in text, text


if __name__ == '__main__':
    runner.main(globals())
