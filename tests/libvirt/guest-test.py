#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's libvirtd and virsh with our emulator: capabilities, and the life of a guest on KVM,
for the machine `virt` and for the same hardware under the name of a Q35."""
import json
import os
import sys
import xml.etree.ElementTree as ET

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import guest, libvirt, qtest, runner  # noqa: E402

PAYLOAD = os.path.join(qtest.build_dir(), 'tests', 'guest', 'payload.elf')

# {name} {machine} {emulator} {cpu} {kernel} {cmdline} {controllers} {disk} {serial} {channel}
DOMAIN = '''<domain type='kvm'>
  <name>{name}</name>
  <uuid>6d0e4b0a-9f43-4a2c-9c51-0d6f0d3b5d{number:02x}</uuid>
  <memory unit='MiB'>128</memory>
  <vcpu>2</vcpu>
  <iothreads>1</iothreads>
  <os>
    <type arch='x86_64' machine='{machine}'>hvm</type>
    <kernel>{kernel}</kernel>
    <cmdline>{cmdline}</cmdline>
  </os>
  <features><acpi/><apic/></features>
  {cpu}
  <clock offset='utc'>
    <timer name='rtc' tickpolicy='catchup'/>
    <timer name='hpet' present='no'/>
  </clock>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <emulator>{emulator}</emulator>
    {controllers}
    <controller type='usb' model='none'/>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw' cache='none' io='native' iothread='1'/>
      <source file='{disk}'/>
      <target dev='vda' bus='virtio'/>
      <serial>DISK</serial>
    </disk>
    <interface type='user'><mac address='52:54:00:00:00:01'/><model type='virtio'/></interface>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
    <serial type='pty'><target port='0'/></serial>
    <console type='pty'><target type='serial' port='0'/></console>
    <console type='pty'><target type='virtio' port='1'/></console>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <memballoon model='none'/>
    <video><model type='none'/></video>
    <audio id='1' type='none'/>
  </devices>
</domain>
'''

PCIE_ROOT = "<controller type='pci' index='0' model='pcie-root'/>"
# What `virt` must say, and a Q35 need not.
CONTROLLERS = {'virt': PCIE_ROOT, 'q35': '', 'pc-q35-6.2': ''}
CPUS = {'virt': "<cpu mode='host-passthrough' migratable='on'/>", 'q35': "<cpu mode='host-model'/>",
        'pc-q35-6.2': "<cpu mode='custom' match='exact' check='none'><model>qemu64</model></cpu>"}


def domain(d, machine, name='guest', cmdline='only=console port=org.qemu.guest_agent.0 end=halt'):
    disk = d.path('img', name + '.img')
    with open(disk, 'wb') as f:
        f.truncate(1 << 20)
    return DOMAIN.format(name=name, number=len(name), machine=machine, emulator=qtest.binary('x86_64'),
                         kernel=PAYLOAD, cmdline=cmdline, controllers=CONTROLLERS[machine],
                         cpu=CPUS[machine], disk=disk)


def channel_state(d, name):
    tree = ET.fromstring(d.virsh('dumpxml', name))
    return tree.find("./devices/channel/target[@name='org.qemu.guest_agent.0']").get('state')


# ---- capabilities ----

def check_capabilities(d, machine, canonical):
    text = d.virsh('domcapabilities', '--emulatorbin', qtest.binary('x86_64'), '--machine', machine)
    tree = ET.fromstring(text)
    runner.equal(tree.findtext('domain'), 'kvm', 'domain type')
    runner.equal(tree.findtext('machine'), canonical, 'canonical machine')
    runner.equal(tree.find('cpu/mode[@name="host-passthrough"]').get('supported'), 'yes')
    runner.equal(tree.find('cpu/mode[@name="host-model"]').get('supported'), 'yes')
    models = {m.text: m.get('usable') for m in tree.findall('cpu/mode[@name="custom"]/model')}
    assert len(models) > 30 and set(models.values()) <= {'yes', 'no'}, models
    assert 'qemu64' in models and 'EPYC-Rome' in models and 'Icelake-Server' in models, models
    buses = [v.text for v in tree.findall('devices/disk/enum[@name="bus"]/value')]
    assert 'virtio' in buses, text
    return tree


def test_capabilities():
    with libvirt.Daemon() as d:
        check_capabilities(d, 'virt', 'virt-1.0')
        check_capabilities(d, 'q35', 'pc-q35-7.2')
        # One probe and no other: there is no emulated CPU to ask for.
        sent, _ = d.monitor()
        runner.equal(sum('"query-machines"' in line for line in sent), 1, 'number of probes')


def test_aarch64_probe():
    """The other program's answers are taken, too; on this host it can run no guest, and libvirt says so."""
    with libvirt.Daemon() as d:
        program = qtest.binary('aarch64')
        status, text = d.call('domcapabilities', '--emulatorbin', program, '--arch', 'aarch64', '--machine', 'virt')
        assert status and "does not support virt type 'none'" in text, text
        caches = os.listdir(d.path('cache', 'qemu', 'capabilities'))
        runner.equal(len(caches), 1)
        tree = ET.parse(d.path('cache', 'qemu', 'capabilities', caches[0]))
        runner.equal(tree.findtext('arch'), 'aarch64')
        assert 'virt' in [m.get('alias') for m in tree.iter('machine')]


# ---- CPU models ----

def missing_model(d):
    """A model that this host cannot give, and one of the features that are missing."""
    d.define(domain(d, 'virt'))
    d.virsh('start', 'guest', '--paused')
    reply = json.loads(d.virsh('qemu-monitor-command', 'guest', '{"execute":"query-cpu-definitions"}'))
    d.virsh('destroy', 'guest')
    for info in reply['return']:
        if info['unavailable-features'] and info['name'] in ('qemu64', 'Nehalem', 'EPYC', 'Skylake-Server'):
            return info['name'], info['unavailable-features']
    return None, None


def test_cpu_check():
    """libvirt compares what a guest got with what its XML wants, feature by feature."""
    with libvirt.Daemon() as d:
        # The choice for this host must be complete.
        xml = domain(d, 'q35').replace("<cpu mode='host-model'/>", "<cpu mode='host-model' check='full'/>")
        d.define(xml)
        d.virsh('start', 'guest', '--paused')
        cpu = ET.fromstring(d.virsh('dumpxml', 'guest')).find('cpu')
        runner.equal(cpu.get('check'), 'full')
        features = {f.get('name'): f.get('policy') for f in cpu.findall('feature')}
        wanted = {f.get('name') for f in cpu.findall('feature') if f.get('policy') == 'require'}
        assert wanted, features
        d.virsh('destroy', 'guest')
        d.virsh('undefine', 'guest')
        model, missing = missing_model(d)
        if not model:
            print('# this host has everything')
            return
        custom = "<cpu mode='custom' match='exact' check='full'><model>%s</model></cpu>" % model
        d.define(domain(d, 'virt').replace(CPUS['virt'], custom))
        status, text = d.call('start', 'guest')
        assert status and "guest CPU doesn't match specification" in text, text
        assert any(f in text for f in missing), (text, missing)


# ---- the life of a guest ----

def run_life(machine):
    with libvirt.Daemon() as d:
        d.define(domain(d, machine))
        d.virsh('start', 'guest', '--paused')
        runner.equal(d.state('guest'), 'paused')
        argv = d.command_line('guest')
        assert '-S' in argv and '-no-hpet' in argv, argv
        runner.equal(channel_state(d, 'guest'), 'disconnected', 'the agent before the guest runs')

        console = libvirt.Console(d, 'guest', '--devname', 'serial0')
        console.wait('Escape character')
        d.virsh('resume', 'guest')
        console.wait('TAP version 13')
        console.wait('ok 1 - console')
        runner.equal(d.state('guest'), 'running')
        runner.wait_for(lambda: channel_state(d, 'guest') == 'connected', what='the agent channel')

        d.virsh('suspend', 'guest')
        runner.equal(d.virsh('domstate', 'guest', '--reason'), 'paused (user)')
        d.virsh('resume', 'guest')
        runner.equal(d.state('guest'), 'running')

        count = console.text.count('TAP version 13')
        d.virsh('reset', 'guest')
        runner.wait_for(lambda: pump(console) and console.text.count('TAP version 13') > count,
                        what='the guest after its reset')
        console.close()

        check_monitor(d)
        check_cpus(d)
        d.virsh('destroy', 'guest')
        runner.equal(d.state('guest'), 'shut off')
        runner.equal(d.emulators(), [])
        log = d.domain_log('guest')
        assert 'terminating on signal 15' in log, log
        d.virsh('undefine', 'guest')


def pump(console):
    """Whatever the console has to show by now."""
    try:
        console.wait('\0', timeout=0.05)
    except AssertionError as e:
        if 'ended' in str(e):
            raise
    return True


def check_monitor(d):
    reply = json.loads(d.virsh('qemu-monitor-command', 'guest', '{"execute":"query-status"}'))
    runner.equal(reply['return']['status'], 'running')
    reply = json.loads(d.virsh('qemu-monitor-command', 'guest', '{"execute":"nonsense"}'))
    runner.equal(reply['error']['class'], 'CommandNotFound')


def check_cpus(d):
    """Each virtual CPU has a thread of its own that can be pinned."""
    pids = set()
    reply = json.loads(d.virsh('qemu-monitor-command', 'guest', '{"execute":"query-cpus-fast"}'))
    for cpu in reply['return']:
        pids.add(cpu['thread-id'])
    runner.equal(len(pids), 2)
    runner.equal(d.virsh('vcpucount', 'guest', '--live', '--active'), '2')
    d.virsh('vcpupin', 'guest', '1', '0')


def test_life_virt():
    run_life('virt')


def test_life_q35():
    run_life('q35')


def test_life_old_q35():
    run_life('pc-q35-6.2')


def test_virtio_console():
    with libvirt.Daemon() as d:
        d.define(domain(d, 'virt', cmdline='only=console port=none end=halt'))
        d.virsh('start', 'guest', '--paused')
        console = libvirt.Console(d, 'guest', '--devname', 'console1')
        console.wait('Escape character')
        d.virsh('resume', 'guest')
        console.wait('hello from virtio-console')
        console.close()
        d.virsh('destroy', 'guest')


def test_daemon_restarts():
    """A new libvirtd takes over a guest that runs, and one that stands still."""
    with libvirt.Daemon() as d:
        d.define(domain(d, 'virt'))
        d.virsh('start', 'guest')
        runner.wait_for(lambda: channel_state(d, 'guest') == 'connected', what='the agent channel')
        d.restart()
        runner.equal(d.state('guest'), 'running')
        runner.equal(channel_state(d, 'guest'), 'connected', 'the agent as the new daemon sees it')
        check_monitor(d)
        d.virsh('suspend', 'guest')
        d.restart()
        runner.equal(d.state('guest'), 'paused')
        d.virsh('resume', 'guest')
        d.virsh('destroy', 'guest')
        runner.equal(d.emulators(), [])


def test_guest_powers_off():
    """The guest ends by itself; libvirt sees a shutdown and no crash."""
    with libvirt.Daemon() as d:
        d.define(domain(d, 'virt', cmdline='only=acpi end=off'))
        d.virsh('start', 'guest')
        d.wait_state('guest', 'shut off')
        runner.equal(d.virsh('domstate', 'guest', '--reason'), 'shut off (shutdown)')
        runner.wait_for(lambda: d.emulators() == [], what='the end of the emulator')


def test_refusals():
    """What cannot be is refused with our words, and nothing stays behind."""
    with libvirt.Daemon() as d:
        xml = domain(d, 'virt')
        text = xml.replace('<kernel>' + PAYLOAD, '<kernel>/nonexistent')
        d.define(text)
        status, message = d.call('start', 'guest')
        assert status and '/nonexistent' in message, message
        runner.equal(d.state('guest'), 'shut off')
        d.virsh('undefine', 'guest')
        # A Q35 that should sleep.
        d.define(domain(d, 'q35').replace('<on_poweroff>', '<pm><suspend-to-mem enabled="yes"/></pm><on_poweroff>'))
        status, message = d.call('start', 'guest')
        assert status and 'cannot sleep' in message, message


if __name__ == '__main__':
    guest.require_kvm()
    libvirt.require()
    runner.main(globals())
