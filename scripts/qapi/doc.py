# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes the reference documentation (Markdown) from the schema's texts."""

import os


def type_link(t):
    if t.kind == 'array':
        return 'list of ' + type_link(t.element)
    if t.kind == 'builtin':
        return '`%s`' % t.name
    return '[`%s`](#%s)' % (t.name, t.name.lower())


def conditions(e):
    out = []
    if e.cond:
        out += ['Only where: `%s`.' % e.cond.text, '']
    if e.features:
        out += ['Features: %s.' % ', '.join('`%s`' % f for f in e.features), '']
    return out


def member_rows(members, docs):
    out = ['| member | type | |', '|---|---|---|']
    for m in members:
        notes = [docs.get(m.name, '')]
        if m.optional:
            notes.insert(0, '(optional)')
        if m.cond:
            notes.append('Only where: `%s`.' % m.cond.text)
        if m.features:
            notes.append('Features: %s.' % ', '.join(m.features))
        out.append('| `%s` | %s | %s |' % (m.name, type_link(m.type),
                                            ' '.join(n for n in notes if n).replace('|', '\\|')))
    return out + ['']


def all_docs(t):
    """A struct's texts with those of its bases."""
    base = t.entry.spec.get('base')
    docs = all_docs(t.entry.schema.types[base]) if isinstance(base, str) else {}
    return {**docs, **t.entry.member_docs}


def object_body(t):
    out = []
    if t.members:
        out += member_rows(t.members, all_docs(t))
    if t.tag:
        out += ['With `%s`:' % t.tag.name, '']
        out += ['- `%s`: the members of %s' % (m.name, type_link(m.type)) for m in t.variants.values()]
        out += ['']
    return out


def entry_text(schema, e):
    out = ['### ' + e.name, '']
    what = {'command': 'Command', 'event': 'Event', 'struct': 'Object', 'union': 'Object', 'enum': 'Enum',
            'alternate': 'One of several types'}[e.kind]
    out += ['%s. %s' % (what, e.doc), '']
    if e.kind in ('command', 'event'):
        if e.arg and e.arg.entry is e:
            out += member_rows(e.arg.members, e.member_docs)
        elif e.arg:
            out += ['Members: those of %s.' % type_link(e.arg), '']
        if e.ret:
            out += ['Returns: %s.' % type_link(e.ret), '']
        if e.flags:
            out += ['Flags: %s.' % ', '.join('`%s`' % f for f in e.flags), '']
    elif e.kind == 'enum':
        for v in schema.types[e.name].values:
            text = e.member_docs.get(v.name, '')
            cond = ' (only where: `%s`)' % v.cond.text if v.cond else ''
            out.append('- `%s`%s%s' % (v.name, ': ' + text if text else '', cond))
        out.append('')
    elif e.kind == 'alternate':
        out += [('- %s %s' % (type_link(m.type), e.member_docs.get(m.name, ''))).rstrip()
                for m in schema.types[e.name].branches] + ['']
    else:
        out += object_body(schema.types[e.name])
    return out + conditions(e)


def reference(schema):
    out = ['# QMP reference', '',
           'Every command, event and type of the machine protocol, made from `qapi/*.json`. The types `str`,',
           '`int` (and its sized forms), `size`, `number`, `bool`, `null` and `any` are JSON\'s own.', '']
    for filename in dict.fromkeys(e.filename for e in schema.entries):
        out += ['## ' + os.path.basename(filename).removesuffix('.json'), '']
        for e in schema.entries:
            if e.filename == filename:
                out += entry_text(schema, e)
    return '\n'.join(out)
