#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Compares our query-qmp-schema with that of Debian's QEMU.

Everything that we list must be there with the same shape: commands and events
by name, their arguments and results member by member (type, optionality,
features, out-of-band), values of enums. We may list less (also of the features
that promise something), and in answers and
events we may leave out members that are optional there. Commands of our own
must begin with "x-nemu-".

Usage: qmp-schema-compare.py [-v] [OURS [REFERENCE]]
"""
import os
import shutil
import sys

import reference

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import runner      # noqa: E402

# Differences that are meant, by path in the schema.
ALLOWED = {
    # Formats that are only read have nothing to say about how to create them.
    *('blockdev-create.options(%s).%s' % (driver, member) for driver, members in (
        ('parallels', ('file', 'size', 'cluster-size')), ('qcow', ('file', 'size', 'backing-file', 'encrypt')),
        ('qed', ('file', 'size', 'backing-file', 'backing-fmt', 'cluster-size', 'table-size')),
        ('vdi', ('file', 'size', 'preallocation')),
        ('vmdk', ('file', 'size', 'extents', 'subformat', 'backing-file', 'adapter-type', 'hwversion',
                  'toolsversion', 'zeroed-grain')),
        ('vpc', ('file', 'size', 'subformat', 'force-size'))) for member in members),
}


def schema(program):
    """The schema of @program by name."""
    return {e['name']: e for e in reference.result(program, 'query-qmp-schema')}


# Members of ours that only later versions of the reference have, under the same name.
ADDITIONS = ('blockdev-add(luks).header',)


class Compare:
    def __init__(self, ours, theirs):
        self.ours = ours
        self.theirs = theirs
        self.faults = {}
        self.notes = []
        self.seen = set()

    def fault(self, path, text):
        if path not in ALLOWED:
            self.faults.setdefault(path, text)

    def features(self, path, a, b):
        ours, theirs = a.get('features', []), b.get('features', [])
        for f in ours:
            if f not in theirs:
                self.fault(path, 'feature "%s" is not in the reference' % f)
        for f in theirs:
            if f in ours:
                continue
            if f in ('deprecated', 'unstable'):
                self.fault(path, 'feature "%s" is missing' % f)
            else:
                self.notes.append('%s: without feature "%s"' % (path, f))

    def compare_type(self, path, a_name, b_name, sent):
        """@sent: values of it go from us to the client."""
        if (a_name, b_name, sent) in self.seen:
            return
        self.seen.add((a_name, b_name, sent))
        a, b = self.ours[a_name], self.theirs[b_name]
        kind = a['meta-type']
        if kind != b['meta-type']:
            self.fault(path, 'is %s, in the reference %s' % (kind, b['meta-type']))
            return
        self.features(path, a, b)
        getattr(self, 'compare_' + kind)(path, a, b, sent)

    def compare_builtin(self, path, a, b, sent):
        if (a['name'], a['json-type']) != (b['name'], b['json-type']):
            self.fault(path, 'is %s, in the reference %s' % (a['name'], b['name']))

    def compare_array(self, path, a, b, sent):
        self.compare_type(path + '[]', a['element-type'], b['element-type'], sent)

    def compare_enum(self, path, a, b, sent):
        known = {m['name']: m for m in b['members']}
        if [m['name'] for m in a['members']] != a['values']:
            self.fault(path, '"values" and "members" differ')
        for m in a['members']:
            if m['name'] not in known:
                self.fault(path, 'value "%s" is not in the reference' % m['name'])
            else:
                self.features('%s=%s' % (path, m['name']), m, known[m['name']])

    def compare_alternate(self, path, a, b, sent):
        def kinds(schema, members):
            return {schema[m['type']].get('json-type') or schema[m['type']]['meta-type']: m['type'] for m in members}
        ours, theirs = kinds(self.ours, a['members']), kinds(self.theirs, b['members'])
        for kind, name in ours.items():
            if kind not in theirs:
                self.fault(path, 'the branch for %s is not in the reference' % kind)
            else:
                self.compare_type('%s|%s' % (path, kind), name, theirs[kind], sent)

    def compare_members(self, path, a, b, sent):
        ours = {m['name']: m for m in a}
        theirs = {m['name']: m for m in b}
        for name, m in ours.items():
            here = '%s.%s' % (path, name)
            if name not in theirs:
                if here not in ADDITIONS:
                    self.fault(here, 'is not in the reference')
                continue
            ref = theirs[name]
            if ('default' in m) != ('default' in ref) and not (sent and 'default' in ref):
                self.fault(here, 'is %s, in the reference it is not'
                           % ('optional' if 'default' in m else 'mandatory'))
            self.features(here, m, ref)
            self.compare_type(here, m['type'], ref['type'], sent)
        for name, m in theirs.items():
            if name not in ours and 'default' not in m:
                self.fault('%s.%s' % (path, name), 'is mandatory in the reference, and missing')

    def compare_object(self, path, a, b, sent):
        self.compare_members(path, a['members'], b['members'], sent)
        if a.get('tag') != b.get('tag'):
            self.fault(path, 'tag is %s, in the reference %s' % (a.get('tag'), b.get('tag')))
            return
        cases = {v['case']: v['type'] for v in b.get('variants', [])}
        for v in a.get('variants', []):
            here = '%s(%s)' % (path, v['case'])
            if v['case'] not in cases:
                self.fault(here, 'is not in the reference')
            else:
                self.compare_type(here, v['type'], cases[v['case']], sent)

    def compare_all(self):
        for name, a in self.ours.items():
            kind = a['meta-type']
            if kind not in ('command', 'event') or name.startswith('x-nemu-'):
                continue
            b = self.theirs.get(name)
            if not b or b['meta-type'] != kind:
                self.fault(name, 'is not in the reference')
                continue
            self.features(name, a, b)
            self.compare_type(name, a['arg-type'], b['arg-type'], kind == 'event')
            if kind == 'command':
                self.compare_type(name + ' ->', a['ret-type'], b['ret-type'], True)
                if a.get('allow-oob', False) != b.get('allow-oob', False):
                    self.fault(name, 'allow-oob differs')


def check_whole(s):
    """Every reference leads somewhere, and every type is used."""
    used = set()

    def use(name):
        assert name in s, 'type %s is not described' % name
        used.add(name)
    for e in s.values():
        for key in ('arg-type', 'ret-type', 'element-type'):
            if key in e:
                use(e[key])
        if e['meta-type'] in ('object', 'alternate'):
            for m in e['members'] + e.get('variants', []):
                use(m['type'])
    for name, e in s.items():
        if e['meta-type'] not in ('command', 'event'):
            assert name in used, 'type %s is described and not used' % name


def main():
    verbose = '-v' in sys.argv
    args = [a for a in sys.argv[1:] if a != '-v']
    ours = args[0] if args else os.path.join(os.environ.get('NEMU_BUILD_DIR', 'build'), 'qemu-system-x86_64')
    theirs = args[1] if len(args) > 1 else '/usr/bin/qemu-system-x86_64'
    runner.require(shutil.which(theirs), 'Debian package qemu-system-x86 (%s)' % theirs)
    a, b = schema(ours), schema(theirs)
    check_whole(a)
    c = Compare(a, b)
    c.compare_all()
    for path, text in c.faults.items():
        print('%s: %s' % (path, text))
    if verbose:
        print('\n'.join(c.notes))
        for kind in ('command', 'event'):
            missing = sorted(n for n, e in b.items() if e['meta-type'] == kind and n not in a)
            print('%ss of the reference that we do not have: %s' % (kind, ', '.join(missing)))
    n = sum(e['meta-type'] in ('command', 'event') for e in a.values())
    print('%d commands and events compared, %d differences' % (n, len(c.faults)))
    sys.exit(1 if c.faults else 0)


if __name__ == '__main__':
    main()
