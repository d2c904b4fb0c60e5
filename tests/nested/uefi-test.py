#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Stock UEFI firmware boots unmodified Debian kernels from EFI system partitions, on real KVM inside the emulated host.

    uefi-test.py [--aarch64]

Boot entries and variables persist over power-off; efibootmgr in the guest sees and makes them; power-off, reboot and
reset go through the firmware. Disk images are made outside the emulated host, in the build directory.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import guest, qtest, runner  # noqa: E402
from lib.linux import step  # noqa: E402

ARM = '--aarch64' in sys.argv
ARCH, CONSOLE, MACHINE = ('aarch64', 'ttyAMA0', 'virt,gic-version=3') if ARM else ('x86_64', 'ttyS0', 'virt')
CODE, VARS = ('AAVMF/AAVMF_CODE.fd', 'AAVMF/AAVMF_VARS.fd') if ARM else ('OVMF/OVMF_CODE_4M.fd', 'OVMF/OVMF_VARS_4M.fd')
BOOT = ('aa64', 'BOOTAA64.EFI') if ARM else ('x64', 'BOOTX64.EFI')
MIB = 1 << 20
FIRST = 'messages,bootentry,poweroff'
THEN = 'messages,bootentry,rebootonce,button,poweroff'


def share():
    return os.path.join(os.path.realpath(qtest.build_dir()), 'uefi')


# ---- outside: the disks ----

def run(*argv, **kwargs):
    subprocess.run(argv, check=True, stdout=sys.stderr, **kwargs)


def libraries(root, program):
    """The program and all that it is linked with, as paths below @root."""
    folders = ['lib/%s-linux-gnu' % ARCH, 'usr/lib/%s-linux-gnu' % ARCH, 'lib', 'lib64']
    found, todo = {}, [program]
    while todo:
        path = todo.pop()
        out = subprocess.run(['readelf', '-d', '-l', os.path.join(root, path)], check=True,
                             stdout=subprocess.PIPE).stdout.decode()
        found[os.path.basename(path)] = path
        names = re.findall(r'NEEDED.*\[(.*)\]', out)
        loader = re.search(r'program interpreter: /(.*)\]', out)
        if loader:
            names.append(os.path.basename(loader.group(1)))
            found[os.path.basename(loader.group(1))] = loader.group(1)
        for name in names:
            where = [f + '/' + name for f in folders if os.path.exists(os.path.join(root, f, name))]
            if name not in found and where:
                todo.append(where[0])
    return sorted(found.values())


def make_initrd(cache, path):
    """The nested tests' initrd, with efibootmgr and its libraries."""
    root = os.path.join(cache, 'root') if ARM else '/'
    with tempfile.TemporaryDirectory() as d:
        for name in libraries(root, 'usr/bin/efibootmgr' if ARM else shutil.which('efibootmgr')[1:]):
            where = os.path.join(d, 'bin' if name.endswith('efibootmgr') else os.path.dirname(name))
            os.makedirs(where, exist_ok=True)
            shutil.copy(os.path.join(root, name), where)
        with open(path, 'wb') as out:
            with open(os.path.join(cache, 'l2', 'initrd.cpio'), 'rb') as f:
                shutil.copyfileobj(f, out)
            names = subprocess.run(['find', '.'], cwd=d, check=True, stdout=subprocess.PIPE).stdout
            out.write(subprocess.run(['cpio', '-o', '-H', 'newc', '--quiet'], cwd=d, input=names, check=True,
                                     stdout=subprocess.PIPE).stdout)


def make_disk(path, files, text):
    """One partition, an EFI system partition with a boot loader, whose one entry has @text on its command line."""
    with open(path, 'wb') as f:
        f.truncate(96 * MIB)
    run('sfdisk', '-q', path, input=b'label: gpt\nstart=2048, type=uefi\n')
    with tempfile.TemporaryDirectory() as d:
        def write(name, content):
            with open(os.path.join(d, name), 'w', encoding='utf-8') as f:
                f.write(content)
            return os.path.join(d, name)
        loader = write('loader.conf', 'timeout 0\n')
        entry = write('nemu.conf', 'title Linux\nlinux /vmlinuz.efi\ninitrd /initrd.cpio\noptions console=%s quiet %s\n'
                      % (CONSOLE, text))
        image = path + '@@1M'
        run('mformat', '-i', image, '-F', '-T', str(94 * 2048), '::')
        run('mmd', '-i', image, '::/EFI', '::/EFI/BOOT', '::/loader', '::/loader/entries')
        for source, target in (*files, (loader, '/loader/loader.conf'), (entry, '/loader/entries/nemu.conf')):
            run('mcopy', '-i', image, source, '::' + target)


def prepare(build):
    for tool, package in (('mcopy', 'mtools'), ('sfdisk', 'fdisk'), ('efibootmgr', 'efibootmgr'), ('readelf', 'binutils')):
        runner.require(shutil.which(tool, path=os.environ['PATH'] + ':/sbin:/usr/sbin'), 'no %s (Debian package %s)' % (tool, package))
    runner.require(os.path.exists('/usr/share/' + CODE), 'no ' + CODE)
    d = os.path.join(build, 'uefi')
    cache = subprocess.run([guest.EMULATED_HOST, '-L'], check=True, stdout=subprocess.PIPE,
                           env=dict(os.environ, L1_ARCH=ARCH)).stdout.decode().strip()
    os.makedirs(d, exist_ok=True)
    make_initrd(cache, os.path.join(d, 'initrd.cpio'))
    root = os.path.join(cache, 'root') if ARM else '/'
    stub = os.path.join(root, 'usr/lib/systemd/boot/efi/systemd-boot%s.efi' % BOOT[0])
    runner.require(os.path.exists(stub), 'no %s (Debian package systemd-boot-efi)' % stub)
    kernel = os.path.join(cache, 'l2', 'vmlinuz')
    files = [(stub, '/EFI/BOOT/' + BOOT[1]), (kernel, '/vmlinuz.efi'), (os.path.join(d, 'initrd.cpio'), '/initrd.cpio')]
    for name in 'a', 'b':
        make_disk(os.path.join(d, name + '.raw'), files, 'disk=%s steps=%s then=%s' % (name, FIRST, THEN))
    run('qemu-img', 'convert', '-O', 'qcow2', os.path.join(d, 'a.raw'), os.path.join(d, 'a.qcow2'))
    for name in (CODE, VARS) if ARM else (CODE, VARS, 'ovmf/OVMF.fd'):
        shutil.copyfile('/usr/share/' + name, os.path.join(d, os.path.basename(name)))


# ---- inside ----

def machine(*args):
    return guest.Guest('-m', '256', '-smp', '2', '-cpu', 'host',
                       '-drive', 'if=pflash,format=raw,readonly=on,file=' + os.path.join(share(), os.path.basename(CODE)),
                       '-drive', 'if=pflash,format=raw,file=/tmp/vars.fd', *args, arch=ARCH, machine=MACHINE, timeout=120)


def disk(name, fmt, options=''):
    return ['-drive', 'if=none,id=%s,format=%s,file=/tmp/%s.%s' % (name, fmt, name, fmt),
            '-device', 'virtio-blk-pci,drive=' + name + options]


def check_poweroff(g):
    runner.equal(g.qmp.wait_event('SHUTDOWN', timeout=240)['data'], {'guest': True, 'reason': 'guest-shutdown'})
    runner.equal(g.wait(), 0, 'exit status')


def boots(g, count, what):
    runner.wait_for(lambda: g.console().count(what) >= count, 300, '%r, %d times' % (what, count), interval=0.05)


def slow_firmware_timer():
    """QEMU 7.2 ends with an assertion when a nested guest writes CR8 while an interrupt waits for it. Handlers of OVMF do,
    so that the timer of the firmware, which it makes tick every 10 ms, must not tick again in one: KVM slows it."""
    if not ARM:
        with open('/sys/module/kvm/parameters/min_timer_period_us', 'w', encoding='utf-8') as f:
            f.write('100000')


def test_partition():
    slow_firmware_timer()
    shutil.copyfile(os.path.join(share(), os.path.basename(VARS)), '/tmp/vars.fd')
    for name in 'a.raw', 'b.raw':
        shutil.copyfile(os.path.join(share(), name), '/tmp/' + name)
    # The boot loader of the disk that bootindex= says, raw; a boot entry for the other one is made.
    with machine(*disk('a', 'raw', ',bootindex=7'), *disk('b', 'raw', ',bootindex=3')) as g:
        step(g, 'messages')
        runner.equal(step(g, 'bootentry'), 'made b yes')
        check_poweroff(g)
    # A new process: the entry starts the kernel by itself, from qcow2.
    os.unlink('/tmp/a.raw')
    os.unlink('/tmp/b.raw')
    shutil.copyfile(os.path.join(share(), 'a.qcow2'), '/tmp/a.qcow2')
    with machine(*disk('a', 'qcow2')) as g:
        step(g, 'messages')
        runner.equal(step(g, 'bootentry'), 'kept entry yes')
        runner.equal(g.qmp.wait_event('RESET', timeout=240)['data'], {'guest': True, 'reason': 'guest-reset'})
        boots(g, 1, 'STEP button waiting')
        g.qmp.cmd('system_reset')
        runner.equal(g.qmp.wait_event('RESET', timeout=240)['data'], {'guest': False, 'reason': 'host-qmp-system-reset'})
        boots(g, 2, 'STEP button waiting')
        runner.equal(g.console().count('STEP bootentry ok kept entry yes'), 3, 'boots by the entry')
        runner.equal(g.console().count('STEP messages ok'), 3, 'boots without messages')
        g.qmp.cmd('system_powerdown')
        step(g, 'button')
        check_poweroff(g)


def test_rom():
    """A combined image as a ROM, which is handed a kernel, initrd and command line."""
    if ARM:
        return                  # arm-linux-test has it
    slow_firmware_timer()
    with guest.Guest('-m', '256', '-cpu', 'host', '-bios', os.path.join(share(), 'OVMF.fd'), '-kernel', '/l2/vmlinuz',
                     '-initrd', '/l2/initrd.cpio', '-append', 'console=ttyS0 quiet steps=messages,poweroff', timeout=120) as g:
        step(g, 'messages')
        check_poweroff(g)


if __name__ == '__main__':
    if not guest.in_emulated_host():
        folder = os.path.realpath(qtest.build_dir())
        if ARM:
            runner.require(shutil.which('aarch64-linux-gnu-gcc'), 'no cross compiler (scripts/setup.sh cross)')
            folder = os.path.join(folder, 'aarch64-host')
            subprocess.run([os.path.join(guest.SOURCE, 'scripts', 'cross-aarch64.sh'), folder, '--disable-tests'],
                           check=True, stdout=sys.stderr)
        prepare(folder)
        guest.run_in_emulated_host(['/usr/bin/python3', os.path.realpath(__file__), *sys.argv[1:]], timeout=1200,
                                   arch=ARCH, build=folder)
    runner.main(globals(), [a for a in sys.argv[1:] if a != '--aarch64'])
