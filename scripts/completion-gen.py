#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Shell completion from a program's own tables: its -help and query-command-line-options.

Usage: completion-gen.py bash|zsh PROGRAM [OUTPUT]
"""
import json
import os
import re
import subprocess
import sys

# Options whose first word names a type: what lists the types, and where the name is in a line.
TYPES = {'device': r's/^name "\([^"]*\)".*/\1/p', 'object': r's/^  \([a-z][a-z0-9_-]*\)$/\1/p',
         'chardev': r's/^  \([a-z][a-z0-9_-]*\)$/\1/p', 'netdev': r's/^\([a-z][a-z0-9_-]*\)$/\1/p',
         'machine': r's/^\([a-z][a-z0-9._-]*\)  *.*/\1/p', 'cpu': r'/^Available/d;/^Recognized/,$d;s/^ *\(x86 \)\{0,1\}\([A-Za-z][A-Za-z0-9._-]*\)  *.*/\2/p',
         'accel': r's/^\([a-z][a-z0-9_-]*\)$/\1/p'}
FILES = {'kernel', 'initrd', 'dtb', 'bios', 'pidfile', 'readconfig', 'D', 'mem-path', 'qtest-log'}
FOLDERS = {'L', 'chroot'}
# Where the group of query-command-line-options is called otherwise.
GROUPS = {'smp': 'smp-opts', 'm': 'memory', 'boot': 'boot-opts', 'M': 'machine'}
SAME = {'M': 'machine'}


# A sanitized program runs here, too; what it keeps until its end is no fault.
ENVIRONMENT = dict(os.environ, ASAN_OPTIONS='detect_leaks=0')


def read_options(program):
    """[(name, argument or None, help)]"""
    text = subprocess.run([program, '-help'], capture_output=True, text=True, check=True,
                          env=ENVIRONMENT).stdout
    found = []
    lines = text.splitlines()
    for i, line in enumerate(lines):
        m = re.match(r'-([A-Za-z][\w-]*)(?: (\S+(?: \S+)*?))?(?:  +(.*))?$', line)
        if m:
            about = m.group(3) or (lines[i + 1].strip() if i + 1 < len(lines) and lines[i + 1].startswith(' ') else '')
            found.append((m.group(1), m.group(2), about))
    return found


def read_groups(program):
    talk = ''.join('{"execute": "%s"}\n' % c for c in ('qmp_capabilities', 'query-command-line-options', 'quit'))
    out = subprocess.run([program, '-machine', 'none', '-nodefaults', '-qmp', 'stdio'], input=talk,
                         capture_output=True, text=True, check=True, env=ENVIRONMENT).stdout
    for line in out.splitlines():
        ret = json.loads(line).get('return')
        if isinstance(ret, list):
            return {o['option']: [(p['name'], p.get('help', '')) for p in o['parameters']] for o in ret}
    raise SystemExit('completion-gen: %s does not answer' % program)


def bash(name, options, groups):
    function = '_' + re.sub(r'\W', '_', name)
    out = ['# bash completion for %s; made by scripts/completion-gen.py' % name, '', function + '() {',
           '    local cur="${COMP_WORDS[COMP_CWORD]}" program="${COMP_WORDS[0]}" option="" i last',
           '    # "=" and ":" divide words here; the option is the last word with a dash.',
           '    [ "$cur" != "=" ] || cur=""',
           '    for ((i = COMP_CWORD - 1; i > 0; i--)); do',
           '        case "${COMP_WORDS[i]}" in -*) option="${COMP_WORDS[i]##*-}"; option="${COMP_WORDS[i]#-}"; '
           'option="${option#-}"; break ;; esac',
           '    done',
           '    COMPREPLY=()',
           '    if [[ "$cur" == -* ]]; then',
           '        COMPREPLY=($(compgen -W "%s" -- "$cur"))' % ' '.join('-' + o[0] for o in options),
           '        return', '    fi',
           '    last="${cur##*,}"',
           '    local before="${cur%"$last"}" words="" suffix="="',
           '    case "$option" in']
    for option, argument, _ in options:
        if not argument:
            continue
        parameters = ' '.join(p[0] for p in groups.get(GROUPS.get(option, option), []))
        listed = SAME.get(option, option)
        if option in FILES:
            out.append('    %s) COMPREPLY=($(compgen -f -- "$cur")); compopt -o filenames 2>/dev/null; return ;;' % option)
        elif option in FOLDERS:
            out.append('    %s) COMPREPLY=($(compgen -d -- "$cur")); compopt -o filenames 2>/dev/null; return ;;' % option)
        elif listed in TYPES:
            out.append('    %s)' % option)
            out.append('        words="%s"' % parameters)
            out.append('        if [ -z "$before" ] && [ "${COMP_WORDS[COMP_CWORD-1]}" != "=" ]; then')
            out.append('            words="$("$program" -%s help 2>/dev/null | sed -n \'%s\')"; suffix=""'
                       % (listed, TYPES[listed]))
            out.append('        fi ;;')
        elif parameters:
            out.append('    %s) words="%s" ;;' % (option, parameters))
    out += ['    esac',
            '    COMPREPLY=($(compgen -P "$before" -S "$suffix" -W "$words" -- "$last"))',
            '    compopt -o nospace 2>/dev/null', '}', '',
            'complete -F %s %s' % (function, name), '']
    return '\n'.join(out)


def quoted(text):
    return re.sub(r"[\[\]:'\\]", lambda m: ' ' if m.group() in "'[]" else '\\' + m.group(), text)


def zsh(name, options, groups):
    out = ['#compdef ' + name, '# made by scripts/completion-gen.py', '', '_arguments \\']
    for option, argument, about in options:
        spec = "'*-%s[%s]" % (option, quoted(about))
        listed = SAME.get(option, option)
        if option in FILES:
            spec += ":file:_files'"
        elif option in FOLDERS:
            spec += ":folder:_files -/'"
        elif argument and listed in TYPES:
            spec += ":type:{compadd -S \"\" -- ${(f)\"$($words[1] -%s help 2>/dev/null | sed -n %s)\"}}'" \
                % (listed, '"' + TYPES[listed].replace('\\', '\\\\').replace('"', '\\"').replace('$', '\\$')
                   .replace(':', '\\:') + '"')
        elif argument and groups.get(GROUPS.get(option, option)):
            values = ' '.join('"%s[%s]\\:value"' % (p, quoted(h).replace('"', '')) for p, h
                              in groups[GROUPS.get(option, option)])
            spec += ":value:_values -s , parameter %s'" % values
        elif argument:
            spec += ":value:'"
        else:
            spec += "'"
        out.append('    %s \\' % spec)
    out.append("    '*:image:'")
    return '\n'.join(out) + '\n'


def main():
    if len(sys.argv) not in (3, 4) or sys.argv[1] not in ('bash', 'zsh'):
        sys.exit(__doc__.strip())
    kind, program = sys.argv[1:3]
    make = bash if kind == 'bash' else zsh
    text = make(os.path.basename(program), read_options(program), read_groups(program))
    if len(sys.argv) == 4:
        with open(sys.argv[3], 'w', encoding='utf-8') as f:
            f.write(text)
    else:
        sys.stdout.write(text)


if __name__ == '__main__':
    main()
