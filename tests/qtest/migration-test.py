#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Migration over QMP, without a CPU: statuses, events, errors, channels, locks, and damaged streams."""
import importlib.util
import os
import random
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import qtest, runner

spec = importlib.util.spec_from_file_location(
    'analyze', os.path.join(qtest.SOURCE_DIR, 'scripts', 'analyze-stream.py'))
analyze = importlib.util.module_from_spec(spec)
spec.loader.exec_module(analyze)

RAM = 0x100000          # an address in RAM that nothing else uses


def machine(*args, memory=32):
    return qtest.Emulator('-machine', 'virt', '-nodefaults', '-m', str(memory), '-device', 'virtio-rng-pci',
                          '-device', 'virtio-net-pci', '-device', 'virtio-serial-pci',
                          '-device', 'pcie-root-port,id=rp,chassis=1', *args)


def events_on(vm, *more):
    vm.qmp.cmd('migrate-set-capabilities', {'capabilities': [
        {'capability': c, 'state': True} for c in ('events', *more)]})


def migrate(vm, uri, wait=True, **args):
    vm.qmp.cmd('migrate', dict(uri=uri, **args))
    if wait:
        vm.qmp.wait_event('MIGRATION', status='completed')


def save(vm, path):
    events_on(vm)
    migrate(vm, 'file:' + path)


def status(vm):
    return vm.qmp.cmd('query-status')['status']


def wait_failed(vm):
    """The program gives up; what it said."""
    runner.equal(vm.wait(), 1, 'exit status')
    vm.check_clean()
    return vm.output()


class Folder(tempfile.TemporaryDirectory):
    def __enter__(self):
        return self

    def file(self, name):
        return os.path.join(self.name, name)


def fill(vm):
    for i in range(64):
        vm.writeq(RAM + 8 * i, 0x1122334455667788 * (i + 1))
        vm.writel(RAM + 0x800000 + 4096 * i, i)


def check_filled(vm):
    for i in range(64):
        runner.equal(vm.readq(RAM + 8 * i), 0x1122334455667788 * (i + 1) & (1 << 64) - 1, 'RAM')
        runner.equal(vm.readl(RAM + 0x800000 + 4096 * i), i, 'RAM')


def test_running_to_file():
    with Folder() as d:
        with machine() as a:
            fill(a)
            a.qmp.cmd('cont')
            events_on(a)
            runner.equal(a.qmp.cmd('query-migrate'), {})
            migrate(a, 'file:' + d.file('s'))
            info = a.qmp.cmd('query-migrate')
            runner.equal(info['status'], 'completed')
            runner.equal(status(a), 'postmigrate')
            for member in 'total-time', 'setup-time', 'downtime', 'ram':
                assert member in info, member
            runner.equal(info['ram']['remaining'], 0, 'remaining')
            runner.equal(info['ram']['total'], 32 << 20, 'total')
            runner.equal(info['ram']['duplicate'] + info['ram']['normal'] >= 8192, True, 'pages')
            result = analyze.analyze(open(d.file('s'), 'rb').read())
            runner.equal(result['end'], {'run-state': 'running'})
            runner.equal(result['bytes'], info['ram']['transferred'], 'bytes')
            assert a.qmp.cmd_error('migrate', uri='file:/dev/null').startswith("Can't migrate the vm that was paused")
            # It can go on here: nobody else has it.
            a.qmp.cmd('cont')
            runner.equal(status(a), 'running')
        with machine('-incoming', 'file:' + d.file('s')) as b:
            runner.wait_for(lambda: status(b) == 'running', what='running')
            check_filled(b)
            runner.equal(b.qmp.cmd('query-migrate')['status'], 'completed')


def test_events():
    with machine() as a:
        a.qmp.cmd('cont')
        events_on(a)
        migrate(a, 'exec:cat >/dev/null', wait=False)
        seen = []
        while not seen or seen[-1] != ('MIGRATION', 'completed'):
            message = a.qmp.events.pop(0) if a.qmp.events else a.qmp.recv()
            seen.append((message['event'], message.get('data', {}).get('status')))
        runner.equal([s for s in seen if s[0] not in ('MIGRATION_PASS', 'RESUME')],
                     [('MIGRATION', 'setup'), ('MIGRATION', 'active'), ('STOP', None), ('MIGRATION', 'completed')])
        assert ('MIGRATION_PASS', None) in seen


def test_no_events_unless_asked():
    with machine() as a:
        a.qmp.cmd('migrate', uri='exec:cat >/dev/null')
        runner.wait_for(lambda: a.qmp.cmd('query-migrate')['status'] == 'completed', what='completed')
        runner.equal([e['event'] for e in a.qmp.poll_events() if e['event'].startswith('MIG')], [])


def test_paused():
    """A machine that was not running is not started at the destination either."""
    with Folder() as d:
        with machine('-S') as a:
            fill(a)
            save(a, d.file('s'))
        with machine('-incoming', 'file:' + d.file('s')) as b:
            runner.wait_for(lambda: status(b) != 'inmigrate', what='end of inmigrate')
            runner.equal(status(b), 'prelaunch')
            check_filled(b)
            b.qmp.cmd('cont')


def test_defer_and_stopped():
    with Folder() as d:
        with machine() as a:
            a.qmp.cmd('cont')
            fill(a)
            save(a, d.file('s'))
        with machine('-S', '-incoming', 'defer') as b:
            runner.equal(status(b), 'inmigrate')
            runner.equal(b.qmp.cmd_error('migrate', uri='file:/dev/null'), 'Guest is waiting for an incoming migration')
            runner.equal(b.qmp.cmd_error('migrate-incoming', uri='foo:'),
                         "Parameter 'uri' expects a valid migration protocol")
            events_on(b)
            b.qmp.cmd('migrate-incoming', uri='file:' + d.file('s'))
            b.qmp.wait_event('MIGRATION', status='completed')
            runner.equal(status(b), 'paused')
            runner.equal(b.qmp.cmd_error('migrate-incoming', uri='file:' + d.file('s')),
                         'The incoming migration has already been started')
            check_filled(b)
            b.qmp.cmd('cont')
            runner.equal(status(b), 'running')


def test_clock():
    with Folder() as d:
        with machine() as a:
            a.qmp.cmd('cont')
            a.clock_step(123456789)
            save(a, d.file('s'))
        with machine('-incoming', 'file:' + d.file('s')) as b:
            runner.wait_for(lambda: status(b) == 'running', what='running')
            runner.equal(b.clock_step(0), 123456789, 'virtual clock')


def test_channels():
    """fd: by name and by number, exec:, unix:, tcp:."""
    with Folder() as d:
        with machine() as a:
            a.qmp.cmd('cont')
            fill(a)
            events_on(a)
            with open(d.file('named'), 'wb') as f:
                a.qmp.send_fd(f.fileno(), 'migrate')
            migrate(a, 'fd:migrate', detach=True)
            a.qmp.cmd('cont')
            migrate(a, "exec:gzip -1 > '%s'" % d.file('gz'))
        with open(d.file('named'), 'rb') as f:
            with qtest.Emulator('-machine', 'virt', '-nodefaults', '-m', '32', '-device', 'virtio-rng-pci',
                                '-device', 'virtio-net-pci', '-device', 'virtio-serial-pci',
                                '-device', 'pcie-root-port,id=rp,chassis=1', '-incoming', 'fd:%d' % f.fileno(),
                                pass_fds=[f.fileno()]) as b:
                runner.wait_for(lambda: status(b) == 'running', what='running')
                check_filled(b)
        with machine('-incoming', "exec:gzip -dc '%s'" % d.file('gz')) as b:
            runner.wait_for(lambda: status(b) == 'running', what='running')
            check_filled(b)
        port = free_port()
        for uri in 'unix:' + d.file('sock'), 'tcp:127.0.0.1:%d' % port:
            with machine('-incoming', uri) as b, machine() as a:
                info = b.qmp.cmd('query-migrate')
                runner.equal(info['status'], 'setup')
                runner.equal(info['socket-address'][0]['type'], 'unix' if 'unix' in uri else 'inet')
                a.qmp.cmd('cont')
                fill(a)
                events_on(a, 'return-path')
                events_on(b, 'return-path')
                migrate(a, uri)
                runner.wait_for(lambda: status(b) == 'running', what='running')
                check_filled(b)


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def test_errors():
    with machine() as a:
        a.qmp.cmd('cont')
        for uri in 'foo:bar', '', '/tmp/x':
            runner.equal(a.qmp.cmd_error('migrate', uri=uri), "Parameter 'uri' expects a valid migration protocol")
        runner.equal(a.qmp.cmd_error('migrate', uri='fd:nope'), "File descriptor named 'nope' has not been found")
        assert 'No such file' in a.qmp.cmd_error('migrate', uri='file:/nonexistent/x')
        runner.equal(a.qmp.cmd_error('migrate', uri='exec:cat', resume=True),
                     'Cannot resume if there is no paused migration')
        runner.equal(a.qmp.cmd_error('migrate-incoming', uri='tcp:127.0.0.1:1'),
                     "'-incoming' was not specified on the command line")
        runner.equal(a.qmp.cmd_error('migrate-continue', state='pre-switchover'),
                     'Migration not in expected state: none')
        assert 'images' in a.qmp.cmd_error('migrate', uri='exec:cat', blk=True).lower()
        a.qmp.cmd('migrate_cancel')
        for uri, text in [('unix:/nonexistent/x', 'No such file or directory'),
                          ('tcp:127.0.0.1:1', 'Connection refused'), ('exec:false', ''), ('file:/dev/full', 'No space')]:
            a.qmp.cmd('migrate', uri=uri)
            info = runner.wait_for(lambda: (lambda i: i['status'] == 'failed' and i)(a.qmp.cmd('query-migrate')),
                                   what='failure')
            assert text in info['error-desc'], info
            runner.equal(status(a), 'running')
        assert 'return-path' in (events_on(a, 'return-path') or a.qmp.cmd_error('migrate', uri='exec:cat >/dev/null'))


def test_parameters():
    with machine() as a:
        p = a.qmp.cmd('query-migrate-parameters')
        runner.equal((p['max-bandwidth'], p['downtime-limit'], p['tls-creds'], p['tls-hostname']),
                     (128 << 20, 300, '', ''))
        for name, value, text in [
                ('downtime-limit', 2000001, "Parameter 'downtime_limit' expects an integer in the range of"),
                ('announce-rounds', 1001, "Parameter 'announce_rounds' expects a value between 0 and 1000"),
                ('announce-step', 10001, "Parameter 'announce_step' expects a value between 0 and 10000"),
                ('tls-creds', 'x', 'Migration over TLS is not supported')]:
            assert a.qmp.cmd_error('migrate-set-parameters', {name: value}).startswith(text)
        runner.equal(a.qmp.cmd('query-migrate-parameters'), p)
        # What libvirt does: read, change, write back.
        a.qmp.cmd('migrate-set-parameters', dict(p, **{'max-bandwidth': 9223372036853727232, 'tls-creds': '',
                                                       'tls-hostname': None}))
        runner.equal(a.qmp.cmd('query-migrate-parameters')['max-bandwidth'], 9223372036853727232)
        caps = {c['capability']: c['state'] for c in a.qmp.cmd('query-migrate-capabilities')}
        assert caps['events'] is False
        a.qmp.cmd('migrate-set-capabilities', {'capabilities': [{'capability': c, 'state': False} for c in caps]})


def test_limit_and_cancel():
    with machine() as a:
        a.qmp.cmd('cont')
        for i in range(1024):
            a.writeq(0x400000 + 4096 * i, i + 1)
        events_on(a)
        a.qmp.cmd('migrate-set-parameters', {'max-bandwidth': 1 << 20})
        a.qmp.cmd('migrate', uri='exec:cat >/dev/null')
        a.qmp.wait_event('MIGRATION', status='active')
        runner.equal(a.qmp.cmd_error('migrate', uri='exec:cat'), "There's a migration process in progress")
        runner.equal(a.qmp.cmd_error('migrate-set-capabilities', {'capabilities': []}),
                     "There's a migration process in progress")
        runner.equal(a.qmp.cmd_error('device_add', driver='virtio-rng-pci', bus='rp'),
                     'device_add not allowed while migrating')
        info = a.qmp.cmd('query-migrate')
        runner.equal(info['status'], 'active')
        assert info['ram']['remaining'] > 0 and 'expected-downtime' in info, info
        runner.equal(status(a), 'running')
        a.qmp.cmd('migrate_cancel')
        a.qmp.wait_event('MIGRATION', status='cancelling')
        a.qmp.wait_event('MIGRATION', status='cancelled')
        runner.equal(a.qmp.cmd('query-migrate'), {'status': 'cancelled'})
        runner.equal(status(a), 'running')
        # Cancelled while the channel is full.
        with socket.socket(socket.AF_UNIX) as server:
            path = a.path('full')
            server.bind(path)
            server.listen(1)
            a.qmp.cmd('migrate-set-parameters', {'max-bandwidth': 0})
            a.qmp.cmd('migrate', uri='unix:' + path)
            peer = server.accept()[0]
            a.qmp.wait_event('MIGRATION', status='active')
            a.qmp.cmd('migrate_cancel')
            a.qmp.wait_event('MIGRATION', status='cancelled')
            peer.close()
        # Faster on the way, and a second one succeeds.
        a.qmp.cmd('migrate-set-parameters', {'max-bandwidth': 1 << 16})
        a.qmp.cmd('migrate', uri='exec:cat >/dev/null')
        a.qmp.wait_event('MIGRATION', status='active')
        a.qmp.cmd('migrate-set-parameters', {'max-bandwidth': 0})
        a.qmp.wait_event('MIGRATION', status='completed')


def test_dirty_pages():
    """What is written while the first pass is under way arrives too; a device's writes as well as the CPU's."""
    with Folder() as d:
        with machine() as a:
            a.qmp.cmd('cont')
            for i in range(1024):
                a.writeq(0x400000 + 4096 * i, i + 1)
            events_on(a)
            a.qmp.cmd('migrate-set-parameters', {'max-bandwidth': 8 << 20})
            a.qmp.cmd('migrate', uri='file:' + d.file('s'))
            a.qmp.wait_event('MIGRATION', status='active')
            runner.wait_for(lambda: a.qmp.cmd('query-migrate')['ram']['normal'] > 300, what='progress')
            for i in range(0, 1024, 7):
                a.writeq(0x400000 + 4096 * i, 1 << 40 | i)
            a.qmp.wait_event('MIGRATION', status='completed')
            assert a.qmp.cmd('query-migrate')['ram']['dirty-sync-count'] >= 2
        with machine('-incoming', 'file:' + d.file('s')) as b:
            runner.wait_for(lambda: status(b) == 'running', what='running')
            for i in range(1024):
                runner.equal(b.readq(0x400000 + 4096 * i), i + 1 if i % 7 else 1 << 40 | i, 'page %d' % i)


def test_pause_before_switchover():
    with Folder() as d:
        disk = d.file('disk')
        open(disk, 'wb').truncate(1 << 20)
        args = ['-blockdev', 'driver=file,node-name=f,filename=' + disk, '-device', 'virtio-blk-pci,drive=f']
        with machine(*args) as a:
            a.qmp.cmd('cont')
            events_on(a, 'pause-before-switchover')
            a.qmp.cmd('migrate', uri='file:' + d.file('s'))
            a.qmp.wait_event('MIGRATION', status='pre-switchover')
            runner.equal(status(a), 'finish-migrate')
            runner.equal(a.qmp.cmd('query-migrate')['status'], 'pre-switchover')
            assert 'not in expected state' in a.qmp.cmd_error('migrate-continue', state='active')
            runner.equal(a.qmp.cmd_error('cont'), 'Migration is not finalized yet')
            a.qmp.cmd('migrate_cancel')
            a.qmp.wait_event('MIGRATION', status='cancelled')
            runner.equal(status(a), 'running')
            a.qmp.cmd('migrate', uri='file:' + d.file('s'))
            a.qmp.wait_event('MIGRATION', status='pre-switchover')
            a.qmp.cmd('migrate-continue', state='pre-switchover')
            a.qmp.wait_event('MIGRATION', status='device')
            a.qmp.wait_event('MIGRATION', status='completed')
            # Late activation: the images are the other one's only from cont on.
            with machine(*args, '-S', '-incoming', 'defer') as b:
                events_on(b, 'late-block-activate')
                b.qmp.cmd('migrate-incoming', uri='file:' + d.file('s'))
                b.qmp.wait_event('MIGRATION', status='completed')
                a.qmp.cmd('cont')
                runner.equal(status(a), 'running')
                assert 'lock' in b.qmp.cmd_error('cont')
                runner.equal(status(b), 'paused')
                a.qmp.cmd('quit')
                a.wait()
                b.qmp.cmd('cont')
                runner.equal(status(b), 'running')


def test_locks_change_hands():
    with Folder() as d:
        disk = d.file('disk')
        open(disk, 'wb').truncate(1 << 20)
        args = ['-blockdev', 'driver=file,node-name=f,filename=' + disk, '-device', 'virtio-blk-pci,drive=f']
        with machine(*args) as a, machine(*args, '-incoming', 'unix:' + d.file('sock')) as b:
            a.qmp.cmd('cont')
            events_on(a)
            migrate(a, 'unix:' + d.file('sock'))
            runner.wait_for(lambda: status(b) == 'running', what='running')
            assert 'lock' in a.qmp.cmd_error('cont')
            runner.equal(status(a), 'postmigrate')
            b.qmp.cmd('quit')
            b.wait()
            a.qmp.cmd('cont')
            runner.equal(status(a), 'running')


def test_destination_fails():
    """With a return path the source hears of it and runs on."""
    with Folder() as d:
        uri = 'unix:' + d.file('sock')
        with machine() as a, qtest.Emulator('-machine', 'virt', '-nodefaults', '-m', '32', '-incoming', uri) as b:
            a.qmp.cmd('cont')
            events_on(a, 'return-path')
            a.qmp.cmd('migrate', uri=uri)
            a.qmp.wait_event('MIGRATION', status='failed')
            text = a.qmp.cmd('query-migrate')['error-desc']
            assert text.startswith('the destination could not take over: ') and '0000:00:' in text, text
            runner.equal(status(a), 'running')
            assert 'load of migration failed: ' in wait_failed(b)
            b.proc.returncode = 0


def test_mismatch():
    """What is not the same on both sides is named."""
    def refuse(path, args, *words):
        p = subprocess.run([qtest.binary(), '-accel', 'qtest', '-display', 'none', *args, '-nodefaults',
                            '-incoming', 'file:' + path], stderr=subprocess.PIPE, timeout=60)
        text = p.stderr.decode()
        runner.equal(p.returncode, 1, 'exit status')
        for word in words:
            assert word in text, text
    with Folder() as d:
        path = d.file('s')
        with qtest.Emulator('-machine', 'virt', '-nodefaults', '-m', '32', '-device', 'virtio-rng-pci,addr=5') as a:
            save(a, path)
        virt = ['-machine', 'virt']
        refuse(path, [*virt, '-m', '64', '-device', 'virtio-rng-pci,addr=5'], 'RAM', 'virt.ram', '33554432')
        refuse(path, [*virt, '-m', '32'], "the source has '0000:00:05.0/virtio-pci'")
        refuse(path, [*virt, '-m', '32', '-device', 'virtio-rng-pci,addr=5', '-device', 'virtio-rng-pci,addr=6'],
               "the source has no '0000:00:06.0/virtio-pci'")
        refuse(path, [*virt, '-m', '32', '-device', 'virtio-net-pci,addr=5'], '0000:00:05.0/virtio-pci')
        refuse(path, [*virt, '-m', '32', '-device', 'virtio-rng-pci,addr=5,vectors=7'],
               "section '0000:00:05.0/virtio-pci'", 'PCI configuration byte')
        refuse(path, ['-machine', 'none'], "machine 'virt-1.0'", "'none'")


def small_stream(d):
    path = d.file('small')
    with qtest.Emulator('-machine', 'virt', '-nodefaults', '-m', '8', '-device', 'virtio-rng-pci',
                        '-device', 'virtio-serial-pci') as a:
        for i in range(5):
            a.writeq(RAM + 4096 * i, i + 1)
        save(a, path)
    return open(path, 'rb').read()


def load_damaged(d, data):
    path = d.file('damaged')
    with open(path, 'wb') as f:
        f.write(data)
    vm = qtest.Emulator('-machine', 'virt', '-nodefaults', '-m', '8', '-device', 'virtio-rng-pci',
                        '-device', 'virtio-serial-pci', '-incoming', 'defer')
    try:
        vm.qmp.cmd('migrate-incoming', uri='file:' + path)
        return wait_failed(vm)
    except qtest.qmplib.QmpClosed:
        return wait_failed(vm)
    finally:
        vm.kill()
        vm._cleanup()


def test_truncated():
    with Folder() as d:
        data = small_stream(d)
        ends = [r.end for r in analyze.records(data, 0)]
        runner.equal(ends[-1], len(data), 'length')
        for end in [0, 8, 16] + ends[:-1] + [len(data) - 1, len(data) - 4]:
            text = load_damaged(d, data[:end])
            assert 'ends early' in text, (end, text)
            try:
                analyze.analyze(data[:end])
                raise AssertionError('not found by the script')
            except analyze.Damaged:
                pass


def test_flipped():
    with Folder() as d:
        data = small_stream(d)
        rng = random.Random(1)
        for _ in range(12):
            at = rng.randrange(len(data))
            damaged = bytearray(data)
            damaged[at] ^= 1 << rng.randrange(8)
            text = load_damaged(d, bytes(damaged))
            assert 'load of migration failed: ' in text, (at, text)
            try:
                analyze.analyze(bytes(damaged))
                raise AssertionError('not found by the script')
            except analyze.Damaged:
                pass


def test_quit_meanwhile():
    """Neither side hangs when it is to end in the middle."""
    with Folder() as d:
        with machine('-incoming', 'unix:' + d.file('sock')) as b:
            s = socket.socket(socket.AF_UNIX)
            s.connect(d.file('sock'))
            runner.wait_for(lambda: b.qmp.cmd('query-migrate')['status'] == 'active', what='active')
        s.close()
        with machine() as a:
            a.qmp.cmd('cont')
            a.qmp.cmd('migrate-set-parameters', {'max-bandwidth': 1})
            a.writeq(RAM, 1)
            a.qmp.cmd('migrate', uri='exec:cat >/dev/null')


if __name__ == '__main__':
    runner.main(globals())
