# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest's disk for tests of jobs: an emulator whose virtio-blk disk the test itself drives."""
import contextlib
import json
import os
import random
import subprocess

from lib import disk, qtest, runner

MIB = 1 << 20
SIZE = 16 * MIB


class Vm(qtest.Emulator):
    """A disk "disk" on node "top"; what the guest believes to be on it is in self.model."""

    def __init__(self, size=SIZE, fill=4 * MIB, iothread=False):
        self.size, self.model = size, bytearray(size)
        self.rng = random.Random(fill)
        self.model[:fill] = self.rng.randbytes(fill)
        self.base = os.path.join(os.environ.get('NEMU_BUILD_DIR', '.'), 'jobs-%d' % os.getpid())
        self.files = []
        args = ['-object', 'iothread,id=t0'] if iothread else []
        super().__init__('-machine', 'virt', '-m', '64', '-nodefaults', *args, *self.disk_options(), '-device',
                         'virtio-blk-pci,drive=top,id=disk,addr=4' + (',iothread=t0' if iothread else ''))
        self.dev = disk.device(self)
        self.dev.start()

    def disk_options(self):
        with open(self.file('source'), 'wb') as f:
            f.write(self.model)
        return ['-blockdev', 'driver=file,node-name=top-file,filename=' + self.file('source'),
                '-blockdev', 'driver=raw,node-name=top,file=top-file']

    def file(self, name):
        path = '%s-%s.img' % (self.base, name)
        if path not in self.files:
            self.files.append(path)
        return path

    def _cleanup(self):
        super()._cleanup()
        for path in self.files:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)

    def target(self, node, size=None, content=None):
        """A raw node on a new file, full of rubbish unless told otherwise."""
        with open(self.file(node), 'wb') as f:
            f.write(self.rng.randbytes(size or self.size) if content is None else content)
        self.qmp.cmd('blockdev-add', {'driver': 'raw', 'node-name': node,
                                      'file': {'driver': 'file', 'filename': self.file(node)}})

    def content(self, node):
        with open(self.file(node), 'rb') as f:
            return f.read()

    def request(self, kind, *args, **kwargs):
        """One request that must succeed; its buffers are free again afterwards."""
        mark = self.dev.alloc.next
        data = disk.check(self.dev, kind, *args, **kwargs)
        self.dev.alloc.next = mark
        return data

    def guest_write(self, sector, data):
        self.request(disk.OUT, sector, data)
        self.model[sector * 512:sector * 512 + len(data)] = data

    def write_some(self, count=20):
        for _ in range(count):
            n = self.rng.choice((1, 3, 8, 64))
            self.guest_write(self.rng.randrange(self.size // 512 - n), self.rng.randbytes(n * 512))

    def check_guest(self):
        for at in range(0, self.size, MIB):
            got = self.request(disk.IN, at // 512, size=MIB)
            runner.equal(got == self.model[at:at + MIB], True, 'what the guest reads at %#x' % at)

    def status(self, job, status, timeout=30):
        self.qmp.wait_event('JOB_STATUS_CHANGE', timeout=timeout, id=job, status=status)

    def end(self, job='j'):
        """Waits until it is gone; the statuses on the way and the last block job event."""
        seen, last = [], None

        def gone():
            nonlocal last
            for event in self.qmp.poll_events():
                if event['event'] == 'JOB_STATUS_CHANGE' and event['data']['id'] == job:
                    seen.append(event['data']['status'])
                elif event['event'] in ('BLOCK_JOB_COMPLETED', 'BLOCK_JOB_CANCELLED'):
                    last = event
            return 'null' in seen
        runner.wait_for(gone, 60, 'the end of job ' + job)
        return seen, last

    def error(self, name, args):
        """(class, text) of the error that a command gives."""
        error = self.qmp.cmd_raw(name, args)['error']
        return error['class'], error['desc']

    def bitmap(self, name):
        found = [b for b in self.qmp.cmd('query-block')[0]['inserted']['dirty-bitmaps'] if b.get('name') == name]
        runner.equal(len(found), 1, 'bitmaps of that name')
        return found[0]

    def node_names(self):
        return {n['node-name'] for n in self.qmp.cmd('query-named-block-nodes')}


class Chain(Vm):
    """The same with four qcow2 layers, "base" to "top", each with some content of its own."""

    LAYERS = ('base', 'low', 'mid', 'top')

    def disk_options(self):
        self.model[:] = bytes(self.size)
        args = []
        below = None
        for name in self.LAYERS:
            path = self.file(name)
            more = ['-b', os.path.basename(self.file(below)), '-F', 'qcow2'] if below else []
            tool('qemu-img', 'create', '-q', '-f', 'qcow2', *more, path, str(self.size))
            for _ in range(8):
                at, n = self.rng.randrange(self.size // 4096 - 40) * 4096, self.rng.randrange(1, 40) * 4096
                fill = self.rng.randrange(1, 255)
                tool('qemu-io', '-f', 'qcow2', '-c', 'write -P %d %d %d' % (fill, at, n), path)
                self.model[at:at + n] = bytes([fill]) * n
            backing = '"%s"' % below if below else 'null'
            args += ['-blockdev', '{"driver":"qcow2","node-name":"%s","backing":%s,"file":{"driver":"file","filename":'
                     '"%s"}}' % (name, backing, path)]
            below = name
        return args

    def layers(self):
        """The layers below the guest's disk, as node names, top first."""
        nodes = {n['file']: n['node-name'] for n in self.qmp.cmd('query-named-block-nodes')
                 if n['drv'] == 'qcow2'}
        image, names = self.qmp.cmd('query-block')[0]['inserted']['image'], []
        while image:
            names.append(nodes[image['filename']])
            image = image.get('backing-image')
        return names

    def check_images(self, names):
        """After the end: the files are sound, and say that their chain is @names (top first)."""
        for name, below in zip(names, [*names[1:], None]):
            tool('qemu-img', 'check', '-q', '-f', 'qcow2', self.file(name))
            info = json.loads(tool('qemu-img', 'info', '--output=json', self.file(name)))
            backing = info.get('full-backing-filename')
            runner.equal(backing and os.path.basename(backing), below and os.path.basename(self.file(below)),
                         'backing file of ' + name)
        raw = self.file('flat')
        tool('qemu-img', 'convert', '-f', 'qcow2', '-O', 'raw', self.file(names[0]), raw)
        same(self.content('flat'), self.model, 'the chain')


def tool(name, *args):
    """One of Debian's tools: they know nothing of ours."""
    path = '/usr/bin/' + name
    runner.require(os.path.exists(path), 'no %s (Debian package qemu-utils)' % path)
    done = subprocess.run([path, *args], capture_output=True, text=True, check=False)
    runner.equal(done.returncode, 0, ' '.join((name, *args)) + ': ' + done.stderr)
    return done.stdout


def same(got, want, what):
    if got != bytes(want):
        at = next(i for i in range(min(len(got), len(want))) if got[i] != want[i])
        raise AssertionError('%s differs at %#x' % (what, at))
