#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""QMP commands made from the schema, right and wrong ones, in one process after
another: none may crash, hang, or go unanswered.

Usage: qmp-fuzz.py [--rounds N] [--seed S] [NAME...]; the seed of a round is shown when it fails."""
import json
import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import qmp, qtest, runner      # noqa: E402


def option(name, default):
    if name in sys.argv:
        at = sys.argv.index(name)
        value = int(sys.argv[at + 1])
        del sys.argv[at:at + 2]
        return value
    return default


ROUNDS = option('--rounds', 6)
SEED = option('--seed', 1)
COMMANDS = 250
# They end the process or the conversation, or wait for somebody.
LEFT_OUT = {'quit', 'set-action', 'qmp_capabilities', 'migrate-incoming', 'x-exit-preconfig'}
WORDS = ['n0', 'c0', 'b0', 'io0', 'd0', 'rp0', 'm0', '/machine', '/objects/io0', 'virtio-rng-pci', 'virtio-blk-pci',
         'virtio-net-pci', 'iothread', 'null', 'raw', 'usb', 'type', 'poll-max-ns', 'on', 'off', '0', '127.0.0.1', '',
         'x' * 300, '\u00e9\ud83d\ude00', '/dev/null', '/nonexistent/x', '..', '%s%n', 'help', 'id', '-1', '1G']
NUMBERS = [0, 1, -1, 2, 7, 255, 4096, 65536, 1 << 31, (1 << 31) - 1, 1 << 32, (1 << 63) - 1, -(1 << 63), (1 << 64) - 1]
LINES = ['info qtree', 'info block -v', 'help', 'x /10xg 0', 'xp /3000xb 0xfff0000000', 'p $rip*(1+', 'info mtree -f',
         'device_add virtio-rng-pci,id=q', 'object_add iothread,id=q', 'object_del q', 'netdev_add user,id=q',
         'netdev_del q', 'drive_add 0 if=none,id=q', 'drive_del q', 'chardev-add null,id=q', 'chardev-remove q',
         'sum 0 10000', 'info registers -a', 'i /b 0x3f8', 'o /b 0x3f8 65', 'cpu 0', 'info tlb', 'qom-list /machine',
         'trace-event * off', 'log none', '"', '\\', 'info', 'x /', '   info   status  ', 'p ' + '(' * 500]
ARGS = ['-machine', 'virt', '-m', '32', '-smp', '2', '-nodefaults', '-netdev', 'user,id=n0', '-chardev', 'null,id=c0',
        '-chardev', 'ringbuf,id=m0', '-blockdev', 'null-co,node-name=b0,size=1048576', '-object', 'iothread,id=io0',
        '-device', 'pcie-root-port,id=rp0', '-device', 'virtio-blk-pci,drive=b0,id=d0']


class Generator:
    def __init__(self, schema, rng):
        self.schema = {e['name']: e for e in schema}
        self.rng = rng
        self.commands = sorted(e['name'] for e in schema if e['meta-type'] == 'command' and e['name'] not in LEFT_OUT)

    def wrong(self):
        """Any JSON value."""
        r = self.rng
        return r.choice([None, True, r.choice(NUMBERS), r.choice(WORDS), 1.5, [], {}, [r.choice(WORDS)],
                         {r.choice(WORDS): r.choice(NUMBERS)}, [[[[]]]]])

    def scalar(self, kind):
        r = self.rng
        if kind == 'boolean':
            return r.random() < 0.5
        if kind == 'int':
            return r.choice(NUMBERS)
        if kind == 'number':
            return r.choice(NUMBERS + [0.5])
        if kind == 'null':
            return None
        if kind == 'string':
            return r.choice(WORDS)
        return self.wrong()

    def value(self, name, depth):
        r = self.rng
        t = self.schema[name]
        if depth > 8 or r.random() < 0.02:
            return self.wrong()
        kind = t['meta-type']
        if kind == 'builtin':
            return self.scalar(t['json-type'])
        if kind == 'enum':
            return r.choice(t['members'])['name']
        if kind == 'array':
            return [self.value(t['element-type'], depth + 1) for _ in range(r.choice([0, 1, 1, 2]))]
        if kind == 'alternate':
            return self.value(r.choice(t['members'])['type'], depth + 1)
        return self.object(t, depth)

    def object(self, t, depth):
        r = self.rng
        members = {}
        for m in t['members']:
            if 'default' not in m or r.random() < 0.3:
                members[m['name']] = self.value(m['type'], depth + 1)
        for v in t.get('variants', []):
            if v['case'] == members.get(t['tag']):
                more = self.value(v['type'], depth + 1)
                members.update(more if isinstance(more, dict) else {})
        if members and r.random() < 0.05:
            del members[r.choice(sorted(members))]
        if r.random() < 0.03:
            members[r.choice(WORDS)] = self.wrong()
        return members

    def command(self):
        name = self.rng.choice(self.commands)
        if name == 'human-monitor-command' and self.rng.random() < 0.9:
            return name, {'command-line': self.rng.choice(LINES)}
        arguments = self.value(self.schema[name]['arg-type'], 0)
        if isinstance(arguments, dict):
            self.tame(arguments)
        return name, arguments

    def tame(self, arguments):
        """Nothing that the host would notice: large sizes, files elsewhere, interfaces, devices' own files."""
        if arguments.get('type') == 'tap':
            arguments['type'] = 'user'
        for key, v in list(arguments.items()):
            if isinstance(v, dict):
                self.tame(v)
            elif key in ('open-timeout', 'reconnect-delay', 'reconnect'):
                # To wait for a peer is what one asks for with these.
                del arguments[key]
            elif key in ('size', 'max', 'initial', 'rounds', 'step') and isinstance(v, int):
                arguments[key] = min(v, 1 << 20)
            elif key in ('filename', 'file', 'path', 'out', 'device', 'logfile', 'in', 'mem-path', 'target', 'uri',
                         'snapshot-file', 'dir') and isinstance(v, str) and not v.startswith('/'):
                arguments[key] = '/dev/null' if key in ('logfile', 'out', 'filename', 'file') else v


def talk(vm, generator):
    """Random commands; the process must answer each, if it does not end because one told it to."""
    for i in range(COMMANDS):
        name, arguments = generator.command()
        last = (name, arguments)
        try:
            message = {'execute': name, 'id': i}
            if arguments or generator.rng.random() < 0.5:
                message['arguments'] = arguments
            vm.qmp.send(message)
            while True:
                reply = vm.qmp.recv(60)
                if 'event' not in reply:
                    break
            assert reply.get('id') == i, (last, reply)
            if 'error' in reply:
                assert reply['error']['desc'] and '\n' not in reply['error']['desc'], (last, reply)
        except (qmp.QmpClosed, TimeoutError, BrokenPipeError) as e:
            raise AssertionError('after %s: %s' % (json.dumps(last)[:500], e)) from e
    vm.qmp.send({'execute': 'query-status', 'id': 'end'})
    while vm.qmp.recv(60).get('id') != 'end':
        pass


def test_commands():
    here = os.getcwd()
    for n in range(SEED, SEED + ROUNDS):
        with qtest.Emulator(*ARGS, '-no-shutdown') as vm:
            os.chdir(vm.dir)
            try:
                talk(vm, Generator(vm.qmp.cmd('query-qmp-schema'), random.Random(n)))
            except BaseException:
                print('# seed %d' % n)
                raise
            finally:
                os.chdir(here)


def test_bytes():
    """Valid commands with bytes changed, and pieces of them in any order."""
    rng = random.Random(SEED)
    texts = [b'{"execute": "query-status", "id": 1}', b'{"execute": "device_add", "arguments": {"driver": "x", "a": [1]}}',
             b'{"execute": "human-monitor-command", "arguments": {"command-line": "info status"}}',
             b'{"exec-oob": "query-version"}', b'[[[[{"a":"\\u0041\\ud800"}]]]]', b'\xff\xfe', b"{'execute': 'x'}"]
    with qtest.Emulator(*ARGS) as vm:
        for _ in range(2000):
            data = bytearray(rng.choice(texts))
            for _ in range(rng.choice([0, 1, 1, 2, 5])):
                data[rng.randrange(len(data))] = rng.randrange(256)
            vm.qmp.send_bytes(bytes(data[:rng.choice([len(data), len(data), rng.randrange(1, len(data) + 1)])]))
            vm.qmp.poll_events()
        # 0xFF brings the parser back to its start.
        vm.qmp.send_bytes(b'\xff\n{"execute": "query-name", "id": "end"}\n')
        while vm.qmp.recv(60).get('id') != 'end':
            pass


if __name__ == '__main__':
    runner.main(globals())
