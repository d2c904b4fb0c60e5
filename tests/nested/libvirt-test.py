#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's libvirtd with a stock Debian guest on our emulator, on real KVM inside the emulated host."""
import json
import os
import socket
import sys
import xml.etree.ElementTree as ET

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import guest, libvirt, qtest, runner  # noqa: E402

KERNEL, INITRD = '/l2/vmlinuz', '/l2/initrd.cpio'

DOMAIN = '''<domain type='kvm'>
  <name>debian</name>
  <memory unit='MiB'>256</memory>
  <vcpu>{cpus}</vcpu>
  <os>
    <type arch='x86_64' machine='{machine}'>hvm</type>
    <kernel>{kernel}</kernel><initrd>{initrd}</initrd>
    <cmdline>console=ttyS0 quiet steps={steps} addr=10.0.2.15</cmdline>
  </os>
  <features><acpi/><apic/></features>
  {cpu}
  <devices>
    <emulator>{emulator}</emulator>
    {controllers}
    <controller type='usb' model='none'/>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw'/><source file='{disk}'/><target dev='vda' bus='virtio'/>
    </disk>
    <interface type='user'><mac address='52:54:00:00:00:01'/><model type='virtio'/></interface>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
    <serial type='pty'/>
    <channel type='unix'><target type='virtio' name='org.nemu.test'/></channel>
    <memballoon model='none'/><video><model type='none'/></video>
  </devices>
</domain>
'''


def domain(d, machine, steps, controllers='', cpu="<cpu mode='host-passthrough'/>", cpus=2):
    disk = d.path('img', 'disk.img')
    with open(disk, 'wb') as f:
        f.write(os.urandom(4 << 20))
        f.truncate(16 << 20)
    return DOMAIN.format(machine=machine, kernel=KERNEL, initrd=INITRD, steps=steps, cpu=cpu, cpus=cpus,
                         emulator=qtest.binary('x86_64'), controllers=controllers, disk=disk)


def channel(d):
    """(the state that libvirt shows, the socket)"""
    tree = ET.fromstring(d.virsh('dumpxml', 'debian'))
    node = tree.find("./devices/channel/target[@name='org.nemu.test']/..")
    path = node.find('source').get('path').replace('/var/lib/libvirt', d.path('lib'))
    return node.find('target').get('state'), path


def start(d, xml):
    d.define(xml)
    d.virsh('start', 'debian', '--paused')
    console = libvirt.Console(d, 'debian')
    console.wait('Escape character')
    d.virsh('resume', 'debian')
    return console


def test_life():
    """Paused start, console, disk and network, suspend, monitor, a named channel, power button."""
    with libvirt.Daemon() as d:
        console = start(d, domain(d, 'q35', 'disk,dhcp,port,rng,button,poweroff'))
        console.wait('USERSPACE', 300)
        console.wait('STEP disk ok', 240)
        console.wait('STEP dhcp ok 10.0.2.15', 240)
        runner.wait_for(lambda: channel(d)[0] == 'connected', 120, 'the channel', interval=0.2)
        line = socket.socket(socket.AF_UNIX)
        line.settimeout(240)
        line.connect(channel(d)[1])
        stream = line.makefile('rwb')
        runner.equal(stream.readline().strip(), b'hello')
        d.virsh('suspend', 'debian')
        runner.equal(d.state('debian'), 'paused')
        reply = json.loads(d.virsh('qemu-monitor-command', 'debian', '{"execute":"query-status"}'))
        runner.equal(reply['return']['status'], 'paused')
        d.virsh('resume', 'debian')
        stream.write(b'stressed\n')
        stream.flush()
        runner.equal(stream.readline().strip(), b'desserts')
        console.wait('STEP port ok', 240)
        console.wait('STEP button waiting', 240)
        d.virsh('shutdown', 'debian', '--mode', 'acpi')
        console.wait('STEP button ok', 240)
        d.wait_state('debian', 'shut off', 240)
        runner.equal(d.virsh('domstate', 'debian', '--reason'), 'shut off (shutdown)')


def test_virt_host_model():
    """The machine `virt` with libvirt's choice of CPU model; destroyed while it runs."""
    with libvirt.Daemon() as d:
        console = start(d, domain(d, 'virt', 'hold', "<controller type='pci' index='0' model='pcie-root'/>",
                                  "<cpu mode='host-model'/>", cpus=1))
        console.wait('USERSPACE', 300)
        runner.equal(d.state('debian'), 'running')
        d.virsh('destroy', 'debian')
        runner.equal(d.state('debian'), 'shut off')
        runner.wait_for(lambda: not d.emulators(), what='the end of the emulator')


def test_hyperv():
    """Hyper-V's interface as XML for other guests asks for it; libvirt checks that the CPU has got it."""
    hyperv = ''.join("<%s state='on'/>" % f for f in ('relaxed', 'vapic', 'vpindex', 'runtime', 'synic', 'reset',
                                                      'frequencies', 'tlbflush', 'ipi'))
    hyperv += "<spinlocks state='on' retries='8191'/><stimer state='on'/>"
    clock = "<clock offset='utc'><timer name='hypervclock' present='yes'/></clock>"
    with libvirt.Daemon() as d:
        xml = domain(d, 'q35', 'hold', cpus=1)
        xml = xml.replace('<apic/>', '<apic/><hyperv mode="custom">%s</hyperv>' % hyperv)
        console = start(d, xml.replace('<devices>', clock + '<devices>', 1))
        assert 'hv-synic=on' in d.command_line('debian')[d.command_line('debian').index('-cpu') + 1]
        console.wait('USERSPACE', 300)
        d.virsh('destroy', 'debian')


def slow_reset():
    with libvirt.Daemon() as d:
        console = start(d, domain(d, 'q35', 'hold', cpus=1))
        console.wait('USERSPACE', 300)
        console.text = ''
        d.virsh('reset', 'debian')
        console.wait('USERSPACE', 600)
        d.virsh('destroy', 'debian')


if __name__ == '__main__':
    if not guest.in_emulated_host():
        libvirt.require()
        guest.run_in_emulated_host(['/usr/bin/python3', os.path.realpath(__file__), *sys.argv[1:]], timeout=1200)
    if '--slow' in sys.argv:
        sys.argv.remove('--slow')
        runner.main({'test_reset': slow_reset})
    runner.main(globals())
