#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Make a manual page: what a program's --help says, and the prose of docs/tools/PROGRAM.md.

    man-gen.py PROGRAM SECTION PROSE OUTPUT

Synopsis and options (or commands) come from --help, so that the two cannot differ.
The prose is Markdown of a small kind: headings, paragraphs, list items, tables of two
columns and indented examples. Its first line is "# name - what it is"; the text up to the
first "##" is the description. An entry of the form "### WORD" in a section that --help has
too says more about what it lists under that word.
"""
import os
import re
import subprocess
import sys


def escape(text):
    text = text.replace('\\', '\\e').replace('-', '\\-').replace("'", '\\(aq').replace('`', '\\(ga')
    return '\\&' + text if text.startswith('.') else text


def inline(text):
    """`code` and *emphasis* in bold."""
    parts = re.split(r'`([^`]+)`|\*([^*]+)\*', text)
    out = ''
    for i in range(0, len(parts), 3):
        out += escape(parts[i])
        marked = parts[i + 1] or parts[i + 2] if i + 2 < len(parts) else None
        if marked:
            out += '\\fB' + escape(marked) + '\\fR'
    return out.lstrip()


class Help:
    """The parts of a --help text."""

    def __init__(self, program):
        text = subprocess.run([program, '--help'], stdout=subprocess.PIPE, check=True, text=True).stdout
        name = os.path.basename(program)
        self.usage = re.findall(r'^(?:usage|Usage|  or): +(.*)$', text, re.M)
        self.usage = [re.sub(r'^\S+', name, u) for u in self.usage]
        assert self.usage, 'no usage in the help of ' + program
        self.entries = []               # (what, text), in order
        self.notes = []
        for block in re.split(r'\n\n+', text):
            self._block(block.strip('\n').split('\n'))

    def _block(self, lines):
        if len(lines) > 1 and lines[0].endswith(':') and not lines[0].startswith(' '):
            self.entries.append((lines.pop(0), None))
        for line in lines:
            entry = re.match(r"^ {1,6}('?-\S.*?|[a-z]+ [\[(<-].*?)(?:  +(.*))?$", line)
            if entry:
                self.entries.append((entry.group(1).replace("'", ''), entry.group(2) or ''))
            elif line.startswith('    ') and self.entries and self.entries[-1][1] is not None:
                what, text = self.entries[-1]
                if not text and line.lstrip().startswith('['):
                    self.entries[-1] = (what + line.strip(), '')
                    continue
                self.entries[-1] = (what, (text + ' ' + line.strip()).strip())


def parse_prose(path):
    """[(heading, [(subheading, [line...])...])...] with the title first."""
    sections = []
    with open(path, encoding='utf-8') as f:
        for line in f.read().split('\n'):
            if re.match(r'^##? ', line):
                sections.append((line.lstrip('#').strip(), [('', [])]))
            elif line.startswith('### '):
                sections[-1][1].append((line[4:].strip(), []))
            else:
                sections[-1][1][-1][1].append(line)
    return sections


def render(lines, out):
    """Paragraphs, lists, tables and examples."""
    text = []

    def flush():
        if text:
            out.extend(['.PP', inline(' '.join(text))])
            text.clear()

    example = False
    for line in lines:
        if line.startswith('    '):
            flush()
            if not example:
                out.extend(['.PP', '.RS 4', '.nf'])
            example = True
            out.append(escape(line[4:]))
            continue
        if example:
            out.extend(['.fi', '.RE'])
            example = False
        if re.match(r'^\|[ -]*-+', line):
            continue
        row = re.match(r'^\| *(.*?) *\| *(.*?) *\|$', line)
        item = re.match(r'^- (.*)$', line)
        if row:
            flush()
            out.extend(['.TP', inline(row.group(1)), inline(row.group(2))])
        elif item:
            flush()
            out.extend(['.IP \\(bu 2', inline(item.group(1))])
        elif line.startswith('  ') and out[-2:-1] == ['.IP \\(bu 2']:
            out[-1] += ' ' + inline(line.strip())
        elif line.strip():
            text.append(line.strip())
        else:
            flush()
    flush()
    if example:
        out.extend(['.fi', '.RE'])


def page(program, section, prose):
    name = os.path.basename(program)
    doc = parse_prose(prose)
    title, what = doc[0][0].split(' - ', 1)
    assert title == name, '%s speaks of %s' % (prose, title)
    more = {sub: lines for _, subs in doc for sub, lines in subs if sub}
    known = set(more)
    text = Help(program)
    out = ['.\\" Made by scripts/man-gen.py', '.TH %s %s "" nemu' % (name.upper(), section), '.SH NAME',
           '%s \\- %s' % (escape(name), escape(what)), '.SH SYNOPSIS']
    for usage in text.usage:
        out.extend(['.PP', '.B ' + escape(usage)])
    out.append('.SH DESCRIPTION')
    render(doc[0][1][0][1], out)
    out.append('.SH OPTIONS')
    for entry, says in text.entries:
        if says is None:
            out.append('.SS ' + escape(entry.rstrip(':')))
            continue
        out.extend(['.TP', '\\fB' + escape(entry) + '\\fR', escape(says) or '\\&'])
        for word in (w for w in re.split(r'[ ,=\[]+', entry) if w in more):
            out.append('.RS')
            render(more[word], out)
            out.append('.RE')
            known.discard(word)
    assert not known, '%s has text about what --help does not know: %s' % (prose, ', '.join(sorted(known)))
    for heading, subs in doc[1:]:
        if subs[0][1] and ''.join(subs[0][1]).strip():
            out.append('.SH ' + escape(heading.upper()))
            render(subs[0][1], out)
    return '\n'.join(out) + '\n'


def main():
    program, section, prose, output = sys.argv[1:]
    with open(output, 'w', encoding='utf-8') as f:
        f.write(page(program, section, prose))


if __name__ == '__main__':
    main()
