#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Generates C code, introspection data and documentation from the QMP schema.

    qapi-gen.py types   -o DIR [-p PREFIX] SCHEMA...
        PREFIXqapi-types.h/.c, PREFIXqapi-events.h/.c, PREFIXqapi-commands.h
    qapi-gen.py program -o FILE.c [-p PREFIX] [-D DEFINE]... [--only LIST] SCHEMA...
        one program's command table and introspection; with the commands and events
        of a list, one a line, it has only these
    qapi-gen.py doc     -o FILE.md SCHEMA...
        the reference documentation
"""

import argparse
import os
import sys

from qapi import cgen, doc
from qapi.introspect import Introspection
from qapi.schema import Schema, SchemaError


def write(path, text):
    with open(path, 'w', encoding='utf-8') as f:
        f.write(text)


def read_list(path, schema):
    """The names in a file; "#" begins a comment line."""
    with open(path, encoding='utf-8') as f:
        names = {line.strip() for line in f if line.strip() and not line.startswith('#')}
    unknown = names - {e.name for e in schema.commands + schema.events}
    if unknown:
        sys.exit('qapi-gen.py: %s: the schema has no %s' % (path, ', '.join(sorted(unknown))))
    return names


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('mode', choices=('types', 'program', 'doc'))
    p.add_argument('-o', '--output', required=True)
    p.add_argument('-p', '--prefix', default='')
    p.add_argument('-D', '--define', action='append', default=[])
    p.add_argument('--only')
    p.add_argument('schema', nargs='+')
    args = p.parse_args()
    try:
        schema = Schema(args.schema)
    except SchemaError as e:
        sys.exit('qapi-gen.py: %s' % e)
    if args.mode == 'types':
        base = os.path.join(args.output, args.prefix)
        write(base + 'qapi-types.h', cgen.types_header(schema, args.prefix))
        write(base + 'qapi-types.c', cgen.types_source(schema, args.prefix))
        write(base + 'qapi-events.h', cgen.events_header(schema, args.prefix))
        write(base + 'qapi-events.c', cgen.events_source(schema, args.prefix))
        write(base + 'qapi-commands.h', cgen.commands_header(schema, args.prefix))
    elif args.mode == 'program':
        defines = set(args.define)
        only = read_list(args.only, schema) if args.only else None
        calls = [e for e in schema.entries if e.kind in ('command', 'event') and
                 (e.cond is None or e.cond.holds(defines)) and (only is None or e.name in only)]
        commands = [e for e in calls if e.kind == 'command']
        text = Introspection(schema, defines, calls).json()
        write(args.output, cgen.program_source(schema, args.prefix, commands, text))
    else:
        write(args.output, doc.reference(schema))


if __name__ == '__main__':
    main()
