#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Turn a folder's trace-events file into C.

usage: trace-gen.py FOLDER TRACE-EVENTS OUT.h OUT.c

Each line of the file is one event:

    virtio_queue_notify(void *vdev, int n) "vdev %p n %d"

'#' starts a comment line. The text after the parameters is a C string, which
may be made of several (PRIx64 and friends). docs/devel/tracing.md has the rest.
"""
import re
import sys

LINE = re.compile(r'^(?P<name>[a-z][a-z0-9_]*)\((?P<params>[^()]*)\)\s*(?P<fmt>.*)$')
PARAM = re.compile(r'^(?P<type>.*[\s*])(?P<name>[A-Za-z_][A-Za-z0-9_]*)$')
FORMAT = re.compile(r'^("([^"\\]|\\.)*"|\s|PRI[A-Za-z0-9]+)*$')


class Event:
    def __init__(self, name, params, fmt):
        self.name = name
        self.params = ', '.join(params) if params else 'void'
        self.args = [PARAM.match(p)['name'] for p in params]
        self.fmt = fmt


def parse(path):
    events = []
    with open(path, encoding='utf-8') as f:
        for number, line in enumerate(f, 1):
            line = line.strip()
            if not line or line.startswith('#'):
                continue
            try:
                events.append(parse_line(line))
            except ValueError as e:
                sys.exit(f'{path}:{number}: {e}: {line}')
    names = [e.name for e in events]
    for name in names:
        if names.count(name) > 1:
            sys.exit(f'{path}: event {name} is there twice')
    return events


def parse_line(line):
    m = LINE.match(line)
    if not m:
        raise ValueError('expected NAME(PARAMETERS) "FORMAT"')
    fmt = m['fmt'].strip()
    if '"' not in fmt or not FORMAT.match(fmt):
        raise ValueError('the format must be C string literals and PRI macros')
    if '\\n' in fmt:
        raise ValueError('a line break is added by itself')
    params = [p.strip() for p in m['params'].split(',')]
    if params in ([''], ['void']):
        params = []
    for p in params:
        if not PARAM.match(p):
            raise ValueError(f'parameter "{p}" needs a type and a name')
    return Event(m['name'], params, fmt)


def header(ident, guard, source, events):
    out = [f'/* Generated from {source} by scripts/trace-gen.py. */',
           f'#ifndef {guard}', f'#define {guard}', '',
           '#include <inttypes.h>', '#include <stdbool.h>', '#include <stddef.h>',
           '#include <sys/types.h>', '#include "util/compiler.h"', '']
    if events:
        out.append(f'extern uint8_t {ident}_on[{len(events)}];')
    for i, e in enumerate(events):
        out += ['', f'void trace_emit_{e.name}({e.params}) __attribute__((cold));',
                f'static inline bool trace_{e.name}_enabled(void)', '{',
                f'    return UNLIKELY(atomic_load(&{ident}_on[{i}]));', '}',
                f'static inline void trace_{e.name}({e.params})', '{',
                f'    if (trace_{e.name}_enabled()) {{',
                f'        trace_emit_{e.name}({", ".join(e.args)});', '    }', '}']
    out += ['', '#endif', '']
    return '\n'.join(out)


def source_file(ident, header_name, source, events):
    out = [f'/* Generated from {source} by scripts/trace-gen.py. */',
           '#include "util/osdep.h"', '#include "trace/control.h"', f'#include "{header_name}"']
    if not events:
        return '\n'.join(out) + '\n'
    out += ['', f'uint8_t {ident}_on[{len(events)}];',
            f'static const TraceFolder {ident} = {{', '    .names =']
    out += [f'        "{e.name}\\0"' for e in events]
    out += ['        ,', f'    .on = {ident}_on,', f'    .count = {len(events)},', '};',
            '__attribute__((used, section("trace_folders")))',
            f'static const TraceFolder *const {ident}_entry = &{ident};']
    for e in events:
        args = ''.join(', ' + a for a in e.args)
        out += ['', f'void trace_emit_{e.name}({e.params})', '{',
                f'    trace_print("{e.name}", {e.fmt}{args});', '}']
    return '\n'.join(out) + '\n'


def main():
    folder, path, out_h, out_c = sys.argv[1:]
    events = parse(path)
    dashed = folder.replace('/', '-')
    ident = 'trace_folder_' + re.sub(r'[^a-z0-9]', '_', folder)
    source = folder + '/trace-events'
    with open(out_h, 'w', encoding='utf-8') as f:
        f.write(header(ident, ident.upper() + '_H', source, events))
    with open(out_c, 'w', encoding='utf-8') as f:
        f.write(source_file(ident, f'trace-{dashed}.h', source, events))


if __name__ == '__main__':
    main()
