#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Compares docs/about/tiers.json with the programs and the tree.

Every type that the built emulators offer needs a row, every row a type; a row's
test, page and fuzz target must exist (docs/about/tiers.md).
Usage: check-tiers.py BUILD-FOLDER
"""
import fnmatch
import json
import os
import re
import subprocess
import sys

SOURCE = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
ARCHITECTURES = ['x86_64', 'aarch64']


def read(*path):
    with open(os.path.join(SOURCE, *path), encoding='utf-8') as f:
        return f.read()


def qmp(program, *commands):
    """The answers of a program that was asked these commands."""
    text = ''.join(json.dumps({'execute': c}) + '\n' for c in ('qmp_capabilities', *commands, 'quit'))
    out = subprocess.run([program, '-machine', 'none', '-nodefaults', '-display', 'none', '-qmp', 'stdio'],
                         input=text, stdout=subprocess.PIPE, text=True, check=True).stdout
    return [m['return'] for m in map(json.loads, out.splitlines()) if 'return' in m][1:-1]


def drivers(schema, command, member):
    """The values of the discriminator of a command's argument."""
    types = {e['name']: e for e in schema}
    argument = types[types[command]['arg-type']]
    tag = next(m for m in argument['members'] if m['name'] == argument.get('tag', member))
    return [m['name'] for m in types[tag['type']]['members']]


def offered(build):
    """{(kind, name)} of all emulators in @build."""
    found = set()
    for arch in ARCHITECTURES:
        program = os.path.join(build, 'qemu-system-' + arch)
        if not os.path.exists(program):
            continue
        found.add(('architecture', arch))
        machines = subprocess.run([program, '-machine', 'help'], stdout=subprocess.PIPE, text=True, check=True).stdout
        for line in machines.splitlines()[1:]:
            if '(alias of' not in line:
                # Versions of a machine share a row.
                found.add(('machine', '%s/%s' % (arch, re.sub(r'-[\d.]+$', '', line.split()[0]))))
        devices = subprocess.run([program, '-device', 'help'], stdout=subprocess.PIPE, text=True, check=True).stdout
        # CPUs are what the architecture's row is about.
        found |= {('device', name) for name in re.findall(r'^name "([^"]+)"', devices, re.M)
                  if not name.endswith('-cpu')}
        schema = qmp(program, 'query-qmp-schema')[0]
        found |= {('block driver', d) for d in drivers(schema, 'blockdev-add', 'driver')}
        found |= {('network back end', d) for d in drivers(schema, 'netdev_add', 'type')}
    return found


def maintained():
    """The file patterns of MAINTAINERS but the one for everything."""
    patterns = []
    for line in read('MAINTAINERS').splitlines():
        if line.startswith('F: '):
            patterns += [p + '*' if p.endswith('/') else p for p in line[3:].split() if p != '*']
    return patterns


def check_row(row, fuzz_targets, patterns):
    """What is wrong with it."""
    if row['tier'] not in (1, 2, 3):
        yield 'no such tier: %r' % row['tier']
    for key in ('test', 'page'):
        if key not in row or not os.path.exists(os.path.join(SOURCE, row[key])):
            yield '%s does not exist: %r' % (key, row.get(key))
    if row.get('test') and not any(fnmatch.fnmatch(row['test'], p) for p in patterns):
        yield 'MAINTAINERS does not know ' + row['test']
    if row['tier'] == 1 and 'fuzz' not in row:
        yield 'tier 1 without a fuzz target'
    if 'fuzz' in row and row['fuzz'] not in fuzz_targets:
        yield 'no fuzz target ' + row['fuzz']
    if (row['tier'] == 2) != ('missing' in row):
        yield 'tier 2 says what is missing, the others miss nothing'


def main():
    build = sys.argv[1]
    rows = json.loads(read('docs', 'about', 'tiers.json'))
    fuzz = read('tests', 'fuzz', 'meson.build')
    fuzz_targets = set(re.findall(r"'(fuzz-[\w-]+)'", fuzz)) | {'fuzz-' + n for n in re.findall(r"^    '([\w-]+)': \[", fuzz,
                                                                                              re.M)}
    patterns = maintained()
    types = offered(build)
    known = [(r['kind'], r['name']) for r in rows]
    problems = ['%s %s: %s' % (r['kind'], r['name'], text) for r in rows
                for text in check_row(r, fuzz_targets, patterns)]
    problems += ['%s %s: no row' % t for t in sorted(types - set(known))]
    problems += ['%s %s: a row about nothing' % t for t in sorted(set(known) - types)]
    problems += ['%s %s: several rows' % t for t in sorted(set(known)) if known.count(t) > 1]
    for text in problems:
        print('docs/about/tiers.json: ' + text)
    print('%d rows, %d problems' % (len(rows), len(problems)))
    sys.exit(1 if problems else 0)


if __name__ == '__main__':
    main()
