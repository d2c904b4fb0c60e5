#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Start-up and footprint, side by side with Debian's QEMU in the same run.

Prints a table of medians and of the ratio to the best other program. Programs
take turns, so that a busy host disturbs all alike. Nothing here is a test: the
numbers are read by people. With --nested, the rows that run guest code are
measured inside the emulated host, where every program can run them.
"""
import argparse
import os
import re
import resource
import select
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

SOURCE = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..'))
sys.path.insert(0, os.path.join(SOURCE, 'tests'))

DEVICES = ['-blockdev', 'driver=file,node-name=d0,filename={disk}', '-device', 'virtio-blk-{bus},drive=d0',
           # The microVM build of Debian has no user-mode network.
           '-netdev', 'socket,id=n0,udp=127.0.0.1:9,localaddr=127.0.0.1:0', '-device', 'virtio-net-{bus},netdev=n0',
           '-device', 'virtio-serial-{bus}', '-chardev', 'null,id=c0', '-device', 'virtconsole,chardev=c0']


GUEST_DONE = 0x10 << 1 | 1      # what isa-debug-exit makes of the payload's 0x10


class Program:
    """One emulator: its path, its best machine, and what its devices are called."""

    def __init__(self, name, path, machine, bus, extra=()):
        self.name, self.path, self.machine, self.bus, self.extra = name, path, machine, bus, list(extra)

    def devices(self, disk):
        return [a.format(disk=disk, bus=self.bus) for a in DEVICES]

    def none(self):
        return [self.path, '-machine', 'none', '-nodefaults', '-no-user-config', '-display', 'none', '-S']

    def full(self, disk):
        return [self.path, '-machine', self.machine + ',accel=kvm', '-m', '256', '-smp', '1', '-nodefaults',
                '-no-user-config', '-display', 'none', *self.extra, *self.devices(disk)]


class Run:
    """A start up to the greeting of the monitor."""

    def __init__(self, argv, prefix=()):
        self.dir = tempfile.mkdtemp(prefix='nemu-perf-')
        path = os.path.join(self.dir, 'qmp')
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen(1)
        self.log = open(os.path.join(self.dir, 'log'), 'wb+')
        argv = [*prefix, *argv, '-chardev', 'socket,id=q,path=' + path, '-mon', 'chardev=q,mode=control']
        start = time.perf_counter()
        self.proc = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        pidfd = os.pidfd_open(self.proc.pid)
        ready = select.select([listener, pidfd], [], [], 60)[0]
        os.close(pidfd)
        if listener not in ready:
            self.proc.kill()
            self.log.seek(0)
            raise RuntimeError('no greeting from %s: %s' % (argv[0], self.log.read().decode()))
        self.sock = listener.accept()[0]
        self.sock.recv(1)
        self.ms = (time.perf_counter() - start) * 1000
        listener.close()

    def proc_file(self, name):
        try:
            with open('/proc/%d/%s' % (self.proc.pid, name), encoding='utf-8') as f:
                return f.read()
        except ProcessLookupError:
            self.log.seek(0)
            raise RuntimeError('%s ended: %s' % (self.proc.args[0], self.log.read().decode())) from None

    def end(self):
        """Kills it; returns the CPU time in ms."""
        os.kill(self.proc.pid, signal.SIGKILL)
        usage = os.wait4(self.proc.pid, 0)[2]
        self.proc.returncode = 0
        self.sock.close()
        self.log.close()
        shutil.rmtree(self.dir)
        return (usage.ru_utime + usage.ru_stime) * 1000


def footprint(run):
    rollup = run.proc_file('smaps_rollup')
    kib = {m[1]: int(m[2]) for m in re.finditer(r'^(\w+):\s+(\d+) kB', rollup, re.M)}
    objects = set(re.findall(r'\S+\.so[.\d]*$', run.proc_file('maps'), re.M))
    threads = re.search(r'^Threads:\s+(\d+)', run.proc_file('status'), re.M)[1]
    return {'private dirty MiB': kib['Private_Dirty'] / 1024, 'PSS MiB': kib['Pss'] / 1024,
            'shared objects': len(objects), 'threads': int(threads)}


def syscalls(argv):
    """System calls until the greeting (all threads)."""
    if not shutil.which('strace'):
        return None
    with tempfile.NamedTemporaryFile() as trace:
        run = Run(argv, prefix=['strace', '-f', '-qq', '-o', trace.name])
        subprocess.run(['pkill', '-KILL', '-P', str(run.proc.pid)], check=False)
        run.end()
        lines = open(trace.name, encoding='utf-8', errors='replace').read().splitlines()
        greeting = next((i for i, line in enumerate(lines) if '"QMP"' in line or '\\"QMP' in line), len(lines) - 1)
        return greeting + 1


def measure_start(programs, argv_of, repeats):
    """{program: {row: value}}"""
    wall = {p.name: [] for p in programs}
    cpu = {p.name: [] for p in programs}
    rows = {p.name: {} for p in programs}
    for n in range(repeats):
        for p in programs:
            run = Run(argv_of(p))
            if n == 0:
                time.sleep(0.05)
                rows[p.name].update(footprint(run))
            wall[p.name].append(run.ms)
            cpu[p.name].append(run.end())
    for p in programs:
        rows[p.name] = {'exec to greeting ms': statistics.median(wall[p.name]),
                        'CPU ms': statistics.mean(cpu[p.name]), **rows[p.name],
                        'system calls to greeting': syscalls(argv_of(p))}
    return rows


def measure_guest(programs, kernel, disk, append, repeats):
    """exec to exit of a guest that ends the emulator through isa-debug-exit as soon as it got where we look."""
    times = {p.name: [] for p in programs}
    for _ in range(repeats):
        for p in programs:
            argv = [*p.full(disk), '-device', 'isa-debug-exit,iobase=0x501', '-kernel', kernel, '-append', append]
            start = time.perf_counter()
            try:
                status = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
                                        check=False).returncode
            except subprocess.TimeoutExpired:
                status = None
            if status == GUEST_DONE:
                times[p.name].append((time.perf_counter() - start) * 1000)
    return {name: statistics.median(t) if t else None for name, t in times.items()}


def stripped_size(path):
    with tempfile.NamedTemporaryFile() as out:
        subprocess.run(['strip', '-o', out.name, os.path.realpath(path)], check=True)
        return os.path.getsize(out.name) / (1 << 20)


def source_lines():
    total = 0
    for folder, dirs, files in os.walk(SOURCE):
        dirs[:] = [d for d in dirs if not d.startswith(('.', 'build', 'tests'))]
        for name in files:
            if name.endswith(('.c', '.h')):
                with open(os.path.join(folder, name), encoding='utf-8') as f:
                    total += sum(1 for line in f if line.strip())
    return total


def show(title, programs, rows):
    """Rows are {name: {row: value}}; the first program is ours."""
    ours, others = programs[0], programs[1:]
    print('\n%s\n%-30s' % (title, '') + ''.join('%12s' % p.name for p in programs) + '%14s' % 'ratio to best')
    for row in rows[ours.name]:
        values = [rows[p.name].get(row) for p in programs]
        best = min((rows[p.name][row] for p in others if rows[p.name].get(row)), default=None)
        ratio = '%.2f' % (values[0] / best) if best and values[0] else '-'
        print('%-30s' % row + ''.join('%12s' % ('-' if v is None else '%.1f' % v if isinstance(v, float) else v)
                                      for v in values) + '%14s' % ratio)


def in_emulated_host(build, repeats):
    script = os.path.join(SOURCE, 'tests', 'nested', 'emulated-host.sh')
    os.execv(script, [script, '-t', '1200', '-s', SOURCE + ':ro', '-s', build + ':ro', '--', 'env',
                      'PYTHONDONTWRITEBYTECODE=1', '/usr/bin/python3', os.path.abspath(__file__), '--build', build,
                      '--repeats', str(repeats)])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    parser.add_argument('--build', default='build')
    parser.add_argument('--repeats', type=int, default=20)
    parser.add_argument('--nested', action='store_true', help='inside the emulated host')
    args = parser.parse_args()
    build = os.path.realpath(args.build)
    if args.nested:
        in_emulated_host(build, args.repeats)
    programs = [Program('nemu', os.path.join(build, 'qemu-system-x86_64'), 'virt', 'pci')]
    for name, path, machine, bus, extra in [
            ('q35', '/usr/bin/qemu-system-x86_64', 'q35', 'pci', []),
            ('microvm', '/usr/bin/qemu-system-x86_64-microvm', 'microvm', 'device', [])]:
        if os.path.exists(path):
            programs.append(Program(name, path, machine, bus, extra))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryDirectory(prefix='nemu-perf-') as folder:
        disk = os.path.join(folder, 'disk')
        with open(disk, 'wb') as f:
            f.truncate(64 << 20)
        show('Machine "none"', programs, measure_start(programs, Program.none, args.repeats))
        show('Machine with disk, NIC, console', programs,
             measure_start(programs, lambda p: [*p.full(disk), '-S'], args.repeats))
        guest_rows = {p.name: {} for p in programs}
        for row, image, append in [('exec to first instruction ms', 'first.elf', ''),
                                   ('exec to first disk read ms', 'payload.elf', 'end=debug only=first-read')]:
            kernel = os.path.join(build, 'tests', 'guest', image)
            for name, value in measure_guest(programs, kernel, disk, append, max(3, args.repeats // 4)).items():
                guest_rows[name][row] = value
        show('Guest code (until the emulator has ended)', programs, guest_rows)
    show('Size', programs, {p.name: {'stripped MiB': stripped_size(p.path)} for p in programs})
    print('\nsource lines (.c, .h, not blank, without tests): %d' % source_lines())


if __name__ == '__main__':
    main()
