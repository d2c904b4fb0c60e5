#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks a migration stream and shows what is in it.

    analyze-stream.py FILE            check it, and list sections and RAM
    analyze-stream.py -d FILE         also the value of every field
    analyze-stream.py -j FILE         everything as JSON
    analyze-stream.py -r FILE         the place and size of every record

The stream may begin anywhere in FILE (management puts a header of its own in
front). Exit status: 0, or 1 with a message when the stream is damaged. The
format is described in docs/devel/migration.md.
"""
import argparse
import json
import struct
import sys
import zlib

MAGIC = b'nemu-vm\n'
VERSION = 1
CONFIG, RAM_PAGES, RAM_ZERO, RAM_PASS, STATE, DESCRIPTION, END = range(1, 8)
NAMES = {CONFIG: 'config', RAM_PAGES: 'ram-pages', RAM_ZERO: 'ram-zero', RAM_PASS: 'ram-pass',
         STATE: 'state', DESCRIPTION: 'description', END: 'end'}
HEAD = struct.Struct('<HHIII')
LENGTH_MAX = 64 << 20


class Damaged(Exception):
    """The stream is not what it should be."""


class Record:
    def __init__(self, number, kind, offset, content):
        self.number, self.kind, self.offset, self.content = number, kind, offset, content

    @property
    def name(self):
        return NAMES.get(self.kind, 'type %d' % self.kind)

    @property
    def end(self):
        return self.offset + HEAD.size + len(self.content) + 4


def find_start(data):
    start = data.find(MAGIC)
    if start < 0:
        raise Damaged('no stream begins in this file')
    return start


def records(data, start):
    """All records, up to and including the end; Damaged at the first thing that is wrong."""
    at = start + 16
    if len(data) < at:
        raise Damaged('it ends in its head')
    version, flags = struct.unpack_from('<II', data, start + 8)
    if version != VERSION or flags:
        raise Damaged('version %d, flags 0x%x: not known' % (version, flags))
    number = 0
    while True:
        if len(data) < at + HEAD.size:
            raise Damaged('it ends early, at byte %d' % len(data))
        kind, channel, length, serial, crc = HEAD.unpack_from(data, at)
        if zlib.crc32(data[at:at + 12]) != crc:
            raise Damaged('wrong check sum of the head at byte %d' % at)
        if serial != number or channel or length > LENGTH_MAX:
            raise Damaged('unexpected record number %d at byte %d' % (serial, at))
        body = at + HEAD.size
        if len(data) < body + length + 4:
            raise Damaged('it ends early, in the record at byte %d' % at)
        content = data[body:body + length]
        if zlib.crc32(content) != struct.unpack_from('<I', data, body + length)[0]:
            raise Damaged('wrong check sum of the record at byte %d' % at)
        yield Record(number, kind, at, content)
        if kind == END:
            return
        number += 1
        at = body + length + 4


# ---- sections ----

INTEGERS = {'uint8': 'B', 'uint16': 'H', 'uint32': 'I', 'uint64': 'Q', 'int32': 'i', 'int64': 'q', 'bool': '?'}


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        if self.at + n > len(self.data):
            raise Damaged('the section is too short')
        self.at += n
        return self.data[self.at - n:self.at]

    def integer(self, code):
        return struct.unpack('<' + code, self.take(struct.calcsize('<' + code)))[0]


def decode_field(field, values, r):
    kind = field['kind']
    if kind in ('buffer', 'custom'):
        return r.take(r.integer('I')).hex()
    if kind == 'bytes':
        return r.take(field['size']).hex()
    count = field.get('count', 1)
    if isinstance(count, str):
        count = values[count]
    one = (lambda: decode_table(field['table'], r)) if kind == 'struct' else (lambda: r.integer(INTEGERS[kind]))
    return one() if 'count' not in field else [one() for _ in range(count)]


def decode_table(table, r):
    values = {}
    version = r.integer('H')
    if version != table['version']:
        raise Damaged('%s has version %d and is described as version %d' % (table['name'], version, table['version']))
    for field in table['fields']:
        if field.get('since', 0) <= version:
            values[field['name']] = decode_field(field, values, r)
    for _ in range(r.integer('B')):
        name = r.take(r.integer('B')).decode()
        sub = next((s for s in table.get('subsections', []) if s['name'] == name), None)
        content = Reader(r.take(r.integer('I')))
        values[name] = decode_table(sub, content) if sub else content.data.hex()
    return values


def section_head(content):
    n, = struct.unpack_from('<H', content)
    return content[2:2 + n].decode(), struct.unpack_from('<I', content, 2 + n)[0], content[6 + n:]


def decode_sections(sections, description):
    described = {(d['id'], d['instance']): d['table'] for d in description}
    for name, instance, content in sections:
        table = described.get((name, instance))
        if table is None:
            raise Damaged("section '%s' is not described" % name)
        r = Reader(content)
        try:
            values = decode_table(table, r)
        except Damaged as e:
            raise Damaged("section '%s': %s" % (name, e)) from None
        if r.at != len(content):
            raise Damaged("section '%s' is longer than described" % name)
        yield {'id': name, 'instance': instance, 'bytes': len(content), 'values': values}


def analyze(data):
    """Everything about a stream; Damaged if anything in it is wrong."""
    start = find_start(data)
    result = {'start': start, 'ram': {'pages': 0, 'zero-pages': 0}}
    sections, description = [], None
    for rec in records(data, start):
        if rec.number == 0 and rec.kind != CONFIG:
            raise Damaged('it does not begin with a configuration')
        if rec.kind == CONFIG:
            result['config'] = json.loads(rec.content)
        elif rec.kind == RAM_PAGES:
            result['ram']['pages'] += (len(rec.content) - 16) // struct.unpack_from('<I', rec.content, 4)[0]
        elif rec.kind == RAM_ZERO:
            result['ram']['zero-pages'] += (struct.unpack_from('<Q', rec.content, 16)[0] //
                                            struct.unpack_from('<I', rec.content, 4)[0])
        elif rec.kind == STATE:
            sections.append(section_head(rec.content))
        elif rec.kind == DESCRIPTION:
            description = json.loads(rec.content)
        elif rec.kind == END:
            result['end'] = json.loads(rec.content)
            result['bytes'] = rec.end - start
    if description is None:
        raise Damaged('the description is missing')
    result['sections'] = list(decode_sections(sections, description))
    return result


def show(result, detail):
    config = result['config']
    print('%s, machine %s (%s), %s there, %d bytes' % (config['program'], config['machine'], config['arch'],
                                                        result['end']['run-state'], result['bytes']))
    for block in config['ram']:
        print('RAM %-30s %12d bytes' % (block['id'], block['size']))
    print('%d pages sent, %d of zeroes' % (result['ram']['pages'], result['ram']['zero-pages']))
    for s in result['sections']:
        print('%-48s %3d %8d bytes' % (s['id'], s['instance'], s['bytes']))
        if detail:
            print('    ' + json.dumps(s['values'], indent=2).replace('\n', '\n    '))


def main():
    parser = argparse.ArgumentParser(description='Check and show a migration stream.')
    parser.add_argument('file')
    parser.add_argument('-d', '--detail', action='store_true', help='show the value of every field')
    parser.add_argument('-j', '--json', action='store_true', help='print everything as JSON')
    parser.add_argument('-r', '--records', action='store_true', help='list the records')
    args = parser.parse_args()
    with open(args.file, 'rb') as f:
        data = f.read()
    try:
        if args.records:
            for rec in records(data, find_start(data)):
                print('%10d %5d %-12s %8d bytes' % (rec.offset, rec.number, rec.name, len(rec.content)))
        result = analyze(data)
    except (Damaged, ValueError, KeyError, struct.error) as e:
        print('analyze-stream: %s: %s' % (args.file, e), file=sys.stderr)
        sys.exit(1)
    if args.json:
        print(json.dumps(result))
    elif not args.records:
        show(result, args.detail)


if __name__ == '__main__':
    main()
