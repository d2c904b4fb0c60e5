# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes the answer of query-qmp-schema: the SchemaInfo array of one program.

Types other than builtins are known by numbers, given in the order of first
use, because their names are no interface.
"""

from .schema import BUILTINS


def bucket(key):
    """The order of members in printed objects; see docs/devel/qapi.md."""
    raw = key.encode()
    h = 0x238F13AF * len(raw) & 0xffffffff
    for i, b in enumerate(raw):
        h = (h + (b << (i * 5 % 24))) & 0xffffffff
    return (1103515243 * h + 12345 & 0xffffffff) % 512


def text(s):
    out = '"'
    for ch in s:
        out += {'"': '\\"', '\\': '\\\\'}.get(ch, ch)
    return out + '"'


def dump(v):
    if isinstance(v, dict):
        # Within one bucket the latest comes first; sorted() is stable.
        items = sorted(reversed(list(v.items())), key=lambda kv: bucket(kv[0]))
        return '{' + ', '.join('%s: %s' % (text(k), dump(x)) for k, x in items) + '}'
    if isinstance(v, list):
        return '[' + ', '.join(dump(x) for x in v) + ']'
    if isinstance(v, str):
        return text(v)
    return {None: 'null', True: 'true', False: 'false'}[v]


class Introspection:
    def __init__(self, schema, defines, calls):
        self.schema = schema
        self.defines = defines
        self.names = {}
        self.queue = []
        self.infos = []
        self.empty = None
        for e in calls:
            self.add_call(e)
        while self.queue:
            self.add_type(self.queue.pop(0))

    def holds(self, cond):
        return cond is None or cond.holds(self.defines)

    def use(self, t):
        """The wire name of @t (None: the object without members)."""
        if t is not None and t.kind == 'builtin':
            if BUILTINS[t.name][1] == 'int':
                name = 'int'
            else:
                name = t.name
            if name not in self.names:
                self.names[name] = name
                self.queue.append((name, t))
            return name
        if t is not None and t.kind == 'array':
            name = '[%s]' % self.use(t.element)
            if name not in self.names:
                self.names[name] = name
                self.queue.append((name, t))
            return name
        key = t.name if t is not None else ''
        if key not in self.names:
            self.names[key] = str(sum(1 for n in self.names.values() if n.isdigit()))
            self.queue.append((self.names[key], t))
        return self.names[key]

    def with_features(self, info, features):
        if features:
            info['features'] = list(features)
        return info

    def add_call(self, e):
        info = {'name': e.name, 'meta-type': e.kind, 'arg-type': self.use(e.arg)}
        if e.kind == 'command':
            info['ret-type'] = self.use(e.ret)
            if 'allow-oob' in e.flags:
                info['allow-oob'] = True
        self.infos.append(self.with_features(info, e.features))

    def add_type(self, item):
        name, t = item
        if t is None:
            info = {'name': name, 'meta-type': 'object', 'members': []}
        else:
            info = getattr(self, 'add_' + t.kind)(t)
            info['name'] = name
            self.with_features(info, t.features)
        self.infos.append(info)

    def add_builtin(self, t):
        return {'meta-type': 'builtin', 'json-type': BUILTINS[t.name][1]}

    def add_array(self, t):
        return {'meta-type': 'array', 'element-type': self.use(t.element)}

    def add_enum(self, t):
        values = [v for v in t.values if self.holds(v.cond)]
        return {'meta-type': 'enum', 'values': [v.name for v in values],
                'members': [self.with_features({'name': v.name}, v.features) for v in values]}

    def add_object(self, t):
        members = []
        for m in t.members:
            if self.holds(m.cond):
                info = {'name': m.name, 'type': self.use(m.type)}
                if m.optional:
                    info['default'] = None
                members.append(self.with_features(info, m.features))
        result = {'meta-type': 'object', 'members': members}
        if t.tag:
            result['tag'] = t.tag.name
            result['variants'] = self.variants(t)
        return result

    def variants(self, t):
        result = []
        for v in t.tag.type.values:
            m = t.variants.get(v.name)
            if self.holds(v.cond):
                result.append({'case': v.name, 'type': self.use(m.type if m else None)})
        return result

    def add_alternate(self, t):
        return {'meta-type': 'alternate',
                'members': [{'type': self.use(m.type)} for m in t.branches if self.holds(m.cond)]}

    def json(self):
        return dump(self.infos)
