# SPDX-License-Identifier: GPL-2.0-or-later
"""What the comparisons with Debian's QEMU share: the two programs, and talking to them."""
import json
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import runner      # noqa: E402

OURS = os.environ.get('QTEST_QEMU_BINARY') or os.path.join(os.environ.get('NEMU_BUILD_DIR', 'build'),
                                                           'qemu-system-x86_64')
THEIRS = '/usr/bin/qemu-system-x86_64'


def require():
    runner.require(shutil.which(THEIRS), 'Debian package qemu-system-x86 (%s)' % THEIRS)


def run(program, *args, stdin=''):
    """(exit status, stdout, stderr) of a run that ends by itself."""
    done = subprocess.run([program, *args], input=stdin, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def talk(program, commands, *args):
    """The answers of a machine-less process to @commands: [(name, arguments)]."""
    lines = [{'execute': 'qmp_capabilities'}]
    lines += [{'execute': name, 'arguments': arguments or {}, 'id': i} for i, (name, arguments) in enumerate(commands)]
    if os.path.basename(program) == 'qemu-storage-daemon':
        argv = [program, '--chardev', 'stdio,id=qmp', '--monitor', 'qmp', *args]
    else:
        argv = [program, '-machine', 'none', '-nodefaults', '-display', 'none', '-qmp', 'stdio', *args]
    answers = {}
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as proc:
        # The end of its input ends the conversation, so it stays open until the last answer.
        for line in lines:
            proc.stdin.write(json.dumps(line) + '\n')
        proc.stdin.flush()
        while len(answers) < len(commands):
            line = proc.stdout.readline()
            assert line, (program, proc.wait(), proc.stderr.read()[:500])
            message = json.loads(line)
            if isinstance(message.get('id'), int):
                answers[message['id']] = message
        proc.kill()
    return [answers[i] for i in range(len(commands))]


def result(program, name, **arguments):
    answer = talk(program, [(name, arguments)])[0]
    assert 'return' in answer, (program, name, answer)
    return answer['return']
