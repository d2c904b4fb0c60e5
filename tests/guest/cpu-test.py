#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""CPUID as a guest on KVM sees it: models, features, topology, caches, the hypervisor's leaves."""
import ctypes
import fcntl
import functools
import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import guest, qtest, runner  # noqa: E402

PAYLOAD = os.path.join(qtest.build_dir(), 'tests', 'guest', 'payload.elf')


class Leaves(dict):
    """(function, index) -> (eax, ebx, ecx, edx)."""

    def __missing__(self, key):
        return (0, 0, 0, 0)

    def vendor(self):
        _, b, c, d = self[0, 0]
        return struct.pack('<III', b, d, c).decode()

    def brand(self):
        text = b''.join(struct.pack('<IIII', *self[f, 0]) for f in range(0x80000002, 0x80000005))
        return text.rstrip(b'\0').decode()


def parse_leaves(text):
    leaves = Leaves()
    for line in text.splitlines():
        words = line.split()
        if len(words) == 7 and words[0] == 'cpuid':
            f, i, *regs = (int(w, 16) for w in words[1:])
            leaves[f, i] = tuple(regs)
    return leaves


def cpuid(cpu, smp='1'):
    """The leaves of the first CPU, and what management says of it; the same in a new process that goes on with it."""
    with guest.Guest('-m', '64', '-cpu', cpu, '-smp', smp, '-kernel', PAYLOAD,
                     '-append', 'only=cpuid dump=cpuid end=halt') as g:
        g.wait_console('1..1')
        text = g.console()
        leaves = parse_leaves(text)
        guest.move(g)
        g.qmp.cmd('system_reset')
        runner.wait_for(lambda: g.console().count('1..1') == 2, 60, 'the second report')
        again = parse_leaves(g.console()[len(text):])
        runner.equal(again, leaves, 'leaves after save and restore')
        path = g.qmp.cmd('query-cpus-fast')[0]['qom-path']
        names = [p['name'] for p in g.qmp.cmd('qom-list', path=path) if p['type'] == 'bool']
        features = {n: g.qmp.cmd('qom-get', path=path, property=n) for n in names}
        features['unavailable'] = g.qmp.cmd('qom-get', path=path, property='unavailable-features')
        assert '\nok 1 - cpuid' in text, text
    assert leaves, 'no leaves'
    return leaves, features


# Where some features are, for each of the words that every model has.
BITS = {
    'fpu': (1, 0, 3, 0), 'cx8': (1, 0, 3, 8), 'sse2': (1, 0, 3, 26), 'pni': (1, 0, 2, 0),
    'cx16': (1, 0, 2, 13), 'x2apic': (1, 0, 2, 21), 'hypervisor': (1, 0, 2, 31),
    'avx': (1, 0, 2, 28), 'avx2': (7, 0, 1, 5), 'smep': (7, 0, 1, 7), 'umip': (7, 0, 2, 2),
    'nx': (0x80000001, 0, 3, 20), 'lm': (0x80000001, 0, 3, 29), 'lahf-lm': (0x80000001, 0, 2, 0),
    'kvmclock': (0x40000001, 0, 0, 3), 'kvm-pv-eoi': (0x40000001, 0, 0, 6), 'arat': (6, 0, 0, 2),
}


def sees(leaves, name):
    function, index, reg, bit = BITS[name]
    return bool(leaves[function, index][reg] & 1 << bit)


@functools.lru_cache
def can_hide():
    """False on a KVM without the hardware's help, which shows some of the processor's features anyway."""
    leaves, features = cpuid('qemu64,-sse2')
    runner.equal(features['sse2'], False)
    if sees(leaves, 'sse2'):
        print('# this KVM cannot hide features; only those that are on are checked', flush=True)
    return not sees(leaves, 'sse2')


def check_features(leaves, features):
    for name in BITS:
        if features[name] or can_hide():
            runner.equal(sees(leaves, name), features[name], 'the guest sees ' + name)


def test_named_model():
    leaves, features = cpuid('Haswell-v4')
    check_features(leaves, features)
    runner.equal(leaves[1, 0][0], 0x000306c1, 'signature')
    runner.equal(leaves[0, 0][0], 0xd, 'level')
    runner.equal(leaves[0x80000000, 0][0], 0x80000008, 'extended level')
    runner.equal(leaves.brand(), 'Intel Core Processor (Haswell, no TSX, IBRS)')
    runner.equal(leaves[0x80000008, 0][0] & 0xff, 40, 'address bits')
    for f in features['unavailable']:
        runner.equal(features[f], False, f)


def test_choices():
    leaves, features = cpuid('qemu64,+umip,-cx16,phys-bits=38,model-id=Some CPU,stepping=7,family=16')
    check_features(leaves, features)
    runner.equal(features['cx16'], False)
    runner.equal(leaves.brand(), 'Some CPU')
    runner.equal(leaves[1, 0][0] & 0xf, 7, 'stepping')
    runner.equal(leaves[1, 0][0] >> 20 & 0xff, 1, 'extended family')
    runner.equal(leaves[0x80000008, 0][0] & 0xff, 38, 'address bits')


def test_host():
    leaves, features = cpuid('host')
    check_features(leaves, features)
    with open('/proc/cpuinfo', encoding='ascii') as f:
        info = dict(line.replace('\t', '').strip().split(':', 1) for line in f.read().split('\n\n')[0]
                    .splitlines())
    runner.equal(leaves.vendor(), info['vendor_id'].strip())
    runner.equal(leaves[0x40000000, 0][1:], struct.unpack('<III', b'KVMKVMKVM\0\0\0'), 'hypervisor')
    runner.equal(features['unavailable'], [])


def test_kvm_hidden():
    leaves, features = cpuid('host,kvm=off')
    assert leaves[0x40000000, 0][1:] != struct.unpack('<III', b'KVMKVMKVM\0\0\0'), leaves[0x40000000, 0]
    runner.equal(features['kvmclock'], False)
    leaves, features = cpuid('qemu64,-kvmclock,+kvm-hint-dedicated,tsc-frequency=%d' % tsc_frequency())
    runner.equal(leaves[0x40000001, 0][0] & 9, 0, 'kvmclock')
    runner.equal(leaves[0x40000001, 0][3], 1, 'hints')
    runner.equal(leaves[0x40000010, 0][0], tsc_frequency() // 1000, 'TSC frequency')


def tsc_frequency():
    """What every host takes: its own frequency, by asking KVM."""
    kvm = os.open('/dev/kvm', os.O_RDWR)
    libc = ctypes.CDLL(None)
    vm = fcntl.ioctl(kvm, 0xae01, 0)                    # KVM_CREATE_VM
    vcpu = libc.ioctl(vm, 0xae41, 0)                    # KVM_CREATE_VCPU
    khz = libc.ioctl(vcpu, 0xaea3, 0)                   # KVM_GET_TSC_KHZ
    for fd in (vcpu, vm, kvm):
        os.close(fd)
    assert khz > 0, khz
    return khz * 1000


def test_topology():
    leaves, _ = cpuid('Skylake-Server', '8,sockets=1,dies=2,cores=2,threads=2')
    runner.equal(leaves[1, 0][1] >> 16 & 0xff, 8, 'logical CPUs')
    runner.equal(leaves[0xb, 0][:3], (1, 2, 0x100))
    runner.equal(leaves[0xb, 1][:3], (3, 8, 0x201))
    runner.equal(leaves[0x1f, 0][:3], (1, 2, 0x100))
    runner.equal(leaves[0x1f, 1][:3], (2, 4, 0x201))
    runner.equal(leaves[0x1f, 2][:3], (3, 8, 0x502))
    if 'Intel' in leaves.vendor():
        runner.equal(leaves[4, 3][0] >> 14 & 0xfff, 3, 'CPUs that share the third-level cache')


def hyperv_offered():
    """KVM_CAP_SYS_HYPERV_CPUID."""
    kvm = os.open('/dev/kvm', os.O_RDWR)
    try:
        return fcntl.ioctl(kvm, 0xae03, 191) > 0
    finally:
        os.close(kvm)


def test_hyperv():
    if not hyperv_offered():
        text = qtest.start_error('-machine', 'virt', '-nodefaults', '-S', '-cpu', 'qemu64,check=off,hv-relaxed', accel='kvm')
        assert "Hyper-V features (hv-...) are not supported by this host's KVM" in text, text
        return
    leaves, _ = cpuid('qemu64,hv-relaxed,hv-vapic,hv-time,hv-vpindex,hv-runtime,hv-synic,hv-stimer,hv-spinlocks=0x1fff,'
                      'hv-frequencies,hv-tlbflush,hv-ipi,hv-reset', '2')
    runner.equal(leaves[0x40000000, 0], (0x40000005, *struct.unpack('<III', b'Microsoft Hv')))
    runner.equal(leaves[0x40000001, 0][0], 0x31237648, 'interface')
    runner.equal(leaves[0x40000003, 0][0], 0x0aff, 'access')
    runner.equal(leaves[0x40000003, 0][3], 1 << 8, 'features')
    runner.equal(leaves[0x40000004, 0][:2], (0xc2c, 0x1fff), 'recommendations')
    leaves, _ = cpuid('host,hv-passthrough,hv-vendor-id=Some name')
    runner.equal(leaves[0x40000000, 0], (0x40000005, *struct.unpack('<III', b'Some name\0\0\0')))
    runner.equal(leaves[0x40000003, 0][0] & 0xaff, 0xaff, 'all that KVM has')
    text = qtest.start_error('-machine', 'virt', '-nodefaults', '-S', '-cpu', 'qemu64,check=off,hv-synic', accel='kvm')
    assert 'hv-synic needs hv-vpindex' in text, text


if __name__ == '__main__':
    # The host's KVM may know less than Linux's own on the processor that the emulated host has.
    if '--nested' in sys.argv and not guest.in_emulated_host():
        guest.run_in_emulated_host(['/usr/bin/python3', os.path.realpath(__file__)])
    guest.require_kvm()
    runner.main(globals())
