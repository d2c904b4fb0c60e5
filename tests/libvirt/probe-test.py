#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The questions with which libvirt 9.0 finds out what a program can do: its command line, its
commands in its order, and what it reads from the answers. Debian's QEMU answers the same where it
is installed, which says whether this test asks for the right things."""
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import qmp as qmplib  # noqa: E402
from lib import qtest, runner  # noqa: E402

DEVICES = {
    'both': ['virtio-blk-pci', 'virtio-net-pci', 'virtio-scsi-pci', 'virtio-net-ccw', 'virtio-scsi-ccw',
             'vfio-pci', 'scsi-hd', 'ide-hd', 'PIIX4_PM', 'usb-redir', 'usb-storage', 'kvm-pit', 'VGA',
             'vmware-svga', 'virtio-gpu-pci', 'virtio-gpu-device', 'ICH9-LPC', 'virtio-balloon-pci',
             'virtio-balloon-ccw', 'virtio-balloon-device', 'nvdimm', 'pcie-root-port', 'usb-host',
             'vhost-user-fs-device', 'virtio-mem-pci', 'virtio-iommu-pci'],
    'x86_64': ['qxl', 'intel-iommu', 'mch'],
    'aarch64': [],
}
# Asked of types that libvirt believes to exist; any error here is the end of the probe.
TYPES = {'x86_64': ['memory-backend-file', 'memory-backend-memfd', 'max-x86_64-cpu', 'none-machine'],
         'aarch64': ['memory-backend-file', 'memory-backend-memfd', 'none-machine']}
EXPANSIONS = {
    'x86_64': [{'type': 'static', 'model': {'name': 'host'}},
               {'type': 'static', 'model': {'name': 'host', 'props': {'migratable': False}}},
               {'type': 'full', 'model': {'name': 'host',
                                          'props': {'migratable': False, 'hv-passthrough': True}}}],
    'aarch64': [{'type': 'full', 'model': {'name': 'host'}}],
}
# Commands that may answer with an error of these classes; others must succeed.
TOLERATED = {
    'device-list-properties': {'DeviceNotFound'},
    'query-tpm-models': {'CommandNotFound'}, 'query-tpm-types': {'CommandNotFound'},
    'query-gic-capabilities': {'CommandNotFound'},
    'query-sev-capabilities': {'CommandNotFound', 'GenericError'},
    'query-sgx-capabilities': {'CommandNotFound', 'GenericError'},
    'query-cpu-model-expansion': {'GenericError'},
}


class Probe:
    """One probe, as libvirt starts it: in the background, with a pidfile, killed at the end."""

    def __init__(self, program, accel='kvm:tcg'):
        self.dir = tempfile.mkdtemp(prefix='qmp-')
        self.pid = None
        monitor, pidfile = self.dir + '/qmp.monitor', self.dir + '/qmp.pid'
        p = subprocess.run(
            [program, '-S', '-no-user-config', '-nodefaults', '-nographic', '-machine', 'none,accel=' + accel,
             '-qmp', 'unix:%s,server=on,wait=off' % monitor, '-pidfile', pidfile, '-daemonize'],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60,
            env={'LC_ALL': 'C', 'PATH': os.environ['PATH'], 'HOME': '/'}, check=False)
        runner.equal((p.returncode, p.stderr), (0, b''), 'start')
        # The parent has left: the socket accepts, the pidfile is written.
        with open(pidfile, encoding='ascii') as f:
            self.pid = int(f.read())
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(monitor)
        self.qmp = qmplib.QmpClient(sock)
        self.answers = {}
        self.order = []

    def ask(self, name, args=None):
        reply = self.qmp.cmd_raw(name, args)
        self.order.append(name)
        if 'error' in reply:
            error = reply['error']['class']
            assert error in TOLERATED.get(name, ()), '%s %s: %s' % (name, args, reply['error'])
            self.answers[name, json.dumps(args)] = None
            return None
        self.answers[name, json.dumps(args)] = reply['return']
        return reply['return']

    def get(self, name, args=None):
        return self.answers[name, json.dumps(args)]

    def run(self, arch):
        self.qmp.negotiate()
        for name in ('query-version', 'query-target', 'query-qmp-schema', 'query-commands', 'query-kvm',
                     'qom-list-types'):
            self.ask(name)
        for typename in DEVICES['both'] + DEVICES[arch]:
            self.ask('device-list-properties', {'typename': typename})
        machines = self.ask('query-machines')
        types = list(TYPES[arch])
        types += [m['name'] + '-machine' for m in machines if m.get('alias') == 'virt']
        for typename in types:
            self.ask('qom-list-properties', {'typename': typename})
        for name in ('query-cpu-definitions', 'query-tpm-models', 'query-tpm-types',
                     'query-command-line-options', 'query-migrate-capabilities'):
            self.ask(name)
        for name in (['query-sev-capabilities', 'query-sgx-capabilities'] if arch == 'x86_64'
                     else ['query-gic-capabilities']):
            self.ask(name)
        commands = {c['name'] for c in self.get('query-commands')}
        if 'query-cpu-model-expansion' in commands:
            for args in EXPANSIONS[arch]:
                self.ask('query-cpu-model-expansion', args)

    def close(self):
        if self.pid:
            os.kill(self.pid, signal.SIGTERM)
            runner.wait_for(lambda: not os.path.exists('/proc/%d' % self.pid), what='the end of the probe')
        shutil.rmtree(self.dir)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


def check(probe, arch):
    """The members that libvirt reads, with the types that it insists on."""
    version = probe.get('query-version')['qemu']
    assert (version['major'], version['minor']) >= (4, 2), version
    runner.equal(probe.get('query-target')['arch'], arch, 'arch')
    kvm = probe.get('query-kvm')
    assert isinstance(kvm['enabled'], bool) and isinstance(kvm['present'], bool), kvm
    for entry in probe.get('query-machines'):
        for name, kind in (('name', str), ('cpu-max', int), ('hotpluggable-cpus', bool),
                           ('numa-mem-supported', bool), ('deprecated', bool)):
            assert type(entry[name]) is kind, entry
        for name, kind in (('alias', str), ('is-default', bool), ('default-cpu-type', str),
                           ('default-ram-id', str)):
            assert name not in entry or type(entry[name]) is kind, entry
    for entry in probe.get('query-cpu-definitions'):
        assert entry['typename'].startswith(entry['name'] + '-'), entry
        if arch == 'x86_64':
            assert all(isinstance(f, str) for f in entry['unavailable-features']), entry
    for entry in probe.get('query-command-line-options'):
        assert isinstance(entry['option'], str) and isinstance(entry['parameters'], list), entry
    for entry in probe.get('query-migrate-capabilities'):
        assert isinstance(entry['capability'], str) and isinstance(entry['state'], bool), entry
    assert all('name' in t for t in probe.get('qom-list-types'))
    for (name, _), value in probe.answers.items():
        if name in ('device-list-properties', 'qom-list-properties') and value is not None:
            assert all(isinstance(p['name'], str) and isinstance(p['type'], str) for p in value)
    if arch == 'x86_64':
        props = {p['name'] for p in probe.get('qom-list-properties', {'typename': 'max-x86_64-cpu'})}
        assert {'unavailable-features', 'migratable'} <= props, props


def probed(arch):
    with Probe(qtest.binary(arch)) as probe:
        probe.run(arch)
        check(probe, arch)
        yield_types = {t['name'] for t in probe.get('qom-list-types')}
        machines = probe.get('query-machines')
    # With it, libvirt would start the program again and want an emulated CPU.
    assert 'tcg-accel' not in yield_types
    return yield_types, machines


def test_x86():
    types, machines = probed('x86_64')
    by_name = {m['name']: m for m in machines}
    runner.equal(by_name['virt-1.0'].get('alias'), 'virt')
    runner.equal(by_name['virt-1.0'].get('is-default'), True)
    # Types whose absence makes libvirt refuse parts of a domain.
    assert {'pcie-root-port', 'virtio-net-pci', 'virtio-rng-pci', 'rng-random', 'rng-builtin', 'iothread',
            'memory-backend-memfd', 'isa-serial', 'max-x86_64-cpu', 'kvm-accel'} <= types
    # Types whose presence makes it add devices that nobody asked for.
    assert not types & {'VGA', 'cirrus-vga', 'rtl8139', 'e1000', 'kvm-pit', 'i8042', 'ich9-ahci'}


def test_aarch64():
    probed('aarch64')


def test_host_model():
    """What "host-model" is made of."""
    runner.require(os.access('/dev/kvm', os.R_OK | os.W_OK), '/dev/kvm is not usable')
    with Probe(qtest.binary('x86_64')) as probe:
        probe.run('x86_64')
        runner.equal(probe.get('query-kvm'), {'enabled': True, 'present': True})
        model = probe.get('query-cpu-model-expansion', EXPANSIONS['x86_64'][0])['model']
        assert model['props']['lm'] is True and model['props']['vmx'] in (True, False), model


def test_without_kvm():
    """The probe works where there is no /dev/kvm; the program then says so."""
    hide = 'mount --bind /dev/null /dev/kvm 2>/dev/null || exit 9; exec "$@"'
    runner.require(os.geteuid() == 0, 'needs root for a mount namespace')
    status = subprocess.run(['unshare', '-m', 'sh', '-c', 'mount --bind /dev/null /dev/kvm'],
                            stderr=subprocess.DEVNULL, check=False).returncode
    runner.require(status == 0, 'no mount namespaces, or no /dev/kvm to hide')
    with tempfile.TemporaryDirectory(prefix='nemu-nokvm-') as folder:
        wrapper = folder + '/emulator'
        with open(wrapper, 'w', encoding='ascii') as f:
            f.write('#!/bin/sh\nexec unshare -m sh -c \'%s\' sh %s "$@"\n' % (hide, qtest.binary('x86_64')))
        os.chmod(wrapper, 0o755)
        with Probe(wrapper) as probe:
            probe.run('x86_64')
            check(probe, 'x86_64')
            runner.equal(probe.get('query-kvm')['enabled'], False)
            host = [d for d in probe.get('query-cpu-definitions') if d['name'] == 'host'][0]
            runner.equal(host['unavailable-features'], ['kvm'])


def test_oracle():
    """Debian's program passes the same checks."""
    program = shutil.which('qemu-system-x86_64', path='/usr/bin')
    runner.require(program, "Debian's qemu-system-x86_64 is not installed")
    with Probe(program) as probe:
        probe.run('x86_64')
        check(probe, 'x86_64')


if __name__ == '__main__':
    runner.main(globals())
