# SPDX-License-Identifier: GPL-2.0-or-later
"""The same QMP commands to Debian's emulator and to ours, without a guest.

    with disktools.Pair() as p, qmppair.Sides(p) as s:
        s.cmd('blockdev-add', {'driver': 'file', 'node-name': 'n', 'filename': '@x.raw'})

A string that begins with '@' names a file in the side's own folder. Replies are compared; a
difference is noted with the pair, whose end shows all of them.
"""
import json
import re

from lib import disktools, probe, qtest

REFERENCE = '/usr/bin/qemu-system-x86_64'
VOLATILE = ('actual-size', 'disk size', 'idle_time_ns')


class Sides:
    """Both emulators, with a machine that has nothing."""

    def __init__(self, pair, *args):
        self.pair = pair
        self.probes = []
        for program in (REFERENCE, qtest.binary()):
            folder = pair.theirs if program == REFERENCE else pair.ours
            own = [a.replace('@', folder + '/') for a in args]
            self.probes.append((probe.Prober(program, '-machine', 'none', *own), folder))

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for p, _ in self.probes:
            p.__exit__(*exc)

    def cmd(self, name, args=None, ignore=()):
        """Runs it on both sides; our reply, normalized. @ignore: members that may differ."""
        replies = [self.one(i, name, args, ignore) for i in range(2)]
        if replies[0] != replies[1]:
            self.pair.fault('%s %s\n--- theirs\n%s\n--- ours\n%s' %
                            (name, json.dumps(args), *(json.dumps(r, sort_keys=True) for r in replies)))
        return replies[1]

    def one(self, i, name, args=None, ignore=()):
        """On side 0 (theirs) or 1 (ours) only."""
        p, folder = self.probes[i]
        reply = p.qmp.cmd_raw(name, self.place(args or {}, folder))
        for key in ('id', 'timestamp'):
            reply.pop(key, None)
        return self.normalize(reply, folder, (*VOLATILE, *ignore))

    def events(self, name, count=1):
        """The data of the next @count events of that name, from both sides."""
        both = [[self.normalize(p.qmp.wait_event(name).get('data'), folder, VOLATILE) for _ in range(count)]
                for p, folder in self.probes]
        if both[0] != both[1]:
            self.pair.fault('event %s\n--- theirs\n%s\n--- ours\n%s' % (name, *map(json.dumps, both)))
        return both[1]

    def place(self, value, folder):
        if isinstance(value, dict):
            return {k: self.place(v, folder) for k, v in value.items()}
        if isinstance(value, list):
            return [self.place(v, folder) for v in value]
        if isinstance(value, str):
            return value.replace('@', folder + '/')
        return value

    def normalize(self, value, folder, ignore):
        if isinstance(value, dict):
            return {k: self.normalize(v, folder, ignore) for k, v in value.items() if k not in ignore}
        if isinstance(value, list):
            return [self.normalize(v, folder, ignore) for v in value]
        if isinstance(value, str):
            return re.sub(r'#block\d+', '#blockN', value.replace(folder + '/', '@'))
        return value


def require():
    """Skips without Debian's emulator."""
    disktools.require_oracle('qemu-img', 'qemu-io', 'qemu-system-x86_64')
