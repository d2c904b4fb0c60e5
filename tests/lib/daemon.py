# SPDX-License-Identifier: GPL-2.0-or-later
"""qemu-storage-daemon with a QMP connection."""
import os
import shutil
import subprocess
import tempfile

from . import qmp as qmplib

OURS = os.path.join(os.environ.get('NEMU_BUILD_DIR', 'build'), 'qemu-storage-daemon')


class Daemon:
    """Options of @args act before QMP is there to ask; `with` ends the process."""

    def __init__(self, *args, program=OURS, pass_fds=()):
        self.dir = tempfile.mkdtemp(prefix='nemu-daemon-')
        path = os.path.join(self.dir, 'qmp')
        listener = qmplib.listener(path)
        listener.settimeout(60)
        # pylint: disable=consider-using-with
        self.proc = subprocess.Popen([program, *args, '--chardev', 'socket,id=qmp,path=' + path, '--monitor', 'qmp'],
                                     stdin=subprocess.DEVNULL, pass_fds=pass_fds)
        try:
            self.qmp = qmplib.QmpClient(listener.accept()[0], timeout=60)
            self.qmp.negotiate()
        except BaseException:
            self.__exit__()
            raise
        finally:
            listener.close()
        self.cmd = self.qmp.cmd

    def event(self, name, **data):
        return self.qmp.wait_event(name, **data)

    def job_end(self, job):
        """It ends, and without an error. Created jobs stay until they are dismissed."""
        self.event('JOB_STATUS_CHANGE', status='concluded', id=job)
        for info in self.cmd('query-jobs'):
            assert info['id'] != job or 'error' not in info, info

    def wait(self):
        return self.proc.wait(timeout=60)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.proc.poll() is None:
            self.proc.kill()
            self.proc.wait()
        shutil.rmtree(self.dir, ignore_errors=True)
