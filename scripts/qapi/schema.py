# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads and checks the schema: qapi/*.json, each a JSON array of entries.

The language is described in docs/devel/qapi.md. Every fault names the file
and the entry, and ends the build.
"""

import json
import os
import re

BUILTINS = {
    # name: (C type, meaning on the wire)
    'str': ('char *', 'string'),
    'int': ('int64_t', 'int'),
    'int8': ('int8_t', 'int'),
    'int16': ('int16_t', 'int'),
    'int32': ('int32_t', 'int'),
    'int64': ('int64_t', 'int'),
    'uint8': ('uint8_t', 'int'),
    'uint16': ('uint16_t', 'int'),
    'uint32': ('uint32_t', 'int'),
    'uint64': ('uint64_t', 'int'),
    'size': ('uint64_t', 'int'),
    'number': ('double', 'number'),
    'bool': ('bool', 'boolean'),
    'any': ('JsonValue *', 'value'),
    'null': ('char', 'null'),
}

COMMON_KEYS = {'doc', 'if', 'features'}
KINDS = {
    'enum': {'data', 'prefix', 'members'},
    'struct': {'data', 'base', 'members'},
    'union': {'base', 'discriminator', 'data', 'members'},
    'alternate': {'data', 'members'},
    'command': {'data', 'returns', 'flags', 'gen', 'members'},
    'event': {'data', 'members'},
}
COMMAND_FLAGS = ('allow-oob', 'allow-preconfig', 'coroutine', 'no-success-response')
C_KEYWORDS = set('''auto break case char const continue default do double else enum extern float
for goto if inline int long register restrict return short signed sizeof static struct switch
typedef union unsigned void volatile while asm typeof unix linux i386 errno'''.split())


class SchemaError(Exception):
    pass


def c_name(name):
    """A wire name as a C identifier."""
    ident = re.sub(r'[^A-Za-z0-9_]', '_', name)
    if ident in C_KEYWORDS or ident[0].isdigit():
        ident = 'q_' + ident
    return ident


def c_upper(camel):
    """OnOffAuto -> ON_OFF_AUTO"""
    text = re.sub(r'([a-z0-9])([A-Z])', r'\1_\2', camel)
    text = re.sub(r'([A-Z]+)([A-Z][a-z])', r'\1_\2', text)
    return text.upper()


def camel(name):
    """device_add -> DeviceAdd"""
    return ''.join(p[:1].upper() + p[1:] for p in re.split(r'[-_.]', name))


class Condition:
    """An "if" text: names of defines with "and", "or", "not" and parentheses."""

    def __init__(self, text, fail):
        self.text = text
        words = re.findall(r'[A-Za-z_0-9]+|[()]|\S', text)
        for w in words:
            if not re.fullmatch(r'[A-Za-z_][A-Za-z_0-9]*|[()]', w):
                fail('"if" has "%s"; only names, and, or, not and parentheses are known' % w)
        self.names = set(words) - {'and', 'or', 'not', '(', ')'}
        try:
            self.code = compile(' '.join(words), 'if', 'eval')
        except SyntaxError:
            fail('"if" is not an expression: "%s"' % text)

    def holds(self, defines):
        env = {n: n in defines for n in self.names}
        return bool(eval(self.code, {'__builtins__': {}}, env))


class Member:
    """A member of a struct, a branch of a union or alternate, or an enum value."""

    def __init__(self, name, typename, optional, cond, features):
        self.name = name
        self.typename = typename    # "T", or "[T]" for a list of T
        self.optional = optional
        self.cond = cond
        self.features = features
        self.type = None

    @property
    def c(self):
        return c_name(self.name)


class Type:
    """A type: builtin, enum, object (struct, union), alternate or array."""

    def __init__(self, kind, name):
        self.kind = kind
        self.name = name
        self.members = []       # of objects: own ones, base first
        self.values = []        # of enums: Member with name only
        self.branches = []      # of alternates
        self.tag = None         # of unions
        self.variants = {}      # of unions: tag value -> Member
        self.element = None     # of arrays
        self.entry = None
        self.doc = ''
        self.features = []
        self.prefix = ''

    @property
    def is_pointer(self):
        return self.kind in ('object', 'alternate', 'array') or self.name in ('str', 'any')

    @property
    def c(self):
        """The C type of a member."""
        if self.kind == 'builtin':
            return BUILTINS[self.name][0]
        return self.name + ' *' if self.is_pointer else self.name


class Entry:
    def __init__(self, schema, filename, kind, name, spec):
        self.schema = schema
        self.filename = filename
        self.kind = kind
        self.name = name
        self.spec = spec
        self.cond = None
        self.doc = ''
        self.member_docs = {}
        self.features = []
        self.arg = None         # of commands and events: object Type or None
        self.ret = None
        self.flags = []
        self.gen = True

    def fail(self, text):
        raise SchemaError('%s: %s "%s": %s' % (self.filename, self.kind, self.name, text))

    def check_keys(self, where, spec, known):
        for key in spec:
            if key not in known:
                self.fail('%sunknown key "%s"; known: %s' % (where, key, ', '.join(sorted(known))))


def no_duplicates(pairs):
    result = {}
    for key, value in pairs:
        if key in result:
            raise ValueError('duplicate key "%s"' % key)
        result[key] = value
    return result


class Schema:
    def __init__(self, files):
        self.entries = []
        self.types = {}
        self.commands = []
        self.events = []
        for name in BUILTINS:
            self.types[name] = Type('builtin', name)
        for path in files:
            self.load(path)
        for build in (self.declare, self.define, self.finish):
            for e in self.entries:
                build(e)
        self.check_embedding()

    # ---- reading ----

    def load(self, path):
        filename = os.path.relpath(path)
        try:
            with open(path, encoding='utf-8') as f:
                data = json.load(f, object_pairs_hook=no_duplicates)
        except ValueError as e:
            raise SchemaError('%s: %s' % (filename, e))
        if not isinstance(data, list):
            raise SchemaError('%s: the file must be an array of entries' % filename)
        for i, spec in enumerate(data):
            if not isinstance(spec, dict):
                raise SchemaError('%s: entry %d is no object' % (filename, i))
            kinds = [k for k in spec if k in KINDS]
            if len(kinds) != 1 or not isinstance(spec[kinds[0]], str):
                raise SchemaError('%s: entry %d must have exactly one of %s, with a name'
                                  % (filename, i, ', '.join(KINDS)))
            entry = Entry(self, filename, kinds[0], spec[kinds[0]], spec)
            self.entries.append(entry)

    def declare(self, e):
        e.check_keys('', e.spec, COMMON_KEYS | KINDS[e.kind] | {e.kind})
        pattern = {'command': r'[a-z][a-z0-9_-]*', 'event': r'[A-Z][A-Z0-9_]*'}
        want = pattern.get(e.kind, r'[A-Z][A-Za-z0-9]*')
        if not re.fullmatch(want, e.name) and not re.fullmatch('x-' + want, e.name):
            e.fail('bad name; it must look like %s' % want)
        e.doc = e.spec.get('doc', '')
        e.member_docs = e.spec.get('members', {})
        if not isinstance(e.doc, str) or not isinstance(e.member_docs, dict):
            e.fail('"doc" is a text, "members" an object of texts')
        if e.kind in pattern:
            if not e.doc:
                e.fail('"doc" is missing')
            group = self.commands if e.kind == 'command' else self.events
            if any(o.name == e.name for o in group):
                e.fail('defined twice')
            group.append(e)
        else:
            self.add_type(e, Type('object' if e.kind in ('struct', 'union') else e.kind, e.name))
        e.cond = self.condition(e, e.spec)
        e.features = self.features(e, e.spec)

    def add_type(self, e, t):
        if t.name in self.types:
            other = self.types[t.name].entry
            e.fail('type "%s" is already defined in %s' % (t.name, other.filename if other else 'the builtins'))
        if t.name.endswith('List'):
            e.fail('names that end with "List" are taken by list types')
        t.entry = e
        t.doc = e.doc
        self.types[t.name] = t

    def condition(self, e, spec):
        if 'if' not in spec:
            return None
        if not isinstance(spec['if'], str):
            e.fail('"if" must be a text')
        return Condition(spec['if'], e.fail)

    def features(self, e, spec):
        f = spec.get('features', [])
        if not isinstance(f, list) or any(not isinstance(x, str) for x in f):
            e.fail('"features" must be an array of texts')
        return f

    # ---- building ----

    def parse_type(self, e, spec):
        """"T" or ["T"] as the internal name."""
        if isinstance(spec, str):
            return spec
        if isinstance(spec, list) and len(spec) == 1 and isinstance(spec[0], str):
            return '[' + spec[0] + ']'
        e.fail('a type is "Name" or ["Name"], not %s' % json.dumps(spec))

    def parse_members(self, e, data, branches=False):
        if not isinstance(data, dict):
            e.fail('members must be an object')
        result = []
        for key, spec in data.items():
            optional = key.startswith('*') and not branches
            name = key[1:] if optional else key
            if not re.fullmatch(r'(__[a-z0-9.-]+_)?[A-Za-z0-9][A-Za-z0-9_.-]*', name):
                e.fail('bad member name "%s"' % name)
            cond, features = None, []
            if isinstance(spec, dict):
                e.check_keys('member "%s": ' % name, spec, {'type', 'if', 'features'})
                if 'type' not in spec:
                    e.fail('member "%s" has no "type"' % name)
                cond = self.condition(e, spec)
                features = self.features(e, spec)
                spec = spec['type']
            result.append(Member(name, self.parse_type(e, spec), optional, cond, features))
        return result

    def lookup(self, e, name):
        if name in self.types:
            return self.types[name]
        if name.startswith('['):
            element = self.lookup(e, name[1:-1])
            if element.name == 'null':
                e.fail('a list of null makes no sense')
            t = Type('array', element.name[0].upper() + element.name[1:] + 'List')
            t.element = element
            self.types[name] = t
            return t
        e.fail('unknown type "%s"' % name)

    def define(self, e):
        if e.kind == 'enum':
            self.define_enum(e, self.types[e.name])
        elif e.kind in ('struct', 'union'):
            t = self.types[e.name]
            data = e.spec.get('data')
            if data is None:
                e.fail('"data" is missing')
            t.features = e.features
            if e.kind == 'struct':
                t.members = self.parse_members(e, data)
            else:
                for m in self.parse_members(e, data, branches=True):
                    t.variants[m.name] = m
        elif e.kind == 'alternate':
            t = self.types[e.name]
            t.branches = self.parse_members(e, e.spec.get('data'), branches=True)
            t.features = e.features
        else:
            self.define_args(e)

    def define_enum(self, e, t):
        data = e.spec.get('data')
        if not isinstance(data, list) or not data:
            e.fail('"data" must be an array of values')
        t.prefix = e.spec.get('prefix') or c_upper(t.name)
        t.features = e.features
        for v in data:
            cond, features = None, []
            if isinstance(v, dict):
                e.check_keys('value: ', v, {'name', 'if', 'features'})
                cond = self.condition(e, v)
                features = self.features(e, v)
                v = v.get('name')
            if not isinstance(v, str) or not re.fullmatch(r'[A-Za-z0-9_.][A-Za-z0-9_.:+-]*', v):
                e.fail('bad value %s' % json.dumps(v))
            t.values.append(Member(v, None, False, cond, features))
        names = [c_name(v.name).upper() for v in t.values]
        for n in names:
            if names.count(n) > 1:
                e.fail('value "%s" is there twice' % n)

    def define_args(self, e):
        data = e.spec.get('data')
        if isinstance(data, dict):
            base = ('Qmp%sArgs' if e.kind == 'command' else 'QapiEvent%sArgs') % camel(e.name)
            if data:
                e.arg = Type('object', base)
                e.arg.members = self.parse_members(e, data)
                self.add_type(e, e.arg)
        elif isinstance(data, str):
            e.arg = data
        elif data is not None:
            e.fail('"data" must be an object or the name of a type')
        if e.kind == 'command':
            e.flags = e.spec.get('flags', [])
            for f in e.flags:
                if f not in COMMAND_FLAGS:
                    e.fail('unknown flag "%s"; known: %s' % (f, ', '.join(COMMAND_FLAGS)))
            e.gen = e.spec.get('gen', True)
            if 'returns' in e.spec:
                e.ret = self.parse_type(e, e.spec['returns'])

    # ---- resolving ----

    def finish(self, e):
        if e.kind in ('command', 'event'):
            if isinstance(e.arg, str):
                e.arg = self.lookup(e, e.arg)
                if e.arg.kind != 'object' and not (e.kind == 'command' and e.arg.kind == 'alternate'):
                    e.fail('"data" must name a struct or union, not "%s"' % e.arg.name)
            elif e.arg:
                self.resolve_members(e, e.arg.members)
            if e.ret:
                e.ret = self.lookup(e, e.ret)
            self.check_docs(e, e.arg.members if e.arg and e.arg.entry is e else [])
            return
        t = self.types[e.name]
        if e.kind == 'alternate':
            self.resolve_members(e, t.branches)
            self.check_alternate(e, t)
            self.check_docs(e, t.branches)
        elif t.kind == 'object':
            self.flatten(e, t)
            self.check_docs(e, t.members + list(t.variants.values()))
        else:
            self.check_docs(e, t.values)

    def check_docs(self, e, members):
        known = {m.name for m in members}
        for name in e.member_docs:
            if name not in known:
                e.fail('"members" describes "%s", which does not exist' % name)

    def resolve_members(self, e, members):
        seen = {}
        for m in members:
            if m.type is None:
                m.type = self.lookup(e, m.typename)
            if m.c in seen or m.name in seen.values():
                e.fail('member "%s" is there twice' % m.name)
            seen[m.c] = m.name

    def flatten(self, e, t):
        """Put the base's members first; find the tag and the variants."""
        if getattr(t, 'flat', False):
            return
        if getattr(t, 'busy', False):
            e.fail('is its own base')
        t.busy = True
        base = e.spec.get('base')
        if isinstance(base, dict):
            t.members = self.parse_members(e, base) + t.members
        elif base is not None:
            b = self.types.get(base)
            if not b or b.kind != 'object' or b.variants:
                e.fail('base "%s" is no struct' % base)
            self.flatten(b.entry, b)
            t.members = b.members + t.members
        self.resolve_members(e, t.members)
        if e.kind == 'union':
            self.finish_union(e, t)
        t.flat = True

    def finish_union(self, e, t):
        tag = [m for m in t.members if m.name == e.spec.get('discriminator')]
        if not tag:
            e.fail('discriminator "%s" is no member of the base' % e.spec.get('discriminator'))
        t.tag = tag[0]
        if t.tag.type.kind != 'enum' or t.tag.optional:
            e.fail('the discriminator must be an enum and not optional')
        values = {v.name for v in t.tag.type.values}
        own = {m.name for m in t.members}
        for m in t.variants.values():
            if m.name not in values:
                e.fail('branch "%s" is no value of "%s"' % (m.name, t.tag.type.name))
            m.type = self.lookup(e, m.typename)
            if m.type.kind != 'object':
                e.fail('branch "%s" must be a struct' % m.name)
            self.flatten(m.type.entry, m.type)
            if m.type.entry.kind == 'union':
                e.fail('branch "%s" must be a struct, not a union' % m.name)
            both = own & {x.name for x in m.type.members}
            if both:
                e.fail('branch "%s" repeats member "%s" of the base' % (m.name, both.pop()))

    def check_alternate(self, e, t):
        seen = {}
        for m in t.branches:
            kind = alternate_kind(m.type)
            if kind is None:
                e.fail('branch "%s": type "%s" cannot be told apart' % (m.name, m.type.name))
            if kind in seen:
                e.fail('branches "%s" and "%s" look the same' % (seen[kind], m.name))
            seen[kind] = m.name

    def check_embedding(self):
        """The object types, so that a type comes after those it holds by value."""
        order, busy = [], set()

        def visit(t):
            if t in order:
                return
            if t.name in busy:
                t.entry.fail('contains itself')
            busy.add(t.name)
            for m in t.variants.values():
                visit(m.type)
            order.append(t)

        for t in list(self.types.values()):
            if t.kind in ('object', 'alternate'):
                visit(t)
        self.objects = order
        self.enums = [t for t in self.types.values() if t.kind == 'enum']
        for t in list(self.types.values()):
            if t.kind != 'array' and t.name != 'null' and needs_list(t):
                self.lookup(t.entry, '[%s]' % t.name)
        self.arrays = [t for t in self.types.values() if t.kind == 'array']


def needs_list(t):
    """Each type has a list type, but for arguments of commands and events."""
    return t.kind in ('builtin', 'enum') or t.entry.kind not in ('command', 'event')


def alternate_kind(t):
    if t.kind == 'enum' or t.name == 'str':
        return 'STR'
    if t.kind == 'object':
        return 'DICT'
    if t.kind == 'array':
        return 'LIST'
    return {'bool': 'BOOL', 'null': 'NULL', 'number': 'NUM', 'int': 'NUM', 'int8': 'NUM', 'int16': 'NUM',
            'int32': 'NUM', 'int64': 'NUM', 'uint8': 'NUM', 'uint16': 'NUM', 'uint32': 'NUM',
            'uint64': 'NUM', 'size': 'NUM'}.get(t.name)
