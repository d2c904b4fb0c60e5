#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Shell completion as scripts/completion-gen.py makes it from the program's tables, run by a shell."""
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
import reference            # noqa: E402
from lib import runner      # noqa: E402

GENERATOR = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'scripts', 'completion-gen.py')


def generated(kind):
    return subprocess.run([sys.executable, GENERATOR, kind, reference.OURS], capture_output=True, text=True,
                          check=True).stdout


def test_bash():
    runner.require(shutil.which('bash'), 'bash')
    with tempfile.NamedTemporaryFile('w', suffix='.bash') as f:
        f.write(generated('bash'))
        f.flush()

        def complete(*words):
            script = 'source %s; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _qemu_system_x86_64 2>/dev/null; ' \
                     'printf "%%s\\n" "${COMPREPLY[@]}"' % f.name
            out = subprocess.run(['bash', '-c', script, 'bash', os.path.abspath(reference.OURS), *words],
                                 capture_output=True, text=True, check=True).stdout
            return sorted(out.split())
        runner.equal(complete('-devi'), ['-device'])
        runner.equal(complete('--', '-serial', 'x', '-smp', 'so'), ['sockets='])
        runner.equal(complete('-smp', 'cpus', '=', '2,ma'), ['2,maxcpus='])
        runner.equal(complete('-object', 'memory-backend-f'), ['memory-backend-file'])
        runner.equal(complete('-accel', 'kv'), ['kvm'])
        assert 'virtio-net-pci' in complete('-device', 'virtio-n'), complete('-device', 'virtio-n')
        assert 'virt-1.0' in complete('-machine', 'vir'), complete('-machine', 'vir')
        assert 'host' in complete('-cpu', 'ho'), complete('-cpu', 'ho')
        runner.equal(complete('-kernel', f.name[:-3]), [f.name])


def test_zsh():
    text = generated('zsh')
    assert text.startswith('#compdef qemu-system-x86_64\n'), text[:100]
    assert "'*-smp[" in text and '"maxcpus[' in text and "'*-kernel[" in text, text[:2000]
    runner.require(shutil.which('zsh'), 'zsh')
    subprocess.run(['zsh', '-n', '/dev/stdin'], input=text, text=True, check=True)


if __name__ == '__main__':
    runner.main(globals())
