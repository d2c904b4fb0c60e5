#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Faults in a schema: the generator must name file and entry, and make nothing."""
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import runner      # noqa: E402

GEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'scripts', 'qapi-gen.py')
ENUM = '{"enum":"E","data":["a","b"]}'

# The text of a file, and what the message must contain.
FAULTS = [
    ('{}', 'must be an array'),
    ('[1]', 'entry 0 is no object'),
    ('[{"doc":"x"}]', 'exactly one of'),
    ('[{"struct":"A","enum":"B","data":{}}]', 'exactly one of'),
    ('[{"struct":"A","struct":"B","data":{}}]', 'duplicate key'),
    ('[', 'Expecting value'),
    ('[{"struct":"A","data":{},"foo":1}]', 'struct "A": unknown key "foo"'),
    ('[{"struct":"a-b","data":{}}]', 'struct "a-b": bad name'),
    ('[{"command":"Foo","doc":"x"}]', 'command "Foo": bad name'),
    ('[{"event":"foo","doc":"x"}]', 'event "foo": bad name'),
    ('[{"command":"foo"}]', 'command "foo": "doc" is missing'),
    ('[{"command":"foo","doc":"x"},{"command":"foo","doc":"x"}]', 'command "foo": defined twice'),
    ('[{"struct":"A","data":{}},{"enum":"A","data":["x"]}]', 'already defined'),
    ('[{"struct":"int","data":{}}]', 'bad name'),
    ('[{"struct":"AList","data":{}}]', 'taken by list types'),
    ('[{"struct":"A","data":{"x":"Nope"}}]', 'struct "A": unknown type "Nope"'),
    ('[{"struct":"A","data":{"x":["int","int"]}}]', 'a type is'),
    ('[{"struct":"A","data":{"x y":"int"}}]', 'bad member name'),
    ('[{"struct":"A","data":{"a-b":"int","a_b":"int"}}]', 'is there twice'),
    ('[{"struct":"A","data":{"a":"int","*a":"int"}}]', 'is there twice'),
    ('[{"struct":"A","base":"A","data":{}}]', 'is its own base'),
    ('[{"struct":"A","base":"B","data":{}}]', 'base "B" is no struct'),
    ('[{"struct":"A","data":{"x":"int"}},{"struct":"B","base":"A","data":{"x":"int"}}]', 'is there twice'),
    ('[{"struct":"A","data":{"x":{"type":"int","if":"A and"}}}]', '"if" is not an expression'),
    ('[{"struct":"A","data":{},"if":"__import__(\'os\')"}]', '"if" has'),
    ('[{"struct":"A","data":{"x":"int"},"members":{"y":"t"}}]', 'describes "y", which does not exist'),
    ('[{"enum":"E","data":[]}]', '"data" must be an array'),
    ('[{"enum":"E","data":["a b"]}]', 'bad value'),
    ('[{"enum":"E","data":["a-b","a_b"]}]', 'is there twice'),
    ('[%s,{"union":"U","base":{"t":"str"},"discriminator":"t","data":{}}]' % ENUM, 'must be an enum'),
    ('[%s,{"union":"U","base":{"*t":"E"},"discriminator":"t","data":{}}]' % ENUM, 'must be an enum and not optional'),
    ('[%s,{"union":"U","base":{"t":"E"},"discriminator":"x","data":{}}]' % ENUM, 'discriminator "x"'),
    ('[%s,{"struct":"A","data":{}},{"union":"U","base":{"t":"E"},"discriminator":"t","data":{"c":"A"}}]' % ENUM,
     'branch "c" is no value'),
    ('[%s,{"union":"U","base":{"t":"E"},"discriminator":"t","data":{"a":"int"}}]' % ENUM, 'must be a struct'),
    ('[%s,{"struct":"A","data":{"t":"int"}},{"union":"U","base":{"t":"E"},"discriminator":"t","data":{"a":"A"}}]'
     % ENUM, 'repeats member "t"'),
    ('[{"alternate":"A","data":{"x":"int","y":"number"}}]', 'look the same'),
    ('[{"alternate":"A","data":{"x":"any"}}]', 'cannot be told apart'),
    ('[{"command":"foo","doc":"x","flags":["fast"]}]', 'unknown flag "fast"'),
    ('[{"command":"foo","doc":"x","data":"int"}]', 'must name a struct'),
    ('[{"command":"foo","doc":"x","returns":"Nope"}]', 'unknown type "Nope"'),
]


def generate(mode, text, *extra):
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, 'faulty.json')
        with open(path, 'w') as f:
            f.write(text)
        out = d if mode == 'types' else os.path.join(d, 'out')
        p = subprocess.run([sys.executable, GEN, mode, '-o', out, *extra, path], capture_output=True, text=True)
        files = sorted(set(os.listdir(d)) - {'faulty.json'})
        result = ''
        if mode != 'types' and files:
            with open(out) as f:
                result = f.read()
        return p.returncode, p.stderr, files, result


def test_faults():
    for text, want in FAULTS:
        status, err, files, _ = generate('types', text)
        runner.equal((status, files), (1, []), text)
        assert want in err and 'faulty.json' in err and 'Traceback' not in err, (text, err)


def test_conditions():
    schema = ('[{"command":"a","doc":"x","if":"CONFIG_A and not CONFIG_B"},'
              '{"command":"b","doc":"x","if":"not (CONFIG_A or CONFIG_B)"},'
              '{"enum":"E","data":["p",{"name":"q","if":"CONFIG_B"}]},'
              '{"command":"c","doc":"x","data":{"e":"E","*z":{"type":"int","if":"CONFIG_B"}}}]')
    for defines, names in (([], 'bc'), (['CONFIG_A'], 'ac'), (['CONFIG_A', 'CONFIG_B'], 'c')):
        flags = [x for d in defines for x in ('-D', d)]
        status, err, _, text = generate('program', schema, *flags)
        runner.equal(status, 0, err)
        listed = ''.join(n for n in 'abc' if '{ "%s", 0, run_%s }' % (n, n) in text)
        runner.equal(listed, names, str(defines))
        runner.equal('\\"q\\"' in text.replace('"\n    "', ''), 'CONFIG_B' in defines, 'enum value')
        runner.equal('\\"z\\"' in text.replace('"\n    "', ''), 'CONFIG_B' in defines, 'member')


def test_reference():
    status, err, _, text = generate('doc', '[{"struct":"A","data":{"*x":["A"]},"doc":"An A.","members":{"x":"more"}},'
                                    '{"command":"foo","doc":"Does foo.","data":"A","returns":["A"]}]')
    runner.equal(status, 0, err)
    for want in ('### A', 'An A.', '| `x` | list of [`A`](#a) | (optional) more |', '### foo', 'Does foo.'):
        assert want in text, (want, text)


if __name__ == '__main__':
    runner.main(globals())
